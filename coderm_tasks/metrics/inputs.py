"""What unit tests are made of: inputs that expose faults, outputs that are right (UTGen, arXiv 2502.01619, section 3).

And how many of them say something new.
"""

from __future__ import annotations

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

__all__ = ["InputQuality", "Redundancy", "judge_inputs", "redundancy"]


class InputQuality(Struct, frozen=True, kw_only=True):
    """Of the tests of one problem, by the reference solution. Rates in [0, 1]; None where there is nothing to count."""

    attack_rate: float | None
    """Share of (test, wrong solution) pairs in which the test's inputs make the solution answer otherwise than the
    reference, whatever the test expects."""
    output_accuracy: float | None
    """Share of tests that the reference passes: what they expect is right."""
    both: float | None
    """Share of pairs in which the inputs expose the wrong solution and the expectation is right."""
    tests: int
    """Tests judged: those whose calls are known."""
    pairs: int


def judge_inputs(
    codes: NDArray[np.int32],
    reference: NDArray[np.int32],
    of_test: NDArray[np.bool_],
    accepts: NDArray[np.bool_],
    correct: NDArray[np.bool_],
) -> InputQuality:
    """Judge tests by what they call.

    Args:
        codes: shape (N, K), outcomes of the solutions, as in :class:`coderm_tasks.rerank.Behaviours`.
        reference: shape (K,), outcomes of the reference solution, in the same numbers.
        of_test: shape (M, K), which test makes which call.
        accepts: shape (M,), tests that the reference passes.
        correct: shape (N,), solutions that ground truth accepts; the others are the wrong ones.

    A call that stops without an answer (-1) differs from one that answers; where the reference does not answer, the
    call exposes nobody. O(N K M).
    """
    known = of_test.any(axis=1)
    wrong = codes[~correct]
    exposed = (wrong != reference) & (reference >= 0)
    attacks = (exposed.astype(np.int64) @ of_test[known].T.astype(np.int64)) > 0
    right = accepts[known]
    return InputQuality(
        attack_rate=float(attacks.mean()) if attacks.size else None,
        output_accuracy=float(right.mean()) if right.size else None,
        both=float((attacks & right).mean()) if attacks.size else None,
        tests=int(known.sum()),
        pairs=attacks.size,
    )


class Redundancy(Struct, frozen=True):
    """How much of a problem's tests is repetition, as its solutions see it."""

    tests: int
    distinct: int
    """Tests with distinct verdicts on the solutions (unique columns of the matrix)."""
    telling: int
    """Distinct tests that some solutions pass and some do not: the others cannot change a vote."""


def redundancy(letters: NDArray[np.uint8], passed: NDArray[np.bool_], executed: NDArray[np.bool_]) -> Redundancy:
    """Count the distinct columns; shapes (N, M). Columns are equal if they pass and execute the same cells."""
    usable = executed.any(axis=0)
    columns = np.concatenate([passed[:, usable], executed[:, usable]]).T
    distinct = np.unique(columns, axis=0) if columns.size else columns
    rows = len(letters)
    share = distinct[:, :rows].sum(axis=1)
    telling = (share > 0) & (share < distinct[:, rows:].sum(axis=1))
    return Redundancy(int(letters.shape[1]), len(distinct), int(telling.sum()))
