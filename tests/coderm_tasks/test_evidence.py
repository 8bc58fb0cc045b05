"""Calls of tests and their outcomes as numbers; on the fake executor (same contract as the sandbox), trusted code."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest

from coderm_tasks.calls import plan_calls
from coderm_tasks.errors import ConfigError
from coderm_tasks.evidence import gather
from coderm_tasks.model import GroundTruth, Problem
from coderm_tasks.pipeline import Work, run_and_select, summarise
from executor import CallJob, CellJob, Outputs, PassMatrix, SandboxError
from executor.fake import FakeExecutor

PROMPT = 'def f(x):\n    """\n    >>> f(1)\n    2\n    """\n'


def problem(number: int = 0, prompt: str = PROMPT) -> Problem:
    truth = GroundTruth(check="")
    return Problem(task_id=f"HumanEval/{number}", dataset="humaneval", prompt=prompt, entry_point="f", truth=truth)


def outcomes(*bodies: str, tests: tuple[str, ...] = ("assert f(1)",)) -> list[list[int]]:
    """Codes of solutions whose function has these bodies."""
    solutions = tuple(f"def f(x):\n    {body}\n" for body in bodies)
    with FakeExecutor() as executor:
        found = gather(executor, [Work(problem(), solutions, tests)], outputs=True)["HumanEval/0"].behaviours
    assert found is not None
    codes: list[list[int]] = found.codes.tolist()
    return codes


def test_each_distinct_call_is_planned_once_and_knows_the_tests_that_make_it() -> None:
    plan = plan_calls(("assert f(1) == 2", "assert f(1) == f(2)", "for i in [1]: assert f(i)"), "f")
    assert plan.texts == ("f(1)", "f(2)")
    assert plan.made_by == ((0,), (0, 1), ())


def test_a_call_with_keywords_is_shown_as_it_was_written() -> None:
    assert plan_calls(("assert f(1, y='a') == 2",), "f").texts == ("f(1, y='a')",)


@pytest.mark.parametrize(
    "equal",
    [
        ("return 1", "return 1.0", "return True"),
        ("return 0.1 + 0.2", "return 0.3"),
        ("return [1, (2,)]", "return [1.0, (2,)]"),
        ("return {1, 2}", "return {2, 1}"),
        ("return {'a': [1]}", "return {'a': [True]}"),
        ("return float('nan')", "return -float('nan')"),
        ("raise ValueError('a')", "raise ValueError('b')"),
    ],
)
def test_outcomes_that_a_test_could_not_tell_apart_are_one_behaviour(equal: tuple[str, ...]) -> None:
    assert outcomes(*equal) == [[0]] * len(equal)


@pytest.mark.parametrize(
    "different",
    [
        ("return 1", "return '1'", "return [1]", "return None"),
        ("return [1]", "return (1,)", "return {1}"),
        ("return 'nan'", "return float('nan')"),
        ("return 'a'", "return b'a'"),
        ("raise ValueError", "raise TypeError", "return ValueError.__name__"),
    ],
)
def test_outcomes_that_a_test_could_tell_apart_are_different_behaviours(different: tuple[str, ...]) -> None:
    assert outcomes(*different) == [[number] for number in range(len(different))]


def test_what_cannot_be_compared_is_no_answer() -> None:
    assert outcomes("return object()", "return lambda: 1", "return 1") == [[-1], [-1], [0]]


def test_problems_without_calls_or_examples_get_empty_evidence_of_their_height() -> None:
    work = [Work(problem(0, "def f(x):\n"), ("def f(x): return 1\n",) * 3, ("for i in [1]: assert f(i)",))]
    with FakeExecutor() as executor:
        extras = gather(executor, work, outputs=True, examples=True)["HumanEval/0"]
    assert extras.behaviours is not None
    assert extras.examples is not None
    assert extras.behaviours.codes.shape == (3, 0)
    assert extras.examples.letters.shape == (3, 0)


def test_nothing_is_executed_that_was_not_asked_for() -> None:
    extras = gather(None, [Work(problem(), ("x",), ("assert f(1)",))])["HumanEval/0"]  # type: ignore[arg-type]
    assert (extras.behaviours, extras.examples) == (None, None)


class Forgetful(FakeExecutor):
    """Answers no job."""

    def run(self, jobs: Iterable[CellJob]) -> Iterator[PassMatrix]:
        yield from ()

    def call(self, jobs: Iterable[CallJob]) -> Iterator[Outputs]:
        yield from ()


@pytest.mark.parametrize("what", ["outputs", "examples"])
def test_a_job_that_the_executor_left_out_is_an_error(what: str) -> None:
    work = [Work(problem(), ("def f(x): return 2\n",), ("assert f(1)",))]
    with pytest.raises(SandboxError, match="the executor answered 1 jobs of 1 not at all, HumanEval/0 the first"):
        gather(Forgetful(), work, outputs=what == "outputs", examples=what == "examples")


@pytest.mark.parametrize(("strategy", "expected"), [("mbr-exec", 0), ("examples", 2), ("srank", 0)])
def test_a_run_executes_what_its_strategy_looks_at(strategy: str, expected: int) -> None:
    solutions = ("def f(x): return 3\n", "def f(x): return 3 \n", "def f(x): return x + 1\n")
    with FakeExecutor() as executor:
        (run,) = run_and_select(executor, [Work(problem(), solutions, ("assert f(1) > 0",))], strategy=strategy)
    assert expected in run.selection.ties
    assert run.selection.note == ""


def test_auto_runs_accord_with_all_its_evidence_and_the_summary_names_it() -> None:
    # The test accepts both; the example tells the right one.
    solutions = ("def f(x): return 3\n", "def f(x): return x + 1\n")
    with FakeExecutor() as executor:
        runs = run_and_select(executor, [Work(problem(), solutions, ("assert f(1) > 0",))], strategy="auto")
    assert runs[0].selection.ties == (1,)
    assert runs[0].selection.strategy == "accord"
    assert summarise(runs, strategy="auto", seconds=1.0).strategy == "accord"


def test_the_oracle_is_refused_before_anything_is_executed() -> None:
    with pytest.raises(ConfigError, match="strategy 'oracle' looks at ground truth"):
        run_and_select(None, [Work(problem(), ("x",), ("assert f(1)",))], strategy="oracle")  # type: ignore[arg-type]
