"""What unit tests of models use of pytest, which is not in the box: ``raises``, ``approx`` and ``fail``.

It stands in for the module ``pytest`` where a test runs. Meanings are those of pytest 8, without its messages.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

__all__ = ["approx", "fail", "raises"]


class _Caught:
    """What ``raises`` caught."""

    value: BaseException
    type: type[BaseException]

    def match(self, pattern: str) -> bool:
        """Tell that the message holds the pattern. Raises AssertionError."""
        if not re.search(pattern, str(self.value)):
            raise AssertionError(f"{str(self.value)!r} does not match {pattern!r}")
        return True


class _Raises:
    """A with block that passes by the exception which ends it."""

    def __init__(self, expected: Any, pattern: str | None) -> None:
        self._expected = expected
        self._pattern = pattern
        self._caught = _Caught()

    def __enter__(self) -> _Caught:
        return self._caught

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> bool:
        if error is None or kind is None:
            raise AssertionError(f"did not raise {self._expected!r}")
        if not issubclass(kind, self._expected):
            return False
        self._caught.value, self._caught.type = error, kind
        return self._pattern is None or self._caught.match(self._pattern)


def raises(expected_exception: Any, *args: Any, match: str | None = None, **kwargs: Any) -> Any:
    """A with block, or with a callable and its arguments what it raised."""
    block = _Raises(expected_exception, match)
    if not args:
        return block
    function: Callable[..., Any] = args[0]
    with block as caught:
        function(*args[1:], **kwargs)
    return caught


def fail(reason: str = "", pytrace: bool = True) -> NoReturn:
    """End the test as failed."""
    raise AssertionError(reason)


class approx:  # noqa: N801 - pytest's name
    """Equal to numbers, sequences and mappings of numbers that are close to the expected ones."""

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, expected: Any, rel: Any = None, abs: Any = None, nan_ok: bool = False) -> None:
        self.expected = expected
        self._rel = rel
        self._abs = abs
        self._nan_ok = nan_ok

    def __eq__(self, actual: object) -> bool:
        return self._same(self.expected, actual)

    def _same(self, expected: Any, actual: Any) -> bool:
        if isinstance(expected, Mapping):
            return (
                isinstance(actual, Mapping)
                and expected.keys() == actual.keys()
                and all(self._close(item, actual[key]) for key, item in expected.items())
            )
        if isinstance(expected, Sequence) and not isinstance(expected, (str, bytes)):
            return (
                isinstance(actual, Sequence)
                and len(actual) == len(expected)
                and all(map(self._close, expected, actual))
            )
        return self._close(expected, actual)

    def _close(self, expected: Any, actual: Any) -> bool:
        if type(expected) is bool:
            return actual is expected  # 1 is close to no True
        if expected == actual:
            return True
        try:
            if math.isnan(expected):
                return bool(self._nan_ok and math.isnan(actual))
            if math.isinf(expected):
                return False
            return bool(abs(expected - actual) <= self._tolerance(expected))
        except TypeError:  # no numbers: equal or not
            return False

    def _tolerance(self, expected: Any) -> Any:
        """An absolute tolerance alone stands alone; otherwise the larger one counts."""
        if self._rel is None and self._abs is not None:
            return self._abs
        relative = (1e-6 if self._rel is None else self._rel) * abs(expected)
        return max(relative, 1e-12 if self._abs is None else self._abs)
