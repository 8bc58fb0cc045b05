"""How good predicted pass rates are: rank correlation, Brier score, reliability. Pure."""

from __future__ import annotations

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

__all__ = ["ReliabilityBin", "Scores", "brier", "reliability", "score", "spearman"]

Array = NDArray[np.float64]


class Scores(Struct, frozen=True, kw_only=True):
    """Figures of one set of predictions."""

    rows: int
    spearman: float
    """Rank correlation with the observed rates, -1..1."""
    brier: float
    """Mean squared error against the observed rates."""
    brier_of_mean: float
    """Brier score of the constant that is best in hindsight: the variance of the observed rates."""


class ReliabilityBin(Struct, frozen=True, kw_only=True):
    """Problems whose predicted rates lie next to each other."""

    low: float
    high: float
    """Smallest and largest prediction in the bin."""
    rows: int
    predicted: float
    observed: float


def score(predicted: Array, observed: Array) -> Scores:
    """Score predictions, shape (n,), n >= 1, against observed pass rates, shape (n,)."""
    return Scores(
        rows=len(observed),
        spearman=spearman(predicted, observed),
        brier=brier(predicted, observed),
        brier_of_mean=float(np.var(observed)),
    )


def spearman(left: Array, right: Array) -> float:
    """Spearman's rho with mid-ranks; 0 where either side is constant (as Scoring Verifiers, arXiv 2502.13820, does)."""
    first, second = _ranks(left), _ranks(right)
    first, second = first - first.mean(), second - second.mean()
    norm = float(np.sqrt((first @ first) * (second @ second)))
    return float(first @ second) / norm if norm else 0.0


def brier(predicted: Array, observed: Array) -> float:
    """Mean of (p - lambda)^2."""
    return float(np.mean((predicted - observed) ** 2))


def reliability(predicted: Array, observed: Array, bins: int = 5) -> list[ReliabilityBin]:
    """Cut the rows into ``bins`` of equal size by prediction, lowest first; bins without rows are left out."""
    order = np.argsort(predicted, kind="stable")
    return [
        ReliabilityBin(
            low=float(predicted[part].min()),
            high=float(predicted[part].max()),
            rows=len(part),
            predicted=float(predicted[part].mean()),
            observed=float(observed[part].mean()),
        )
        for part in np.array_split(order, bins)
        if len(part)
    ]


def _ranks(values: Array) -> Array:
    """Ranks from 1, equal values share their mean rank."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2)[inverse], dtype=np.float64)
