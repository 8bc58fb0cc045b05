"""What runs in a reader's process: bodies on standard input, what they ask for on standard output."""

from __future__ import annotations

import resource

import msgspec
from msgspec import Struct

from coderm_tasks.serve.reading import Bounds, Kind, Refused, read_request
from executor.child_process import follow_parent
from executor.inside.frames import pack, read_frame, write_all

__all__ = ["Asked", "main"]

_MOST_BYTES = 4 << 30
"""Address space: a syntax tree takes a hundred times its text."""


class Asked(Struct, frozen=True):
    """One body to read."""

    kind: Kind
    body: bytes


def main() -> None:
    """Serve until standard input ends."""
    first = read_frame(0)
    if first is None:
        return
    bounds = msgspec.msgpack.decode(first, type=Bounds)
    follow_parent()
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_BYTES, _MOST_BYTES))
    decoder = msgspec.msgpack.Decoder(Asked)
    while (frame := read_frame(0)) is not None:
        asked = decoder.decode(frame)
        try:
            answer = msgspec.msgpack.encode(read_request(asked.kind, asked.body, bounds))
        except MemoryError:
            answer = msgspec.msgpack.encode(Refused(422, "unreadable", "its texts take too much memory to read"))
        write_all(1, pack(answer))
