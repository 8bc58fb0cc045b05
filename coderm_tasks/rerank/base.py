"""What a strategy is given, what it is, and the groupings that several strategies share."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

import numpy as np
from msgspec import Struct, structs
from numpy.typing import NDArray

from executor import PassMatrix

__all__ = [
    "Behaviours",
    "Evidence",
    "Need",
    "PassSets",
    "Strategy",
    "StrategyInput",
    "evidence_of",
    "groups_of_rows",
    "keep_tests",
    "pass_sets",
]


class Behaviours(Struct, frozen=True, eq=False):
    """What the solutions of one problem did on the calls that its unit tests make.

    ``codes``: shape (N, K), int32. Equal numbers in a column are equal outcomes (a value, or an exception of one type);
    -1 is no answer (timed out, crashed, or nothing that can be compared) and is equal to nothing, not even to itself.
    ``returned``: shape (N, K), bool: the outcome is a value. ``of_test``: shape (M, K), bool: test j makes call k.
    ``calls``: K texts, as a reader would write the call.
    """

    codes: NDArray[np.int32]
    returned: NDArray[np.bool_]
    of_test: NDArray[np.bool_]
    calls: tuple[str, ...] = ()


class StrategyInput(Struct, frozen=True, kw_only=True, eq=False):
    """One problem, as a strategy sees it."""

    task_id: str
    solutions: tuple[str, ...]
    """N sources in sample order, duplicates included."""
    matrix: PassMatrix
    """Verdicts, shape (N, M)."""
    behaviours: Behaviours | None = None
    """Outcomes of the tests' calls; None where nobody recorded them."""
    examples: PassMatrix | None = None
    """Verdicts on the examples that the problem's text states, shape (N, E); None where nobody ran them."""
    labels: tuple[bool, ...] | None = None
    """Ground truth, length N. :func:`coderm_tasks.rerank.select` takes it away from all strategies but the oracle."""


class Evidence(Struct, frozen=True, eq=False):
    """The usable part of a pass matrix: columns with no executed cell are gone, so M' <= M.

    ``passed``: shape (N, M'), bool. ``executed``: shape (N, M'), bool; False for ``-`` (not run) and ``I`` (tests
    nothing), which count neither for nor against. ``passed`` implies ``executed``.
    """

    passed: NDArray[np.bool_]
    executed: NDArray[np.bool_]


class Need(str, Enum):
    """Whether a strategy looks at a kind of evidence that costs executions of its own."""

    NO = "no"
    OPTIONAL = "optional"
    """Used where it is given."""
    REQUIRED = "required"


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
    outputs: Need = Need.NO
    """Looks at :attr:`StrategyInput.behaviours`. REQUIRED: called only with K >= 1."""
    examples: Need = Need.NO
    """Looks at :attr:`StrategyInput.examples`. REQUIRED: called only with at least one usable example."""
    needs_labels: bool = False
    """Looks at ground truth: a ceiling to compare with, and no way to select."""


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
    """Group the rows of ``passed``, shape (N, M') with N >= 1 and M' >= 1. O(N M log N)."""
    # Rows as bits: an eighth of the data to compare.
    of, sizes, first = groups_of_rows(np.packbits(passed, axis=1))
    return PassSets(of, sizes, passed[first])


def groups_of_rows(rows: NDArray[np.generic]) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Group equal rows of ``rows``, shape (N, width) with N >= 1 and width >= 1.

    Returns the group of each row, shape (N,); the members of each group, shape (G,); one row of each, shape (G,).
    """
    # One opaque scalar a row: np.unique on it compares bytes, where axis=0 would compare field by field.
    rows = np.ascontiguousarray(rows)
    scalars = rows.view(np.dtype((np.void, rows.dtype.itemsize * rows.shape[1]))).reshape(-1)
    _, first, of, sizes = np.unique(scalars, return_index=True, return_inverse=True, return_counts=True)
    return of.reshape(-1), sizes, first


def keep_tests(problem: StrategyInput, tests: NDArray[np.intp]) -> StrategyInput:
    """Return the problem with only the unit tests of these columns, and only the calls that they make."""
    matrix = problem.matrix
    kept = PassMatrix(matrix.job_id, matrix.letters[:, tests], matrix.shared[:, tests])
    behaviours = problem.behaviours
    if behaviours is not None:
        made = behaviours.of_test[tests].any(axis=0)
        behaviours = Behaviours(
            behaviours.codes[:, made],
            behaviours.returned[:, made],
            behaviours.of_test[np.ix_(tests, made)],
            tuple(behaviours.calls[call] for call in np.flatnonzero(made)) if behaviours.calls else (),
        )
    return structs.replace(problem, matrix=kept, behaviours=behaviours)
