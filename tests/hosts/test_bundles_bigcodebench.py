"""BigCodeBench's bundle from end to end by the command line: its problems come in a file of the user's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from bundle_runs import STATED, bundle, checks, contents, lines, needs_sandbox

from coderm_tasks.cli import main

SPLIT = ("--split", "instruct")
NAME = "Org--Model-1B--best-of-2-coderm--bigcodebench-instruct--coderm-0.8-1.jsonl"


def problem(task_id: str, text: str, code: str) -> dict[str, str]:
    return {"task_id": task_id, "question": text, "code_ground_truth": code, "entry_point": "task_func"}


PROBLEMS = (
    problem("BigCodeBench/0", "Add two numbers.", "def task_func(a, b):\n    return a + b\n"),
    problem("BigCodeBench/13", "Reverse a list.", "def task_func(items):\n    return items[::-1]\n"),
)
CODES = {
    "BigCodeBench/0": ("def task_func(a, b):\n    return a - b\n", "def task_func(a, b):\n    return b + a\n"),
    "BigCodeBench/13": (
        "def task_func(items):\n    return list(reversed(items))\n",
        "def task_func(items):\n    return items\n",
    ),
}
TESTS = {"BigCodeBench/0": "assert task_func(1, 2) == 3", "BigCodeBench/13": "assert task_func([1, 2]) == [2, 1]"}


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    needs_sandbox()
    monkeypatch.delenv("CODERM_CONFIG", raising=False)


def reranked(folder: Path, rename: tuple[str, str] = ("", "")) -> Path:
    def named(task_id: str) -> str:
        return task_id.replace(*rename) if rename[0] else task_id

    problems = lines(folder / "problems.jsonl", *({**one, "task_id": named(one["task_id"])} for one in PROBLEMS))
    samples = [{"task_id": named(t), "solution": code} for t, codes in CODES.items() for code in codes]
    tests = [{"task_id": named(t), "test": test} for t, test in TESTS.items()]
    words = ["--samples", str(lines(folder / "samples.jsonl", *samples)), "--workers", "1"]
    words += ["--tests", str(lines(folder / "tests.jsonl", *tests)), "--matrix", str(folder / "matrix.jsonl")]
    output = folder / "best.jsonl"
    assert main(["rerank", "--problems", str(problems), *words, "--output", str(output)]) == 0
    return output


def test_problems_of_a_file_are_reranked_bundled_and_verified(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = reranked(tmp_path)
    record = json.loads(output.with_suffix(".run.json").read_text())
    assert (record["dataset"], record["files"]["problems"]["path"]) == ("own", "problems.jsonl")
    assert bundle("bigcodebench", output, tmp_path / "b.zip", *SPLIT) == 0
    files = contents(tmp_path / "b.zip")
    submitted = [json.loads(line) for line in files[NAME].splitlines()]
    assert submitted == [
        {"task_id": "BigCodeBench/0", "solution": CODES["BigCodeBench/0"][1]},
        {"task_id": "BigCodeBench/13", "solution": CODES["BigCodeBench/13"][0]},
    ]
    method = json.loads(files["method.json"])
    assert (method["dataset"], method["inputs"]["problems"]) == (
        "bigcodebench",
        record["files"]["problems"]["sha256"],
    )
    place = ("--problems", str(tmp_path / "problems.jsonl"))
    code, found = checks(capsys, tmp_path / "b.zip", "--rerun", "1", *place)
    assert (code, {one["status"] for one in found.values()}) == (0, {"pass"}), found
    assert found["verdicts"]["detail"].startswith("4 cells of 4 samples")


def test_without_a_file_of_the_problems_what_needs_them_is_skipped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bundle("bigcodebench", reranked(tmp_path), tmp_path / "b.zip", *SPLIT) == 0
    code, found = checks(capsys, tmp_path / "b.zip", "--rerun", "1")
    assert code == 0
    assert {name for name, one in found.items() if one["status"] == "skipped"} == {"complete", "verdicts"}
    assert "--problems FILE" in found["verdicts"]["detail"]


def test_ids_of_others_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = reranked(tmp_path, ("BigCodeBench/13", "Mine/13"))
    assert bundle("bigcodebench", output, tmp_path / "b.zip", *SPLIT) == 2
    assert "1 problem that is not BigCodeBench's (Mine/13)" in capsys.readouterr().err


@pytest.mark.parametrize("split", [(), ("--split", "hard")])
def test_the_split_is_asked_for_before_anything_is_read(
    split: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bundle("bigcodebench", tmp_path / "nowhere.jsonl", tmp_path / "b.zip", *split) == 2
    error = capsys.readouterr().err
    assert "expected complete or instruct" in error
    assert error.count("\n") == 1


def test_a_record_that_names_bigcodebench_itself_is_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = reranked(tmp_path)
    record_file = output.with_suffix(".run.json")
    record = json.loads(record_file.read_text())
    record_file.write_text(json.dumps({**record, "dataset": "bigcodebench"}))
    assert bundle("bigcodebench", output, tmp_path / "b.zip", *SPLIT) == 0
    capsys.readouterr()
    assert bundle("livecodebench", output, tmp_path / "c.zip") == 2
    assert "did you mean" not in capsys.readouterr().err


def test_a_run_of_ones_own_problems_fits_no_other_board_but_the_hub(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = reranked(tmp_path)
    assert bundle("evalplus", output, tmp_path / "b.zip") == 2
    assert "the run is of 'own', and the board is about humaneval_plus" in capsys.readouterr().err
    labels = [{"task_id": t, "plus": "pass"} for t, of in CODES.items() for _ in of]
    words = ["--labels", str(lines(tmp_path / "labels.jsonl", *labels)), "--hub-dataset", "org/set"]
    words = ["bundle", "hf", str(output), *words, "--hub-task", "main", *STATED[:-1]]
    assert main([*words, "--output", str(tmp_path / "b.zip")]) == 0
    code, found = checks(capsys, tmp_path / "b.zip", "--rerun", "1")
    assert code == 0
    assert (found["labels"]["status"], found["labels"]["detail"]) == (
        "skipped",
        "there is no ground truth of data set own to grade by",
    )


def test_rerank_takes_a_data_set_or_problems_and_not_both(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reranked(tmp_path)
    words = ["rerank", "--samples", str(tmp_path / "samples.jsonl"), "--tests", str(tmp_path / "tests.jsonl")]
    words += ["--output", str(tmp_path / "more.jsonl")]
    capsys.readouterr()
    assert main(words) == 2
    assert "got neither --dataset nor --problems" in capsys.readouterr().err
    assert main([*words, "--dataset", "humaneval", "--problems", str(tmp_path / "problems.jsonl")]) == 2
    assert "got both --dataset and --problems" in capsys.readouterr().err
    assert main([*words, "--problems", str(tmp_path / "problems.jsonl"), "--livecodebench-from", "2024-01-01"]) == 2
    assert "--livecodebench-from is given without --dataset" in capsys.readouterr().err
