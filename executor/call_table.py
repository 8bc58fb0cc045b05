"""The calls that unit tests make, as data: for whoever asks what solutions answer, not which tests they pass."""

from __future__ import annotations

import json
from collections.abc import Sequence

from msgspec import Struct

from executor.inside import wire
from executor.lift import Lifted, plan_test
from executor.model import Call
from executor.purity import defined_names, sendable

__all__ = ["CallTable", "call_table"]


class CallTable(Struct, frozen=True):
    """Distinct calls of the tests of one problem."""

    calls: tuple[Call, ...]
    """K calls, in the order of their first use."""
    of_test: tuple[tuple[int, ...], ...]
    """Per test the indices of its calls, in order; empty where the test cannot be lifted or makes none."""


def call_table(tests: Sequence[str], entry_point: str, context: str = "") -> CallTable:
    """Collect the calls that the tests make of the entry point, as far as they can be lifted.

    Put into a :class:`executor.CallJob` they give every solution's outputs on the tests' inputs. Runs nothing.

    Args:
        tests: M sources, as in :class:`executor.CellJob`.
        entry_point: name of the function under test.
        context: trusted source whose names tests may use, as in :class:`executor.CellJob`.
    """
    foreign = defined_names(context)
    places: dict[str, int] = {}
    rows = []
    for test in tests:
        plan = plan_test(sendable(test), entry_point, foreign)
        calls = plan.calls if isinstance(plan, Lifted) else ()
        rows.append(tuple(places.setdefault(call.text, len(places)) for call in calls))
    return CallTable(tuple(map(_call, places)), tuple(rows))


def _call(text: str) -> Call:
    function, arguments, keywords = json.loads(text)
    return Call(wire.decode(arguments), function, wire.decode(keywords))
