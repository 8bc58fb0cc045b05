"""Intervals over problems: a bootstrap of the mean, and of the difference between two columns of the same problems.

They cover the choice of problems, as if these were drawn from more of their kind, and not the sampling of solutions or
tests.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

__all__ = ["CONFIDENCE", "Interval", "bootstrap_means", "mean_interval", "paired_difference"]

CONFIDENCE = 0.95
_DRAWS = 10_000


class Interval(Struct, frozen=True):
    """A mean over problems with its percentile bootstrap interval."""

    value: float
    low: float | None
    """None for a single problem, which says nothing about others."""
    high: float | None
    problems: int


def mean_interval(values: Sequence[float] | NDArray[np.float64], *, seed: int = 0, draws: int = _DRAWS) -> Interval:
    """Mean of one value per problem with a 95 % interval: percentiles of the mean over resampled problems.

    Args:
        values: shape (problems,), finite.

    Raises:
        ValueError: no value, or one that is not finite.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or not len(array) or not np.isfinite(array).all():
        raise ValueError(f"interval of values of shape {array.shape}: expected one finite value per problem, not none")
    if len(array) == 1:
        return Interval(float(array[0]), None, None, 1)
    means = bootstrap_means(array[:, None], seed=seed, draws=draws)[:, 0]
    low, high = np.quantile(means, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Interval(float(array.mean()), float(low), float(high), len(array))


def paired_difference(
    first: Sequence[float] | NDArray[np.float64],
    second: Sequence[float] | NDArray[np.float64],
    *,
    seed: int = 0,
    draws: int = _DRAWS,
) -> Interval:
    """Mean of ``first - second``, problem by problem, with a 95 % interval. Shapes (problems,), aligned.

    Paired: a problem that is drawn brings both of its values, so that hard problems do not blur the difference.

    Raises:
        ValueError: unequal lengths, or as :func:`mean_interval`.
    """
    if len(first) != len(second):
        raise ValueError(f"difference of {len(first)} and {len(second)} values: expected the same problems in both")
    return mean_interval(
        np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64), seed=seed, draws=draws
    )


def bootstrap_means(values: NDArray[np.float64], *, seed: int = 0, draws: int = _DRAWS) -> NDArray[np.float64]:
    """Means of resampled problems. ``values``: shape (problems, columns); returns shape (draws, columns).

    All columns share the draws, so differences between them are paired. O(draws problems columns).
    """
    problems = len(values)
    # Only how often a problem is drawn matters, and those counts are multinomial.
    counts = np.random.default_rng(seed).multinomial(problems, np.full(problems, 1 / problems), size=draws)
    means: NDArray[np.float64] = counts @ values / problems
    return means
