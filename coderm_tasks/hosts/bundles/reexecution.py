"""The parts of a verification that decide anew: the selection from the matrix, and a share of the verdicts."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b

import numpy as np
from msgspec import Struct

from coderm_tasks.datasets import DATASETS, load_problems_to_rerank
from coderm_tasks.errors import ConfigError, InputError
from coderm_tasks.evidence import gather_for, run_cells, with_extras
from coderm_tasks.hosts.bundles.run import Run, some
from coderm_tasks.model import Problem
from coderm_tasks.pipeline import Work
from coderm_tasks.rerank import Need, Strategy, StrategyInput, get_selector, select
from executor import Executor, PassMatrix

__all__ = ["ReRun", "rerun", "reselect"]

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


def reselect(
    run: Run, strategy: str, seed: int, dataset: str, open_executor: Callable[[], Executor], share: float
) -> tuple[str, str]:
    """Select again from the recorded matrices. Returns the status of the check, and what to say of it."""
    try:
        selector = get_selector(strategy)
    except ConfigError as error:
        return "fail", str(error)
    inputs = {
        task_id: StrategyInput(task_id=task_id, solutions=codes, matrix=run.matrices[task_id].matrix())
        for task_id, codes in run.samples.items()
    }
    if _executes(selector):
        problems = _problems(dataset)
        if share == 0 or problems is None:
            why = "--rerun is 0" if share == 0 else f"data set {dataset} is not ours"
            return "skipped", f"strategy {strategy} looks at outputs, which have to be executed, and {why}"
        work = [Work(problems[task_id], run.samples[task_id], run.tests[task_id]) for task_id in inputs]
        with open_executor() as executor:
            extras = gather_for(selector, executor, work)
        inputs = {task_id: with_extras(one, extras.get(task_id)) for task_id, one in inputs.items()}
    wrong = []
    for task_id, given in inputs.items():
        recorded, now = run.selections[task_id], select(strategy, given, seed=seed)
        same = np.allclose(recorded.scores, now.scores, rtol=1e-6, atol=1e-9)
        if not same or (recorded.index, recorded.ties, recorded.note) != (now.index, now.ties, now.note):
            wrong.append(task_id)
    if wrong:
        return "fail", f"{len(wrong)} selections are not what {strategy} selects from the matrix: {some(wrong)}"
    return "pass", f"{strategy} with seed {seed} selects the same in {len(inputs)} problems"


def _executes(selector: Strategy) -> bool:
    return selector.outputs is not Need.NO or selector.examples is not Need.NO


def _problems(dataset: str) -> dict[str, Problem] | None:
    if dataset not in DATASETS:
        return None
    return {problem.task_id: problem for problem in load_problems_to_rerank(dataset)}


def rerun(run: Run, dataset: str, open_executor: Callable[[], Executor], share: float, seed: int) -> ReRun | str:
    """Run drawn samples against all their tests again, and compare; a text where that cannot be.

    Whole rows, as in the run: what a sample's first timeouts lead to depends on the tests before.
    """
    problems = _problems(dataset)
    if problems is None:
        return f"the problems of {dataset} are not at hand"
    drawn = _drawn(run, share, seed)
    jobs = {}
    for task_id, rows in drawn.items():
        if task_id not in problems:
            raise InputError(f"{task_id} is no problem of {dataset}; expected its problems only")
        codes = tuple(run.samples[task_id][row] for row in rows)
        jobs[task_id] = (Work(problems[task_id], codes, run.tests[task_id]), run.tests[task_id])
    if not jobs:
        return "there is no cell to run"
    with open_executor() as executor:
        found = run_cells(executor, jobs)
    return _compare(run, drawn, found)


def _drawn(run: Run, share: float, seed: int) -> dict[str, list[int]]:
    """Samples by problem, each with probability ``share`` by a hash of the seed; at least one in all."""
    ranked = sorted(
        (_draw(seed, task_id, row), task_id, row)
        for task_id, codes in run.samples.items()
        if run.tests[task_id]
        for row in range(len(codes))
    )
    count = max(1, sum(place < share for place, _, _ in ranked))
    drawn: dict[str, list[int]] = {}
    for _, task_id, row in ranked[:count]:
        drawn.setdefault(task_id, []).append(row)
    return drawn


def _draw(seed: int, task_id: str, row: int) -> float:
    digest = blake2b(f"{seed}\0{task_id}\0{row}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def _compare(run: Run, drawn: dict[str, list[int]], found: dict[str, PassMatrix]) -> ReRun:
    disagreements, cells, by_machine = [], 0, 0
    for task_id, rows in drawn.items():
        for row, now in zip(rows, found[task_id].rows(), strict=True):
            recorded = run.matrices[task_id].verdicts[row]
            for test, (before, after) in enumerate(zip(recorded, now, strict=True)):
                if before == "-":  # pruned or never run: nothing was claimed
                    continue
                cells += 1
                if before != after:
                    disagreements.append(f"{task_id} sample {row} test {test}: recorded {before}, now {after}")
                    by_machine += before in _MACHINE or after in _MACHINE
    samples = sum(len(rows) for rows in drawn.values())
    return ReRun(samples=samples, cells=cells, disagreements=tuple(disagreements), by_machine=by_machine)
