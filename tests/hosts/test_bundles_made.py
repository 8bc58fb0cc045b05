"""``coderm bundle BOARD``: what the boards take, read back by their own readers; what is refused, in one line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import pytest
from bundle_runs import CODES, STATED, TESTS, bundle, contents, lines, needs_sandbox, rerank

from coderm_tasks.cli import main
from coderm_tasks.errors import ConfigError, InputError
from coderm_tasks.hosts.bundles.archive import is_safe_name
from coderm_tasks.hosts.bundles.boards import get_board
from coderm_tasks.hosts.bundles.run import read_runs

NAME = "Org--Model-1B--best-of-2-coderm_temp_0.8"

pytestmark = pytest.mark.usefixtures("tiny_datasets")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, tiny_humaneval_file: Path) -> Path:
    """Output of a real run of coderm rerank; tests that change files copy its folder."""
    needs_sandbox()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HUMANEVAL_OVERRIDE_PATH", str(tiny_humaneval_file))
        patch.delenv("CODERM_CONFIG", raising=False)
        return rerank(tmp_path_factory.mktemp("run"))


def error_of(capsys: pytest.CaptureFixture[str], board: str, run: Path, output: Path, *extra: str) -> str:
    """Expect exit code 2, one line, and no bundle."""
    capsys.readouterr()
    assert bundle(board, run, output, *extra) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert not output.exists()
    return printed.err


def copy_of(made: Path, folder: Path) -> Path:
    for file in made.parent.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    return folder / made.name


@pytest.mark.slow
def test_the_real_evalplus_accepts_both_the_jsonl_and_the_folder(made: Path, tmp_path: Path) -> None:
    assert bundle("evalplus", made, tmp_path / "b.zip") == 0
    with zipfile.ZipFile(tmp_path / "b.zip") as archive:
        archive.extractall(tmp_path)
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path / "cache"), "EVALPLUS_MAX_MEMORY_BYTES": "-1"}
    for samples, results in (
        (tmp_path / f"{NAME}.jsonl", tmp_path / f"{NAME}_eval_results.json"),
        (tmp_path / NAME, tmp_path / NAME / "eval_results.json"),
    ):
        command = [sys.executable, "-m", "evalplus.evaluate", "--dataset", "humaneval", "--samples", str(samples)]
        subprocess.run([*command, "--parallel", "1"], env=environment, check=True, timeout=240, capture_output=True)
        found = json.loads(results.read_text())["eval"]
        # HumanEval/32 fails for everyone in EvalPlus 0.3.1.
        passed = {task for task, (one,) in found.items() if one["base_status"] == one["plus_status"] == "pass"}
        assert found.keys() == CODES.keys()
        assert passed >= CODES.keys() - {"HumanEval/32"}


def test_equal_records_give_equal_bytes(made: Path, tmp_path: Path) -> None:
    assert bundle("evalplus", made, tmp_path / "a.zip") == bundle("evalplus", made, tmp_path / "b.zip") == 0
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_a_bundle_names_no_place_on_the_machine(made: Path, tmp_path: Path) -> None:
    assert bundle("evalplus", made, tmp_path / "b.zip") == 0
    places = [str(made.parent), str(tmp_path), str(Path.home())]
    assert not [place for place in places for data in contents(tmp_path / "b.zip").values() if place.encode() in data]


def test_the_method_is_stated_with_its_numbers_and_its_unknowns(made: Path, tmp_path: Path) -> None:
    assert bundle("evalplus", made, tmp_path / "b.zip", "--generator", "Org/Tester") == 0
    files = contents(tmp_path / "b.zip")
    method = json.loads(files["method.json"])
    assert (method["samples"], method["tests"]) == ({"least": 2, "mean": 2.0, "most": 2},) * 2
    assert (method["model"], method["test_writer"]["model"]) == ("Org/Model-1B", "Org/Tester")
    assert (method["strategy"], method["seed"], method["sandbox"], method["top_p"]) == ("coderm", 0, "bubblewrap", None)
    assert method["cost"]["cells"] == 20
    page = files["METHOD.md"].decode()
    assert "not greedy pass@1" in page
    assert "does NOT rank" in page
    assert "top-p unknown" in page


def test_the_issue_form_is_filled_but_confirms_nothing(made: Path, tmp_path: Path) -> None:
    assert bundle("evalplus", made, tmp_path / "b.zip", "--model-url", "https://example.org/m") == 0
    form = contents(tmp_path / "b.zip")["ISSUE.md"].decode()
    assert "### Model URL\n\nhttps://example.org/m\n" in form
    assert "### Decontamination\n\nTO BE FILLED IN BY YOU" in form
    assert "[x]" not in form


@pytest.mark.parametrize("board", ["evalplus", "livecodebench", "bigcodebench"])
def test_a_board_that_does_not_rank_best_of_n_is_refused_without_the_flag(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, board: str
) -> None:
    split = ["--split", "complete"] if board == "bigcodebench" else []
    words = ["bundle", board, "any", "--output", str(tmp_path / "b.zip"), "--model", "m", *split]
    assert main(words) == 2
    error = capsys.readouterr().err
    assert "cannot become an entry there; pass --acknowledge-not-for-board" in error
    assert get_board(board).source in error


def test_an_unknown_board_is_an_error_with_a_hint(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ConfigError, match=r"did you mean 'evalplus'"):
        get_board("evalpus")
    assert main(["bundle", "evalpus", "any"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_an_incomplete_run_is_refused(made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = copy_of(made, tmp_path)
    for name in ("matrix.jsonl", "best.selection.jsonl"):
        file = tmp_path / name
        file.write_text("".join(file.read_text().splitlines(keepends=True)[:-1]))
    assert "has changed since the run" in error_of(capsys, "evalplus", run, tmp_path / "b.zip")
    samples = tmp_path / "samples.jsonl"
    kept = [line for line in samples.read_text().splitlines(keepends=True) if "HumanEval/32" not in line]
    samples.write_text("".join(kept))
    tests = tmp_path / "tests.jsonl"
    tests.write_text(
        "".join(line for line in tests.read_text().splitlines(keepends=True) if "HumanEval/32" not in line)
    )
    folder = as_folder(run, tmp_path / "run")
    error = error_of(capsys, "evalplus", folder, tmp_path / "b.zip")
    assert "the run lacks 1 problem (HumanEval/32) of humaneval_plus, which has 5" in error


def as_folder(run: Path, folder: Path) -> Path:
    """The same records as an lm-eval run lays them out."""
    folder.mkdir()
    for name in ("samples", "tests", "matrix"):
        (folder / f"{name}.jsonl").write_bytes((run.parent / f"{name}.jsonl").read_bytes())
    (folder / "selection.jsonl").write_bytes((run.parent / "best.selection.jsonl").read_bytes())
    (folder / "selected.jsonl").write_bytes(run.read_bytes())
    record = json.loads((run.parent / "best.run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**record, "tool": "lm-eval"}))
    return folder


def test_a_matrix_that_misses_rows_is_refused(made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = as_folder(made, tmp_path / "run")
    whole = (folder / "matrix.jsonl").read_text().splitlines(keepends=True)
    (folder / "matrix.jsonl").write_text("".join(whole[1:]))
    assert "the matrix file lacks 1 of 5 problems" in error_of(capsys, "evalplus", folder, tmp_path / "b.zip")
    short = {**json.loads(whole[0]), "verdicts": ["PP"]}
    lines(folder / "matrix.jsonl", short, *map(json.loads, whole[1:]))
    assert "has 1 rows in the matrix, and there are 2" in error_of(capsys, "evalplus", folder, tmp_path / "b.zip")


def test_a_problem_twice_is_refused(made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = as_folder(made, tmp_path / "run")
    selection = folder / "selection.jsonl"
    selection.write_text(selection.read_text() + selection.read_text().splitlines(keepends=True)[0])
    assert "has HumanEval/0 twice" in error_of(capsys, "evalplus", folder, tmp_path / "b.zip")


def test_unequal_sample_counts_are_refused_unless_allowed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    needs_sandbox()
    run = rerank(tmp_path, codes={**CODES, "HumanEval/3": CODES["HumanEval/3"][1:]})
    error = error_of(capsys, "evalplus", run, tmp_path / "b.zip")
    assert "unequal sample counts: 1 of HumanEval/3, 2 of others" in error
    assert bundle("evalplus", run, tmp_path / "b.zip", "--allow-unequal") == 0
    assert json.loads(contents(tmp_path / "b.zip")["method.json"])["samples"]["least"] == 1


def test_a_run_without_a_matrix_or_a_record_is_told_how_to_get_one(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = copy_of(made, tmp_path)
    record = json.loads((tmp_path / "best.run.json").read_text())
    del record["files"]["matrix"]
    (tmp_path / "best.run.json").write_text(json.dumps(record))
    assert "run coderm rerank again with --matrix FILE" in error_of(capsys, "evalplus", run, tmp_path / "b.zip")
    (tmp_path / "best.run.json").unlink()
    assert "best.run.json: no such file" in error_of(capsys, "evalplus", run, tmp_path / "b.zip")


def test_samples_from_a_pipe_are_reranked_but_cannot_be_bundled(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, pipe = copy_of(made, tmp_path), tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=((tmp_path / "samples.jsonl").read_bytes(),))
    writer.start()
    words = ["--tests", str(tmp_path / "tests.jsonl"), "--output", str(run), "--matrix", str(tmp_path / "matrix.jsonl")]
    assert main(["rerank", "--dataset", "humaneval", "--samples", str(pipe), *words, "--workers", "1"]) == 0
    writer.join()
    assert "(read from a pipe?); expected files" in error_of(capsys, "evalplus", run, tmp_path / "b.zip")


def test_a_fact_that_is_unknown_is_asked_for(made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["bundle", "evalplus", str(made), "--output", str(tmp_path / "b.zip"), "--acknowledge-not-for-board"]
    assert main([*words, "--temperature", "0.8"]) == 2
    assert "the records do not say the model" in capsys.readouterr().err
    assert main([*words, "--model", "m"]) == 2
    assert "the records do not say the temperature" in capsys.readouterr().err


def test_what_the_answers_beside_the_samples_say_need_not_be_said_again(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = copy_of(made, tmp_path)
    asked = {"model": "Org/Real", "temperature": 0.7, "top_p": 0.9, "max_tokens": 512, "prompt": "coderm/1", "seed": 3}
    lines(tmp_path / "samples.answers.jsonl", {"answers": 2, "settings": asked})
    lines(tmp_path / "tests.answers.jsonl", {"answers": 2, "settings": {**asked, "model": "Org/Tester"}})
    words = ["bundle", "evalplus", str(run), "--output", str(tmp_path / "b.zip"), "--acknowledge-not-for-board"]
    assert main(words) == 0
    method = json.loads(contents(tmp_path / "b.zip")["method.json"])
    assert (method["model"], method["temperature"], method["top_p"], method["max_tokens"]) == (
        "Org/Real",
        0.7,
        0.9,
        512,
    )
    assert method["test_writer"]["model"] == "Org/Tester"
    assert main([*words, "--model", "Org/Other"]) == 2
    assert "--model is 'Org/Other', and the records say 'Org/Real'" in capsys.readouterr().err


def test_a_run_of_another_data_set_is_refused(made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    error = error_of(capsys, "livecodebench", made, tmp_path / "b.zip")
    assert "the run is of 'humaneval_plus', and the board is about livecodebench" in error


def test_ranks_of_one_run_are_read_together_and_no_problem_twice(made: Path, tmp_path: Path) -> None:
    folders = []
    for number, wanted in enumerate((("HumanEval/0", "HumanEval/1"), ("HumanEval/2", "HumanEval/3", "HumanEval/32"))):
        folder = as_folder(made, tmp_path / f"rank{number}")
        for file in folder.glob("*.jsonl"):
            kept = [line for line in map(json.loads, file.read_text().splitlines()) if line["task_id"] in wanted]
            lines(file, *kept)
        folders.append(folder)
    assert list(read_runs(folders).selections) == list(TESTS)
    with pytest.raises(InputError, match=r"holds 2 problems of another record"):
        read_runs([*folders, folders[0]])


class _FakeProblem:
    """A problem of LiveCodeBench as far as a bundle looks at it."""

    def __init__(self, task_id: str) -> None:
        self.task_id, self.prompt, self.entry_point = task_id, f"solve {task_id}", ""


@pytest.fixture
def lcb_run(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The records under LiveCodeBench's kind of ids, and a data set of them, as load_problems gives it."""
    folder = as_folder(made, tmp_path / "lcb")
    ids = dict(zip(TESTS, ("abc301_a", "2730", "1873_A", "abc301_b", "1873_D"), strict=True))
    for file in folder.glob("*.jsonl"):
        records = [json.loads(line) for line in file.read_text().splitlines()]
        lines(file, *({**record, "task_id": ids[record["task_id"]]} for record in records))
    record = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**record, "dataset": "livecodebench", "questions_sha256": None}))
    problems = tuple(_FakeProblem(task_id) for task_id in ids.values())
    monkeypatch.setattr("coderm_tasks.hosts.bundles.problem_sets.load_problems_to_rerank", lambda *_: problems)
    return folder


def test_livecodebench_gets_every_problem_once_in_its_evaluators_order(lcb_run: Path, tmp_path: Path) -> None:
    assert bundle("livecodebench", lcb_run, tmp_path / "b.zip") == 0
    entries = json.loads(contents(tmp_path / "b.zip")[f"{NAME}.json"])
    # What lcb_runner's custom evaluator asserts and does: a list as long as the benchmark, sorted by question_id.
    assert [entry["question_id"] for entry in entries] == sorted(entry["question_id"] for entry in entries)
    assert len(entries) == 5
    assert all(entry.keys() == {"question_id", "code_list"} and len(entry["code_list"]) == 1 for entry in entries)
    assert {entry["question_id"]: entry["code_list"][0] for entry in entries}["2730"] == CODES["HumanEval/1"][1]


def test_livecodebench_refuses_a_run_that_does_not_cover_the_set(
    lcb_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    more = tuple(_FakeProblem(task_id) for task_id in ("abc301_a", "2730", "1873_A", "abc301_b", "1873_D", "abc999_z"))
    monkeypatch.setattr("coderm_tasks.hosts.bundles.problem_sets.load_problems_to_rerank", lambda *_: more)
    assert "lacks 1 problem (abc999_z)" in error_of(capsys, "livecodebench", lcb_run, tmp_path / "b.zip")


def test_bigcodebench_takes_the_ids_of_the_samples(made: Path, tmp_path: Path) -> None:
    folder = as_folder(made, tmp_path / "run")
    for file in folder.glob("*.jsonl"):
        file.write_text(file.read_text().replace("HumanEval/", "BigCodeBench/"))
    record = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**record, "dataset": "bigcodebench", "questions_sha256": None}))
    assert bundle("bigcodebench", folder, tmp_path / "b.zip", "--split", "instruct") == 0
    files = contents(tmp_path / "b.zip")
    name = "Org--Model-1B--best-of-2-coderm--bigcodebench-instruct--coderm-0.8-1.jsonl"
    records = [json.loads(line) for line in files[name].decode().splitlines()]
    assert [record["task_id"] for record in records][:2] == ["BigCodeBench/0", "BigCodeBench/1"]
    assert all(record.keys() == {"task_id", "solution"} for record in records)


def hub(run: Path, output: Path, *extra: str) -> int:
    words = ["bundle", "hf", str(run), "--output", str(output), *STATED[:-1]]
    return main([*words, "--hub-dataset", "org/set", "--hub-task", "main", *extra])


def test_the_hub_reads_the_yaml_and_its_notes_say_that_it_is_no_pass_at_1(made: Path, tmp_path: Path) -> None:
    import yaml
    from huggingface_hub import eval_result_entries_to_yaml, parse_eval_result_entries

    labels = [{"task_id": t, "plus": "pass" if i else "fail"} for t, of in CODES.items() for i in range(len(of))]
    file = lines(tmp_path / "labels.jsonl", *labels)
    assert hub(made, tmp_path / "b.zip", "--labels", str(file), "--model-url", "https://example.org/m") == 0
    files = contents(tmp_path / "b.zip")
    (name,) = [name for name in files if name.startswith(".eval_results/")]
    assert name == ".eval_results/main_best_of_2_coderm.yaml"
    data = yaml.safe_load(files[name])
    (entry,) = parse_eval_result_entries(data)
    assert eval_result_entries_to_yaml([entry]) == data
    assert (entry.dataset_id, entry.task_id, entry.value) == ("org/set", "main", 100.0)
    assert entry.notes is not None
    assert entry.notes.startswith("NOT pass@1: best-of-2 by generated unit tests")
    assert b"not greedy pass@1" in files[name].splitlines()[0]


def test_the_hub_takes_no_entry_without_ground_truth(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert hub(made, tmp_path / "b.zip") == 2
    assert "give --labels FILE from coderm evaluate" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["", "/a", "../a", "a/../b", "a//b", "a/./b", "a\\b", "c:a", "a\nb", "a/" + "b" * 300])
def test_names_that_lead_out_of_a_bundle_are_known(name: str) -> None:
    assert not is_safe_name(name)
    assert is_safe_name(".eval_results/x.yaml")
