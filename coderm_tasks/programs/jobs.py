"""Problems with solutions and tests -> the executor's jobs. The one place where solutions become modules."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from coderm_tasks.model import Problem
from coderm_tasks.programs.modules import module_of
from coderm_tasks.programs.tests import tests_of
from executor import Call, CallJob, CellJob, Outcome, Outputs

__all__ = ["call_job", "cell_job", "comparable"]


def cell_job(
    problem: Problem, solutions: Sequence[str], tests: Sequence[str], *, prune: bool = False, audit: float = 0.0
) -> CellJob:
    """Every solution against every test. ``prune`` and ``audit`` are those of :class:`executor.CellJob`."""
    return CellJob(
        job_id=problem.task_id,
        entry_point=problem.entry_point,
        solutions=tuple(module_of(problem, code) for code in solutions),
        tests=tests_of(problem, tests),
        context=problem.context,
        prune=prune,
        audit=audit,
    )


def comparable(problem: Problem, outputs: Outputs) -> Outputs:
    """The outputs in a form in which outputs of the same meaning are equal: of a program without space around lines."""
    if problem.form != "stdin":
        return outputs
    rows = (tuple(_without_margins(outcome) for outcome in row) for row in outputs.outcomes)
    return Outputs(outputs.job_id, tuple(rows))


def _without_margins(outcome: Outcome) -> Outcome:
    if not isinstance(outcome.value, str):
        return outcome
    lines = (line.strip() for line in outcome.value.strip().split("\n"))
    return msgspec.structs.replace(outcome, value="\n".join(lines))


def call_job(problem: Problem, solutions: Sequence[str], calls: Sequence[Call]) -> CallJob:
    """Every call of every solution, to be recorded."""
    return CallJob(
        job_id=problem.task_id,
        entry_point=problem.entry_point,
        solutions=tuple(module_of(problem, code) for code in solutions),
        calls=tuple(calls),
    )
