"""The calls that unit tests make, and what solutions answered, as numbers that strategies can compare.

The one place that knows how the executor takes tests apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from msgspec import Struct

from coderm_tasks.rerank import Behaviours
from executor import Call, Outcome, Outputs, call_table
from executor.inside import wire

__all__ = ["CallPlan", "behaviours", "plan_calls"]

_DIGITS = 10
"""Significant digits of a float that count: 0.1 + 0.2 and 0.3 are one behaviour."""
_SHOWN = 160


class CallPlan(Struct, frozen=True):
    """The distinct calls of one problem's tests."""

    calls: tuple[Call, ...]
    """K calls."""
    texts: tuple[str, ...]
    """K texts, as a reader would write them."""
    made_by: tuple[tuple[int, ...], ...]
    """M entries: indices of the calls that each test makes; none for a test that has to run as a program."""


def plan_calls(tests: Sequence[str], entry_point: str, context: str = "") -> CallPlan:
    """Take the tests apart. Runs nothing."""
    table = call_table(tests, entry_point, context)
    return CallPlan(table.calls, tuple(_shown(entry_point, call) for call in table.calls), table.of_test)


def _shown(entry_point: str, call: Call) -> str:
    keywords = (f"{name}={value!r}" for name, value in call.kwargs.items())
    text = f"{entry_point}({', '.join((*map(repr, call.args), *keywords))})"
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."


def behaviours(plan: CallPlan, outputs: Outputs) -> Behaviours:
    """Number the outcomes. Values are equal as ``==`` has it, floats to ten digits; exceptions by the name of their
    type; a call that was stopped, or returned no plain data, is equal to nothing."""
    shape = (len(outputs.outcomes), len(plan.calls))
    codes, returned = np.full(shape, -1, dtype=np.int32), np.zeros(shape, dtype=np.bool_)
    known: list[dict[Any, int]] = [{} for _ in plan.calls]
    keys: dict[int, Any] = {}
    for row, outcomes in enumerate(outputs.outcomes):
        for column, outcome in enumerate(outcomes):
            if id(outcome) not in keys:  # equal outcomes are often one object, and reading a value is not free
                keys[id(outcome)] = _key(outcome)
            key = keys[id(outcome)]
            if key is not None:
                codes[row, column] = known[column].setdefault(key, len(known[column]))
                returned[row, column] = outcome.kind == "value"
    of_test = np.zeros((len(plan.made_by), len(plan.calls)), dtype=np.bool_)
    for test, made in enumerate(plan.made_by):
        of_test[test, list(made)] = True
    return Behaviours(codes, returned, of_test, plan.texts)


def _key(outcome: Outcome) -> Any:
    """A hashable that is equal for equal outcomes; None where the outcome can be compared with nothing."""
    if outcome.kind == "raised":
        return ("raised", outcome.error)
    if outcome.kind != "value":
        return None
    try:
        return ("value", _canonical(outcome.value))
    except (TypeError, RecursionError):
        return None


def _canonical(value: Any) -> Any:
    """Raises TypeError for what is no plain data."""
    if isinstance(value, float):
        return "nan" if value != value else float(f"{value:.{_DIGITS}g}")
    if value is None or isinstance(value, (str, bytes, int, complex)):
        # Text is wrapped, so that "nan" the string is not nan the number.
        return ("text", value) if isinstance(value, (str, bytes)) else value
    if isinstance(value, dict):
        return ("dict", frozenset((_canonical(key), _canonical(item)) for key, item in value.items()))
    if isinstance(value, (set, frozenset)):
        return ("set", frozenset(map(_canonical, value)))
    if isinstance(value, (list, tuple)):
        return (type(value).__name__, tuple(map(_canonical, value)))
    if wire.is_plain(value):
        return (type(value).__name__, repr(value))
    raise TypeError(type(value).__name__)
