"""What a bundle states besides its numbers: the score of what it holds, the range of N, what the run took, from what."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bundle_runs import CODES, STATED, TESTS, bundle, checks, contents, lines, needs_sandbox, rerank

from coderm_tasks.cli import main
from coderm_tasks.files import sha256_of

pytestmark = pytest.mark.usefixtures("tiny_datasets")


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    needs_sandbox()
    monkeypatch.delenv("CODERM_CONFIG", raising=False)


TIED = {
    "HumanEval/0": ("def total(n):\n    return sum(n)\n", "def total(n):\n    return 0 + sum(n)\n"),
    "HumanEval/1": (
        "def halve(n):\n    return [x / 2 for x in n]\n",
        "def halve(n):\n    return [0.5 * x for x in n]\n",
    ),
}


def hub(run: Path, folder: Path, codes: dict[str, tuple[str, ...]], right: Callable[[int], bool], *extra: str) -> Path:
    labels = [{"task_id": t, "plus": "pass" if right(i) else "fail"} for t, of in codes.items() for i in range(len(of))]
    words = ["bundle", "hf", str(run), "--output", str(folder / "b.zip"), *STATED[:-1]]
    words += ["--labels", str(lines(folder / "labels.jsonl", *labels)), "--hub-dataset", "org/set"]
    assert main([*words, "--hub-task", "main", *extra]) == 0
    return folder / "b.zip"


def entry_of(files: dict[str, bytes]) -> tuple[str, dict[str, Any]]:
    (name,) = [name for name in files if name.startswith(".eval_results/")]
    return name, json.loads(files[name].splitlines()[-1].removeprefix(b"- "))


def test_the_hubs_value_is_that_of_the_solutions_in_the_bundle_and_the_expectation_stands_in_the_notes(
    tmp_path: Path,
) -> None:
    codes = {**CODES, **TIED}
    output = rerank(tmp_path, codes=codes)
    files = contents(hub(output, tmp_path, codes, lambda index: index == 1))
    selected = {one["task_id"]: one for one in map(json.loads, files["records/selection.jsonl"].splitlines())}
    assert [len(selected[task_id]["ties"]) for task_id in TIED] == [2, 2]
    right = sum(one["index"] == 1 for one in selected.values())
    _, entry = entry_of(files)
    assert entry["value"] == 100 * right / 5
    assert entry["value"] != 80.0  # so that the draw among ties tells the two apart
    assert entry["notes"].endswith("; 80 expected over ties)")
    method = json.loads(files["method.json"])
    assert (method["score"], method["score_expected"]) == (right / 5, 0.8)
    assert f"{20 * right:.2f} % (best-of-N, of the solutions in this bundle; expected over ties 80.00 %)" in (
        files["METHOD.md"].decode()
    )


def test_unequal_counts_stand_as_a_range_in_name_notes_and_file(tmp_path: Path) -> None:
    codes = {**CODES, "HumanEval/3": CODES["HumanEval/3"][1:]}
    output = rerank(tmp_path, codes=codes)
    files = contents(hub(output, tmp_path, codes, lambda index: True, "--allow-unequal"))
    name, entry = entry_of(files)
    assert name == ".eval_results/main_best_of_1_to_2_coderm.yaml"
    assert entry["notes"].startswith("NOT pass@1: best-of-1-to-2 by generated unit tests")
    assert "Org--Model-1B--best-of-1-to-2-coderm_temp_0.8.jsonl" in files
    assert not [text for text in files.values() if b"best-of-2" in text]


def answers(path: Path, kind: str, seed: int, tokens: int) -> None:
    asked = {"kind": kind, "model": f"Org/{kind}", "temperature": 0.8, "top_p": 0.9, "max_tokens": 512, "seed": seed}
    said = [{"key": "0", "task_id": t, "index": 0, "texts": ["x"], "tokens": tokens} for t in [*TESTS, "HumanEval/99"]]
    lines(path, {"answers": 2, "settings": asked}, *said)


def test_seed_tokens_budget_and_hashes_are_stated(tmp_path: Path) -> None:
    output = rerank(tmp_path)
    answers(tmp_path / "samples.answers.jsonl", "solutions", 7, 40)
    answers(tmp_path / "tests.answers.jsonl", "tests", 9, 30)
    words = ["bundle", "evalplus", str(output), "--output", str(tmp_path / "b.zip"), "--acknowledge-not-for-board"]
    assert main(words) == 0
    files = contents(tmp_path / "b.zip")
    method = json.loads(files["method.json"])
    assert (method["sample_seed"], method["test_writer"]["seed"]) == (7, 9)
    assert (method["cost"]["sample_tokens"], method["cost"]["test_tokens"]) == (200, 150)  # of the run's problems only
    assert (method["budget"], method["allocation"]) == (2.0, "every test of the file")
    for name, file in (("samples", "samples.jsonl"), ("tests", "tests.jsonl"), ("matrix", "matrix.jsonl")):
        assert method["inputs"][name] == sha256_of(tmp_path / file)
    page = files["METHOD.md"].decode()
    for row in (
        "at most 512 tokens, seed 7 |",
        "| cost: tokens of the solutions | 200 |",
        "| cost: tokens of the tests | 150 |",
        "| budget, allocation | 2 tests per problem on average, every test of the file |",
        f"| SHA-256 of the run's samples | {method['inputs']['samples']} |",
    ):
        assert row in page


def test_answers_of_another_kind_and_uncounted_tokens_are_unknown(tmp_path: Path) -> None:
    output = rerank(tmp_path)
    answers(tmp_path / "samples.answers.jsonl", "tests", 7, 40)
    answers(tmp_path / "tests.answers.jsonl", "tests", 9, 0)
    assert bundle("evalplus", output, tmp_path / "b.zip") == 0
    method = json.loads(contents(tmp_path / "b.zip")["method.json"])
    assert (method["model"], method["sample_seed"]) == ("Org/Model-1B", None)
    assert (method["cost"]["sample_tokens"], method["cost"]["test_tokens"]) == (None, None)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--model", "m", "--temperature", "nan"), "--temperature is nan: expected the number from 0 to 10"),
        (("--model", "m", "--temperature", "-0.5"), "--temperature is -0.5: expected"),
        (("--model", "m", "--temperature", "11"), "--temperature is 11.0: expected"),
        (("--model", "m", "--temperature", "inf"), "--temperature is inf: expected"),
        (("--model", " ", "--temperature", "0.8"), "--model is ' ': expected the name of a model"),
        (("--model", "", "--temperature", "0.8"), "--model is '': expected the name of a model"),
        (("--model", "m", "--temperature", "0.8", "--generator", ""), "--generator is '': expected"),
    ],
)
def test_a_value_that_cannot_be_meant_is_refused_in_one_line(
    flags: tuple[str, ...], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "b.zip"
    assert main(["bundle", "evalplus", "any", "--output", str(output), "--acknowledge-not-for-board", *flags]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


def test_what_the_hub_wants_is_asked_for_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bundle", "hf", "any", "--output", str(tmp_path / "b.zip")]) == 2
    assert "give --hub-dataset and --hub-task" in capsys.readouterr().err


def test_a_wrong_board_is_answered_with_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bundle", "leaderboard", "any"]) == 2
    error = capsys.readouterr().err
    assert "unknown board 'leaderboard': expected one of evalplus, livecodebench, hf, bigcodebench" in error
    assert error.count("\n") == 1


def test_a_problem_without_a_sample_has_no_solution_and_is_not_called_bad_python(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = rerank(tmp_path, "--allow-missing", codes={**CODES, "HumanEval/3": ()})
    assert bundle("evalplus", output, tmp_path / "refused.zip") == 2
    assert "(1 problem with fewer)" in capsys.readouterr().err
    assert bundle("evalplus", output, tmp_path / "b.zip", "--allow-unequal") == 0
    error = capsys.readouterr().err
    assert "1 problem without a solution (HumanEval/3)" in " ".join(error.split())
    assert "not Python" not in error
    method = json.loads(contents(tmp_path / "b.zip")["method.json"])
    assert (method["unparsable"], method["without_solution"]) == ([], ["HumanEval/3"])
    assert checks(capsys, tmp_path / "b.zip", "--rerun", "0")[1]["syntax"]["status"] == "pass"
