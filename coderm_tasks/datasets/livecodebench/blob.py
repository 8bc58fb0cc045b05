"""Private tests as the data set packs them: base64 of zlib of a pickled JSON text. Nothing is ever unpickled.

A pickle is a program, and this one comes from a file that others wrote. What an honest file holds is one text, and a
pickled text is a handful of instructions: :func:`pickled_text` reads these and refuses every other.
"""

from __future__ import annotations

import base64
import binascii
import zlib

__all__ = ["LARGEST", "BlobError", "pickled_text", "unpack"]

LARGEST = 1 << 29
"""Bytes that the tests of one problem may unpack to: 512 MiB."""

_STEP = 1 << 22
_PROTOCOL, _FRAME, _STOP = 0x80, 0x95, 0x2E
_MEMOIZE = {0x94: 0, 0x71: 1, 0x72: 4}  # MEMOIZE, BINPUT, LONG_BINPUT, by the bytes of their arguments
_TEXT = {0x8C: 1, 0x58: 4, 0x8D: 8}  # SHORT_BINUNICODE, BINUNICODE, BINUNICODE8, by the bytes of their lengths
_NEWEST = 5


class BlobError(ValueError):
    """The text is no packed text. Says what it is instead, for the middle of a sentence."""


def unpack(blob: str, largest: int = LARGEST) -> str:
    """Return the text that was packed.

    Args:
        largest: bytes that it may unpack to; whatever says more is refused while it is being unpacked.

    Raises:
        BlobError: damaged, too large, or not the pickle of a text.
    """
    try:
        packed = base64.b64decode(blob, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BlobError(f"is no base64 ({error})") from error
    return pickled_text(_inflate(packed, largest))


def _inflate(packed: bytes, largest: int) -> bytes:
    machine = zlib.decompressobj()
    parts: list[bytes] = []
    size, rest = 0, packed
    try:
        while not machine.eof:
            part = machine.decompress(rest, min(_STEP, largest + 1 - size))
            rest = machine.unconsumed_tail
            if not part and not rest and not machine.eof:
                raise BlobError("is cut short: its compressed data has no end")
            parts.append(part)
            size += len(part)
            if size > largest:
                raise BlobError(f"unpacks to more than {largest:,} bytes")
    except zlib.error as error:
        raise BlobError(f"is no zlib data ({error})") from error
    if machine.unused_data:
        raise BlobError("has data after the end of its compressed data")
    return b"".join(parts)


def pickled_text(pickle: bytes) -> str:
    """Return the text that is all that ``pickle`` holds, by reading, not by unpickling.

    Raises:
        BlobError: any instruction that the pickle of a text does not need, or a malformed one.
    """
    text: str | None = None
    at, end = 0, len(pickle)
    if end < 2 or pickle[0] != _PROTOCOL or not 2 <= pickle[1] <= _NEWEST:
        raise BlobError(f"holds no pickle of protocol 2 to {_NEWEST}")
    at = 2
    while at < end:
        code, at = pickle[at], at + 1
        if code == _STOP:
            if text is None or at != end:
                raise BlobError("holds a pickle without a text, or with data after its end")
            return text
        if code in _TEXT and text is None:
            text, at = _read_text(pickle, at, _TEXT[code])
        elif code == _FRAME:
            at += 8
        elif code in _MEMOIZE and text is not None:
            at += _MEMOIZE[code]
        else:
            raise BlobError(
                f"holds a pickle that is not just a text: byte {at - 1} is instruction 0x{code:02x}; it was not run"
            )
    raise BlobError("holds a pickle that is cut short")


def _read_text(pickle: bytes, at: int, width: int) -> tuple[str, int]:
    start = at + width
    stop = start + int.from_bytes(pickle[at:start], "little")
    if stop > len(pickle):
        raise BlobError("holds a pickle whose text is cut short")
    try:
        return str(memoryview(pickle)[start:stop], "utf-8"), stop
    except UnicodeDecodeError as error:
        raise BlobError("holds a text that is not UTF-8") from error
