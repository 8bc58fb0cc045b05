"""Messy completions and what they hold: the cases are data, in corpus/."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from coderm_tasks.extract import extract_solution, extract_tests
from coderm_tasks.model import GroundTruth, Problem

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

CORPUS = Path(__file__).parent / "corpus"
PROBLEM = Problem(
    task_id="Corpus/0",
    dataset="humaneval",
    prompt=(
        "from typing import List\n\n\n"
        "def running_total(numbers: List[int]) -> List[int]:\n"
        '    """Totals of all leading parts of a list.\n\n'
        "    >>> running_total([1, 2, 3])\n    [1, 3, 6]\n"
        '    """\n'
    ),
    entry_point="running_total",
    truth=GroundTruth(),
    context="from typing import List",
)


def cases(name: str) -> list[Any]:
    loaded = tomllib.loads((CORPUS / name).read_text(encoding="utf-8"))["case"]
    return [pytest.param(case, id=case["name"]) for case in loaded]


def text_of(case: dict[str, Any]) -> str:
    # A multi-line literal drops its first newline only; what follows is the model's text as it stands.
    return str(case["text"])


@pytest.mark.parametrize("case", cases("solutions.toml"))
def test_a_messy_answer_gives_the_solution_it_holds(case):
    code = extract_solution(text_of(case), PROBLEM, chat=case["chat"])
    if "exact" in case:
        assert code == case["exact"]
    if case.get("works"):
        loaded: dict[str, Any] = {}
        exec(compile(code, "extracted", "exec"), loaded)
        assert loaded["running_total"]([1, 2, 3]) == [1, 3, 6]
        assert loaded["running_total"]([]) == []
    for piece in case.get("holds", []):
        assert piece in code
    for piece in case.get("lacks", []):
        assert piece not in code


@pytest.mark.parametrize("case", cases("tests.toml"))
def test_a_messy_answer_gives_the_unit_tests_it_holds(case):
    found = extract_tests(text_of(case), case.get("entry_point", "add"), truncated=case.get("truncated", False))
    assert list(found.tests) == [test.strip("\n") for test in case["tests"]]
    assert found.dropped == case.get("dropped", {})


def test_the_corpus_has_at_least_sixty_cases_with_names_of_their_own():
    names = [case.id for name in ("solutions.toml", "tests.toml") for case in cases(name)]
    assert len(names) >= 60
    assert len(set(names)) == len(names)
