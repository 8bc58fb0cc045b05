"""Sequential allocation at work: ask for tests and run cells in rounds, until no choice is likely to change.

What is asked for and when to stop is decided by :mod:`difficulty.sequential` and :mod:`difficulty.belief`, which are
pure; this module carries it out. A round is one call of the supply of tests and one batch of ordinary executor jobs.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from coderm_tasks.errors import InputError
from coderm_tasks.generation.base import Generated, TestGenerator
from coderm_tasks.model import Problem
from coderm_tasks.pipeline import ProblemRun, Work, nothing_run, run_matrices, select_runs
from coderm_tasks.rerank import get_selector
from difficulty import BeliefModel, SequentialOptions, believe, next_round, program_key
from executor import Executor, PassMatrix

__all__ = ["GeneratedTests", "RoundsPlan", "SequentialRun", "Supply", "run_in_rounds"]

logger = logging.getLogger(__name__)


class Supply(Protocol):
    """Gives unit tests on demand."""

    def first(self, wanted: Mapping[str, int]) -> Mapping[str, tuple[str, ...]]:
        """The first ``wanted[task_id]`` tests of each problem; fewer where there are no more.

        A later call that wants more begins with the same tests.
        """
        ...


class GeneratedTests:
    """Tests of a generator, asked for when they are wanted and not before.

    It is asked for cumulative budgets, so its store of answers serves what it has given already.
    """

    def __init__(
        self, generator: TestGenerator, problems: Sequence[Problem], candidates: Mapping[str, Sequence[str]]
    ) -> None:
        self._generator = generator
        self._problems = {problem.task_id: problem for problem in problems}
        self._candidates = candidates
        self._tests: dict[str, tuple[str, ...]] = {}
        self._wanted: dict[str, int] = {}
        self._requests = 0

    def first(self, wanted: Mapping[str, int]) -> dict[str, tuple[str, ...]]:
        """See :class:`Supply`. Raises GenerationError."""
        lacking = {task: count for task, count in wanted.items() if len(self._tests.get(task, ())) < count}
        if lacking:
            generated = self._ask({**self._served(), **lacking})
            self._requests += generated.requests
            self._wanted.update(lacking)
            for task_id, tests in generated.tests.items():
                # Whatever order the generator answers in, what was given stays where it was.
                self._tests[task_id] = tuple(dict.fromkeys((*self._tests.get(task_id, ()), *tests)))
        return {task_id: self._tests.get(task_id, ())[:count] for task_id, count in wanted.items()}

    def summary(self) -> Generated:
        """How all the tests came about, by the generator's account of its stored answers. Raises GenerationError."""
        if not self._wanted:
            return Generated(tests={}, dropped={}, finish_reasons={}, failed={}, short={})
        generated = self._ask(self._wanted)
        return replace(generated, requests=self._requests + generated.requests)

    def _served(self) -> dict[str, int]:
        """One problem that has its tests, to be asked for along with others: its answers are stored.

        A generator that refuses *every* problem of a call ends the run; refusing the few of a late round must not.
        """
        return next(({task_id: self._wanted[task_id]} for task_id, tests in self._tests.items() if tests), {})

    def _ask(self, budget: Mapping[str, int]) -> Generated:
        return self._generator.generate([self._problems[task_id] for task_id in budget], self._candidates, budget)


class RoundsPlan(Struct, frozen=True, kw_only=True):
    """How a budget is spent in rounds."""

    total: int
    """Most tests of all problems together."""
    cap: int
    """Most tests of one problem."""
    rates: Mapping[str, float]
    """Predicted pass rate by task id, in (0, 1)."""
    belief: BeliefModel
    options: SequentialOptions = SequentialOptions()
    audit: float = 0.0
    """As in :class:`executor.CellJob`."""


class SequentialRun(Struct, frozen=True, eq=False):
    """What came of it."""

    runs: list[ProblemRun]
    """One per problem, in the order of the work; their tests are those that were drawn."""
    rounds: int
    settled: int
    """Problems that were stopped because more tests were unlikely to change the choice."""


class _Open:
    """One problem while its tests come in."""

    def __init__(self, work: Work, rate: float, belief: BeliefModel) -> None:
        self.work = work
        self.asked = 0
        """Tests asked for so far; the supply may have given fewer."""
        self.matrix = nothing_run(work)
        self._rate = rate
        self._belief = belief
        keys: dict[str, int] = {}
        of = [keys.setdefault(program_key(code), len(keys)) for code in work.solutions]
        self._programs = np.unique(of, return_index=True)[1]
        self._copies = np.bincount(of) if of else np.zeros(0, dtype=np.int64)
        self.exhausted = not work.solutions
        self.change = 0.0 if self.exhausted else self._change()

    def take(self, tests: tuple[str, ...], matrix: PassMatrix) -> None:
        """Add a round's tests and verdicts."""
        self.work = replace(self.work, tests=(*self.work.tests, *tests))
        self.matrix = _beside(self.matrix, matrix)
        self.change = self._change()

    def _change(self) -> float:
        # A test that tests nothing says nothing of any class.
        telling = self.matrix.executed.any(axis=0)
        passed = self.matrix.passed[np.ix_(self._programs, np.flatnonzero(telling))]
        return believe(passed, self._copies, self._rate, self._belief).change


def run_in_rounds(
    executor: Executor,
    work: Sequence[Work],
    supply: Supply,
    plan: RoundsPlan,
    *,
    strategy: str,
    seed: int = 0,
    progress: Callable[[PassMatrix], None] | None = None,
) -> SequentialRun:
    """Draw tests, run them, stop where the choice is settled; then select by ``strategy``.

    Args:
        executor: runs each round as ordinary jobs, one per problem, of the tests that are new.
        work: problems with their solutions; ``tests`` of each are empty.
        supply: where tests come from.
        plan: budget, predictions and the belief's parameters.
        strategy: makes the final choice. Stopping follows the belief, which the strategy ``belief`` shares.
        seed: as in :func:`coderm_tasks.pipeline.run_and_select`.
        progress: called with each problem's whole matrix at the end.

    Raises:
        ConfigError: unknown strategy.
        InputError: a problem twice.
        SandboxError, GenerationError: the executor or the supply failed.
    """
    get_selector(strategy)
    problems = {item.problem.task_id: _Open(item, plan.rates[item.problem.task_id], plan.belief) for item in work}
    if len(problems) != len(work):
        raise InputError(f"got {len(work)} problems with {len(problems)} task ids; expected each once; merge them")
    rounds = 0
    for wanted in _rounds(problems, plan):
        rounds += 1
        _serve(executor, supply, problems, wanted, plan.audit)
        logger.debug("round %d: %d tests for %d problems", rounds, sum(wanted.values()), len(wanted))
    if progress is not None:
        for one in problems.values():
            progress(one.matrix)
    settled = sum(not one.exhausted and one.change < plan.options.delta for one in problems.values())
    drawn = [one.work for one in problems.values()]
    matrices = {task_id: one.matrix for task_id, one in problems.items()}
    return SequentialRun(select_runs(executor, drawn, matrices, strategy=strategy, seed=seed), rounds, settled)


def _rounds(problems: Mapping[str, _Open], plan: RoundsPlan) -> Iterator[dict[str, int]]:
    """Yield how many more tests each served problem gets, round after round, until budget or problems run out."""
    while True:
        change = np.array([0.0 if one.exhausted else one.change for one in problems.values()])
        tests = np.array([one.asked for one in problems.values()], dtype=np.int64)
        left = plan.total - int(tests.sum())
        extra = next_round(change, tests, left=left, cap=plan.cap, options=plan.options)
        if not extra.any():
            return
        yield {task_id: int(count) for task_id, count in zip(problems, extra, strict=True) if count}


def _serve(
    executor: Executor, supply: Supply, problems: Mapping[str, _Open], wanted: Mapping[str, int], audit: float
) -> None:
    """Carry out one round. Tests that the supply does not have are not counted as spent."""
    had = {task_id: len(problems[task_id].work.tests) for task_id in wanted}
    given = supply.first({task_id: had[task_id] + count for task_id, count in wanted.items()})
    fresh: dict[str, tuple[str, ...]] = {}
    for task_id, count in wanted.items():
        one = problems[task_id]
        tests = given.get(task_id, ())[had[task_id] :]
        one.exhausted = len(tests) < count
        one.asked = had[task_id] + len(tests)
        if tests:
            fresh[task_id] = tests
    jobs = [replace(problems[task_id].work, tests=tests) for task_id, tests in fresh.items()]
    for matrix in run_matrices(executor, jobs, audit=audit):
        problems[matrix.job_id].take(fresh[matrix.job_id], matrix)


def _beside(left: PassMatrix, right: PassMatrix) -> PassMatrix:
    """Put the columns of two matrices of the same solutions side by side."""
    stats = left.stats + right.stats
    return PassMatrix(
        left.job_id,
        np.concatenate([left.letters, right.letters], axis=1),
        np.concatenate([left.shared, right.shared], axis=1),
        replace(stats, unique_solutions=right.stats.unique_solutions),
        (*left.disagreements, *(replace(one, test=one.test + left.letters.shape[1]) for one in right.disagreements)),
    )
