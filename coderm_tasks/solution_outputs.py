"""What sampled solutions return on inputs that need no ground truth: the prompt's examples, calls lifted from tests.

For the feature block ``outputs``. Solutions run in the sandbox; only whether their outputs are equal is looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from coderm_tasks.calls import CallPlan, behaviours, plan_calls
from coderm_tasks.examples import examples_of
from coderm_tasks.model import Problem
from coderm_tasks.programs import call_job, comparable
from executor import Call, CallJob, Executor, Outputs

__all__ = ["MOST_INPUTS", "SolutionOutputs", "inputs_of", "run_outputs"]

MOST_INPUTS = 20
"""Of each kind, per problem: agreement of solutions shows on a few."""


class SolutionOutputs(Struct, frozen=True):
    """Outputs of one problem's solutions."""

    rows: tuple[tuple[str, ...], ...]
    """One row per solution, one text per input, equal where the outputs are; ``!`` begins one of a failed call."""
    examples: int
    """How many of the inputs, the first ones, are the prompt's."""


def inputs_of(problem: Problem, tests: Sequence[str]) -> tuple[tuple[Call, ...], int]:
    """Return the distinct calls of the prompt's examples, then those that only the tests make.

    The second value is how many are the prompt's. At most :data:`MOST_INPUTS` of each.
    """
    seen = {repr(call): call for call in _calls(problem, examples_of(problem))[:MOST_INPUTS]}
    examples = len(seen)
    for call in _calls(problem, tests):
        if len(seen) - examples == MOST_INPUTS:
            break
        seen.setdefault(repr(call), call)
    return tuple(seen.values()), examples


def _calls(problem: Problem, tests: Sequence[str]) -> tuple[Call, ...]:
    return plan_calls(tests, problem.entry_point, problem.context).calls


def run_outputs(
    executor: Executor,
    problems: Iterable[Problem],
    solutions: Mapping[str, Sequence[str]],
    tests: Mapping[str, Sequence[str]],
) -> dict[str, SolutionOutputs]:
    """Call every solution of each problem on its inputs; by task id, problems with solutions only.

    Raises:
        SandboxError: the sandbox failed.
    """
    jobs: list[CallJob] = []
    by_id: dict[str, Problem] = {}
    found: dict[str, SolutionOutputs] = {}
    examples: dict[str, int] = {}
    for problem in problems:
        by_id[problem.task_id] = problem
        task_id, codes = problem.task_id, tuple(solutions.get(problem.task_id, ()))
        calls, examples[task_id] = inputs_of(problem, tests.get(task_id, ()))
        if codes and calls:
            jobs.append(call_job(problem, codes, calls))
        elif codes:
            found[task_id] = SolutionOutputs(tuple(() for _ in codes), 0)
    for outputs in executor.call(jobs) if jobs else ():
        found[outputs.job_id] = SolutionOutputs(
            _rows(comparable(by_id[outputs.job_id], outputs)), examples[outputs.job_id]
        )
    return found


def _rows(outputs: Outputs) -> tuple[tuple[str, ...], ...]:
    """What cannot be compared (a timeout, an object of its own) is equal to nothing, so its row names it."""
    inputs = len(outputs.outcomes[0])
    known = behaviours(CallPlan((Call(()),) * inputs, ("",) * inputs, ()), outputs)
    return tuple(
        tuple(
            str(code) if returned else f"!{code}" if code >= 0 else f"!of sample {number}"
            for code, returned in zip(codes, row, strict=True)
        )
        for number, (codes, row) in enumerate(zip(known.codes.tolist(), known.returned.tolist(), strict=True))
    )
