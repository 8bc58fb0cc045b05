"""Execute and select: problems with solutions and tests in, matrices and selections out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
from msgspec import Struct

from coderm_tasks.errors import InputError
from coderm_tasks.model import Problem, Selection
from coderm_tasks.rerank import StrategyInput, get_strategy, select
from executor import CellJob, Executor, PassMatrix, RunStats, SandboxError, Verdict

__all__ = [
    "ProblemRun",
    "RunSummary",
    "Work",
    "expected_correctness",
    "nothing_run",
    "run_and_select",
    "run_matrices",
    "select_run",
    "summarise",
]


class Work(Struct, frozen=True):
    """What there is to do on one problem."""

    problem: Problem
    solutions: tuple[str, ...]
    """N sources in sample order; may be none."""
    tests: tuple[str, ...]
    """M unit tests; may be none."""


class ProblemRun(Struct, frozen=True, eq=False):
    """What came of one problem."""

    problem: Problem
    solutions: tuple[str, ...]
    tests: tuple[str, ...]
    matrix: PassMatrix
    """Shape (N, M); of size 0 where there were no solutions or no tests."""
    selection: Selection


def run_and_select(
    executor: Executor,
    work: Sequence[Work],
    *,
    strategy: str,
    seed: int = 0,
    progress: Callable[[PassMatrix], None] | None = None,
) -> list[ProblemRun]:
    """Run every solution against every test of its problem, then select. Results are in the order of ``work``.

    Problems without solutions or without tests are not executed; the selection's note names the fallback. ``progress``
    is called with each matrix as it is finished, in any order, from this thread.

    Raises:
        ConfigError: unknown strategy; found before anything is executed.
        InputError: a problem stands in ``work`` twice.
        SandboxError: the sandbox failed. What was executed so far is in the executor's cache, if it has one.
    """
    get_strategy(strategy)
    matrices = {item.problem.task_id: nothing_run(item) for item in work}
    if len(matrices) != len(work):
        twice = next(task for task in matrices if sum(item.problem.task_id == task for item in work) > 1)
        raise InputError(f"{twice}: got the problem twice in one run; expected each problem once; merge its samples")
    to_run = [item for item in work if item.solutions and item.tests]
    for matrix in run_matrices(executor, to_run):
        matrices[matrix.job_id] = matrix
        if progress is not None:
            progress(matrix)
    return [select_run(item, matrices[item.problem.task_id], strategy, seed) for item in work]


def nothing_run(item: Work) -> PassMatrix:
    """Build the matrix of work of which no cell was run."""
    shape = (len(item.solutions), len(item.tests))
    letters = np.full(shape, ord(Verdict.NOT_RUN.value), dtype=np.uint8)
    return PassMatrix(item.problem.task_id, letters, np.zeros(shape, dtype=np.bool_))


def run_matrices(executor: Executor, work: Sequence[Work]) -> Iterator[PassMatrix]:
    """Run the jobs and hold the executor to its contract: one matrix per job, of the job's shape."""
    waiting = {item.problem.task_id: (len(item.solutions), len(item.tests)) for item in work}
    for matrix in executor.run([_job(item) for item in work]) if work else ():
        shape = waiting.pop(matrix.job_id, None)
        if shape != matrix.letters.shape:
            raise SandboxError(f"{matrix.job_id}: the executor returned a matrix of {matrix.letters.shape} for {shape}")
        yield matrix
    if waiting:
        raise SandboxError(
            f"the executor returned no matrix for {len(waiting)} problems, {next(iter(waiting))} the first"
        )


def _job(item: Work) -> CellJob:
    problem = item.problem
    return CellJob(
        job_id=problem.task_id,
        entry_point=problem.entry_point,
        solutions=item.solutions,
        tests=item.tests,
        context=problem.context,
    )


def select_run(item: Work, matrix: PassMatrix, strategy: str, seed: int) -> ProblemRun:
    """Let the strategy choose by the matrix, of shape (solutions, tests) of ``item``."""
    given = StrategyInput(task_id=item.problem.task_id, solutions=item.solutions, matrix=matrix)
    return ProblemRun(item.problem, item.solutions, item.tests, matrix, select(strategy, given, seed=seed))


def expected_correctness(selection: Selection, correct: Sequence[bool]) -> float:
    """Mean of ``correct`` (one per solution) over the selection's ties: what a uniform pick among them is worth.

    The scoring rule of CodeRM (arXiv 2501.01054, section 3.1). 0 where there was no solution.

    Raises:
        ValueError: ``correct`` has not one entry per solution.
    """
    if len(correct) != len(selection.scores):
        raise ValueError(f"{selection.task_id}: {len(correct)} labels for {len(selection.scores)} solutions")
    if not selection.ties:
        return 0.0
    return sum(bool(correct[index]) for index in selection.ties) / len(selection.ties)


class RunSummary(Struct, frozen=True, kw_only=True):
    """Totals of a run."""

    strategy: str
    problems: int
    solutions: int
    unique_solutions: int
    """Distinct solutions among those executed, as the executor tells them apart (same AST)."""
    tests: int
    cells: int
    """Solutions times tests, summed over problems."""
    cells_run: int
    """Executed in this run, one per distinct solution and test."""
    cells_cached: int
    """Taken from the cache."""
    lifted: int
    """Executed cells judged from call tables."""
    split: int
    """Executed cells judged in a process apart from the solution."""
    shared: int
    """Executed cells whose test had to share a process with the solution: a hostile solution could forge these."""
    assumed: int
    """Executed cells that are TIMEOUT without a run: their solution had used up its timeouts."""
    verdict_shares: dict[str, float]
    """Verdict name -> share of all cells, in [0, 1]; only verdicts that occur."""
    seconds: float
    """Wall-clock time of the whole run."""
    no_samples: tuple[str, ...]
    """Task ids without any sample: they score as wrong."""
    no_tests: tuple[str, ...]
    """Task ids whose first sample was taken because no usable test was there."""
    tied: int
    """Problems whose pick was drawn among several solutions."""


def summarise(runs: Iterable[ProblemRun], *, strategy: str, seconds: float) -> RunSummary:
    """Add up a run. ``seconds`` is its wall-clock time, as measured by the caller."""
    runs = list(runs)
    stats = sum((run.matrix.stats for run in runs), RunStats())
    cells = sum(run.matrix.letters.size for run in runs)
    counts = {verdict: sum(run.matrix.count(verdict) for run in runs) for verdict in Verdict}
    selections = [run.selection for run in runs]
    return RunSummary(
        strategy=strategy,
        problems=len(runs),
        solutions=sum(len(run.solutions) for run in runs),
        unique_solutions=stats.unique_solutions,
        tests=sum(len(run.tests) for run in runs),
        cells=cells,
        cells_run=stats.run,
        cells_cached=stats.cached,
        lifted=stats.lifted,
        split=stats.split,
        shared=stats.shared,
        assumed=stats.assumed,
        verdict_shares={verdict.name.lower(): count / cells for verdict, count in counts.items() if count},
        seconds=seconds,
        no_samples=tuple(one.task_id for one in selections if one.index < 0),
        no_tests=tuple(one.task_id for one in selections if one.note and one.index >= 0),
        tied=sum(len(one.ties) > 1 for one in selections),
    )
