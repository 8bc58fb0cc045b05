"""Length-prefixed frames on a pipe: four bytes, big-endian, then the body."""

from __future__ import annotations

import os

__all__ = ["HEADER", "pack", "read_frame", "write_all"]

HEADER = 4


def pack(body: bytes) -> bytes:
    """Prefix ``body`` with its length."""
    return len(body).to_bytes(HEADER, "big") + body


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of ``data`` to a blocking descriptor."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _read_exactly(descriptor: int, count: int) -> bytes | None:
    parts = []
    while count:
        part = os.read(descriptor, min(count, 1 << 20))
        if not part:
            return None
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def read_frame(descriptor: int) -> bytes | None:
    """Return the next body, or None at the end of the stream (also in the middle of a frame)."""
    head = _read_exactly(descriptor, HEADER)
    if head is None:
        return None
    return _read_exactly(descriptor, int.from_bytes(head, "big"))
