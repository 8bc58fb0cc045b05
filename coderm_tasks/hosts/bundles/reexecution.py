"""The parts of a verification that decide anew: the selection from the matrix, and a share of the verdicts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b

import numpy as np
from msgspec import Struct

from coderm_tasks.errors import InputError
from coderm_tasks.evidence import gather_for, with_extras
from coderm_tasks.hosts.bundles.method import Method
from coderm_tasks.hosts.bundles.run import Run
from coderm_tasks.hosts.bundles.words import are, counted, some
from coderm_tasks.model import Problem
from coderm_tasks.pipeline import Work, run_matrices
from coderm_tasks.rerank import Need, Strategy, StrategyInput, get_selector, select
from executor import Executor, PassMatrix

__all__ = ["Job", "ReRun", "draw", "draw_jobs", "executes", "rerun", "reselect"]

_MACHINE = "TR"
"""Verdicts that a slower machine may give where another does not."""
_TOLERATED = 0.01


class ReRun(Struct, frozen=True, kw_only=True):
    """Verdicts that were executed again."""

    samples: int
    cells: int
    disagreements: tuple[str, ...]
    """``TASK sample I test J: recorded P, now F``."""
    by_machine: int
    """Those among them where either verdict is a time or memory limit."""

    @property
    def failed(self) -> bool:
        """A verdict that no machine's speed explains, or more of the others than 1 % of the cells."""
        return len(self.disagreements) > self.by_machine or self.by_machine > _TOLERATED * self.cells


class Job(Struct, frozen=True):
    """Samples of one problem that were drawn."""

    work: Work
    """With the drawn samples only."""
    rows: tuple[int, ...]
    """Their indices in the run."""


def executes(strategy: Strategy) -> bool:
    """Whether selecting takes more than the matrix: outputs of calls, or the examples."""
    return strategy.outputs is not Need.NO or strategy.examples is not Need.NO


def reselect(
    run: Run, method: Method, executor: Executor | None, problems: Mapping[str, Problem] | None
) -> tuple[str, str]:
    """Select again from the recorded matrices. Returns the status of the check, and what to say of it.

    ``executor`` and ``problems`` are for strategies that look at more than the matrix.
    """
    strategy, seed = method.strategy, method.seed
    inputs = {
        task_id: StrategyInput(task_id=task_id, solutions=codes, matrix=run.matrices[task_id].matrix())
        for task_id, codes in run.samples.items()
    }
    if executor is not None and problems is not None:
        work = [Work(_known(problems, task_id), run.samples[task_id], run.tests[task_id]) for task_id in inputs]
        extras = gather_for(get_selector(strategy), executor, work)
        inputs = {task_id: with_extras(one, extras.get(task_id)) for task_id, one in inputs.items()}
    wrong = []
    for task_id, given in inputs.items():
        recorded, now = run.selections[task_id], select(strategy, given, seed=seed)
        same = np.allclose(recorded.scores, now.scores, rtol=1e-6, atol=1e-9)
        stated = (recorded.index, recorded.ties, recorded.note, recorded.tests_used)
        if not same or stated != (now.index, now.ties, now.note, now.tests_used):
            wrong.append(task_id)
    if wrong:
        others = counted(len(wrong), "selection")
        return "fail", f"{others} {are(len(wrong))} not what {strategy} selects from the matrix: {some(wrong)}"
    return "pass", f"{strategy} with seed {seed} selects the same in {counted(len(inputs), 'problem')}"


def _known(problems: Mapping[str, Problem], task_id: str) -> Problem:
    if task_id not in problems:
        raise InputError(f"{task_id} is no problem of the data set; expected its problems only")
    return problems[task_id]


def draw_jobs(run: Run, problems: Mapping[str, Problem], share: float, seed: int) -> list[Job]:
    """Draw samples to be run against all their tests.

    Whole rows, as in the run: what a sample's first timeouts lead to depends on the tests before.
    """
    return [
        Job(
            Work(_known(problems, task_id), tuple(run.samples[task_id][row] for row in rows), run.tests[task_id]),
            tuple(rows),
        )
        for task_id, rows in _drawn(run, share, seed).items()
    ]


def rerun(run: Run, jobs: Sequence[Job], executor: Executor, advance: Callable[[int], None] | None = None) -> ReRun:
    """Run the drawn samples and compare with what was recorded. ``advance`` is called with the cells that are done.

    Raises:
        SandboxError: the sandbox failed.
    """
    found = {}
    for matrix in run_matrices(executor, [job.work for job in jobs]):
        found[matrix.job_id] = matrix
        if advance is not None:
            advance(matrix.letters.size)
    return _compare(run, {job.work.problem.task_id: job.rows for job in jobs}, found)


def _drawn(run: Run, share: float, seed: int) -> dict[str, list[int]]:
    """Samples by problem, each with probability ``share`` by a hash of the seed; at least one in all."""
    ranked = sorted(
        (draw(seed, task_id, row), task_id, row)
        for task_id, codes in run.samples.items()
        if run.tests[task_id]
        for row in range(len(codes))
    )
    count = max(1, sum(place < share for place, _, _ in ranked))
    drawn: dict[str, list[int]] = {}
    for _, task_id, row in ranked[:count]:
        drawn.setdefault(task_id, []).append(row)
    return drawn


def draw(seed: int, task_id: str, row: int) -> float:
    """A number from 0 to below 1 by a hash; who does not know the seed cannot know it."""
    digest = blake2b(f"{seed}\0{task_id}\0{row}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def _could_win(run: Run, task_id: str, recorded: str, now: str) -> str:
    """What is wrong with leaving out cells of this row: only what cannot win the vote may be. Empty: nothing."""
    chosen = run.selections[task_id].index
    best = run.matrices[task_id].verdicts[chosen].count("P") if chosen >= 0 else 0
    if "-" not in recorded or now.count("P") <= best:
        return ""
    return f"cells were left out, and it passes {now.count('P')} tests where the selected one passes {best}"


def _compare(run: Run, drawn: Mapping[str, Sequence[int]], found: Mapping[str, PassMatrix]) -> ReRun:
    disagreements, cells, by_machine = [], 0, 0
    for task_id, rows in drawn.items():
        for row, now in zip(rows, found[task_id].rows(), strict=True):
            recorded = run.matrices[task_id].verdicts[row]
            if could_win := _could_win(run, task_id, recorded, now):
                disagreements.append(f"{task_id} sample {row}: {could_win}")
            for test, (before, after) in enumerate(zip(recorded, now, strict=True)):
                if before == "-":  # pruned: no verdict was claimed, see _could_win
                    continue
                cells += 1
                if before != after:
                    disagreements.append(f"{task_id} sample {row} test {test}: recorded {before}, now {after}")
                    by_machine += before in _MACHINE or after in _MACHINE
    samples = sum(len(rows) for rows in drawn.values())
    return ReRun(samples=samples, cells=cells, disagreements=tuple(disagreements), by_machine=by_machine)
