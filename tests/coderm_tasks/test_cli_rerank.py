"""``coderm rerank``: bad input in one line with exit code 2 and nothing written; the real run in the real sandbox."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from coderm_tasks.cli import main
from executor import SandboxMissing
from executor.cache import ResultCache
from executor.doctor import require_sandbox

ROOT = Path(__file__).parents[2]
RIGHT = "def f(x):\n    return x + 1\n"
WRONG = "def f(x):\n    return x + 2\n"


def write(path: Path, *records: object) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


def evalplus_problem(number: int) -> dict[str, Any]:
    return {
        "task_id": f"HumanEval/{number}",
        "prompt": "def f(x):\n    '''Return x + 1.'''\n",
        "entry_point": "f",
        "canonical_solution": "    return x + 1\n",
        "contract": "",
        "base_input": [[1]],
        "plus_input": [[2], [3]],
        "atol": 0,
    }


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A data set of three problems, samples and tests for it; the working directory."""
    data = write(tmp_path / "data.jsonl", *(evalplus_problem(number) for number in range(3)))
    monkeypatch.setenv("HUMANEVAL_OVERRIDE_PATH", str(data))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("CODERM_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    samples = [
        {"task_id": f"HumanEval/{number}", "solution": solution} for number in range(3) for solution in (WRONG, RIGHT)
    ]
    write(tmp_path / "samples.jsonl", *samples)
    # Other tests for each problem: equal cells of several problems may be run once or more, as it comes.
    tests = ("assert f(1 + {0}) == 2 + {0}", "assert f({0}) == 1 + {0}", "assert f(-1 - {0}) == -{0}")
    write(
        tmp_path / "tests.jsonl",
        *({"task_id": f"HumanEval/{n}", "test": test.format(n)} for n in range(3) for test in tests),
    )
    return tmp_path


@pytest.fixture
def sandbox() -> None:
    try:
        require_sandbox()
    except SandboxMissing as error:
        pytest.skip(f"needs the sandbox: {error}")


def arguments(**changed: str | None) -> list[str]:
    options: dict[str, str | None] = {
        "dataset": "humaneval",
        "samples": "samples.jsonl",
        "tests": "tests.jsonl",
        "output": "out.jsonl",
        **changed,
    }
    given = ((name, value) for name, value in options.items() if value is not None)
    return ["rerank", *(word for name, value in given for word in (f"--{name}", value))]


def error_of(capsys: pytest.CaptureFixture[str], words: list[str]) -> str:
    """Run, expect exit code 2, one line on standard error, none on standard output, and no new file."""
    before = set(Path().iterdir())
    assert main(words) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert set(Path().iterdir()) == before
    return printed.err


def rerank(*extra: str, **changed: str | None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "coderm_tasks", *arguments(**changed), "--workers", "2", *extra]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)


def read(path: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("option", ["samples", "tests"])
def test_a_missing_file_is_refused(capsys: pytest.CaptureFixture[str], option: str) -> None:
    error = error_of(capsys, arguments(**{option: "absent.jsonl"}))
    assert error.startswith("coderm: absent.jsonl: no such file; expected a JSONL file (gzip allowed); check the path")


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("option", ["samples", "tests"])
def test_a_line_that_is_not_json_is_refused(capsys: pytest.CaptureFixture[str], option: str) -> None:
    with Path(f"{option}.jsonl").open("a") as stream:
        stream.write("not json\n")
    number = len(Path(f"{option}.jsonl").read_text().splitlines())
    error = error_of(capsys, arguments())
    assert error.startswith(f"coderm: {option}.jsonl:{number}: got a line that is not JSON")


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(("option", "key"), [("samples", "solution"), ("tests", "test")])
def test_an_unknown_task_id_is_refused(capsys: pytest.CaptureFixture[str], option: str, key: str) -> None:
    write(Path(f"{option}.jsonl"), {"task_id": "HumanEvil/1", key: "x"})
    error = error_of(capsys, arguments())
    assert error.startswith(f"coderm: {option}.jsonl:1: ")
    assert "unknown task_id 'HumanEvil/1' (did you mean 'HumanEval/1'?)" in error


@pytest.mark.usefixtures("folder")
def test_a_sample_without_code_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    write(Path("samples.jsonl"), {"task_id": "HumanEval/0", "code": "x"})
    error = error_of(capsys, arguments())
    assert error.startswith(
        "coderm: samples.jsonl:1: got a sample of HumanEval/0 with only code, task_id; expected the key"
    )


@pytest.mark.usefixtures("folder")
def test_an_unknown_strategy_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    error = error_of(capsys, [*arguments(), "--strategy", "codrem"])
    assert error.startswith("coderm: unknown strategy 'codrem' (did you mean 'coderm'?)")


@pytest.mark.usefixtures("folder")
def test_an_unknown_data_set_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    error = error_of(capsys, arguments(dataset="humanevil"))
    assert error.startswith("coderm: unknown --dataset 'humanevil' (did you mean 'humaneval'?)")


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("option", ["samples", "tests"])
def test_an_empty_file_is_refused(capsys: pytest.CaptureFixture[str], option: str) -> None:
    Path(f"{option}.jsonl").write_text("")
    assert error_of(capsys, arguments()).startswith(f"coderm: {option}.jsonl: ")


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("option", ["output", "matrix"])
def test_an_output_that_cannot_be_written_is_refused_before_execution(
    capsys: pytest.CaptureFixture[str], option: str
) -> None:
    error = error_of(capsys, arguments(**{option: "absent/out.jsonl"}))
    assert error.startswith("coderm: absent/out.jsonl: its folder ")
    assert "create it (mkdir -p)" in error


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("workers", ["0", "-1"])
def test_fewer_than_one_worker_is_refused(capsys: pytest.CaptureFixture[str], workers: str) -> None:
    error = error_of(capsys, [*arguments(), f"--workers={workers}"])
    assert error.startswith(f"coderm: --workers is {workers}: expected at least 1; leave it out")


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--cpu-limit", "0", "coderm: --cpu-limit is 0.0: expected a value from 0.01 to 3600; leave --cpu-limit out"),
        ("--wall-limit", "-1", "coderm: --wall-limit is -1.0: expected a value from"),
        ("--memory-limit", "1", "coderm: --memory-limit is 1: expected a value from"),
        ("--max-timeouts", "1000001", "coderm: --max-timeouts is 1000001: expected a value from 1 to 1000000"),
        ("--workers", "two", "Invalid value for '--workers'"),
        ("--bogus", "1", "No such option: --bogus"),
    ],
)
def test_a_bad_option_is_refused_in_one_line(
    capsys: pytest.CaptureFixture[str], option: str, value: str, message: str
) -> None:
    assert message in error_of(capsys, [*arguments(), option, value])


@pytest.mark.usefixtures("folder")
def test_without_tests_the_flag_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert "give --tests FILE" in error_of(capsys, arguments(tests=None))


@pytest.mark.usefixtures("folder")
def test_an_output_that_evalplus_cannot_read_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert "evalplus.evaluate reads no other" in error_of(capsys, arguments(output="out.txt"))


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"output": "samples.jsonl"}, "samples.jsonl: is both --samples and --output"),
        ({"output": "./tests.jsonl"}, "tests.jsonl: is both --tests and --output"),
        ({"matrix": "out.jsonl"}, "out.jsonl: is both --output and --matrix"),
        ({"matrix": "out.selection.jsonl"}, "out.selection.jsonl: is both the selection file and --matrix"),
    ],
)
def test_an_output_that_would_overwrite_another_file_of_the_run_is_refused(
    capsys: pytest.CaptureFixture[str], changed: dict[str, str], message: str
) -> None:
    assert message in error_of(capsys, arguments(**changed))


@pytest.mark.usefixtures("folder")
def test_problems_without_samples_need_a_flag(capsys: pytest.CaptureFixture[str]) -> None:
    write(Path("samples.jsonl"), {"task_id": "HumanEval/1", "solution": RIGHT})
    error = error_of(capsys, arguments())
    assert error.startswith(
        "coderm: samples.jsonl: got no sample for 2 of 3 problems (HumanEval/0, HumanEval/2); expected at least one"
    )
    assert "--allow-missing" in error


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ('stratgy = "coderm"', "unknown coderm setting 'stratgy' (did you mean 'strategy'?)"),
        ("strategy = ", "coderm.toml: not TOML"),
        ('workers = "two"', "coderm settings: "),
    ],
)
def test_a_bad_configuration_file_is_refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, toml: str, message: str
) -> None:
    Path("coderm.toml").write_text(toml)
    monkeypatch.setenv("CODERM_CONFIG", "coderm.toml")
    assert message in error_of(capsys, arguments())


@pytest.mark.usefixtures("folder", "sandbox")
def test_the_accepted_sample_of_every_problem_is_written_in_data_set_order() -> None:
    run = rerank("--matrix", "matrix.jsonl")
    assert run.returncode == 0, run.stderr
    assert read("out.jsonl") == [{"task_id": f"HumanEval/{number}", "solution": RIGHT} for number in range(3)]
    assert [(one["task_id"], one["verdicts"]) for one in read("matrix.jsonl")] == [
        (f"HumanEval/{number}", ["FFF", "PPP"]) for number in range(3)
    ]
    assert [(one["index"], one["ties"], one["tests_used"]) for one in read("out.selection.jsonl")] == [(1, [1], 3)] * 3
    assert run.stdout == ""


@pytest.mark.usefixtures("folder", "sandbox")
def test_the_summary_is_the_same_as_json() -> None:
    run = rerank("--json")
    report = json.loads(run.stdout)
    summary = report["summary"]
    assert (report["output"], report["selection"], report["matrix"]) == ("out.jsonl", "out.selection.jsonl", None)
    assert (summary["problems"], summary["solutions"], summary["tests"], summary["cells"]) == (3, 6, 9, 18)
    assert summary["verdict_shares"] == {"pass": 0.5, "fail": 0.5}
    assert "unique solutions" in run.stderr


@pytest.mark.usefixtures("folder", "sandbox")
def test_gzip_is_accepted_whatever_the_name() -> None:
    for name in ("samples.jsonl", "tests.jsonl"):
        Path(name).write_bytes(gzip.compress(Path(name).read_bytes()))
    assert rerank().returncode == 0
    assert [one["solution"] for one in read("out.jsonl")] == [RIGHT] * 3


@pytest.mark.usefixtures("folder", "sandbox")
def test_missing_tests_and_samples_are_reported_and_every_problem_is_written() -> None:
    write(
        Path("samples.jsonl"),
        {"task_id": "HumanEval/0", "solution": WRONG},
        {"task_id": "HumanEval/0", "solution": RIGHT},
        {"task_id": "HumanEval/1", "solution": RIGHT},
    )
    write(Path("tests.jsonl"), {"task_id": "HumanEval/1", "test": "assert f(1) == 2"})
    run = rerank("--allow-missing", "--json")
    assert run.returncode == 0, run.stderr
    assert [one["solution"] for one in read("out.jsonl")] == [WRONG, RIGHT, ""]
    assert [one["note"] for one in read("out.selection.jsonl")] == ["no tests", "", "no samples"]
    summary = json.loads(run.stdout)["summary"]
    assert (summary["no_tests"], summary["no_samples"]) == (["HumanEval/0"], ["HumanEval/2"])
    assert "HumanEval/0" in run.stderr
    assert "HumanEval/2" in run.stderr


@pytest.mark.usefixtures("folder", "sandbox")
def test_flags_win_over_the_configuration_file(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("coderm.toml").write_text('strategy = "first"\nseed = 3\ntests = "tests.jsonl"\n')
    monkeypatch.setenv("CODERM_CONFIG", "coderm.toml")
    assert rerank(tests=None).returncode == 0
    assert [one["strategy"] for one in read("out.selection.jsonl")] == ["first"] * 3
    assert rerank("--strategy", "codet", tests=None).returncode == 0
    assert [one["strategy"] for one in read("out.selection.jsonl")] == ["codet"] * 3


@pytest.mark.usefixtures("folder", "sandbox")
def test_a_second_run_takes_its_verdicts_from_the_cache_and_selects_the_same() -> None:
    first = json.loads(rerank("--json").stdout)["summary"]
    written = Path("out.selection.jsonl").read_bytes()
    second = json.loads(rerank("--json").stdout)["summary"]
    assert (first["cells_cached"], second["cells_run"]) == (0, 0)
    assert second["cells_cached"] == first["cells_run"]
    assert Path("out.selection.jsonl").read_bytes() == written


@pytest.mark.usefixtures("folder", "sandbox")
def test_without_cache_nothing_is_kept(folder: Path) -> None:
    assert json.loads(rerank("--json", "--no-cache").stdout)["summary"]["cells_cached"] == 0
    assert not (folder / "cache" / "coderm-tasks").exists()


@pytest.mark.usefixtures("folder", "sandbox")
def test_results_of_evalplus_for_earlier_samples_are_moved_away() -> None:
    Path("out_eval_results.json").write_text("{}")
    assert rerank().returncode == 0
    assert not Path("out_eval_results.json").exists()


def family_of(pid: int) -> set[tuple[int, str]]:
    """All living descendants of a process, as (pid, start time); boxes' inner processes too."""
    parents: dict[int, tuple[int, str]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # ended while we looked
            continue
        if fields[0] != "Z":
            parents[int(entry.name)] = (int(fields[1]), fields[19])
    family: set[int] = {pid}
    while grown := {child for child, (parent, _) in parents.items() if parent in family} - family:
        family |= grown
    return {(child, parents[child][1]) for child in family - {pid} if child in parents}


def alive(family: set[tuple[int, str]]) -> set[tuple[int, str]]:
    found = set()
    for pid, started in family:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if fields[0] != "Z" and fields[19] == started:
            found.add((pid, started))
    return found


def wait_until(condition: Callable[[], object], what: str) -> None:
    """Poll until the condition holds. The deadline only ends a test that has failed already."""
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.05)


def cached_cells(folder: Path) -> int:
    place = folder / "cache" / "coderm-tasks"
    if not place.is_dir():
        return 0
    with ResultCache(place) as cache:
        return cache.info().cells


@pytest.mark.usefixtures("sandbox")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_leaves_no_process_and_no_output_and_the_next_one_goes_on(
    folder: Path, number: signal.Signals, code: int
) -> None:
    # The first two problems are quick; the third sleeps far longer than this test takes, if nobody interrupts it.
    quick = [{"task_id": f"HumanEval/{n}", "solution": RIGHT} for n in range(2)]
    sleeper = "import time\ndef f(x):\n    time.sleep(3600)\n"
    write(Path("samples.jsonl"), *quick, {"task_id": "HumanEval/2", "solution": sleeper})
    limits = ("--wall-limit", "600")
    command = [sys.executable, "-m", "coderm_tasks", *arguments(), "--workers", "1", *limits]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as run:
        try:
            wait_until(lambda: cached_cells(folder) == 6 or run.poll() is not None, "the verdicts of two problems")
            family = family_of(run.pid)
            run.send_signal(number)
            _, said = run.communicate(timeout=60)
        finally:
            run.kill()
    assert family
    assert run.returncode == code, said
    wait_until(lambda: not alive(family), "the end of every process")
    assert not Path("out.jsonl").exists()
    assert not Path("out.selection.jsonl").exists()
    if number is signal.SIGINT:
        assert said == (
            "coderm: interrupted; executed verdicts are in the cache, and the same command goes on from there\n"
        )
    # Another program than the first two problems have: equal cells are known from them.
    write(Path("samples.jsonl"), *quick, {"task_id": "HumanEval/2", "solution": f"{RIGHT}MARK = 1\n"})
    summary = json.loads(rerank("--json", *limits).stdout)["summary"]
    assert (summary["cells_cached"], summary["cells_run"]) == (6, 3)


@pytest.mark.usefixtures("folder", "sandbox")
def test_a_pruned_run_selects_the_same_and_reports_the_cells_saved() -> None:
    more = [{"task_id": "HumanEval/0", "test": f"assert f({number}) == {number + 1}"} for number in range(2, 62)]
    with Path("tests.jsonl").open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(one) + "\n" for one in more)
    with Path("samples.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps({"task_id": "HumanEval/0", "solution": RIGHT + "\n"}) + "\n")
    whole = rerank("--no-cache", "--json", output="whole.jsonl")
    pruned = rerank("--no-cache", "--json", "--prune", output="pruned.jsonl", matrix="matrix.jsonl")
    assert whole.returncode == pruned.returncode == 0, pruned.stderr
    assert read("pruned.jsonl") == read("whole.jsonl")
    summary = json.loads(pruned.stdout)["summary"]
    assert summary["pruned"] > 0
    assert "pruned" in pruned.stderr
    assert sum(row.count("-") for one in read("matrix.jsonl") for row in one["verdicts"]) == summary["pruned"]


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("strategy", ["codet", "weighted"])
def test_pruning_for_a_rule_that_is_no_vote_is_refused(capsys: pytest.CaptureFixture[str], strategy: str) -> None:
    error = error_of(capsys, [*arguments(strategy=strategy), "--prune"])
    assert f"prune is set with strategy '{strategy}': expected coderm" in error


@pytest.mark.usefixtures("folder", "sandbox")
def test_an_audit_reports_how_many_cells_it_ran_twice() -> None:
    done = rerank("--audit", "1", "--json")
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)["summary"]
    assert (summary["audited"], summary["disagreements"]) == (summary["lifted"], [])
    assert "audited / disagree" in done.stderr


@pytest.mark.usefixtures("folder")
def test_an_audit_of_more_than_everything_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert "audit is 2.0: expected a share from 0 to 1" in error_of(capsys, [*arguments(), "--audit", "2"])


@pytest.mark.usefixtures("folder", "sandbox")
def test_timeouts_without_a_limit_are_all_run() -> None:
    loop = "def f(x):\n    while True:\n        pass\n"
    write(
        Path("samples.jsonl"), *({"task_id": f"HumanEval/{n}", "solution": code} for n in range(3) for code in (loop,))
    )
    tests = [{"task_id": "HumanEval/0", "test": f"assert f({number}) == 2"} for number in range(5)]
    write(Path("tests.jsonl"), *tests)
    some = rerank("--no-cache", "--json", "--cpu-limit", "0.2")
    every = rerank("--no-cache", "--json", "--cpu-limit", "0.2", "--max-timeouts", "0")
    assert json.loads(some.stdout)["summary"]["assumed"] == 2
    assert json.loads(every.stdout)["summary"]["assumed"] == 0


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (("--engine", "dask"), "coderm: coderm settings: engine is 'dask': expected local or ray"),
        (("--ray-address", "host:1"), "coderm: coderm settings: ray_address is 'host:1' with engine 'local'"),
        (("--engine", "ray", "--ray-address", "nonsense"), "coderm: --ray-address is 'nonsense': expected auto, or"),
    ],
)
def test_an_engine_or_address_that_cannot_be_is_refused(
    capsys: pytest.CaptureFixture[str], flags: tuple[str, ...], complaint: str
) -> None:
    assert error_of(capsys, [*arguments(), *flags]).startswith(complaint)


@pytest.mark.usefixtures("folder")
def test_the_local_engine_on_the_command_line_needs_no_address_of_the_file(
    monkeypatch: pytest.MonkeyPatch, sandbox: None
) -> None:
    Path("coderm.toml").write_text('engine = "ray"\nray_address = "127.0.0.1:1"\n')
    monkeypatch.setenv("CODERM_CONFIG", "coderm.toml")
    assert main(arguments()) == 2
    assert main([*arguments(), "--engine", "local"]) == 0
