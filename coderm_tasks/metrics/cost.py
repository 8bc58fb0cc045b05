"""What a point of accuracy costs in unit tests."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from msgspec import Struct

__all__ = ["Step", "cost_steps"]


class Step(Struct, frozen=True, kw_only=True):
    """From one budget to the next."""

    tests: float
    """Tests per problem, on average."""
    accuracy: float
    """Best-of-N accuracy with them, in [0, 1]."""
    gained: float
    """Percentage points over no tests at all (a uniform pick)."""
    tests_per_point: float | None
    """Tests per problem for each percentage point gained so far; None where nothing was gained."""
    marginal: float | None
    """Tests per problem for each point gained since the budget before; None where that gained nothing."""


def cost_steps(tests: Sequence[float], accuracy: Sequence[float], baseline: float) -> tuple[Step, ...]:
    """Price each budget.

    Args:
        tests: tests per problem, ascending.
        accuracy: accuracy at each, in [0, 1].
        baseline: accuracy of a uniform pick, in [0, 1].

    Raises:
        ValueError: unequal lengths, or budgets that do not ascend.
    """
    if len(tests) != len(accuracy) or any(b <= a for a, b in pairwise(tests)):
        raise ValueError(f"{len(tests)} budgets and {len(accuracy)} accuracies: expected as many, budgets ascending")
    steps = []
    before_tests, before = 0.0, baseline
    for count, value in zip(tests, accuracy):
        gained, step = 100 * (value - baseline), 100 * (value - before)
        steps.append(
            Step(
                tests=count,
                accuracy=value,
                gained=gained,
                tests_per_point=count / gained if gained > 0 else None,
                marginal=(count - before_tests) / step if step > 0 else None,
            )
        )
        before_tests, before = count, value
    return tuple(steps)
