"""A worker process of the local engine: takes shards on standard input, answers on standard output.

Trusted code on both ends of that pipe; the untrusted code is in the worker's boxes.
"""

from __future__ import annotations

import logging
import sys

import msgspec
from msgspec import Struct

from executor.bwrap import box_plan
from executor.cells import CallShard, CellRunner, CellShard, ShardCells, ShardReplies
from executor.errors import SandboxError
from executor.inside.frames import pack, read_frame, write_all
from executor.model import Limits
from executor.sessions import Sessions

__all__ = ["Failure", "Request", "Response", "main"]

Request = CellShard | CallShard
_REQUESTS = msgspec.msgpack.Decoder(Request)


class Failure(Struct, frozen=True, tag="failure"):
    """The sandbox failed."""

    message: str


Response = ShardCells | ShardReplies | Failure


def main() -> None:
    """Serve until standard input ends. The first frame holds the limits."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(name)s: %(message)s")
    first = read_frame(0)
    if first is None:
        return
    limits = msgspec.msgpack.decode(first, type=Limits)
    sessions = Sessions(box_plan(), limits)
    runner = CellRunner(sessions, limits)
    try:
        while (frame := read_frame(0)) is not None:
            write_all(1, pack(msgspec.msgpack.encode(_serve(runner, _REQUESTS.decode(frame)))))
    finally:
        sessions.close()


def _serve(runner: CellRunner, shard: Request) -> Response:
    try:
        return runner.cells(shard) if isinstance(shard, CellShard) else runner.calls(shard)
    except SandboxError as error:
        return Failure(str(error))
