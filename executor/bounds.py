"""How large the constants of a test may get while they are computed on the host (pure)."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, Final

__all__ = ["LARGEST", "LONGEST", "NotLiftable", "apply", "check", "weight"]

LARGEST: Final = 10**6
"""Largest number that may be a factor or a base."""
LONGEST: Final = 100_000
"""Most characters and elements of a constant, at all depths."""


class NotLiftable(Exception):
    """The test says something that the language of :mod:`executor.expressions` does not."""


def apply(operation: Callable[[Any, Any], Any], left: Any, right: Any) -> Any:
    """Compute an operation on constants, as long as its result stays small: that of ``10 ** 9 ** 9`` does not.

    Raises:
        NotLiftable: it would not; or whatever the operation raises.
    """
    numbers = [value for value in (left, right) if isinstance(value, (int, float))]
    if operation in (operator.mul, operator.pow) and any(abs(value) > LARGEST for value in numbers):
        raise NotLiftable("a constant too large")
    if operation is operator.mod and len(numbers) < 2:
        raise NotLiftable("formatting")
    if operation is operator.pow and (len(numbers) < 2 or abs(right) > 64):
        raise NotLiftable("a constant too large")
    weights = [weight(value) for value in (left, right)]
    if operation is operator.mul and len(numbers) == 1 and max(weights) * abs(numbers[0]) > LONGEST:
        raise NotLiftable("a constant too long")
    if sum(weights) > LONGEST:
        raise NotLiftable("a constant too long")
    return operation(left, right)


def check(value: Any) -> None:
    """Raise NotLiftable where a constant is too long to be worked on."""
    if weight(value) > LONGEST:
        raise NotLiftable("a constant too long")


def weight(value: Any) -> int:
    """Number of characters and elements of a constant, at all depths, counted no further than is of interest."""
    todo, total = [value], 0
    while todo and total <= LONGEST:
        item = todo.pop()
        total += len(item) if isinstance(item, (str, bytes, bytearray)) else 1
        if isinstance(item, (list, tuple, set, frozenset)):
            if total + len(item) > LONGEST:
                return LONGEST + 1
            todo.extend(item)
        elif isinstance(item, dict):
            todo.extend(item.keys())
            todo.extend(item.values())
    return total
