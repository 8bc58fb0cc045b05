"""How well scores rank the solutions of a problem (Scoring Verifiers, arXiv 2502.13820, section 3.3)."""

from __future__ import annotations

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

__all__ = ["Ranking", "rank_problem"]

_TOLERANCE = 1e-9


class Ranking(Struct, frozen=True, kw_only=True):
    """One problem. All but ``mae`` look at the order alone."""

    top_1: float
    """1 / (solutions tied at the top score) if a best solution is among them, else 0."""
    bottom_1: float
    """The same at the bottom score, for a worst solution."""
    spearman: float
    """Rank correlation; 0 where either side is constant."""
    kendall: float
    """Kendall's tau-b; 0 where either side is constant."""
    mae: float
    """Mean of |score - truth| over the solutions; pool it over problems weighted by their solutions."""
    solutions: int


def rank_problem(scores: NDArray[np.float64], truth: NDArray[np.float64]) -> Ranking:
    """Compare ``scores`` with ``truth`` (0 or 1, or a share of hidden tests passed), shapes (N,) with N >= 1.

    ``mae`` means something only for scores in [0, 1], such as the share of unit tests passed. As the paper has it, one
    tied solution that is best is enough for Top-1, whatever the others are.
    """
    from scipy.stats import kendalltau, rankdata

    if scores.shape != truth.shape or not len(scores):
        raise ValueError(f"{len(scores)} scores for {len(truth)} solutions: expected as many, at least one")
    constant = np.ptp(scores) <= _TOLERANCE or np.ptp(truth) <= _TOLERANCE
    spearman = 0.0 if constant else float(np.corrcoef(rankdata(scores), rankdata(truth))[0, 1])
    return Ranking(
        top_1=_hit(scores, truth),
        bottom_1=_hit(-scores, -truth),
        spearman=spearman,
        kendall=0.0 if constant else float(kendalltau(scores, truth).statistic),
        mae=float(np.abs(scores - truth).mean()),
        solutions=len(scores),
    )


def _hit(scores: NDArray[np.float64], truth: NDArray[np.float64]) -> float:
    top = np.flatnonzero(scores >= scores.max() - _TOLERANCE)
    return 1 / len(top) if truth[top].max() >= truth.max() - _TOLERANCE else 0.0
