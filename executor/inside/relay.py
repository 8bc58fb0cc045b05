"""Where the zygote keeps what passes through it: memory that its children do not inherit.

A child is a copy of the zygote. Whatever an earlier child wrote, or was given, and the zygote still holds anywhere, the
next one could search for: another solution's source, or its answers. Freed memory is no better, as neither the
interpreter nor the C library overwrites it. So none of it ever becomes an object of the interpreter.
"""

from __future__ import annotations

import mmap
import os

from .frames import HEAD, HEADER

__all__ = ["Relay"]

_SIZE = 1 << 20
"""Bytes at the start, and again after something larger has passed."""


class Relay:
    """A buffer that grows, in a map of its own that is left out of what ``fork`` copies (MADV_DONTFORK, madvise(2))."""

    def __init__(self) -> None:
        """Raises OSError where the kernel cannot leave memory out."""
        self._map = _unshared(_SIZE)
        self.used = 0

    def clear(self) -> None:
        """Forget what there is. No view of it may be left."""
        self.used = 0
        if len(self._map) > _SIZE:
            self._map.close()
            self._map = _unshared(_SIZE)

    def take(self, descriptor: int, most: int) -> int:
        """Read once, up to ``most`` bytes. Returns how many there were, 0 at the end of the stream."""
        size = len(self._map)
        if self.used + most > size:
            self._map.resize(max(2 * size, self.used + most))  # moves pages, copies nothing
        with memoryview(self._map) as whole, whole[self.used : self.used + most] as part:
            count = os.readv(descriptor, [part])
        self.used += count
        return count

    def fill(self, descriptor: int, size: int) -> bool:
        """Read until ``size`` bytes are here. Returns False where the stream ends before."""
        while self.used < size:
            if not self.take(descriptor, min(size - self.used, _SIZE)):
                return False
        return True

    def view(self, start: int, stop: int) -> memoryview:
        """These bytes in their place. To be released before anything else is read."""
        with memoryview(self._map) as whole:
            return whole[start:stop]

    def copy(self, start: int, stop: int) -> bytes:
        """These bytes as an object that every later child inherits: for the host's own words only."""
        return self._map[start:stop]

    def size_at(self, at: int) -> int:
        """The length that starts a frame at this place."""
        return int.from_bytes(self._map[at : at + HEADER], "big")

    def head_at(self, at: int) -> tuple[int, int]:
        """The length and the number that start a child's frame at this place."""
        size, number = HEAD.unpack_from(self._map, at)
        return size, number

    def set_head(self, at: int, size: int, number: int) -> None:
        """Write the length and the number that start a frame for a child."""
        HEAD.pack_into(self._map, at, size, number)


def _unshared(size: int) -> mmap.mmap:
    made = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    made.madvise(mmap.MADV_DONTFORK)
    return made
