"""EvalPlus's rules for when an output is right, as pure functions on plain data.

The semantics are those of EvalPlus 0.3.1 (``unsafe_execute`` in ``evalplus/eval/__init__.py``, and
``evalplus/eval/_special_oracle.py``), written anew, because there the comparison runs inside the untrusted process. An
input is accepted when

- a special rule of the problem says so (MBPP+ has a dozen such problems, HumanEval+ one), or else the output equals the
  expected one (``==``, so ``1``, ``1.0`` and ``True`` are the same);
- failing that, and with a tolerance, when both have the same type and length and ``np.allclose`` (rtol 1e-07) holds.

The tolerance is the problem's ``atol``. Where that is 0 it becomes 1e-06 at the first float (or non-empty list or tuple
of floats) that is *expected*, and stays so for the inputs after it, floats or not. Base and extra inputs start afresh.

Outputs come from untrusted code. They are plain data here, but can be huge, deep or odd, so every rule is total: what
cannot be compared is wrong.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from msgspec import Struct

from executor.inside import wire
from executor.inside.wire import Opaque

__all__ = ["Expected", "accepts", "expect", "is_float_like", "is_portable", "never_passes_in_evalplus"]

_RTOL = 1e-07
_FLOAT_ATOL = 1e-06
_MAX_ELEMENTS = 10_000_000
"""Largest array that a comparison may build: shapes that broadcast could otherwise multiply without bound."""

_SET_EQUALITY = frozenset(
    {
        "similar_elements",  # Mbpp/2
        "find_char_long",  # Mbpp/7
        "common_in_nested_lists",  # Mbpp/111
        "extract_singly",  # Mbpp/140
        "larg_nnum",  # Mbpp/232
        "intersection_array",  # Mbpp/249
        "find_dissimilar",  # Mbpp/579
        "Diff",  # Mbpp/769
    }
)
_NOT_NONE = frozenset({"check_str", "text_match_three", "text_starta_endb"})
_UNCOMPARABLE = (ArithmeticError, AttributeError, LookupError, MemoryError, RecursionError, TypeError, ValueError)


class Expected(Struct, frozen=True):
    """What one input asks for."""

    args: tuple[Any, ...]
    value: Any
    """The reference solution's output; for problems judged by "is there an output" whether it is not None."""
    atol_before: float
    """Tolerance in force when the problem's special rule looks at the output."""
    atol: float
    """Tolerance in force for the final comparison, which has seen ``value``."""


_Rule = Callable[[Any, Expected], Any]


def expect(
    dataset: str, entry_point: str, inputs: Sequence[tuple[Any, ...]], outputs: Sequence[Any], atol: float
) -> tuple[Expected, ...]:
    """Join inputs with the reference's outputs, one per input, and fix the tolerance that applies to each."""
    expected = []
    for args, output in zip(inputs, outputs, strict=True):
        value = output is not None if _is_not_none_task(dataset, entry_point) else output
        before = atol
        if atol == 0 and is_float_like(value):
            atol = _FLOAT_ATOL
        expected.append(Expected(args, value, before, atol))
    return tuple(expected)


def accepts(dataset: str, entry_point: str, output: Any, expected: Expected) -> bool:
    """Tell whether ``output`` is right for one input. Never raises."""
    rule: _Rule = _RULES.get((dataset, entry_point), _equal)
    try:
        if rule is _is_root:
            return bool(_is_root(output, expected))  # no tolerance rule after it, unlike all others
        if rule(output, expected):
            return True
        return expected.atol != 0 and _close(output, expected.value, expected.atol)
    except _UNCOMPARABLE:
        return False


def never_passes_in_evalplus(dataset: str, entry_point: str) -> bool:
    """Tell whether EvalPlus 0.3.1 fails every solution: HumanEval/32, whose rule forgets to record its success."""
    return _RULES.get((dataset, entry_point)) is _is_root


def is_float_like(value: Any) -> bool:
    """EvalPlus's ``is_floats`` for plain data: a float, or a non-empty list or tuple of nothing but floats."""
    if isinstance(value, (list, tuple)) and value:
        return all(isinstance(item, float) for item in value)
    return isinstance(value, float)


def is_portable(value: Any) -> bool:
    """Tell whether ``value`` crossed the sandbox whole, without parts that stand for what is no plain data."""
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, Opaque):
            return False
        if isinstance(item, dict):
            pending += [*item.keys(), *item.values()]
        elif isinstance(item, (list, tuple, set, frozenset)):
            pending += item
    return True


def _is_not_none_task(dataset: str, entry_point: str) -> bool:
    return dataset == "mbpp" and entry_point in _NOT_NONE


def _equal(output: Any, expected: Expected) -> bool:
    return bool(output == expected.value)


def _always(output: Any, expected: Expected) -> bool:
    return True


def _equal_or_zero(output: Any, expected: Expected) -> bool:
    return bool(output == expected.value or output == 0)


def _pyramid_surface(output: Any, expected: Expected) -> bool:
    """Accept the reading of Mbpp/581 in which the height is that of the pyramid, not of its faces."""
    if output == expected.value:
        return True
    base, height = expected.args
    surface = round(base**2 + 4 * (base * math.sqrt((base / 2) ** 2 + height**2)) / 2)
    return bool(abs(output - surface) <= expected.atol_before)


def _digit_distance(output: Any, expected: Expected) -> bool:
    """Accept the reading of Mbpp/558 that sums the distances of the digits, the shorter number padded with zeros."""
    if output == expected.value:
        return True
    first, second = (str(number) for number in expected.args)
    width = max(len(first), len(second))
    pairs = zip(first.zfill(width), second.zfill(width), strict=True)
    return bool(output == sum(abs(int(a) - int(b)) for a, b in pairs))


def _same_set(output: Any, expected: Expected) -> bool:
    wanted = set(expected.value)
    if isinstance(output, range) and len(output) > len(wanted):
        return False  # a range names more elements than memory may hold
    items = list(copy.copy(output))
    return (
        set(wire.check_hashes(items)) == wanted
    )  # the copy leaves an iterator, which solutions can share, where it was


def _some_output(output: Any, expected: Expected) -> bool:
    return bool((output if isinstance(output, bool) else output is not None) == expected.value)


def _is_root(output: Any, expected: Expected) -> bool:
    (coefficients,) = expected.args
    value = sum(coefficient * math.pow(output, power) for power, coefficient in enumerate(coefficients))
    return bool(abs(value) <= expected.atol_before)


_RULES: dict[tuple[str, str], _Rule] = {
    ("mbpp", "are_equivalent"): _always,  # Mbpp/164
    ("mbpp", "sum_div"): _equal_or_zero,  # Mbpp/295
    ("mbpp", "surface_Area"): _pyramid_surface,  # Mbpp/581
    ("mbpp", "digit_distance_nums"): _digit_distance,  # Mbpp/558
    ("humaneval", "find_zero"): _is_root,  # HumanEval/32
    **{("mbpp", name): _same_set for name in _SET_EQUALITY},
    **{("mbpp", name): _some_output for name in _NOT_NONE},
}


def _close(output: Any, value: Any, atol: float) -> bool:
    if type(output) is not type(value):
        return False
    if type(value) is float:
        if math.isfinite(output) and math.isfinite(value):
            return bool(abs(output - value) <= atol + _RTOL * abs(value))
        return bool(output == value)
    if isinstance(value, (list, tuple)) and len(output) != len(value):
        return False
    # NumPy turns text into arrays as wide as the longest string and then refuses it: refuse it before.
    if not (_all_numbers(output) and _all_numbers(value)):
        return False
    with np.errstate(all="ignore"):
        left, right = np.asarray(output), np.asarray(value)
        if math.prod(np.broadcast_shapes(left.shape, right.shape)) > _MAX_ELEMENTS:
            return False
        return bool(np.allclose(left, right, rtol=_RTOL, atol=atol))


def _all_numbers(value: Any) -> bool:
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, (list, tuple)):
            pending += item
        elif not isinstance(item, (int, float, complex)):
            return False
    return True
