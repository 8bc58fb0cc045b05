"""Sequential allocation: tests are drawn in rounds, and each round goes where tests may still change the choice. Pure.

A problem stops when further tests would leave its choice as it is with probability above 1 - delta (the belief's
``change`` is below delta), or at its cap. What it does not use goes to problems that are still open, those first whose
choice one test is most likely to change; none gets a second test before all open ones have their first. Where all have
stopped, the rest of the budget is not spent at all.
"""

from __future__ import annotations

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from difficulty.errors import BudgetError

__all__ = ["SequentialOptions", "next_round", "open_problems"]

Counts = NDArray[np.int64]


class SequentialOptions(Struct, frozen=True, kw_only=True):
    """How a budget is spent in rounds."""

    delta: float = 0.01
    """A problem stops when the probability that more tests change its choice falls below this; in [0, 1)."""
    growth: float = 0.5
    """An open problem's next step, as a share of the tests it has: at least one test. Above 0."""
    together: float = 0.5
    """Share of the open problems that are served in one round, in (0, 1]: fewer is thriftier, more is fewer rounds."""

    def __post_init__(self) -> None:
        if not 0 <= self.delta < 1:
            raise BudgetError(f"delta is {self.delta}: expected a probability from 0 to below 1, such as 0.01")
        if not self.growth > 0 or not 0 < self.together <= 1:
            raise BudgetError(
                f"growth is {self.growth}, together {self.together}: expected more than 0, and a share of the open "
                "problems above 0 and at most 1"
            )


def open_problems(
    change: NDArray[np.float64], tests: Counts, cap: int, options: SequentialOptions
) -> NDArray[np.bool_]:
    """Tell which problems may still get tests, shape (n,)."""
    return np.asarray((change > 0) & (change >= options.delta) & (tests < cap), dtype=np.bool_)


def next_round(
    change: NDArray[np.float64], tests: Counts, *, left: int, cap: int, options: SequentialOptions
) -> Counts:
    """Return how many more tests each problem gets in the next round, shape (n,); all zero when nothing is to be done.

    Problems without a test come first, since nothing is known of them but their programs' texts. Then, as among those,
    goes whose ``change`` per test it has is highest, ties by fewest tests and then in order.

    Args:
        change: shape (n,), the probability that more tests change the choice.
        tests: shape (n,), tests that each problem has.
        left: tests that may still be drawn.
        cap: most tests of one problem.
        options: see :class:`SequentialOptions`.

    Raises:
        BudgetError: shapes that differ, or a probability that is none.
    """
    if change.shape != tests.shape or not ((change >= 0) & (change <= 1)).all():
        raise BudgetError(
            f"sequential round: {change.shape} probabilities, {tests.shape} counts: expected one of each per problem, "
            "probabilities from 0 to 1"
        )
    extra = np.zeros(len(tests), dtype=np.int64)
    going = np.flatnonzero(open_problems(change, tests, cap, options))
    if left < 1 or not len(going):
        return extra
    step = np.minimum(np.maximum((options.growth * tests).astype(np.int64), 1), cap - tests)
    order = going[np.lexsort((tests[going], -change[going] / np.maximum(tests[going], 1), tests[going] > 0))]
    served = order[: max(1, round(options.together * len(order)))]
    room = left - np.concatenate([[0], np.cumsum(step[served])[:-1]])
    extra[served] = np.clip(step[served], 0, np.maximum(room, 0))
    return extra
