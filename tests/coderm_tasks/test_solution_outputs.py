"""Inputs that need no ground truth, and outputs as texts that equal outputs share."""

from __future__ import annotations

from coderm_tasks.model import GroundTruth, Problem
from coderm_tasks.solution_outputs import MOST_INPUTS, inputs_of, run_outputs
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
        problem(), ["assert f(1) == 2\nassert f([3]) != f(0)", "assert f(*a) == 1", "assert f(4) == 5"]
    )
    assert examples == 2
    assert [(call.args, dict(call.kwargs)) for call in calls] == [
        ((1,), {}), ((2,), {"by": 3}), (([3],), {}), ((0,), {}), ((4,), {}),
    ]  # fmt: skip


def test_tests_that_do_not_parse_give_no_input() -> None:
    assert inputs_of(problem(""), ["assert f(", "x = " + "(" * 300, "\0"]) == ((), 0)


def test_no_more_inputs_are_taken_than_tell_anything_new() -> None:
    calls, examples = inputs_of(problem(), [f"assert f({number}) == 0" for number in range(100, 200)])
    assert len(calls) - examples == MOST_INPUTS


def test_equal_outputs_have_one_text_and_failures_a_mark() -> None:
    codes = (
        "def f(x, by=1):\n    return x + by\n",
        "def f(x):\n    return x + 1.0\n",
        "def f(x, by=1):\n    return -x\n",
    )
    found = run_outputs(FakeExecutor(), [problem()], {"Toy/0": codes}, {"Toy/0": ["assert f('a') == 1"]})["Toy/0"]
    assert found.examples == 2
    first, second, third = found.rows
    assert first[0] == second[0] != third[0]
    assert not first[0].startswith("!")
    assert first[1] != second[1]
    assert second[1].startswith("!")
    assert first[2] == second[2] == third[2]
    assert first[2].startswith("!")


def test_a_problem_without_inputs_has_rows_without_outputs() -> None:
    assert run_outputs(FakeExecutor(), [problem("")], {"Toy/0": ("a = 1",)}, {})["Toy/0"].rows == ((),)


def test_a_problem_without_solutions_has_no_outputs() -> None:
    assert run_outputs(FakeExecutor(), [problem()], {}, {}) == {}
