"""pass@k: the unbiased estimator of Chen et al. 2021 (arXiv 2107.03374, section 2.1), and its mean over problems.

pass@1 of greedy decoding is another number, and best-of-N by generated tests is a third: never put one for the other.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
from msgspec import Struct

from coderm_tasks.metrics.intervals import mean_interval

__all__ = ["PassAtK", "mean_pass_at_k", "pass_at_k"]


class PassAtK(Struct, frozen=True):
    """pass@k of a data set."""

    k: int
    value: float
    """Mean over problems, from 0 to 1."""
    stderr: float | None
    """Standard error of that mean over problems (not over samples); None for a single problem."""
    problems: int
    low: float | None = None
    """95 % interval of the mean over problems, by bootstrap; None for a single problem."""
    high: float | None = None


def pass_at_k(n: int, c: int, k: int) -> float:
    """Estimate the probability that at least one of ``k`` samples is correct, given ``c`` correct among ``n``.

    ``1 - C(n-c, k) / C(n, k)``, in whole numbers up to the one division, so that it is exact to the last bit for any n.

    Raises:
        ValueError: not ``0 <= c <= n`` and ``1 <= k <= n``.
    """
    if not (0 <= c <= n and 1 <= k <= n):
        raise ValueError(f"pass@k of n={n}, c={c}, k={k}: expected 0 <= c <= n and 1 <= k <= n")
    draws = math.comb(n, k)
    return (draws - math.comb(n - c, k)) / draws


def mean_pass_at_k(n: Sequence[int], c: Sequence[int], ks: Iterable[int] = (1, 10, 100)) -> tuple[PassAtK, ...]:
    """Average pass@k over problems, for each k in ``ks`` for which *every* problem has samples enough.

    Leaving a k out is EvalPlus's rule too: a mean over the problems that happen to have k samples would be another
    quantity.

    Args:
        n: samples per problem.
        c: correct samples per problem, aligned with ``n``.
        ks: values of k, in the order of the result.

    Raises:
        ValueError: no problem, or counts that do not fit each other.
    """
    if not n or len(n) != len(c):
        raise ValueError(f"pass@k: {len(n)} sample counts and {len(c)} correct counts: expected equally many, not none")
    return tuple(_mean(n, c, k) for k in ks if k <= min(n))


def _mean(n: Sequence[int], c: Sequence[int], k: int) -> PassAtK:
    values = np.array([pass_at_k(samples, correct, k) for samples, correct in zip(n, c, strict=True)], dtype=np.float64)
    stderr = float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else None
    interval = mean_interval(values)
    return PassAtK(k, float(values.mean()), stderr, len(values), interval.low, interval.high)
