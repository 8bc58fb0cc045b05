"""What sampled solutions return on inputs that need no ground truth: the prompt's examples, calls lifted from tests.

For the feature block ``outputs``. Solutions run in the sandbox; only their outputs are looked at, as texts that are
equal where the outputs are.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from msgspec import Struct

from coderm_tasks.model import Problem
from difficulty import example_calls
from executor import Call, CallJob, Executor, Outcome

__all__ = ["SolutionOutputs", "inputs_of", "outcome_text", "run_outputs"]

MOST_INPUTS = 20
"""Of each kind, per problem: agreement of solutions shows on a few."""
_LONGEST_TEST = 100_000


class SolutionOutputs(Struct, frozen=True):
    """Outputs of one problem's solutions."""

    rows: tuple[tuple[str, ...], ...]
    """One row per solution, one text per input; ``!`` begins the text of a call that returned nothing."""
    examples: int
    """How many of the inputs, the first ones, are the prompt's."""


def inputs_of(problem: Problem, tests: Sequence[str]) -> tuple[tuple[Call, ...], int]:
    """Return the distinct calls with plain literal arguments: the prompt's, then those that only tests make.

    The second value is how many are the prompt's. At most :data:`MOST_INPUTS` of each.
    """
    seen: dict[str, Call] = {}
    for call in islice(_plain(example_calls(problem.prompt, problem.entry_point)), MOST_INPUTS):
        seen.setdefault(repr(call), call)
    examples = len(seen)
    for call in _plain(node for test in tests for node in _calls(test, problem.entry_point)):
        if len(seen) - examples == MOST_INPUTS:
            break
        seen.setdefault(repr(call), call)
    return tuple(seen.values()), examples


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
    found: dict[str, SolutionOutputs] = {}
    examples: dict[str, int] = {}
    for problem in problems:
        task_id, codes = problem.task_id, tuple(solutions.get(problem.task_id, ()))
        calls, examples[task_id] = inputs_of(problem, tests.get(task_id, ()))
        if codes and calls:
            jobs.append(CallJob(job_id=task_id, entry_point=problem.entry_point, solutions=codes, calls=calls))
        elif codes:
            found[task_id] = SolutionOutputs(tuple(() for _ in codes), 0)
    for outputs in executor.call(jobs) if jobs else ():
        rows = tuple(tuple(outcome_text(outcome) for outcome in row) for row in outputs.outcomes)
        found[outputs.job_id] = SolutionOutputs(rows, examples[outputs.job_id])
    return found


def outcome_text(outcome: Outcome) -> str:
    """Return a text that equal outputs share (``1``, ``1.0`` and ``True``; sets in any order), ``!...`` for none."""
    if outcome.kind == "value":
        return _text(outcome.value)
    return f"!{outcome.error}" if outcome.kind == "raised" else f"!{outcome.verdict.value}"


def _text(value: Any) -> str:
    if isinstance(value, (bool, int, float)):
        return repr(int(value)) if value == value and abs(value) < 2**53 and value == int(value) else repr(value)
    if isinstance(value, (list, tuple)):
        return f"{type(value).__name__}({','.join(map(_text, value))})"
    if isinstance(value, (set, frozenset)):
        return f"set({','.join(sorted(map(_text, value)))})"
    if isinstance(value, dict):
        return f"dict({','.join(sorted(f'{_text(key)}:{_text(item)}' for key, item in value.items()))})"
    return repr(value)


def _calls(source: str, entry_point: str) -> Iterator[ast.Call]:
    if len(source) > _LONGEST_TEST:
        return
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == entry_point:
            yield node


def _plain(nodes: Iterable[ast.Call]) -> Iterator[Call]:
    """Yield the calls whose arguments are literals."""
    for node in nodes:
        try:
            arguments = tuple(ast.literal_eval(argument) for argument in node.args)
            named = {word.arg: ast.literal_eval(word.value) for word in node.keywords if word.arg is not None}
        except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
            continue
        if len(named) == len(node.keywords):
            yield Call(arguments, kwargs=named)
