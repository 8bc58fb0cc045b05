"""What runs in a reader's process: bodies on standard input, what they ask for on standard output."""

from __future__ import annotations

import logging
import resource
import sys

import msgspec
from msgspec import Struct

from coderm_tasks.serve.reading import Bounds, Kind, Refused, read_request
from executor.child_process import follow_parent
from executor.inside.frames import pack, read_frame, write_all

__all__ = ["Asked", "main"]

_log = logging.getLogger(__name__)

_MOST_BYTES = 4 << 30
"""Address space: a syntax tree takes a hundred times its text."""


class Asked(Struct, frozen=True):
    """One body to read."""

    kind: Kind
    body: bytes


def main() -> None:
    """Serve until standard input ends."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(name)s: %(message)s")
    first = read_frame(0)
    if first is None:
        return
    bounds = msgspec.msgpack.decode(first, type=Bounds)
    follow_parent()
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_BYTES, _MOST_BYTES))
    decoder = msgspec.msgpack.Decoder(Asked)
    while (frame := read_frame(0)) is not None:
        write_all(1, pack(_answer(decoder.decode(frame), bounds)))


def _answer(asked: Asked, bounds: Bounds) -> bytes:
    try:
        return msgspec.msgpack.encode(read_request(asked.kind, asked.body, bounds))
    except MemoryError:
        return msgspec.msgpack.encode(Refused(422, "unreadable", "its texts take too much memory to read"))
    except Exception:  # noqa: BLE001 - logged, and answered as such
        # Ours to mend; to end here would have the same body read again by the next process.
        _log.exception("a request could not be read")
        return msgspec.msgpack.encode(Refused(500, "internal", "an error of the service's own while reading"))
