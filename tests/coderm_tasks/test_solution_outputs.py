"""Inputs that need no ground truth, and outputs as texts that equal outputs share."""

from __future__ import annotations

import pytest

from coderm_tasks.model import GroundTruth, Problem
from coderm_tasks.solution_outputs import MOST_INPUTS, inputs_of, outcome_text, run_outputs
from executor import Outcome, Verdict
from executor.fake import FakeExecutor

PROMPT = 'def f(x, by=1):\n    """ Add.\n    >>> f(1)\n    2\n    >>> f(2, by=3)\n    5\n    """\n'


def problem(prompt: str = PROMPT) -> Problem:
    return Problem(
        task_id="Toy/0",
        dataset="humaneval",
        prompt=prompt,
        entry_point="f",
        truth=GroundTruth(check="def check(f): pass"),
    )


def test_inputs_are_the_examples_first_and_then_those_only_tests_have() -> None:
    calls, examples = inputs_of(
        problem(), ["assert f(1) == 2 and f([3]) != f(x)", "assert f(*a) == 1\nassert f(4) == 5"]
    )
    assert examples == 2
    assert [(call.args, dict(call.kwargs)) for call in calls] == [
        ((1,), {}),
        ((2,), {"by": 3}),
        (([3],), {}),
        ((4,), {}),
    ]


def test_tests_that_do_not_parse_give_no_input() -> None:
    assert inputs_of(problem(""), ["assert f(", "x = " + "(" * 300, "\0", "f(1)" * 100_000]) == ((), 0)


def test_no_more_inputs_are_taken_than_tell_anything_new() -> None:
    calls, examples = inputs_of(problem(), [f"assert f({number}) == 0" for number in range(100, 200)])
    assert len(calls) - examples == MOST_INPUTS


def test_solutions_are_called_and_answer_with_texts() -> None:
    codes = ("def f(x, by=1):\n    return x + by\n", "def f(x):\n    return x + 1.0\n", "nonsense(")
    found = run_outputs(FakeExecutor(), [problem()], {"Toy/0": codes}, {"Toy/0": ["assert f('a') == 1"]})["Toy/0"]
    assert found.examples == 2
    assert found.rows[0][:2] == ("2", "5")
    assert found.rows[1][0] == "2"
    assert found.rows[1][1] == found.rows[0][2] == "!TypeError"
    assert all(text.startswith("!") for text in found.rows[2])


def test_a_problem_without_inputs_has_rows_without_outputs() -> None:
    assert run_outputs(FakeExecutor(), [problem("")], {"Toy/0": ("a = 1",)}, {})["Toy/0"].rows == ((),)


@pytest.mark.parametrize(
    ("left", "right"),
    [(1, 1.0), (1, True), ({1, 2, 30}, {30, 2, 1}), ({"a": 1, "b": 2}, {"b": 2.0, "a": 1}), ([1, (2,)], [1.0, (2.0,)])],
)
def test_equal_outputs_have_one_text(left: object, right: object) -> None:
    assert outcome_text(Outcome(kind="value", value=left)) == outcome_text(Outcome(kind="value", value=right))


@pytest.mark.parametrize(
    ("left", "right"),
    [([1], (1,)), ("1", 1), (None, "None"), (0.1, 0.2), ([1, 2], [2, 1]), (2**53 + 1, float(2**53)), (float("nan"), 0)],
)
def test_different_outputs_have_different_texts(left: object, right: object) -> None:
    assert outcome_text(Outcome(kind="value", value=left)) != outcome_text(Outcome(kind="value", value=right))


def test_a_call_that_returned_nothing_begins_with_a_mark() -> None:
    assert outcome_text(Outcome(kind="raised", error="ValueError")) == "!ValueError"
    assert outcome_text(Outcome(kind="stopped", verdict=Verdict.TIMEOUT)) == "!T"
    assert not outcome_text(Outcome(kind="value", value="!T")).startswith("!")
