"""Gain curves: how accurate the selection becomes with more tests, learned from recorded pass matrices.

CodeRM's q(x, b) = 1 - (1 - lambda)^b is the chance that one of b *solutions* is right; its authors concede that tests
are another matter. These curves are measured instead: draw b tests, let the strategy choose, see whether it chose well.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from difficulty.errors import TrainingDataError
from difficulty.model import GainCurves

__all__ = ["Choose", "accuracy_curve", "learn_gain_curves", "shrinkage", "sizes_up_to"]

Choose = Callable[[NDArray[np.int64]], float]
"""Columns of the pass matrix, shape (b,) -> expected correctness (0..1) of what a strategy selects with those tests."""


def sizes_up_to(reach: int) -> tuple[int, ...]:
    """Return 0, 1, 2, 4, 8, ... up to ``reach``, which is always the last."""
    doubling = [2**power for power in range(reach.bit_length()) if 2**power < reach]
    return (0, *doubling, reach)


def accuracy_curve(
    choose: Choose, tests: int, *, reach: int, draws: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return the mean accuracy with 0..reach tests, shape (reach + 1,).

    Each size of :func:`sizes_up_to` is measured on ``draws`` bootstrap draws of the problem's ``tests`` tests (with
    replacement, as CodeRM draws them); sizes between are interpolated. A problem without tests has a flat curve.
    """
    if reach < 1 or draws < 1:
        raise TrainingDataError(f"gain curve: reach {reach}, draws {draws}: expected at least 1 of each")
    none = choose(np.empty(0, dtype=np.int64))
    if not tests:
        return np.full(reach + 1, none)
    sizes = sizes_up_to(reach)
    means = [none] + [
        float(np.mean([choose(rng.integers(tests, size=size)) for _ in range(draws)])) for size in sizes[1:]
    ]
    return np.interp(np.arange(reach + 1), sizes, means)


def learn_gain_curves(
    rates: NDArray[np.float64], accuracy: NDArray[np.float64], *, bins: int = 4, shrink: bool = True
) -> GainCurves:
    """Average the problems' curves within bins of equal size by predicted rate, and shrink them towards each other.

    A bin holds a few dozen problems, so much of what sets its curve apart is chance, and greedy allocation would bet on
    the luckiest bin. The rise of each bin's curve is therefore drawn towards the rise of the mean curve, by the factor
    of :func:`shrinkage`. Where bins differ by chance alone, all curves are one and ``gain`` is ``equal``.

    Args:
        rates: shape (n,), *predicted* pass rates, from a classifier that did not see the problem, since such rates
            will pick the bin in use.
        accuracy: shape (n, B + 1), rows from :func:`accuracy_curve`.
        bins: wished number of bins; equal rates share one, so there may be fewer.
        shrink: False leaves the averages as they are.

    Raises:
        TrainingDataError: shapes that differ, no problem, or a value that is not finite.
    """
    if accuracy.ndim != 2 or not len(rates) or len(rates) != len(accuracy) or bins < 1:
        raise TrainingDataError(
            f"gain curves: {len(rates)} rates, curves of shape {accuracy.shape}, {bins} bins: expected one curve per "
            "rate and at least one of each"
        )
    if not (np.isfinite(rates).all() and np.isfinite(accuracy).all()):
        raise TrainingDataError("gain curves: a rate or an accuracy is not finite; compute them again")
    cuts = np.quantile(rates, np.arange(1, bins) / bins)
    edges = np.unique(cuts[cuts > rates.min()])
    members = np.searchsorted(edges, rates, side="right")
    means = np.stack([accuracy[members == number].mean(axis=0) for number in range(len(edges) + 1)])
    if not shrink:
        return GainCurves(edges, means)
    start, rise = accuracy[:, :1], accuracy - accuracy[:, :1]
    kept = shrinkage(rise, members)
    level = np.stack([start[members == number].mean(axis=0) for number in range(len(edges) + 1)])
    common = rise.mean(axis=0)
    return GainCurves(edges, level + common + kept * (means - level - common))


def shrinkage(values: NDArray[np.float64], members: NDArray[np.int64]) -> float:
    """Return the share, in [0, 1], of the differences between bins' means that chance does not explain.

    James and Stein's positive-part estimate 1 - V / D: D is the sum of squared differences of the bins' means from the
    mean of all, V what the variance within the bins lets expect of it. 0 for a single bin, or bins of one problem.

    Args:
        values: shape (n, b), one row per problem.
        members: shape (n,), bin of each row, 0..K-1, none empty.
    """
    mean = values.mean(axis=0)
    distance = expected = 0.0
    for number in range(int(members.max()) + 1):
        part = values[members == number]
        if len(part) < 2:
            return 0.0
        distance += float(((part.mean(axis=0) - mean) ** 2).sum())
        expected += float(part.var(axis=0, ddof=1).sum()) / len(part) * (1 - len(part) / len(values))
    return max(0.0, 1 - expected / distance) if distance else 0.0
