"""``coderm synth`` from end to end: a scripted model on a loopback server, the real sandbox, the files that come out."""

from __future__ import annotations

import json
import re
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from generation_server import MODEL, Server, as_json

from coderm_tasks.cli import main
from coderm_tasks.export.growing import Growing
from executor import SandboxMissing
from executor.doctor import require_sandbox

WEAKER = "weaker-coder"
FILES = ["README.md", "repairs.answers.jsonl", "sft.jsonl", "tests.answers.jsonl", "unittest-sft.jsonl", "yield.json"]


def fenced(code: str) -> str:
    return f"```python\n{code}\n```"


class Script:
    """The model. What it writes depends on the request alone, whenever that comes and however often.

    Of each question: a test that holds, one that fails and is mended at once, one that fails and never is, and one that
    holds and says little (0 + n is n).
    """

    def __init__(self) -> None:
        self.seen: Counter[str] = Counter()
        self.lock = threading.Lock()
        self.repairs: list[str] = []

    def __call__(self, body: dict[str, Any], number: int) -> str:
        text = body["messages"][0]["content"]
        named = re.search(r"number (\d+)", text)
        assert named, text
        n = int(named[1])
        with self.lock:
            turn = self.seen[f"{n} {body['seed']}"] % body["n"]
            self.seen[f"{n} {body['seed']}"] += 1
            if "### report" in text:
                self.repairs.append(text)
        if body["model"] == WEAKER:
            return fenced(f"def f(x):\n    return {('x', f'x + {n}', '1')[turn]}")
        return self.repair(text, n) if "### report" in text else self.test(turn, n)

    def test(self, turn: int, n: int) -> str:
        return fenced(
            (f"assert f(2) == {2 + n}", f"assert f(3) == {4 + n}", f"assert f(50) == {99 + n}", f"assert f(0) == {n}")[
                turn
            ]
        )

    def repair(self, text: str, n: int) -> str:
        shown = text.split("### unit test\n")[1]
        if "f(3)" in shown:
            return fenced(f"assert f(3) == {3 + n}")
        wrong = int(re.findall(r"f\(50\) == (\d+)", shown)[0])
        return fenced(f"assert f(50) == {wrong + 1}")


@pytest.fixture
def script(server: Server) -> Script:
    """The script that the server goes by; it knows two models."""
    found = Script()
    server.write = found
    listing = as_json(200, {"object": "list", "data": [{"id": name, "object": "model"} for name in (MODEL, WEAKER)]})
    server.fault = lambda path, body: listing if path.endswith("/models") else None
    return found


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three questions and one that is unfit; the working directory."""
    try:
        require_sandbox()
    except SandboxMissing as error:
        pytest.skip(f"needs the sandbox: {error}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("CODERM_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    questions = [
        {
            "task_id": f"Own/{n}",
            "question": f"Add number {n} to x.",
            "code_ground_truth": f"def f(x):\n    return x + {n}\n",
        }
        for n in range(1, 4)
    ]
    unfit = {
        "task_id": "Own/9",
        "question": "Roll a die.",
        "code_ground_truth": "import random\ndef f(x):\n    return 4\n",
    }
    write("problems.jsonl", [*questions, unfit])


def write(name: str, records: list[dict[str, Any]]) -> None:
    Path(name).write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")


def read(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(name).read_text(encoding="utf-8").splitlines()]


def words(server: Server, *more: str, n: int = 4, output: str = "out") -> list[str]:
    where = ["--base-url", server.url, "--model", MODEL, "--problems", "problems.jsonl", "--output", output]
    return ["synth", *where, "--n", str(n), "--patience", "5", "--workers", "2", *more]


def steps(report: dict[str, Any]) -> dict[str, tuple[int, int]]:
    return {step["step"]: (step["came"], step["stayed"]) for step in report["yields"]}


def test_tests_are_filtered_labelled_and_repaired(server, script, capsys):
    assert main(words(server, "--json")) == 0
    report = json.loads(capsys.readouterr().out)
    assert steps(report) == {
        "filter": (4, 3), "sample": (12, 12), "extract": (12, 12), "label": (12, 6), "repair 1": (6, 3),
        "repair 2": (3, 0), "records": (3, 3),
    }  # fmt: skip
    assert report["yields"][0]["left_out"] == {"depends on chance or time": 1}
    assert report["yields"][3]["left_out"] == {"an assertion fails": 6}
    assert (report["tests"], report["problems"], report["resumed"]) == (9, 3, 0)
    assert sorted(path.name for path in Path("out").iterdir()) == FILES
    assert json.loads(Path("out/yield.json").read_text()) == report["yields"]


def test_repair_is_bounded_and_shows_the_model_what_was_got(server, script):
    assert main(words(server, "--repair-rounds", "3")) == 0
    # f(3) is mended at once, f(50) never: 1 + 3 repairs of each of three questions.
    assert len(script.repairs) == 3 * 4
    (first,) = [text for text in script.repairs if "assert f(3) == 5" in text]
    assert "`assert f(3) == 5` fails: AssertionError: the left side is 4, the right side is 5" in first
    assert "def f(x):\n    return x + 1" in first


def test_without_rounds_nothing_is_repaired(server, script):
    assert main(words(server, "--repair-rounds", "0")) == 0
    assert script.repairs == []
    assert {row["rounds"] for row in read("out/sft.jsonl")} == {0}


def test_the_records_hold_what_the_reference_passes(server, script):
    assert main(words(server)) == 0
    rows = read("out/sft.jsonl")
    of_first = [row for row in rows if row["task_id"] == "Own/1"]
    assert [(row["completion"], row["rounds"]) for row in of_first] == [
        ([{"role": "assistant", "content": fenced(test)}], rounds)
        for test, rounds in (("assert f(2) == 3", 0), ("assert f(0) == 1", 0), ("assert f(3) == 4", 1))
    ]
    assert [message["role"] for message in of_first[0]["prompt"]] == ["user"]
    assert "Add number 1 to x." in of_first[0]["prompt"][0]["content"]
    for row in rows:  # by another road than the sandbox's: these are plain asserts
        exec(f"def f(x):\n    return x + {row['task_id'][-1]}\n" + row["completion"][0]["content"][10:-4], {})
    rated = read("out/unittest-sft.jsonl")
    assert [row["task_id"] for row in rated] == ["Own/1", "Own/2", "Own/3"]
    assert (
        [test["ut_id"] for test in json.loads(rated[0]["unit_tests"])]
        == [row["ut_id"] for row in of_first]
        == [0, 1, 2]
    )


def test_the_card_is_read_by_datasets_and_says_what_each_step_let_through(server, script, tmp_path):
    assert main(words(server)) == 0
    import yaml

    card = Path("out/README.md").read_text(encoding="utf-8")
    front = yaml.safe_load(card.split("---\n")[1])
    assert [config["config_name"] for config in front["configs"]] == ["sft", "unittest-sft"]
    assert "| step repair 1: tests | 3 of 6 (fails again 3) |" in card
    from datasets import load_dataset

    for name, rows in (("sft", 9), ("unittest-sft", 3)):
        data = load_dataset(str(Path("out").resolve()), name, split="train", cache_dir=str(tmp_path / "hub"))
        assert data.num_rows == rows


def weaker_file(*verdicts: str) -> list[str]:
    """Two solutions per question: a right one, and one that forgets x, so that no test but that of f(0) lets it through."""
    tasks = [n for n in range(1, 4) for _ in range(2)]
    codes = [
        f"def f(x):\n    return x + {n}\n" if i % 2 == 0 else f"def f(x):\n    return {n}\n"
        for i, n in enumerate(tasks)
    ]
    write("weaker.jsonl", [{"task_id": f"Own/{n}", "solution": code} for n, code in zip(tasks, codes)])
    flags = ["--weaker-samples", "weaker.jsonl"]
    if verdicts:
        write("labels.jsonl", [{"task_id": f"Own/{n}", "plus": verdicts[i % 2]} for i, n in enumerate(tasks)])
        flags += ["--weaker-labels", "labels.jsonl"]
    return flags


@pytest.mark.parametrize("verdicts", [("pass", "fail"), ()])
def test_tests_that_accept_a_wrong_solution_of_the_weaker_model_are_dropped(server, script, capsys, verdicts):
    assert main(words(server, *weaker_file(*verdicts), "--json")) == 0
    report = json.loads(capsys.readouterr().out)
    assert steps(report)["weaker"] == (9, 6)  # return n passes f(0) == n
    assert not any("f(0)" in row["completion"][0]["content"] for row in read("out/sft.jsonl"))
    assert {(row["far"], row["frr"]) for row in read("out/sft.jsonl")} == {(0.0, 0.0)}
    assert main(words(server, *weaker_file(*verdicts), "--max-far", "1", output="all")) == 0
    assert {row["far"] for row in read("all/sft.jsonl")} == {0.0, 1.0}


def test_a_weaker_model_may_write_the_wrong_solutions(server, script, capsys):
    more = ("--weaker-base-url", server.url, "--weaker-model", WEAKER, "--weaker-n", "3", "--json")
    assert main(words(server, *more)) == 0
    report = json.loads(capsys.readouterr().out)
    # x and 1 are wrong for every question; 1 passes f(0) == n of question 1.
    assert steps(report)["weaker"] == (9, 8)
    assert sum(body["model"] == WEAKER for body in server.asked) == 3
    codes = json.loads(read("out/unittest-sft.jsonl")[0]["code_generate"])
    assert sorted(one["code"].strip() for one in codes) == [f"def f(x):\n    return {it}" for it in ("1", "x", "x + 1")]


def test_without_labels_the_ground_truth_of_a_data_set_says_what_is_wrong(
    server, script, capsys, monkeypatch, tiny_humaneval_file
):
    monkeypatch.setenv("HUMANEVAL_OVERRIDE_PATH", str(tiny_humaneval_file))
    codes = ["return sum(numbers)", "return sum(numbers[:2])", ""]
    write("weaker.jsonl", [{"task_id": "HumanEval/0", "completion": f"    {code}\n"} for code in codes])
    server.write = lambda body, number: fenced("assert total([1, 2]) == 3\nassert total([1, 1, 1]) == 3")
    where = ["--base-url", server.url, "--model", MODEL, "--dataset", "humaneval", "--limit", "1", "--workers", "1"]
    more = ["--n", "2", "--weaker-samples", "weaker.jsonl", "--json", "--output"]
    assert main(["synth", *where, *more, "out"]) == 0
    assert steps(json.loads(capsys.readouterr().out))["weaker"] == (2, 1)
    (row,) = read("out/sft.jsonl")
    assert "total([1, 1, 1])" in row["completion"][0]["content"]
    assert "ground truth of the data set" in Path("out/README.md").read_text(encoding="utf-8")


def test_a_model_that_writes_no_test_gives_an_empty_set_and_says_why(server, script, capsys):
    server.write = lambda body, number: "I would not know."
    assert main(words(server, "--json")) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["tests"] == 0
    assert report["yields"][-1]["left_out"] == {"no test left": 3}
    assert Path("out/sft.jsonl").read_bytes() == b""


def outcome(folder: str) -> dict[str, bytes]:
    return {name: Path(folder, name).read_bytes() for name in FILES if not name.endswith(".answers.jsonl")}


@pytest.mark.parametrize("stop", [0, 1, 2])
def test_a_killed_run_goes_on_to_the_same_bytes_and_asks_nothing_twice(server, script, monkeypatch, stop):
    weaker = weaker_file("pass", "fail")
    assert main(words(server, *weaker, output="whole")) == 0
    asked = len(server.asked)
    add: Callable[..., None] = Growing.add
    seen: list[str] = []

    def killed(self: Growing, task_id: str, rows: Any, counts: Any) -> None:
        if len(seen) == stop:
            for name in ("sft", "unittest-sft"):  # as a kill may leave it: part of a row, and no word of it
                with Path(f"out/{name}.jsonl.part").open("ab") as part:
                    part.write(b'{"prompt": "half a ro')
            raise KeyboardInterrupt
        seen.append(task_id)
        add(self, task_id, rows, counts)

    monkeypatch.setattr(Growing, "add", killed)
    assert main(words(server, *weaker)) == 130
    assert not Path("out/sft.jsonl").exists()
    monkeypatch.setattr(Growing, "add", add)
    # Less the line on top of each file. What was in flight when the kill came may have to be asked again.
    stored = len(read("out/tests.answers.jsonl")) + len(read("out/repairs.answers.jsonl")) - 2
    assert stored > 0
    server.asked.clear()
    assert main(words(server, *weaker)) == 0
    assert outcome("out") == outcome("whole")
    assert len(server.asked) == asked - stored


def test_the_same_command_again_asks_nothing(server, script):
    assert main(words(server)) == 0
    before, asked = outcome("out"), len(server.asked)
    assert main(words(server)) == 0
    assert (outcome("out"), len(server.asked)) == (before, asked)


def refused(capsys: pytest.CaptureFixture[str], command: list[str]) -> str:
    assert main(command) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1, said.err
    return said.err


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        (["--dataset", "mbpp"], "got both --dataset and --problems"),
        (["--n", "0"], "--n is 0: expected at least 1"),
        (["--repair-rounds", "-1"], "--repair-rounds is -1: expected at least 0"),
        (["--limit", "0"], "--limit is 0"),
        (["--max-far", "1.5"], "--max-far is 1.5: expected a share from 0 to 1"),
        (["--prompt", "nonsense"], "nonsense"),
        (["--weaker-model", "m"], "got --weaker-model and no place where it runs"),
        (["--weaker-engine", "hf"], "no --weaker-model"),
        (["--weaker-labels", "l.jsonl"], "got weaker labels without weaker samples"),
        (["--weaker-samples", "none.jsonl"], "none.jsonl"),
    ],
)
def test_flags_that_make_no_sense_are_refused_in_one_line(server, script, capsys, more, complaint):
    assert complaint in refused(capsys, words(server, *more))
    assert server.asked == []
    assert not Path("out").exists()


def spoil(name: str, number: int, **columns: Any) -> None:
    records = read(name)
    records[number] |= columns
    write(name, records)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda: spoil("problems.jsonl", 1, task_id="Own/1"), "problems.jsonl:2: got task_id 'Own/1' twice"),
        (lambda: spoil("weaker.jsonl", 2, task_id="Own/8"), "weaker.jsonl:3: "),
        (lambda: spoil("labels.jsonl", 2, task_id="Own/3"), "labels.jsonl:3: got a label of 'Own/3'"),
        (lambda: spoil("labels.jsonl", 0, plus="maybe"), "labels.jsonl:1: got verdict 'maybe'"),
        (lambda: write("labels.jsonl", read("labels.jsonl")[:-1]), "labels.jsonl: got 1 labels for 2 samples of Own/3"),
    ],
)
def test_files_that_do_not_fit_are_refused_in_one_line(server, script, capsys, change, complaint):
    flags = weaker_file("pass", "fail")
    change()
    assert complaint in refused(capsys, words(server, *flags))
    assert server.asked == []
    assert not Path("out").exists()


def test_questions_of_which_none_is_fit_are_refused_with_the_reasons(server, script, capsys):
    write("problems.jsonl", read("problems.jsonl")[3:])
    said = refused(capsys, words(server))
    assert "got no question that is fit for unit tests of 1 (depends on chance or time: 1)" in said


def test_a_readme_of_somebody_else_is_left_alone(server, script, capsys):
    Path("out").mkdir()
    Path("out/README.md").write_text("mine")
    assert "is left untouched" in refused(capsys, words(server))
    assert Path("out/README.md").read_text() == "mine"
