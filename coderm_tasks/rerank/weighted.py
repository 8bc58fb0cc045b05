"""Votes weighted by how well each test agrees with the others."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from coderm_tasks.rerank.base import Evidence, StrategyInput, evidence_of

__all__ = ["agreement", "score_weighted", "weights_of"]

_ROUNDS = 20
_DIGITS = 9
"""Scores are rounded to this many decimals before they are ranked: sums that differ by rounding alone are ties."""


def score_weighted(problem: StrategyInput) -> NDArray[np.float64]:
    """Sum of the weights of the tests passed, see :func:`weights_of`. Returns shape (N,). O(rounds N M log N)."""
    evidence = evidence_of(problem.matrix)
    scores: NDArray[np.float64] = evidence.passed @ weights_of(evidence)
    return scores


def weights_of(evidence: Evidence) -> NDArray[np.float64]:
    """Weight per test, shape (M',), in [0, 1], largest 1.

    The weight is max(0, AUC - 1/2), where the AUC says how well the votes of the *other* tests, weighted, separate the
    solutions that pass this test from those that fail it. Weights start equal and are computed anew until they stay, at
    most 20 times. The leave-one-out AUC as a measure of a test is that of ACES (Sun et al. 2026, arXiv 2604.03922); the
    iteration is ours and is neither of that paper's two estimators. Where no test agrees with the others (one test
    alone, say), all weigh the same and the rule is a plain vote.
    """
    tests = evidence.passed.shape[1]
    weights = np.ones(tests)
    for _ in range(_ROUNDS):
        gains: NDArray[np.float64] = np.maximum(0.0, agreement(evidence, weights) - 0.5)
        if not gains.any():
            return np.ones(tests)
        fresh: NDArray[np.float64] = gains / gains.max()
        if np.allclose(fresh, weights, rtol=0.0, atol=1e-9):
            break
        weights = fresh
    return weights


def agreement(evidence: Evidence, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Leave-one-out AUC per test, shape (M',); 1/2 for a test that all or none of its executed solutions pass.

    Ties among the scores count half. Solutions on which the test was not executed are left out.
    """
    from scipy.stats import rankdata

    passed, executed = evidence.passed, evidence.executed
    weighted = passed * weights
    others = np.round(weighted.sum(axis=1, keepdims=True) - weighted, _DIGITS)
    # Solutions left out rank last, where they move no other rank.
    ranks = rankdata(np.where(executed, others, np.inf), axis=0)
    winners = passed.sum(axis=0)
    losers = executed.sum(axis=0) - winners
    pairs = winners * losers
    won = (ranks * passed).sum(axis=0) - winners * (winners + 1) / 2
    auc: NDArray[np.float64] = np.divide(won, pairs, out=np.full(len(weights), 0.5), where=pairs > 0)
    return auc
