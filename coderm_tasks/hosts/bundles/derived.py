"""What the records of a run tell by themselves: derived when a bundle is made, and again when it is verified."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Sequence

import msgspec
from msgspec import Struct

from coderm_tasks.errors import InputError
from coderm_tasks.hosts.bundles.boards import get_board
from coderm_tasks.hosts.bundles.method import METHOD, METHOD_FORMAT, WARNING, Method, Spread
from coderm_tasks.hosts.bundles.run import Run
from coderm_tasks.pipeline import expected_correctness

__all__ = ["ALL_GIVEN", "RERANK", "Derived", "cells_of", "derive", "derived_again"]

RERANK = "coderm rerank"
ALL_GIVEN = "every test of the file"
"""How ``coderm rerank`` spends a budget."""


class Derived(Struct, frozen=True, kw_only=True):
    """Fields of :class:`coderm_tasks.hosts.bundles.method.Method` that follow from the records."""

    problems: int
    samples: Spread
    tests: Spread
    tests_used: Spread
    strategy: str
    tied: int
    fallbacks: int
    unparsable: tuple[str, ...]
    without_solution: tuple[str, ...]
    score: float | None
    score_expected: float | None


def derive(run: Run) -> Derived:
    """Derive them.

    Raises:
        InputError: the selections are by several strategies.
    """
    blank = tuple(task_id for task_id in run.selections if not run.chosen(task_id).strip())
    return Derived(
        problems=len(run.samples),
        samples=_spread([len(codes) for codes in run.samples.values()]),
        tests=_spread([len(tests) for tests in run.tests.values()]),
        tests_used=_spread([one.tests_used for one in run.selections.values()]),
        strategy=_strategy(run),
        tied=sum(len(one.ties) > 1 for one in run.selections.values()),
        fallbacks=sum(bool(one.note) for one in run.selections.values()),
        unparsable=tuple(
            task_id for task_id in run.selections if task_id not in blank and not _is_python(run.chosen(task_id))
        ),
        without_solution=blank,
        score=_score(run),
        score_expected=_expected(run),
    )


def cells_of(run: Run) -> int:
    """Samples times tests, summed over problems."""
    return sum(one.solutions * one.tests for one in run.matrices.values())


def derived_again(method: Method, run: Run) -> Method:
    """``method`` as this version would state it of ``run``, with nothing taken from it but what only its maker knew.

    Raises:
        ConfigError: no such board. InputError: the selections are by several strategies.
    """
    board, derived = get_board(method.board), derive(run)
    changes = {name: getattr(derived, name) for name in Derived.__struct_fields__}
    if method.tool == RERANK:
        changes |= {"budget": derived.tests.mean, "allocation": ALL_GIVEN}
    return msgspec.structs.replace(
        method,
        format=METHOD_FORMAT,
        method=METHOD,
        statement=WARNING,
        board_ranks_best_of_n=board.ranks_best_of_n,
        board_rule=board.rule,
        board_source=board.source,
        cost=msgspec.structs.replace(method.cost, cells=cells_of(run)),
        **changes,
    )


def _strategy(run: Run) -> str:
    names = sorted({one.strategy for one in run.selections.values()})
    if len(names) != 1:
        raise InputError(
            f"the selections are by {', '.join(names) or 'nobody'}; expected one strategy; run rerank again"
        )
    return names[0]


def _is_python(code: str) -> bool:
    """Whether a source parses. It is not executed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            ast.parse(code)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return False
    return True


def _score(run: Run) -> float | None:
    """Share of the problems whose selected sample is correct; None without labels."""
    if run.labels is None:
        return None
    right = [one.index >= 0 and run.labels[task_id][one.index] for task_id, one in run.selections.items()]
    return sum(right) / len(right)


def _expected(run: Run) -> float | None:
    """The same, expected over a uniform pick among ties."""
    if run.labels is None:
        return None
    worth = [expected_correctness(one.selection(), run.labels[task_id]) for task_id, one in run.selections.items()]
    return sum(worth) / len(worth)


def _spread(values: Sequence[int]) -> Spread:
    return Spread(min(values, default=0), round(sum(values) / max(1, len(values)), 4), max(values, default=0))
