"""Length-prefixed frames on a pipe: four bytes, big-endian, then the body.

What travels between the zygote and its child starts with a number as well (:class:`Link`).
"""

from __future__ import annotations

import os
import struct

__all__ = ["HEAD", "HEADER", "NUMBER", "Link", "pack", "read_frame", "write_all"]

HEADER = 4
NUMBER = 8
"""Bytes of the number that a child's frames start with."""
HEAD = struct.Struct(">IQ")
"""What such a frame starts with: the length of what follows it, number included, and the number."""


def pack(body: bytes) -> bytes:
    """Prefix ``body`` with its length."""
    return len(body).to_bytes(HEADER, "big") + body


def write_all(descriptor: int, *parts: bytes | memoryview) -> None:
    """Write all parts, one after the other, to a blocking descriptor: together, as far as it takes them."""
    views = [memoryview(part) for part in parts if part]
    while views:
        count = os.writev(descriptor, views)
        while views and count >= len(views[0]):
            count -= len(views.pop(0))
        if views:
            views[0] = views[0][count:]


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


class Link:
    """A child's end of its pipes: requests come in on descriptor 3, answers go out on descriptor 4.

    Each request brings a number that nobody could foresee, and its answers count up from there. A frame that was not
    asked for, or comes late, is thereby told from an answer to what is asked now.
    """

    def __init__(self) -> None:
        self.number = 0

    def send(self, body: bytes) -> None:
        """Write the next answer."""
        write_all(4, HEAD.pack(NUMBER + len(body), self.number) + body)
        self.number += 1

    def receive(self) -> bytes | None:
        """Return the next request, or None where there will be none."""
        frame = read_frame(3)
        if frame is None:
            return None
        self.number = int.from_bytes(frame[:NUMBER], "big")
        return frame[NUMBER:]
