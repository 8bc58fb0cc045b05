"""B4: the Bayesian score of a consensus set."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from coderm_tasks.rerank.base import Evidence, PassSets, StrategyInput, evidence_of, pass_sets

__all__ = ["ALPHA_XY", "BETA_0", "score_b4"]

ALPHA_XY = 1e3
"""Prior of the shares of correct solutions and of correct tests (the paper's default)."""
BETA_0 = 1e5
"""Prior that a wrong solution fails a wrong test: the middle of the paper's 1e4, 1e5, 1e6."""


def score_b4(problem: StrategyInput) -> NDArray[np.float64]:
    """B4 (Chen et al. 2024, arXiv 2409.08692): log posterior that a group is the correct one.

    For the solutions x with one exact pass set and the tests y they pass::

        log B(|y| + a, M - |y| + 1) + log B(|x| + a, N - |x| + 1)
        + log B(S1 + 1, n1 - S1 + 1) + log B(S0 + 1, n0 - S0 + b0)

    S1 and n1 are passes and cells of the other solutions on y; S0 and n0 the same on the other tests. Cells that were
    not executed are in no count. Returns shape (N,), the logarithm of the score of the solution's group. O(N M log N).
    """
    from scipy.special import betaln

    evidence = evidence_of(problem.matrix)
    n, m = evidence.passed.shape
    groups = pass_sets(evidence.passed)
    x, y = groups.sizes, groups.patterns.sum(axis=1)
    s1, n1, s0, n0 = _outside(evidence, groups)
    scores: NDArray[np.float64] = (
        betaln(y + ALPHA_XY, m - y + 1)
        + betaln(x + ALPHA_XY, n - x + 1)
        + betaln(s1 + 1, n1 - s1 + 1)
        + betaln(s0 + 1, n0 - s0 + BETA_0)
    )
    return scores[groups.of]


def _outside(evidence: Evidence, groups: PassSets) -> tuple[NDArray[np.int64], ...]:
    """Passes and cells of the solutions outside each group, on its tests, then on the others; shape (G,) each."""
    patterns = groups.patterns.astype(np.int64)
    inside = np.zeros(patterns.shape, dtype=np.int64)  # executed cells of each group's own members, per test
    np.add.at(inside, groups.of, evidence.executed.astype(np.int64))
    passes = evidence.passed.sum(axis=0, dtype=np.int64) - patterns * groups.sizes[:, None]
    cells = evidence.executed.sum(axis=0, dtype=np.int64) - inside
    return (
        (passes * patterns).sum(axis=1),
        (cells * patterns).sum(axis=1),
        (passes * (1 - patterns)).sum(axis=1),
        (cells * (1 - patterns)).sum(axis=1),
    )
