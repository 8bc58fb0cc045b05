"""How many unit tests each problem gets. Pure functions: rates in, counts out, the budget spent to the last test.

Three rules. ``equal`` ignores difficulty. ``coderm`` is the greedy rule of CodeRM (arXiv 2501.01054) on
q(x, b) = 1 - (1 - lambda)^b. ``gain`` is the same greedy on learned curves: accuracy of the selection against the
number of tests, per bin of predicted pass rate, because q models the sampling of solutions and not of tests.

Greedy is exact where the marginal gain never grows with b; both rules see to that. Ties go to the smaller count,
then to the earlier problem, so equal inputs give equal budgets on every machine.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from difficulty.errors import BudgetError
from difficulty.model import GainCurves

__all__ = [
    "ALLOCATIONS",
    "RATE_FLOOR",
    "budgets",
    "coderm",
    "concave_majorant",
    "equal",
    "gain",
    "log_marginal_gain",
]

ALLOCATIONS = ("equal", "coderm", "gain")
RATE_FLOOR = 0.01
"""Smallest pass rate the greedy rule believes: with the paper's N = 100 samples a lower one cannot be told from 0,
and at 0 a problem would never get a second test."""
_RATE_CEILING = 1 - 1e-9
_BISECTIONS = 80

Counts = NDArray[np.int64]


def budgets(
    name: str,
    rates: NDArray[np.float64],
    *,
    average: float,
    minimum: int = 1,
    cap: int | None = None,
    curves: GainCurves | None = None,
    floor: float = RATE_FLOOR,
) -> Counts:
    """Spread ``round(average * n)`` tests over n problems by the rule called ``name``.

    Args:
        name: ``equal``, ``coderm`` or ``gain``.
        rates: shape (n,), pass rates in [0, 1], predicted or gold; ``equal`` uses only their number.
        average: tests per problem, on average.
        minimum: fewest tests of a problem, at least 1.
        cap: most tests of a problem; None: no limit.
        curves: learned gain curves, wanted by ``gain`` alone.
        floor: smallest rate ``coderm`` believes.

    Returns:
        Shape (n,), int64, each within minimum..cap, with sum ``round(average * n)``.

    Raises:
        BudgetError: unknown rule, a rate that is NaN or outside [0, 1], ``gain`` without curves, or demands that no
            allocation meets.
    """
    if name == "equal":
        return equal(len(rates), average=average, minimum=minimum, cap=cap)
    if name == "coderm":
        return coderm(rates, average=average, minimum=minimum, cap=cap, floor=floor)
    if name == "gain":
        if curves is None:
            raise BudgetError(
                "allocation 'gain': got no gain curves; expected a classifier that carries them; train one with "
                "'coderm difficulty train --matrix ...' or choose allocation 'coderm' or 'equal'"
            )
        return gain(rates, curves, average=average, minimum=minimum, cap=cap)
    if name == "sequential":
        raise BudgetError(
            "allocation 'sequential' plans nothing beforehand: expected a rule that does, one of "
            f"{', '.join(ALLOCATIONS)}; use 'sequential' as the allocation of a run"
        )
    raise BudgetError(f"allocation {name!r} is unknown: expected one of {', '.join(ALLOCATIONS)}")


def equal(problems: int, *, average: float, minimum: int = 1, cap: int | None = None) -> Counts:
    """Give each problem the same number of tests; what is left over goes one each to the first problems.

    Raises:
        BudgetError: as :func:`budgets`.
    """
    total, _ = _demands(problems, average, minimum, cap)
    share, rest = divmod(total, max(problems, 1))
    return np.full(problems, share, dtype=np.int64) + (np.arange(problems) < rest)


def log_marginal_gain(rates: NDArray[np.float64], tests: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return log(lambda (1 - lambda)^(b-1)), the log of q(x, b) - q(x, b-1), for rates in (0, 1) and b = ``tests``."""
    return np.asarray(np.log(rates) + (tests - 1) * np.log1p(-rates))


def coderm(
    rates: NDArray[np.float64],
    *,
    average: float,
    minimum: int = 1,
    cap: int | None = None,
    floor: float = RATE_FLOOR,
) -> Counts:
    """Maximise sum_x 1 - (1 - lambda_x)^b_x exactly (CodeRM, arXiv 2501.01054).

    What a heap would pop one by one is found at once: a threshold on the marginal gain decides all but the units that
    lie at it, and those are sorted. Shapes, limits and errors as in :func:`budgets`. O(n log n), whatever the budget.
    """
    if not 0 < floor < 1:
        raise BudgetError(f"rate floor is {floor}: expected a value between 0 and 1, such as {RATE_FLOOR}")
    believed = np.clip(_checked(rates), floor, _RATE_CEILING)
    total, highest = _demands(len(believed), average, minimum, cap)
    if not len(believed):
        return np.zeros(0, dtype=np.int64)
    sure, possible = _bracket(believed, total, minimum, highest)
    index = np.repeat(np.arange(len(believed)), possible - sure)
    first = np.repeat(np.cumsum(possible - sure) - (possible - sure), possible - sure)
    tests = sure[index] + 1 + np.arange(len(index)) - first
    order = np.lexsort((index, tests, -log_marginal_gain(believed[index], tests)))
    taken = index[order[: total - int(sure.sum())]]
    return sure + np.bincount(taken, minlength=len(believed))


def _bracket(rates: NDArray[np.float64], total: int, minimum: int, highest: int) -> tuple[Counts, Counts]:
    """Return counts that greedy certainly reaches and counts it certainly does not pass, both shape (n,)."""

    def counts(log_gain: float) -> Counts:
        reached = np.floor(1 + (log_gain - np.log(rates)) / np.log1p(-rates))
        return np.asarray(np.clip(reached, minimum, highest), dtype=np.int64)

    few = float(np.log(rates).max()) + 1
    many = float(log_marginal_gain(rates, np.full(len(rates), highest)).min()) - 1
    for _ in range(_BISECTIONS):
        middle = (few + many) / 2
        if counts(middle).sum() <= total:
            few = middle
        else:
            many = middle
    # One unit of slack either way: the logarithms round, and the sort that follows settles what lies at the threshold.
    return np.maximum(counts(few) - 1, minimum), np.minimum(counts(many) + 1, highest)


def gain(
    rates: NDArray[np.float64],
    curves: GainCurves,
    *,
    average: float,
    minimum: int = 1,
    cap: int | None = None,
) -> Counts:
    """Maximise the accuracy that ``curves`` promise, made concave by :func:`concave_majorant`.

    A test that adds nothing (the end of a curve and beyond) goes to a problem that has fewest. Shapes, limits and
    errors as in :func:`budgets`.
    """
    bins = np.searchsorted(curves.edges, _checked(rates), side="right")
    total, highest = _demands(len(bins), average, minimum, cap)
    marginal = np.diff(np.stack([concave_majorant(row) for row in curves.accuracy]), axis=1)
    sizes = np.bincount(bins, minlength=len(marginal))
    kinds, columns = np.nonzero(marginal > 0)
    within = (columns >= minimum) & (columns < highest)
    kinds, columns = kinds[within], columns[within]
    result = np.full(len(bins), minimum, dtype=np.int64)
    left = total - minimum * len(bins)
    for step in np.lexsort((kinds, columns, -marginal[kinds, columns])):
        members = np.flatnonzero(bins == kinds[step])[:left] if left < sizes[kinds[step]] else bins == kinds[step]
        result[members] += 1
        left -= min(left, int(sizes[kinds[step]]))
        if not left:
            return result
    return _level(result, left, highest)


def concave_majorant(curve: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the least concave, never falling curve that is nowhere below ``curve``, shape (B + 1,) as given.

    Never falling, because a budget is spent in full anyway: where tests only harm, the next one counts for nothing.

    Raises:
        BudgetError: a value is not finite, or there are fewer than two.
    """
    heights = np.asarray(curve, dtype=np.float64)
    if heights.ndim != 1 or len(heights) < 2 or not np.isfinite(heights).all():
        raise BudgetError("gain curve: expected two or more finite accuracies (0 tests, 1 test, ...); train it again")
    heights = np.maximum.accumulate(heights)
    hull: list[int] = []
    for point in range(len(heights)):
        while len(hull) > 1 and _below(heights, hull[-2], hull[-1], point):
            hull.pop()
        hull.append(point)
    return np.interp(np.arange(len(heights)), hull, heights[hull])


def _below(heights: NDArray[np.float64], left: int, middle: int, right: int) -> bool:
    rise = (heights[right] - heights[left]) * (middle - left)
    return bool((heights[middle] - heights[left]) * (right - left) <= rise)


def _level(counts: Counts, left: int, highest: int) -> Counts:
    """Give ``left`` more tests, each to a problem that has fewest and is below ``highest``."""
    low, high = int(counts.min(initial=0)), highest
    while low < high:  # the largest level to which all can be raised
        middle = (low + high + 1) // 2
        if np.maximum(middle - counts, 0).sum() <= left:
            low = middle
        else:
            high = middle - 1
    raised = np.maximum(counts, low)
    rest = left - int((raised - counts).sum())
    raised[np.flatnonzero(raised == low)[:rest]] += 1
    return raised


def _checked(rates: NDArray[np.float64]) -> NDArray[np.float64]:
    values = np.asarray(rates, dtype=np.float64)
    if values.ndim != 1:
        raise BudgetError(f"pass rates have shape {values.shape}: expected one rate per problem, shape (n,)")
    bad = ~((values >= 0) & (values <= 1))
    if bad.any():
        where = int(np.flatnonzero(bad)[0])
        raise BudgetError(
            f"pass rate of problem {where} is {values[where]}: expected a number from 0 to 1; predict it again or use "
            "allocation 'equal'"
        )
    return values


def _demands(problems: int, average: float, minimum: int, cap: int | None) -> tuple[int, int]:
    """Check the demands; return the total budget and the most tests that one problem can get."""
    if not np.isfinite(average):
        raise BudgetError(f"budget is {average} tests per problem: expected a finite number of at least 1")
    if minimum < 1:
        raise BudgetError(f"minimum is {minimum} tests per problem: expected at least 1")
    total = round(average * problems)
    if cap is not None and cap < minimum:
        raise BudgetError(f"cap is {cap} tests per problem, the minimum {minimum}: raise the cap or lower the minimum")
    if average < 1 or total < minimum * problems:
        raise BudgetError(
            f"budget is {average:g} tests per problem: expected at least {minimum} for each; raise the budget"
        )
    if cap is not None and total > cap * problems:
        raise BudgetError(f"budget is {average:g} tests per problem, the cap {cap}: raise the cap or lower the budget")
    spare = total - minimum * (problems - 1)
    return total, max(minimum, spare if cap is None else min(cap, spare))
