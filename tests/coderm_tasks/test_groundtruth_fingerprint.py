from __future__ import annotations

import ast
import copy
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coderm_tasks.groundtruth import fingerprint
from coderm_tasks.groundtruth.fingerprint import CODERM_CUT, CODERM_MARK, coderm_fingerprint

LONG = 200_000


def is_marked(value: Any) -> bool:
    return type(value) is tuple and value[0] == CODERM_MARK and len(value[1]) == 64


@pytest.mark.parametrize("value", [None, 3, "text", [1, 2], {"a": (1,)}, list(range(1000)), "x" * 10_000])
def test_small_values_travel_as_they_are(value: object) -> None:
    assert coderm_fingerprint(value) is value


@pytest.mark.parametrize(
    "value",
    [
        "x" * 10**6,
        b"x" * 10**6,
        list(range(LONG)),
        [[1, 2]] * LONG,
        {i: i for i in range(LONG)},
        set(range(LONG)),
        1 << 10**7,
    ],
    ids=lambda value: type(value).__name__,
)
def test_large_values_are_replaced_by_a_hash(value: object) -> None:
    assert is_marked(coderm_fingerprint(value))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (list(range(LONG)), [float(i) for i in range(LONG)]),
        ([0, 1] * LONG, [False, True] * LONG),
        ([0.0] * LONG, [-0.0] * LONG),
        ([2**60] * LONG, [float(2**60)] * LONG),
        ([1, 0.5] * LONG, [1.0, 0.5] * LONG),
        ({i: [i] for i in range(LONG)}, {i: [float(i)] for i in reversed(range(LONG))}),
        (set(range(LONG)), frozenset(map(float, range(LONG)))),
    ],
    ids=["int float", "int bool", "zeros", "beyond doubles", "mixed", "dicts", "sets"],
)
def test_equal_values_have_equal_fingerprints(one: object, other: object) -> None:
    assert one == other
    assert coderm_fingerprint(one) == coderm_fingerprint(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([1] * LONG, (1,) * LONG),
        ([[1]] * LONG, [(1,)] * LONG),
        ([[1, 1], []] * LONG, [[1], [1]] * LONG),
        (["ab", "c"] * LONG, ["a", "bc"] * LONG),
        (["1"] * LONG, [1] * LONG),
        ([None] * LONG, [0] * LONG),
        ([2**53] * LONG, [2**53 + 1] * LONG),
        ([str(i) for i in range(LONG)], [str(i + 1) for i in range(LONG)]),
        ([*range(LONG), 1], [*range(LONG), 2]),
        ("x" * 10**6, b"x" * 10**6),
        ({str(i): i for i in range(LONG)}, {str(i): i + 1 for i in range(LONG)}),
        (set(range(LONG)), set(range(1, LONG + 1))),
        ([0.5] * LONG, [0.5000000001] * LONG),
    ],
)
def test_different_values_have_different_fingerprints(one: object, other: object) -> None:
    assert one != other
    assert coderm_fingerprint(one) != coderm_fingerprint(other)


_SCALARS = (
    st.integers() | st.floats(allow_nan=False) | st.booleans() | st.none() | st.text(max_size=3) | st.binary(max_size=2)
)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(st.integers(0, 3), inner, max_size=3)
    ),
    max_leaves=10,
)


def digest(value: object) -> object:
    """Fingerprint of a value of any size."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fingerprint, "CODERM_LARGE", -1)
        patch.setattr(fingerprint, "CODERM_BLOCK", 3)
        return coderm_fingerprint(value)


@given(_VALUES, _VALUES)
def test_fingerprints_are_equal_exactly_where_values_are(one: object, other: object) -> None:
    assert (digest(one) == digest(other)) == (one == other)
    assert digest(one) == digest(copy.deepcopy(one))


def test_parts_that_are_no_plain_data_are_refused() -> None:
    with pytest.raises(TypeError, match="parts of type object"):
        coderm_fingerprint([object()] * LONG)


def test_ten_million_strings_take_seconds_not_minutes() -> None:
    value = [("Red", "Green", "Blue") * 10] * 333_333
    began = time.process_time()
    assert is_marked(coderm_fingerprint(value))
    assert time.process_time() - began < 30


def test_what_is_appended_to_programs_stands_alone_and_shadows_only_prefixed_names() -> None:
    appended = Path(fingerprint.__file__).read_text(encoding="utf-8").split(f"\n{CODERM_CUT}\n")[1]
    names: dict[str, Any] = {}
    exec(compile(appended, "<appended>", "exec", dont_inherit=True), names)
    assert is_marked(names["coderm_fingerprint"]("x" * 10**6))
    assert all(name.lower().startswith("coderm_") for name in names if name != "__builtins__")
    assert not any(isinstance(node, (ast.Import, ast.ImportFrom)) for node in ast.parse(appended).body)
