"""The assert methods of ``unittest.TestCase`` on plain data: each tells whether its assertion holds (pure)."""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final

__all__ = ["ASSERTIONS", "Assertion"]

Assertion = Callable[..., bool]
_LONGEST_UNHASHABLE: Final = 2000


def _almost_equal(first: Any, second: Any, places: int | None = None, delta: Any = None) -> bool:
    if first == second:
        return True
    difference = abs(first - second)
    if delta is not None:
        if places is not None:
            raise TypeError("specify delta or places not both")
        return bool(difference <= delta)
    return bool(round(difference, 7 if places is None else places) == 0)


def _not_almost_equal(first: Any, second: Any, places: int | None = None, delta: Any = None) -> bool:
    if delta is not None:
        if places is not None:
            raise TypeError("specify delta or places not both")
        return first != second and bool(abs(first - second) > delta)
    return first != second and bool(round(abs(first - second), 7 if places is None else places) != 0)


def _count_equal(first: Any, second: Any) -> bool:
    left, right = list(first), list(second)
    try:
        return Counter(left) == Counter(right)
    except TypeError:
        if max(len(left), len(right)) > _LONGEST_UNHASHABLE:
            raise MemoryError("too many unhashable items to compare") from None
    for item in left:
        if item not in right:
            return False
        right.remove(item)
    return not right


def _sequence_equal(first: Any, second: Any) -> bool:
    """As unittest does: what has no length or no index fails, and what has neither order nor index is no sequence."""
    try:
        lengths = len(first), len(second)
    except TypeError:
        return False
    if first == second:
        return True
    alike = all(_same_at(first, second, index) for index in range(min(lengths)))
    if lengths[0] != lengths[1]:
        # For its message unittest looks at the first item that the other lacks: a dict may not have it.
        longer = first if lengths[0] > lengths[1] else second
        _same_at(longer, longer, min(lengths))
        return False
    return alike and type(first) is not type(second)


def _same_at(first: Any, second: Any, index: int) -> bool:
    try:
        return bool(first[index] == second[index])
    except (TypeError, IndexError):
        return False


def _of_type(kind: type) -> Assertion:
    return lambda first, second: isinstance(first, kind) and isinstance(second, kind) and bool(first == second)


def _holds(operation: Callable[[Any, Any], Any]) -> Assertion:
    return lambda first, second: bool(operation(first, second))


ASSERTIONS: Final[Mapping[str, Assertion]] = {
    "assertEqual": _holds(operator.eq),
    "assertEquals": _holds(operator.eq),
    "assertNotEqual": _holds(operator.ne),
    "assertTrue": bool,
    "assertFalse": lambda value: not value,
    "assertIs": operator.is_,
    "assertIsNot": operator.is_not,
    "assertIsNone": lambda value: value is None,
    "assertIsNotNone": lambda value: value is not None,
    "assertIn": lambda member, container: member in container,
    "assertNotIn": lambda member, container: member not in container,
    "assertIsInstance": isinstance,
    "assertNotIsInstance": lambda value, kind: not isinstance(value, kind),
    "assertGreater": _holds(operator.gt),
    "assertGreaterEqual": _holds(operator.ge),
    "assertLess": _holds(operator.lt),
    "assertLessEqual": _holds(operator.le),
    "assertAlmostEqual": _almost_equal,
    "assertNotAlmostEqual": _not_almost_equal,
    "assertCountEqual": _count_equal,
    "assertSequenceEqual": _sequence_equal,
    "assertListEqual": _of_type(list),
    "assertTupleEqual": _of_type(tuple),
    "assertSetEqual": _of_type((set, frozenset)),  # type: ignore[arg-type]
    "assertDictEqual": _of_type(dict),
    "assertMultiLineEqual": _of_type(str),
}
