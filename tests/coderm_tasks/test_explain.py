"""``coderm rerank --explain``: why this solution."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from coderm_tasks.cli import main
from coderm_tasks.explain import explain
from coderm_tasks.rerank import StrategyInput
from executor import PassMatrix
from executor.fake import FakeExecutor


def problem_of(*rows: str) -> StrategyInput:
    solutions = tuple(f"code {number}" for number in range(len(rows)))
    return StrategyInput(task_id="Mbpp/2", solutions=solutions, matrix=PassMatrix.from_rows("Mbpp/2", rows))


TESTS = ("t0", "t1", "t2")


def test_clusters_are_the_solutions_of_one_pass_set_best_first() -> None:
    found = explain(problem_of("PFF", "PPF", "PPF"), TESTS, "coderm")
    assert [(cluster.members, cluster.votes, cluster.chosen) for cluster in found.clusters] == [
        ((1, 2), 2, True),
        ((0,), 1, False),
    ]


def test_the_rival_is_the_best_solution_outside_the_ties() -> None:
    found = explain(problem_of("PFF", "PPF", "PPF", "FFF"), TESTS, "coderm")
    assert found.selection.ties == (1, 2)
    assert found.rival == 0


def test_deciding_tests_are_those_for_the_chosen_first_then_those_against() -> None:
    found = explain(problem_of("PPF", "FFP"), TESTS, "coderm")
    assert [(one.code, one.chosen, one.rival, one.passed) for one in found.differences] == [
        ("t0", "P", "F", 1),
        ("t1", "P", "F", 1),
        ("t2", "F", "P", 1),
    ]


def test_where_all_are_tied_there_is_no_rival() -> None:
    found = explain(problem_of("PPP", "PPP"), TESTS, "coderm")
    assert (found.rival, found.differences) == (-1, ())


def test_the_terms_of_accord_add_up_to_its_score() -> None:
    found = explain(problem_of("PPF", "FFP", "PPF"), TESTS, "accord")
    assert [name for name, _, _ in found.terms] == ["tests", "twins", "peers", "examples"]
    assert sum(chosen for _, chosen, _ in found.terms) == pytest.approx(max(found.selection.scores))
    assert sum(rival for _, _, rival in found.terms) == pytest.approx(found.selection.scores[found.rival])


def test_a_problem_without_tests_is_explained_by_its_fallback() -> None:
    found = explain(problem_of("", ""), (), "coderm")
    assert found.selection.note == "no tests"
    assert found.clusters[0].members == (0, 1)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    def write(name: str, *records: object) -> None:
        (tmp_path / name).write_text("".join(json.dumps(record) + "\n" for record in records))

    prompt = "def f(x):\n    '''Return x + 1.\n    >>> f(3)\n    4\n    '''\n"
    plain = {"entry_point": "f", "canonical_solution": "    return x + 1\n", "contract": "", "atol": 0}
    inputs = {"base_input": [[1]], "plus_input": [[2]]}
    write("data.jsonl", *({"task_id": f"HumanEval/{n}", "prompt": prompt, **plain, **inputs} for n in range(2)))
    codes = ("def f(x):\n    return x + 2\n", "def f(x):\n    return x + 1\n")
    write("s.jsonl", *({"task_id": "HumanEval/0", "solution": code} for code in codes))
    write("t.jsonl", {"task_id": "HumanEval/0", "test": "assert f(1) == 2"})
    monkeypatch.setenv("HUMANEVAL_OVERRIDE_PATH", str(tmp_path / "data.jsonl"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("CODERM_CONFIG", raising=False)
    monkeypatch.setattr("executor.open_executor", lambda **_: FakeExecutor())
    monkeypatch.chdir(tmp_path)
    return tmp_path


BASE = ["rerank", "--dataset", "humaneval", "--samples", "s.jsonl", "--tests", "t.jsonl"]


def test_the_explanation_fits_on_one_screen_and_writes_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path.name for path in folder.iterdir()}
    assert main([*BASE, "--strategy", "auto", "--explain", "HumanEval/0"]) == 0
    printed = capsys.readouterr().out
    assert "HumanEval/0: sample 1 of 2 by accord, 1 usable tests of 1; no tie" in printed
    assert "assert f(1) == 2" in printed
    assert "return x + 1" in printed
    assert len(printed.splitlines()) <= 40
    assert {path.name for path in folder.iterdir()} == before


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--explain", "HumanEvil/0"], "coderm: --explain HumanEvil/0: no such problem (did you mean 'HumanEval/0'?)"),
        (["--explain", "HumanEval/1"], "coderm: --explain HumanEval/1: the problem has no sample"),
        (["--explain", "HumanEval/0", "--strategy", "oracle"], "coderm: strategy 'oracle' looks at ground truth"),
        ([], "coderm: got no --output: expected a file for the chosen samples"),
    ],
)
def test_what_cannot_be_explained_is_refused_in_one_line(
    capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert main([*BASE, *words]) == 2
    error = capsys.readouterr().err
    assert error.startswith(message)
    assert error.count("\n") == 1
