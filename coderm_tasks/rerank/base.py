"""What a strategy is given, what it is, and the groupings that several strategies share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from executor import PassMatrix

__all__ = ["Evidence", "PassSets", "Strategy", "StrategyInput", "evidence_of", "pass_sets"]


class StrategyInput(Struct, frozen=True, kw_only=True, eq=False):
    """One problem, as a strategy sees it. No labels, so no strategy can look at them."""

    task_id: str
    solutions: tuple[str, ...]
    """N sources in sample order, duplicates included."""
    matrix: PassMatrix
    """Verdicts, shape (N, M)."""


class Evidence(Struct, frozen=True, eq=False):
    """The usable part of a pass matrix: columns with no executed cell are gone, so M' <= M.

    ``passed``: shape (N, M'), bool. ``executed``: shape (N, M'), bool; False for ``-`` (not run) and ``I`` (tests
    nothing), which count neither for nor against. ``passed`` implies ``executed``.
    """

    passed: NDArray[np.bool_]
    executed: NDArray[np.bool_]


class Strategy(Struct, frozen=True, kw_only=True):
    """A named rule. Other packages offer theirs as an entry point of group ``coderm_tasks.strategies``."""

    name: str
    score: Callable[[StrategyInput], NDArray[np.float64]]
    """Score per solution, shape (N,), finite, higher is better; called with N >= 1, and M' >= 1 if ``needs_tests``.

    Solutions that share the highest score (to 1 part in 10^9) are the strategy's ties.
    """
    summary: str
    """One line: the rule and its source."""
    needs_tests: bool = True


def evidence_of(matrix: PassMatrix) -> Evidence:
    """Drop the columns of ``matrix`` in which nothing was executed."""
    usable = matrix.executed.any(axis=0)
    return Evidence(matrix.passed[:, usable], matrix.executed[:, usable])


class PassSets(Struct, frozen=True, eq=False):
    """Solutions grouped by the exact set of tests they pass; G groups.

    ``of``: shape (N,), int, the group of each solution. ``sizes``: shape (G,), int, members, duplicates counted.
    ``patterns``: shape (G, M'), bool, the tests that the group passes.
    """

    of: NDArray[np.intp]
    sizes: NDArray[np.intp]
    patterns: NDArray[np.bool_]


def pass_sets(passed: NDArray[np.bool_]) -> PassSets:
    """Group the rows of ``passed``, shape (N, M') with N >= 1 and M' >= 1."""
    # Rows as bits: np.unique then compares bytes, an eighth of the data.
    bits = np.packbits(passed, axis=1)
    _, first, of, sizes = np.unique(bits, axis=0, return_index=True, return_inverse=True, return_counts=True)
    return PassSets(of.reshape(-1), sizes, passed[first])
