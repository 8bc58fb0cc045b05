"""Execute what a strategy looks at beside the pass matrix: the tests' calls, and the problems' own examples."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import msgspec
import numpy as np
from msgspec import Struct

from coderm_tasks.calls import behaviours, plan_calls
from coderm_tasks.examples import examples_of
from coderm_tasks.model import Problem
from coderm_tasks.programs import call_job, cell_job, comparable
from coderm_tasks.rerank import Behaviours, Need, Strategy, StrategyInput
from executor import Executor, PassMatrix, SandboxError

__all__ = ["Extras", "gather", "gather_for", "run_cells", "with_extras"]


class Item(Protocol):
    """What :class:`coderm_tasks.pipeline.Work` is."""

    @property
    def problem(self) -> Problem: ...
    @property
    def solutions(self) -> tuple[str, ...]: ...
    @property
    def tests(self) -> tuple[str, ...]: ...


class Extras(Struct, frozen=True, eq=False):
    """Evidence of one problem beside its pass matrix; None for what was not asked for."""

    behaviours: Behaviours | None = None
    examples: PassMatrix | None = None


def gather(
    executor: Executor, work: Sequence[Item], *, outputs: bool = False, examples: bool = False
) -> dict[str, Extras]:
    """Run the tests' calls and the examples of every problem in ``work``, by task id.

    Costs one call per distinct solution and distinct call, and one cell per distinct solution and example.

    Raises:
        SandboxError: the sandbox failed, or left a job out.
    """
    found_outputs = _run_calls(executor, work) if outputs else {}
    found_examples = _run_examples(executor, work) if examples else {}
    ids = [item.problem.task_id for item in work]
    return {task_id: Extras(found_outputs.get(task_id), found_examples.get(task_id)) for task_id in ids}


def gather_for(strategy: Strategy, executor: Executor, work: Sequence[Item]) -> dict[str, Extras]:
    """Run what the strategy looks at, and no more."""
    return gather(executor, work, outputs=strategy.outputs is not Need.NO, examples=strategy.examples is not Need.NO)


def with_extras(problem: StrategyInput, extras: Extras | None) -> StrategyInput:
    """Return the problem with its evidence filled in."""
    if extras is None:
        return problem
    return msgspec.structs.replace(problem, behaviours=extras.behaviours, examples=extras.examples)


def _run_calls(executor: Executor, work: Sequence[Item]) -> dict[str, Behaviours]:
    items = {item.problem.task_id: item for item in work}
    plans = {
        task_id: plan_calls(item.tests, item.problem.entry_point, item.problem.context)
        for task_id, item in items.items()
    }
    jobs = [
        call_job(item.problem, item.solutions, plans[task_id].calls)
        for task_id, item in items.items()
        if item.solutions and plans[task_id].calls
    ]
    found = {task_id: _no_outputs(len(item.solutions), len(item.tests)) for task_id, item in items.items()}
    answered = {}
    for outputs in executor.call(jobs) if jobs else ():
        task_id = outputs.job_id
        answered[task_id] = behaviours(plans[task_id], comparable(items[task_id].problem, outputs))
    _check_complete([job.job_id for job in jobs], answered)
    return {**found, **answered}


def _no_outputs(solutions: int, tests: int) -> Behaviours:
    empty = np.zeros((solutions, 0), dtype=np.int32)
    return Behaviours(empty, empty.astype(np.bool_), np.zeros((tests, 0), dtype=np.bool_))


def _run_examples(executor: Executor, work: Sequence[Item]) -> dict[str, PassMatrix]:
    return run_cells(executor, {item.problem.task_id: (item, examples_of(item.problem)) for item in work})


def run_cells(
    executor: Executor,
    jobs: Mapping[str, tuple[Item, tuple[str, ...]]],
    progress: Callable[[PassMatrix], None] | None = None,
) -> dict[str, PassMatrix]:
    """Run the solutions of each item against the tests beside it; a matrix of size 0 where there are none of either.

    Raises:
        SandboxError: the sandbox failed, or left a job out.
    """
    wanted = [
        cell_job(item.problem, item.solutions, tests) for item, tests in jobs.values() if tests and item.solutions
    ]
    found = {
        task_id: PassMatrix.from_rows(task_id, ["-" * len(tests)] * len(item.solutions), len(tests))
        for task_id, (item, tests) in jobs.items()
    }
    answered = {}
    for matrix in executor.run(wanted) if wanted else ():
        answered[matrix.job_id] = matrix
        if progress is not None:
            progress(matrix)
    _check_complete([job.job_id for job in wanted], answered)
    return {**found, **answered}


def _check_complete(asked: Sequence[str], answered: Mapping[str, object]) -> None:
    missing = [job_id for job_id in asked if job_id not in answered]
    if missing:
        raise SandboxError(
            f"the executor answered {len(missing)} jobs of {len(asked)} not at all, {missing[0]} the first"
        )
