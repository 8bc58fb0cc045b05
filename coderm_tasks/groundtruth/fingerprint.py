"""Fingerprints of outputs too large to carry out of the sandbox.

A few inputs of HumanEval+ and MBPP+ make even the reference return megabytes (HumanEval/130) or a gigabyte (Mbpp/255).
There this module's text from the mark on is appended to a program, reference and solution alike, and the call returns a
hash in place of the value. A solution gains nothing by forging one: it does not know the hash that is expected.

Values that are equal have equal fingerprints (``[1, 2.0]`` and ``[True, 2]``), tuples differ from lists, sets and dicts
have no order. The work is done column by column, at the speed of C for columns of one kind.

Below the mark: standard library only, nothing imported at the top and every name with a prefix, as all of it would
shadow names of the program; annotations in quotes, as theirs are not there.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

__all__ = ["CODERM_CUT", "CODERM_MARK", "coderm_fingerprint"]

CODERM_CUT = "# ---- appended from here ----"
# ---- appended from here ----
CODERM_MARK = "coderm:fingerprint"
CODERM_LARGE = 100_000
"""Weight from which a value is replaced: about its number of parts, and well under 4 MiB on the wire."""
CODERM_BLOCK = 16_384
"""Items hashed at a time, which bounds the memory used."""


def coderm_fingerprint(value: object) -> object:
    """Return ``value`` itself, or if it is large a mark and the hexadecimal SHA-256 of its canonical form."""
    import hashlib

    if coderm_weight(value) <= CODERM_LARGE:
        return value
    digest = hashlib.sha256()
    coderm_feed([value], digest.update)
    return (CODERM_MARK, digest.hexdigest())


def coderm_weight(value: object) -> int:
    """Return about the number of parts of ``value``, counted no further than needed to call it large."""
    total = 0
    pending: list[object] = [value]
    while pending and total <= CODERM_LARGE:
        item = pending.pop()
        if isinstance(item, (list, tuple, set, frozenset, dict)):
            total += len(item) + 1
            if total <= CODERM_LARGE:
                pending.extend(item)
                if isinstance(item, dict):
                    pending.extend(item.values())
        elif isinstance(item, (str, bytes, bytearray)):
            total += len(item) // 4 + 1
        else:
            total += item.bit_length() // 64 + 1 if isinstance(item, int) else 1
    return total


def coderm_feed(column: "list[Any]", update: "Callable[[bytes], object]") -> None:
    """Hash the canonical form of a list of values with ``update``."""
    import itertools

    if len(column) > CODERM_BLOCK:
        for at in range(0, len(column), CODERM_BLOCK):
            coderm_feed(column[at : at + CODERM_BLOCK], update)
        return
    kinds = set(map(type, column))
    if kinds <= {int, bool, float}:
        update(b"number %d;" % len(column) + coderm_numbers(column))
    elif kinds == {str}:
        coderm_texts(column, update)
    elif len(kinds) == 1 and kinds <= {list, tuple}:
        update((column[0].__class__.__name__ + " " + " ".join(map(str, map(len, column))) + ";").encode())
        coderm_feed(list(itertools.chain.from_iterable(column)), update)
    elif len(column) > 1:
        update(b"mixed;")
        for item in column:
            coderm_feed([item], update)
    else:
        coderm_feed_odd(column[0], update)


def coderm_texts(column: "list[str]", update: "Callable[[bytes], object]") -> None:
    """Hash a column of strings: as numbers into the list of different ones, if those are few, or else one by one."""
    names = sorted(set(column))
    if len(names) <= 256 < len(column):
        update(b"names;")
        coderm_texts(names, update)
        places = dict(zip(names, range(256)))
        update(bytes(map(places.__getitem__, column)))
    else:
        update(("text " + " ".join(map(str, map(len, column))) + ";").encode())
        update("".join(column).encode("utf-8", "surrogatepass"))


def coderm_feed_odd(item: object, update: "Callable[[bytes], object]") -> None:
    """Hash one value of a kind that has no fast way."""
    import hashlib

    def part(value: object) -> bytes:
        digest = hashlib.sha256()
        coderm_feed([value], digest.update)
        return digest.digest()

    if isinstance(item, (set, frozenset)) and coderm_sortable(item):
        update(b"sorted set;")
        coderm_feed(sorted(item), update)
    elif isinstance(item, (set, frozenset)):
        update(b"set;" + b"".join(sorted(map(part, item))))
    elif isinstance(item, dict) and coderm_sortable(item):
        update(b"sorted dict %d;" % len(item))
        names = sorted(item)
        coderm_feed(names, update)
        coderm_feed([item[name] for name in names], update)
    elif isinstance(item, dict):
        update(b"dict;" + b"".join(sorted(part(key) + part(value) for key, value in item.items())))
    elif isinstance(item, (bytes, bytearray)):
        update(b"bytes %d;" % len(item) + bytes(item))
    elif item is None or isinstance(item, complex):
        update(repr(item).encode() + b";")
    else:
        raise TypeError("a large value with parts of type " + type(item).__name__)


def coderm_sortable(items: "Iterable[Any]") -> bool:
    """Tell whether these are all numbers, or all strings, and so have one order only."""
    kinds = set(map(type, items))
    return kinds == {str} or (kinds <= {int, bool, float} and all(item == item for item in items))


def coderm_numbers(column: "list[int | float]") -> bytes:
    """Return the same bytes for columns of equal numbers."""
    import array
    import math

    if not column:
        return b""
    try:
        # Doubles hold such numbers exactly; adding 0.0 makes -0.0 the 0.0 that it equals.
        if all(map(math.isfinite, column)) and min(column) >= -(2**53) and max(column) <= 2**53:
            return array.array("d", map((0.0).__add__, column)).tobytes()
    except OverflowError:
        pass
    return b"".join(map(coderm_number, column))


def coderm_number(value: "int | float") -> bytes:
    """Return the same text for numbers that are equal."""
    if isinstance(value, float) and not value.is_integer():
        return value.hex().encode() + b" "
    return hex(int(value)).encode() + b" "
