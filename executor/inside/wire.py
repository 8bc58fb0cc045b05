"""Plain data on the wire: the only thing that crosses between a solution, the judge and the host.

The text is JSON. Scalars and lists stand for themselves; everything else is an object with one key that names its
type. Decoding builds nothing but the types listed here, so a solution cannot smuggle behaviour (an ``__eq__`` that is
always true, a ``str`` subclass) past the judge: subclasses arrive as the plain value they hold, other objects as
:class:`Opaque`, which equals nothing.
"""

from __future__ import annotations

import json
import re
import types
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable
from decimal import Decimal
from fractions import Fraction
from typing import Any

__all__ = [
    "MAX_DEPTH",
    "Opaque",
    "Unportable",
    "WireError",
    "check_hashes",
    "decode",
    "dumps",
    "encode",
    "is_plain",
    "loads",
    "text_of",
]

MAX_DEPTH = 150
MAX_DRAIN = 100_000
"""Items taken from an iterator before it is given up as unportable."""
MAX_RANGE = 1_000_000
MAX_EXPONENT = 10_000
"""Ranges and decimals beyond are short to write and endless to read."""
MAX_EQUAL_HASHES = 100
"""Elements of one set or dict that may share a hash: more is an attack on the reader's time."""

_INT_LIMIT = 1 << 63
_SURROGATE = re.compile("[\ud800-\udfff]")
_SCALARS = frozenset((str, int, float, bool, type(None)))
"""What stands for itself in JSON."""
_LAZY: tuple[type, ...] = (
    type(iter([])),
    type(iter(())),
    type(iter({})),
    type(iter(set())),
    type(iter(range(0))),
    type(iter("")),
    type(reversed([])),
    map,
    filter,
    zip,
    enumerate,
    types.GeneratorType,
)
_EMPTY: dict[Any, Any] = {}
_KEYS, _VALUES, _ITEMS = type(_EMPTY.keys()), type(_EMPTY.values()), type(_EMPTY.items())


class WireError(ValueError):
    """Bytes that no honest writer produced."""


class Unportable(TypeError):
    """A value that cannot be sent as plain data (too deep, too long)."""


class Opaque:
    """Stands for a value that is no plain data. Equal to nothing, has no length, cannot be iterated."""

    __slots__ = ("truth", "type_name")

    def __init__(self, type_name: str, truth: bool = True) -> None:
        self.type_name = type_name
        self.truth = truth

    def __bool__(self) -> bool:
        return self.truth

    def __eq__(self, other: object) -> bool:
        return False

    def __ne__(self, other: object) -> bool:
        return True

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<opaque {self.type_name}>"


def dumps(value: Any) -> str:
    """Encode ``value`` to ASCII JSON text. Raises Unportable."""
    return text_of(encode(value))


text_of = json.JSONEncoder(separators=(",", ":")).encode
"""ASCII JSON text of what JSON knows. ``json.dumps`` would build an encoder for every text."""


_ATOMS = (str, bool, int, float, type(None), bytes, complex, range, Fraction, Decimal)
_SEQUENCES = (list, tuple, set, frozenset, deque)
_MAPPINGS = (dict, OrderedDict, Counter)


def is_plain(value: Any, depth: int = 0) -> bool:
    """Tell whether ``value`` arrives on the other side as an equal value of the same type."""
    kind = type(value)
    if kind in _ATOMS or kind is bytearray:
        return True
    if depth > MAX_DEPTH:
        return False
    if kind in _SEQUENCES:
        return getattr(value, "maxlen", None) is None and all(is_plain(item, depth + 1) for item in value)
    if kind in _MAPPINGS:
        return all(is_plain(key, depth + 1) and is_plain(item, depth + 1) for key, item in value.items())
    return False


def loads(text: str | bytes) -> Any:
    """Decode what :func:`dumps` wrote. Raises WireError on anything else."""
    try:
        return decode(json.loads(text))
    except WireError:
        raise
    except (ValueError, TypeError, KeyError, RecursionError, OverflowError, MemoryError, ArithmeticError) as error:
        raise WireError(f"undecodable value: {type(error).__name__}") from None


def encode(value: Any, depth: int = 0) -> Any:
    """Return the JSON form of ``value``."""
    kind = type(value)
    if kind is str:
        return value if value.isascii() else _encode_text(value)
    if kind is bool or value is None or kind is float:
        return value
    if kind is int:
        return value if -_INT_LIMIT < value < _INT_LIMIT else {"i": hex(value)}
    if depth > MAX_DEPTH:
        raise Unportable("nested too deeply")
    depth += 1
    if kind is list:
        return [encode(item, depth) for item in value]
    if kind is tuple:
        return {"t": [encode(item, depth) for item in value]}
    if kind is dict:
        return {"d": _pairs(value.items(), depth)}
    return _encode_rare(value, kind, depth)


def _encode_text(value: str) -> Any:
    """JSON would make one character of two surrogates side by side."""
    return {"u": value.encode("utf-32-be", "surrogatepass").hex()} if _SURROGATE.search(value) else value


def _pairs(items: Iterable[tuple[Any, Any]], depth: int) -> list[list[Any]]:
    return [[encode(key, depth), encode(item, depth)] for key, item in items]


def _encode_rare(value: Any, kind: type, depth: int) -> Any:
    if kind is set:
        return {"s": [encode(item, depth) for item in value]}
    if kind is frozenset:
        return {"f": [encode(item, depth) for item in value]}
    if kind is bytes:
        return {"b": value.hex()}
    if kind is bytearray:
        return {"B": value.hex()}
    if kind is complex:
        return {"c": [value.real, value.imag]}
    if kind is range:
        return {"r": [encode(value.start), encode(value.stop), encode(value.step)]}
    if kind is Fraction:
        return {"F": [encode(value.numerator), encode(value.denominator)]}
    if kind is Decimal:
        return {"D": str(value)}
    if kind is Counter:
        return {"C": _pairs(value.items(), depth)}
    if kind is defaultdict:
        return {"dd": _pairs(value.items(), depth)}
    if kind is OrderedDict:
        return {"O": _pairs(value.items(), depth)}
    if kind is deque:
        return {"q": [encode(item, depth) for item in value]}
    if kind is _KEYS:
        return {"K": [encode(item, depth) for item in value]}
    if kind is _VALUES:
        return {"V": [encode(item, depth) for item in value]}
    if kind is _ITEMS:
        return {"I": _pairs(value, depth)}
    if kind in _LAZY:
        return {"g": _drain(value, depth)}
    return _encode_foreign(value, kind, depth)


def _drain(iterator: Iterable[Any], depth: int) -> list[Any]:
    items: list[Any] = []
    for item in iterator:
        if len(items) >= MAX_DRAIN:
            raise Unportable(f"iterator longer than {MAX_DRAIN}")
        items.append(encode(item, depth))
    return items


def _encode_foreign(value: Any, kind: type, depth: int) -> Any:
    """Subclasses of plain types travel as the plain value they hold, numpy scalars as Python's; the rest is opaque."""
    if kind.__module__ == "numpy" and getattr(value, "ndim", None) == 0:
        plain = value.item()
        if type(plain).__module__ != "numpy":
            return encode(plain, depth)
    if isinstance(value, int):
        return encode(int.__add__(value, 0), depth)
    if isinstance(value, float):
        return float.__add__(value, 0.0)
    if isinstance(value, str):
        return _encode_text(str.__str__(value))
    if isinstance(value, tuple):
        return {"t": [encode(item, depth) for item in tuple.__iter__(value)]}
    if isinstance(value, list):
        return [encode(item, depth) for item in list.__iter__(value)]
    if isinstance(value, dict):
        return {"d": _pairs(dict.items(value), depth)}
    if isinstance(value, set):
        return {"s": [encode(item, depth) for item in set.__iter__(value)]}
    if isinstance(value, frozenset):
        return {"f": [encode(item, depth) for item in frozenset.__iter__(value)]}
    return {"x": [kind.__name__[:80], bool(value)]}


def decode(node: Any, depth: int = 0) -> Any:
    """Rebuild the value of a JSON form."""
    kind = type(node)
    if kind is list:
        if depth > MAX_DEPTH + 2:
            raise WireError("nested too deeply")
        return [item if type(item) in _SCALARS else decode(item, depth + 1) for item in node]
    if kind is not dict:
        return node
    if len(node) != 1:
        raise WireError("an object with other than one key")
    ((tag, body),) = node.items()
    reader = _READERS.get(tag)
    if reader is None or depth > MAX_DEPTH + 2:
        raise WireError(f"unknown tag {tag[:8]!r}" if reader is None else "nested too deeply")
    return reader(body, depth + 1)


def _list(body: Any, depth: int) -> list[Any]:
    if type(body) is not list:
        raise WireError("a list was expected")
    return [item if type(item) in _SCALARS else decode(item, depth) for item in body]


def check_hashes(items: list[Any]) -> list[Any]:
    """Return the items, unless a set or dict of them would take quadratic time. Raises WireError, TypeError."""
    if len(items) > 1000:
        counts: dict[str, int] = {}
        for number in map(hash, items):
            # Keyed by text: a dict of the numbers themselves would suffer the very collisions looked for.
            key = str(number)
            counts[key] = counts.get(key, 0) + 1
        if max(counts.values()) > MAX_EQUAL_HASHES:
            raise WireError("too many equal hashes")
    return items


def _dict_pairs(body: Any, depth: int) -> Iterable[tuple[Any, Any]]:
    if type(body) is not list:
        raise WireError("a list of pairs was expected")
    keys, values = [], []
    for pair in body:
        if type(pair) is not list or len(pair) != 2:
            raise WireError("a pair was expected")
        keys.append(decode(pair[0], depth))
        values.append(decode(pair[1], depth))
    return zip(check_hashes(keys), values)


def _big_int(body: Any, depth: int) -> int:
    if type(body) is not str or not body.lstrip("-").startswith("0x"):
        raise WireError("a hexadecimal integer was expected")
    return int(body, 16)


def _numbers(body: Any, count: int, kinds: tuple[type, ...]) -> list[Any]:
    values = _list(body, MAX_DEPTH)
    if len(values) != count or any(type(value) not in kinds for value in values):
        raise WireError("numbers were expected")
    return values


def _text(body: Any) -> str:
    if type(body) is not str or len(body) > 100_000:
        raise WireError("a string was expected")
    return body


def _range(start: int, stop: int, step: int) -> range:
    value = range(start, stop, step)
    if len(value) > MAX_RANGE:
        raise WireError("a range too long")
    return value


def _decimal(text: str) -> Decimal:
    value = Decimal(text)
    if value.is_finite() and abs(value.adjusted()) > MAX_EXPONENT:
        raise WireError("a decimal with too large an exponent")
    return value


def _opaque(type_name: Any, truth: Any) -> Opaque:
    return Opaque(_text(type_name)[:80], truth is True)


def _counter(body: Any, depth: int) -> Counter[Any]:
    counter: Counter[Any] = Counter()
    for key, value in _dict_pairs(body, depth):
        dict.__setitem__(counter, key, value)
    return counter


_READERS: dict[str, Callable[[Any, int], Any]] = {
    "i": _big_int,
    "t": lambda body, depth: tuple(_list(body, depth)),
    "s": lambda body, depth: set(check_hashes(_list(body, depth))),
    "f": lambda body, depth: frozenset(check_hashes(_list(body, depth))),
    "d": lambda body, depth: dict(_dict_pairs(body, depth)),
    "b": lambda body, depth: bytes.fromhex(body),
    "B": lambda body, depth: bytearray.fromhex(body),
    "c": lambda body, depth: complex(*_numbers(body, 2, (float, int))),
    "r": lambda body, depth: _range(*_numbers(body, 3, (int,))),
    "F": lambda body, depth: Fraction(*_numbers(body, 2, (int,))),
    "D": lambda body, depth: _decimal(_text(body)),
    "C": _counter,
    "dd": lambda body, depth: defaultdict(None, _dict_pairs(body, depth)),
    "O": lambda body, depth: OrderedDict(_dict_pairs(body, depth)),
    "q": lambda body, depth: deque(_list(body, depth)),
    "K": lambda body, depth: dict.fromkeys(check_hashes(_list(body, depth))).keys(),
    "V": lambda body, depth: dict(enumerate(_list(body, depth))).values(),
    "I": lambda body, depth: dict(_dict_pairs(body, depth)).items(),
    "g": lambda body, depth: iter(_list(body, depth)),
    "u": lambda body, depth: bytes.fromhex(body).decode("utf-32-be", "surrogatepass"),
    "x": lambda body, depth: _opaque(*_list(body, depth)),
}
