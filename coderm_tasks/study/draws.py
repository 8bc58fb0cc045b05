"""Accuracy under many random draws of a problem's tests, all draws at once (pure numpy).

For strategies whose score depends on a solution's votes and on how many solutions share its pass set. A draw costs a
row of two matrix products and its share of one sort; no Python loop runs over cells, solutions or draws.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from coderm_tasks.rerank.base import pass_sets
from coderm_tasks.rerank.votes import FLAT_EXPONENT
from executor import PassMatrix

__all__ = ["BY_VOTES", "draw_tests", "expected_accuracy"]

Score = Callable[[NDArray[np.float64], NDArray[np.float64], int], NDArray[np.float64]]

BY_VOTES: dict[str, Score] = {
    "coderm": lambda votes, size, n: votes + size / (n + 1),
    "codet": lambda votes, size, n: votes * votes * size,
    "codet-0.05": lambda votes, size, n: votes * size**FLAT_EXPONENT,
    "majority": lambda votes, size, n: size,
}
"""Scores as functions of votes, members of the pass set, and N; the same order as the strategies of these names."""
_TOLERANCE = 1e-9
_EXACT_BITS = 52
"""Whole numbers up to 2^53 add up exactly in float64, in whatever order a matrix product takes them."""


def draw_tests(tests: int, size: int, draws: int, seed: int) -> NDArray[np.bool_]:
    """Which tests each draw keeps: ``size`` of them without replacement, or all if there are no more.

    Returns shape (draws, tests), bool; a single row where the draws would be equal.
    """
    if size >= tests:
        return np.ones((1, tests), dtype=np.bool_)
    keys = np.random.default_rng(seed).random((draws, tests))
    chosen = np.argpartition(keys, size - 1, axis=1)[:, :size]
    kept = np.zeros((draws, tests), dtype=np.bool_)
    np.put_along_axis(kept, chosen, values=True, axis=1)
    return kept


def expected_accuracy(
    score: Score, matrix: PassMatrix, labels: NDArray[np.bool_], kept: NDArray[np.bool_], seed: int = 0
) -> NDArray[np.float64]:
    """Mean correctness of the solutions that the strategy cannot tell apart, per draw.

    Args:
        matrix: verdicts, shape (N, M), N >= 1. In a draw of tests none of which was executed or tests anything, the
            first sample is taken, as by :func:`coderm_tasks.rerank.select`.
        labels: shape (N,).
        kept: shape (draws, M), from :func:`draw_tests`.

    Returns shape (draws,). O(draws (G M + G log G)) for G distinct pass sets.
    """
    n, tests = matrix.letters.shape
    usable = kept @ matrix.executed.any(axis=0) if tests else np.zeros(len(kept), dtype=np.bool_)
    if not usable.any():
        return np.full(len(kept), float(labels[0]))
    groups = pass_sets(matrix.passed)
    members = groups.sizes.astype(np.float64)
    right = np.bincount(groups.of, weights=labels).astype(np.float64)
    patterns, chosen = groups.patterns.T.astype(np.float64), kept.astype(np.float64)
    votes = chosen @ patterns
    # Pass sets that agree on the kept tests merge. Each test gets a random number, and a set the sum of its tests'.
    keys = np.random.default_rng(seed).integers(1, 1 << (_EXACT_BITS - int(tests).bit_length()), size=tests)
    signatures = (chosen * keys) @ patterns
    members, right = _merge(signatures, members, right)
    scores = score(votes, members, n)
    best = scores.max(axis=1, keepdims=True)
    tied = scores >= best - _TOLERANCE * np.maximum(1.0, np.abs(best))
    # A merged set stands in the row once per original set: weigh each by its share, so that it counts once.
    weights = tied * groups.sizes
    accuracy = (weights * (right / members)).sum(axis=1) / weights.sum(axis=1)
    return np.where(usable, accuracy, float(labels[0]))


def _merge(
    signatures: NDArray[np.float64], members: NDArray[np.float64], right: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sum each of the (G,) arrays over the entries of a row with the same signature; shapes (draws, G)."""
    order = np.argsort(signatures, axis=1)
    ordered = np.take_along_axis(signatures, order, axis=1)
    starts = np.ones(ordered.shape, dtype=np.bool_)
    starts[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    run = np.empty(ordered.shape, dtype=np.intp)
    np.put_along_axis(run, order, np.cumsum(starts).reshape(starts.shape) - 1, axis=1)
    flat = run.ravel()
    draws = len(signatures)
    sums = (np.bincount(flat, weights=np.tile(values, draws)).astype(np.float64)[run] for values in (members, right))
    return next(sums), next(sums)
