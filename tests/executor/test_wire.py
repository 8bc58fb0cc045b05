"""Plain data crosses unchanged; nothing else crosses as itself."""

from __future__ import annotations

import math
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor.inside import wire

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(),
    st.binary(),
    st.complex_numbers(allow_nan=False),
)
KEYS = st.one_of(st.integers(), st.text(), st.booleans(), st.tuples(st.integers(), st.text()))
PLAIN = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(KEYS, inner, max_size=4),
        st.frozensets(KEYS, max_size=4),
        st.sets(KEYS, max_size=4),
    ),
    max_leaves=20,
)


@given(PLAIN)
def test_plain_data_arrives_equal_and_of_the_same_type(value: Any) -> None:
    arrived = wire.loads(wire.dumps(value))
    assert arrived == value
    assert type(arrived) is type(value)
    assert wire.is_plain(value)


@pytest.mark.parametrize(
    "value",
    [
        2**100, -(2**64), Fraction(1, 3), Decimal("1.10"), range(1, 9, 2), bytearray(b"x"), Counter("aab"), OrderedDict(a=1),
        deque([1, 2]), {"a": 1}.keys(), {"a": 1}.items(), float("inf"), -0.0, "\ud800", "\0", (), [[]],
    ],
)  # fmt: skip
def test_rarer_plain_types_arrive_too(value: Any) -> None:
    arrived = wire.loads(wire.dumps(value))
    assert arrived == value
    assert type(arrived) is type(value)


def test_nan_arrives() -> None:
    assert math.isnan(wire.loads(wire.dumps(float("nan"))))


def test_an_iterator_arrives_as_an_iterator_over_the_same_items() -> None:
    assert list(wire.loads(wire.dumps(x * x for x in range(3)))) == [0, 1, 4]
    assert list(wire.loads(wire.dumps(map(str, [1])))) == ["1"]


class Liar(str):
    """Claims to equal everything."""

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = str.__hash__


class Thing:
    def __bool__(self) -> bool:
        return False

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = None  # type: ignore[assignment]


def test_a_subclass_arrives_as_the_plain_value_it_holds() -> None:
    arrived = wire.loads(wire.dumps(Liar("wrong")))
    assert type(arrived) is str
    assert arrived != "right"
    Point = namedtuple("Point", "x y")
    assert wire.loads(wire.dumps(Point(1, 2))) == (1, 2)
    assert wire.loads(wire.dumps(True)) is True


def test_an_object_arrives_as_something_that_equals_nothing_and_keeps_its_truth() -> None:
    arrived = wire.loads(wire.dumps([Thing()]))[0]
    assert isinstance(arrived, wire.Opaque)
    assert arrived != arrived
    assert not arrived
    assert wire.loads(wire.dumps(object()))


@pytest.mark.parametrize(
    "value", [Liar("x"), Thing(), lambda: 1, defaultdict(int), [Thing()], {1: len}, deque([1], maxlen=2), iter([])]
)
def test_what_would_change_on_the_way_is_not_plain(value: Any) -> None:
    assert not wire.is_plain(value)


def test_endless_and_bottomless_values_are_refused_by_the_writer() -> None:
    import itertools

    with pytest.raises(wire.Unportable):
        wire.dumps(x for x in itertools.count())
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(wire.Unportable):
        wire.dumps(loop)


@pytest.mark.parametrize(
    "text",
    [
        "", "{", '{"z":1}', '{"t":1}', '{"t":[1],"s":[2]}', "{}", '{"i":5}', '{"i":"12"}', '{"d":[[1]]}', '{"s":[[1]]}',
        '{"b":"zz"}', '{"F":[1,0]}', '{"c":["a","b"]}', '{"D":"nonsense"}', '{"r":[1,2,0]}', '{"x":[1]}', "[" * 100_000,
        '{"t":[' * 5000, "1" * 5000, '{"d":{"a":1}}', '{"f":5}', '{"C":7}', '{"i":"0x"}', '{"x":[5,5]}',
    ],
)  # fmt: skip
def test_what_no_honest_writer_wrote_is_refused(text: str) -> None:
    with pytest.raises(wire.WireError):
        wire.loads(text)


def test_a_set_built_to_collide_is_refused_before_it_is_built() -> None:
    modulus = (1 << 61) - 1
    with pytest.raises(wire.WireError, match="equal hashes"):
        wire.loads(
            wire.dumps([0])[:-2] + '{"s":[' + ",".join(f'{{"i":"{hex(k * modulus)}"}}' for k in range(2000)) + "]}]"
        )
