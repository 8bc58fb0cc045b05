"""Execute and select, on the fake executor (same contract as the sandbox) with trusted code."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest

from coderm_tasks.errors import ConfigError, InputError
from coderm_tasks.model import GroundTruth, Problem, Selection
from coderm_tasks.pipeline import ProblemRun, Work, expected_correctness, run_and_select, summarise
from executor import CellJob, Limits, PassMatrix, SandboxError
from executor.fake import FakeExecutor

RIGHT = "def f(x):\n    return x + 1\n"
WRONG = "def f(x):\n    return x + 2\n"
TESTS = ("assert f(1) == 2", "assert f(0) == 1")


def problem(number: int, context: str = "") -> Problem:
    return Problem(
        task_id=f"HumanEval/{number}",
        dataset="humaneval",
        prompt="def f(x):\n",
        entry_point="f",
        truth=GroundTruth(check="def check(f): pass"),
        context=context,
    )


def run(*work: Work, strategy: str = "coderm") -> list[ProblemRun]:
    with FakeExecutor(Limits()) as executor:
        return run_and_select(executor, work, strategy=strategy)


class Reordering:
    """The fake executor, yielding the last job's matrix first, as a pool may."""

    def __init__(self) -> None:
        self.jobs: list[str] = []

    def run(self, jobs: Iterable[CellJob]) -> Iterator[PassMatrix]:
        jobs = list(jobs)
        self.jobs = [job.job_id for job in jobs]
        with FakeExecutor(Limits()) as executor:
            yield from reversed(list(executor.run(jobs)))


def test_the_solution_that_the_tests_accept_is_selected() -> None:
    (done,) = run(Work(problem(0), (WRONG, RIGHT), TESTS))
    assert done.matrix.rows() == ["FF", "PP"]
    assert done.selection.index == 1


def test_results_stand_in_the_order_of_the_work_whatever_the_executor_does() -> None:
    executor = Reordering()
    work = [Work(problem(number), (WRONG, RIGHT), TESTS) for number in (2, 0, 1)]
    runs = run_and_select(executor, work, strategy="coderm")  # type: ignore[arg-type]
    assert [done.problem.task_id for done in runs] == ["HumanEval/2", "HumanEval/0", "HumanEval/1"]
    assert [done.matrix.job_id for done in runs] == ["HumanEval/2", "HumanEval/0", "HumanEval/1"]


def test_problems_without_tests_or_samples_are_not_executed() -> None:
    executor = Reordering()
    work = [Work(problem(0), (RIGHT,), ()), Work(problem(1), (), TESTS), Work(problem(2), (RIGHT,), TESTS)]
    runs = run_and_select(executor, work, strategy="coderm")  # type: ignore[arg-type]
    assert executor.jobs == ["HumanEval/2"]
    assert [done.selection.note for done in runs] == ["no tests", "no samples", ""]
    assert [done.matrix.letters.shape for done in runs] == [(1, 0), (0, 2), (1, 2)]


def test_tests_may_use_the_helpers_of_the_prompt() -> None:
    helper = "def twice(x):\n    return 2 * x\n"
    (done,) = run(Work(problem(0, helper), (RIGHT,), ("assert f(1) == twice(1)",)))
    assert done.matrix.rows() == ["P"]


def test_progress_hears_of_each_executed_problem_once() -> None:
    heard: list[str] = []
    work = [Work(problem(number), (RIGHT,), TESTS) for number in range(3)]
    with FakeExecutor(Limits()) as executor:
        run_and_select(executor, work, strategy="coderm", progress=lambda matrix: heard.append(matrix.job_id))
    assert sorted(heard) == ["HumanEval/0", "HumanEval/1", "HumanEval/2"]


def test_an_unknown_strategy_is_refused_before_anything_is_executed() -> None:
    executor = Reordering()
    with pytest.raises(ConfigError, match="did you mean 'codet'"):
        run_and_select(executor, [Work(problem(0), (RIGHT,), TESTS)], strategy="codett")  # type: ignore[arg-type]
    assert executor.jobs == []


def test_a_problem_that_stands_twice_in_the_work_is_refused() -> None:
    with pytest.raises(InputError, match="HumanEval/0: got the problem twice"):
        run(Work(problem(0), (RIGHT,), TESTS), Work(problem(0), (WRONG,), TESTS))


@pytest.mark.parametrize("rows", [[], [PassMatrix.from_rows("HumanEval/0", ["PPP"])]], ids=["none", "another shape"])
def test_an_executor_that_breaks_its_contract_is_a_sandbox_failure_and_no_verdict(rows: list[PassMatrix]) -> None:
    class Broken:
        def run(self, jobs: Iterable[CellJob]) -> Iterator[PassMatrix]:
            return iter(rows)

    with pytest.raises(SandboxError, match="HumanEval/0"):
        run_and_select(Broken(), [Work(problem(0), (RIGHT,), TESTS)], strategy="coderm")  # type: ignore[arg-type]


def selection(*ties: int, count: int = 3) -> Selection:
    return Selection(task_id="t", index=ties[0] if ties else -1, ties=ties, scores=(0.0,) * count, strategy="coderm")


def test_expected_correctness_is_the_mean_over_the_ties() -> None:
    assert expected_correctness(selection(0, 2), [True, True, False]) == 0.5


def test_no_solution_is_worth_nothing() -> None:
    assert expected_correctness(selection(count=0), []) == 0.0


def test_labels_that_do_not_match_the_solutions_are_refused() -> None:
    with pytest.raises(ValueError, match="2 labels for 3 solutions"):
        expected_correctness(selection(0), [True, False])


def test_a_summary_adds_up() -> None:
    runs = run(
        Work(problem(0), (WRONG, RIGHT, RIGHT), TESTS), Work(problem(1), (RIGHT,), ()), Work(problem(2), (), TESTS)
    )
    summary = summarise(runs, strategy="coderm", seconds=2.0)
    assert (summary.problems, summary.solutions, summary.tests, summary.cells) == (3, 4, 4, 6)
    assert summary.verdict_shares == pytest.approx({"pass": 4 / 6, "fail": 2 / 6})
    assert (summary.no_tests, summary.no_samples, summary.tied) == (("HumanEval/1",), ("HumanEval/2",), 1)


def test_the_summary_of_nothing_has_no_shares() -> None:
    summary = summarise([], strategy="coderm", seconds=0.0)
    assert (summary.problems, summary.cells, summary.verdict_shares) == (0, 0, {})
