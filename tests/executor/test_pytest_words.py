"""The stand-in for pytest means what pytest means."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor.inside import pytest_words

NUMBERS = st.floats() | st.integers(-5, 5) | st.sampled_from([0.1 + 0.2, 0.3, 1e-13, 1e6, 1e6 + 1, math.inf, True])
VALUES = st.recursive(
    NUMBERS | st.none() | st.text(max_size=2), lambda inner: st.lists(inner, max_size=3), max_leaves=3
)
TOLERANCES = st.none() | st.sampled_from([0, 1e-12, 1e-6, 0.5])


@given(
    expected=NUMBERS | st.none() | st.text(max_size=2),
    actual=VALUES,
    rel=TOLERANCES,
    least=TOLERANCES,
    nan=st.booleans(),
)
def test_approx_of_a_number_agrees_with_pytests(expected: Any, actual: Any, rel: Any, least: Any, nan: bool) -> None:
    mine = pytest_words.approx(expected, rel=rel, abs=least, nan_ok=nan)
    try:
        theirs = actual == pytest.approx(expected, rel=rel, abs=least, nan_ok=nan)
    except (TypeError, ValueError):  # pytest refuses to compare such
        return
    assert (actual == mine) == theirs


@given(pairs=st.lists(st.tuples(NUMBERS, NUMBERS), max_size=3), more=st.integers(0, 1))
def test_approx_of_containers_agrees_with_pytests(pairs: list[tuple[Any, Any]], more: int) -> None:
    expected, actual = [left for left, _ in pairs], [right for _, right in pairs] + [0.0] * more
    assert (actual == pytest_words.approx(expected)) == (actual == pytest.approx(expected))
    named, found = dict(enumerate(expected)), dict(enumerate(actual))
    assert (found == pytest_words.approx(named)) == (found == pytest.approx(named))


def _outcome(words: Any, body: str, pattern: str | None) -> str:
    failures = (AssertionError, pytest.fail.Exception)
    try:
        with words.raises((ValueError, KeyError), match=pattern) as caught:
            exec(body)
    except failures:
        return "failed"
    except BaseException as error:
        return type(error).__name__
    return f"{caught.type.__name__}: {caught.value}"


@pytest.mark.parametrize("pattern", [None, "b+", "^c"])
@pytest.mark.parametrize("body", ["pass", "raise ValueError('abc')", "raise KeyError('abc')", "raise TypeError('abc')"])
def test_raises_agrees_with_pytests(body: str, pattern: str | None) -> None:
    assert _outcome(pytest_words, body, pattern) == _outcome(pytest, body, pattern)


def test_raises_takes_a_callable_and_fail_fails() -> None:
    assert isinstance(pytest_words.raises(ValueError, int, "x").value, ValueError)
    assert pytest_words.raises(ValueError, int, "x", base=8).match("base 8")
    with pytest.raises(AssertionError):
        pytest_words.raises(ValueError, int, "1")
    with pytest.raises(AssertionError, match="now"):
        pytest_words.fail("now")
