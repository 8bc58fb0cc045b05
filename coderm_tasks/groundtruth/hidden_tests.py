"""LiveCodeBench's ground truth: the problem's public and private tests, run in the sandbox and judged here.

The rules are those of the official evaluator (``lcb_runner/evaluation/testing_util.py``), written anew: 6 seconds a
test; a program's output by :func:`coderm_tasks.programs.outputs.same_output`; a function's value by ``==`` with what
the file's JSON says, a tuple at its top counting as a list; all calls of a function go to one instance in one process.

Differences, all on purpose:

- The seconds are CPU seconds of the solution's process, not time on the wall, which grows when others use the machine.
- A program runs as a script, with ``__name__ == "__main__"`` and all of ``sys.stdin``; the official evaluator makes a
  function of it and replaces parts of ``sys.stdin``, so that a few correct programs fail there (one with a
  ``__main__`` block that is not the last, say).
- A program that ends with a nonzero status is wrong, whatever it printed; the official evaluator looks at the output.
- What a function returns counts as the plain data it holds: an object with an ``__eq__`` of its own is never right.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from coderm_tasks.datasets.livecodebench import Case, read_cases
from coderm_tasks.groundtruth.book import Book, Item
from coderm_tasks.groundtruth.model import Grade
from coderm_tasks.groundtruth.reasons import describe_stop, describe_wrong
from coderm_tasks.model import Problem
from coderm_tasks.programs import module_of
from coderm_tasks.programs.outputs import same_output
from executor import Call, CallJob, Executor, Limits, Outcome
from executor.weights import room_for

__all__ = ["HIDDEN_TEST_LIMITS", "check_hidden_tests", "grade_by_hidden_tests", "same_value"]

HIDDEN_TEST_LIMITS = Limits(cpu_s=6.0, wall_s=60.0, memory_mb=4096, output_kb=65_536, max_timeouts=1)
"""What one test may use."""

_FIRST = 4
"""Private tests of the first round of a program. Each round has twice as many: most wrong programs fail early."""
_LARGEST = 1 << 25
"""Characters of standard input that one round carries."""


class _Portion(Struct, frozen=True):
    """The tests of one problem that one round runs."""

    cases: tuple[Case, ...]
    public: int
    """How many of the first ones are public."""
    before: int
    """Private tests that earlier rounds ran."""
    last: bool
    """No further round is needed."""


def check_hidden_tests(problems: Iterable[Problem]) -> None:
    """Read the hidden tests of every problem that has some, and forget them: better now than after hours of sampling.

    Raises:
        DatasetError: tests that cannot be read, or are not what they claim to be.
    """
    for problem in problems:
        if problem.truth.hidden is not None:
            read_cases(problem)


def grade_by_hidden_tests(executor: Executor, items: Sequence[Item], limits: Limits | None, book: Book) -> None:
    """Enter a grade for every source of the items: ``base`` for the public tests, ``plus`` for all.

    Tests are run in rounds, the public ones first, and only on solutions that were right so far.

    Args:
        limits: CPU time, wall time and memory of one test where they are not to be those of the data set.

    Raises:
        DatasetError: the tests cannot be read.
        SandboxError: the sandbox failed.
    """
    within = HIDDEN_TEST_LIMITS
    if limits is not None:
        given = {"cpu_s": limits.cpu_s, "wall_s": limits.wall_s, "memory_mb": limits.memory_mb}
        within = msgspec.structs.replace(within, **given)
    waiting = sorted(items, key=_place)
    number = 0
    while waiting:
        waiting = _round(executor, waiting, number, within, book)
        number += 1


def _place(item: Item) -> tuple[str, int]:
    hidden = item.problem.truth.hidden
    assert hidden is not None
    return hidden.path, hidden.offset


def _round(executor: Executor, items: Sequence[Item], number: int, limits: Limits, book: Book) -> list[Item]:
    """Run one portion of each problem's tests; returns what goes on to the next round, in the same order."""
    portions: dict[str, _Portion] = {}
    by_id = {item.task_id: item for item in items}
    left: dict[str, Item] = {}

    def jobs() -> Iterator[CallJob]:
        # Made when the executor asks for them: the tests of all problems do not fit into memory.
        for item in items:
            portions[item.task_id] = _portion(item.problem, number)
            yield _job(item, portions[item.task_id].cases, limits)

    for outputs in executor.call(jobs()):
        item, portion = by_id[outputs.job_id], portions.pop(outputs.job_id)
        kept = []
        for code, outcomes in zip(item.codes, outputs.outcomes, strict=True):
            index, fault = _first_fault(item.problem, outcomes, portion)
            if fault:
                book.enter(item.task_id, code, Grade(index >= portion.public, False, fault))
            elif portion.last:
                book.enter(item.task_id, code, Grade(True, True))
            else:
                kept.append(code)
        if kept:
            left[item.task_id] = Item(item.problem, tuple(kept))
    return [left[item.task_id] for item in items if item.task_id in left]


def _portion(problem: Problem, number: int) -> _Portion:
    cases = read_cases(problem)
    everything, public = (*cases.public, *cases.private), len(cases.public)
    if problem.form == "method":
        # State may last from call to call, so that those who passed the public tests meet them again.
        stops = [(0, public), (0, len(everything))] if public and cases.private else [(0, len(everything))]
    else:
        stops = list(_stops(everything, public))
    start, stop = stops[number]
    return _Portion(everything[start:stop], max(0, public - start), max(0, start - public), number + 1 == len(stops))


def _stops(cases: Sequence[Case], public: int) -> Iterator[tuple[int, int]]:
    """Where the rounds of a program's tests begin and end."""
    start, most = 0, public or _FIRST
    while start < len(cases):
        stop = size = 0
        for stop in range(start + 1, min(start + most, len(cases)) + 1):
            size += len(cases[stop - 1].args[0])
            if size > _LARGEST:
                break
        yield start, stop
        most = _FIRST if start < public else 2 * most
        start = stop


def _job(item: Item, cases: Sequence[Case], limits: Limits) -> CallJob:
    problem = item.problem
    return CallJob(
        job_id=problem.task_id,
        entry_point=problem.entry_point,
        solutions=tuple(module_of(problem, code, one_instance=True) for code in item.codes),
        calls=tuple(Call(case.args) for case in cases),
        limits=limits,
        in_order=problem.form == "method",
        outputs_mb=room_for(case.expected for case in cases),
    )


def _first_fault(problem: Problem, outcomes: Sequence[Outcome], portion: _Portion) -> tuple[int, str]:
    """Index within the portion, and description, of the first test that the solution fails; empty if there is none."""
    same = same_value if problem.form == "method" else same_output
    for index, (outcome, case) in enumerate(zip(outcomes, portion.cases, strict=True)):
        if outcome.kind == "value" and same(outcome.value, case.expected):
            continue
        hidden = index - portion.public
        place = f"public test {index}" if hidden < 0 else f"private test {portion.before + hidden}"
        words = describe_wrong(outcome.value, case.expected) if outcome.kind == "value" else describe_stop(outcome)
        return index, f"{place}: {words}"
    return len(portion.cases), ""


def same_value(value: Any, expected: Any) -> bool:
    """Tell whether a function returned what was expected. Total: what cannot be compared is wrong."""
    try:
        return bool((list(value) if isinstance(value, tuple) else value) == expected)
    except (ArithmeticError, AttributeError, LookupError, MemoryError, RecursionError, TypeError, ValueError):
        return False
