"""Execute and select: problems with solutions and tests in, matrices and selections out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import numpy as np
from msgspec import Struct

from coderm_tasks.errors import InputError
from coderm_tasks.evidence import Extras, gather_for, with_extras
from coderm_tasks.model import DIFFICULTIES, Problem, Selection
from coderm_tasks.programs import cell_job
from coderm_tasks.rerank import StrategyInput, canonical_name, get_selector, select
from executor import Executor, PassMatrix, RunStats, SandboxError, Verdict

__all__ = [
    "AuditFinding",
    "ProblemRun",
    "RunSummary",
    "Work",
    "expected_correctness",
    "nothing_run",
    "run_and_select",
    "run_matrices",
    "select_runs",
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
    prune: bool = False,
    audit: float = 0.0,
) -> list[ProblemRun]:
    """Run every solution against every test of its problem, then select. Results are in the order of ``work``.

    Problems without solutions or without tests are not executed; the selection's note names the fallback. What the
    strategy looks at beside verdicts (outputs of calls, examples) is executed after the matrices. ``progress`` is
    called with each matrix as it is finished, in any order, from this thread. ``prune`` and ``audit`` are those of
    :class:`executor.CellJob`; whether the strategy allows pruning is the configuration's to check.

    Raises:
        ConfigError: unknown strategy; found before anything is executed.
        InputError: a problem stands in ``work`` twice.
        SandboxError: the sandbox failed. What was executed so far is in the executor's cache, if it has one.
    """
    get_selector(strategy)
    matrices = {item.problem.task_id: nothing_run(item) for item in work}
    if len(matrices) != len(work):
        twice = next(task for task in matrices if sum(item.problem.task_id == task for item in work) > 1)
        raise InputError(f"{twice}: got the problem twice in one run; expected each problem once; merge its samples")
    to_run = [item for item in work if item.solutions and item.tests]
    for matrix in run_matrices(executor, to_run, prune=prune, audit=audit):
        matrices[matrix.job_id] = matrix
        if progress is not None:
            progress(matrix)
    return select_runs(executor, work, matrices, strategy=strategy, seed=seed)


def select_runs(
    executor: Executor, work: Sequence[Work], matrices: Mapping[str, PassMatrix], *, strategy: str, seed: int = 0
) -> list[ProblemRun]:
    """Let the strategy choose by the matrices, by task id; what it looks at beside verdicts is executed here."""
    extras = gather_for(get_selector(strategy), executor, work)
    return [
        _select(item, matrices[item.problem.task_id], extras.get(item.problem.task_id), strategy, seed) for item in work
    ]


def nothing_run(item: Work) -> PassMatrix:
    """Build the matrix of work of which no cell was run."""
    shape = (len(item.solutions), len(item.tests))
    letters = np.full(shape, ord(Verdict.NOT_RUN.value), dtype=np.uint8)
    return PassMatrix(item.problem.task_id, letters, np.zeros(shape, dtype=np.bool_))


def run_matrices(
    executor: Executor, work: Sequence[Work], *, prune: bool = False, audit: float = 0.0
) -> Iterator[PassMatrix]:
    """Run the jobs and hold the executor to its contract: one matrix per job, of the job's shape."""
    waiting = {item.problem.task_id: (len(item.solutions), len(item.tests)) for item in work}
    jobs = [cell_job(item.problem, item.solutions, item.tests, prune=prune, audit=audit) for item in work]
    for matrix in executor.run(jobs) if work else ():
        shape = waiting.pop(matrix.job_id, None)
        if shape != matrix.letters.shape:
            raise SandboxError(f"{matrix.job_id}: the executor returned a matrix of {matrix.letters.shape} for {shape}")
        yield matrix
    if waiting:
        raise SandboxError(
            f"the executor returned no matrix for {len(waiting)} problems, {next(iter(waiting))} the first"
        )


def _select(item: Work, matrix: PassMatrix, extras: Extras | None, strategy: str, seed: int) -> ProblemRun:
    given = StrategyInput(task_id=item.problem.task_id, solutions=item.solutions, matrix=matrix)
    given = with_extras(given, extras)
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


class AuditFinding(Struct, frozen=True, kw_only=True):
    """A cell whose call table and whose program disagree."""

    task_id: str
    solution: int
    """Index of the sample."""
    test: int
    """Index of the unit test."""
    lifted: str
    """Verdict from the call table, by name; the one that was used."""
    program: str
    """Verdict of the test run as a program."""


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
    pruned: int
    """Cells that were not run because they could not change the vote, one per distinct solution and test."""
    audited: int
    """Lifted cells that were run as programs as well."""
    disagreements: tuple[AuditFinding, ...]
    """Those among them whose verdicts differ."""
    verdict_shares: dict[str, float]
    """Verdict name -> share of all cells, in [0, 1]; only verdicts that occur."""
    seconds: float
    """Wall-clock time of the whole run."""
    no_samples: tuple[str, ...]
    """Task ids without any sample: they score as wrong."""
    no_tests: tuple[str, ...]
    """Task ids whose first sample was taken because the strategy had nothing to go by: mostly, no usable test."""
    tied: int
    """Problems whose pick was drawn among several solutions."""
    by_difficulty: dict[str, int]
    """Problems by the data set's own difficulty label, in order of difficulty; empty where it has none."""


def summarise(runs: Iterable[ProblemRun], *, strategy: str, seconds: float) -> RunSummary:
    """Add up a run. ``seconds`` is its wall-clock time, as measured by the caller."""
    runs = list(runs)
    stats = sum((run.matrix.stats for run in runs), RunStats())
    cells = sum(run.matrix.letters.size for run in runs)
    counts = {verdict: sum(run.matrix.count(verdict) for run in runs) for verdict in Verdict}
    selections = [run.selection for run in runs]
    labels = [run.problem.difficulty for run in runs]
    return RunSummary(
        strategy=canonical_name(strategy),
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
        pruned=stats.pruned,
        audited=stats.audited,
        disagreements=tuple(finding for run in runs for finding in _findings(run.matrix)),
        verdict_shares={verdict.name.lower(): count / cells for verdict, count in counts.items() if count},
        seconds=seconds,
        no_samples=tuple(one.task_id for one in selections if one.index < 0),
        no_tests=tuple(one.task_id for one in selections if one.note and one.index >= 0),
        tied=sum(len(one.ties) > 1 for one in selections),
        by_difficulty={name: count for name in DIFFICULTIES if (count := labels.count(name))},
    )


def _findings(matrix: PassMatrix) -> Iterator[AuditFinding]:
    for found in matrix.disagreements:
        yield AuditFinding(
            task_id=matrix.job_id,
            solution=found.solution,
            test=found.test,
            lifted=found.lifted.name.lower(),
            program=found.program.name.lower(),
        )
