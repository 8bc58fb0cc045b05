"""A worker process of the local engine: takes shards on standard input, answers on standard output.

Trusted code on both ends of that pipe; the untrusted code is in the worker's boxes.
"""

from __future__ import annotations

import logging
import sys

import msgspec
from msgspec import Struct

from executor.boxes import Boxes
from executor.call_runner import CallRunner
from executor.cells import CellRunner
from executor.child_process import follow_parent
from executor.errors import SandboxError
from executor.inside.frames import pack, read_frame, write_all
from executor.model import Limits
from executor.policy import BoxPlan
from executor.shards import CallShard, CellShard, ShardCells, ShardReplies

__all__ = ["Failure", "Request", "Response", "Setup", "main"]

Request = CellShard | CallShard
_REQUESTS = msgspec.msgpack.Decoder(Request)


class Setup(Struct, frozen=True):
    """What a worker is told first."""

    plan: BoxPlan
    limits: Limits


class Failure(Struct, frozen=True, tag="failure"):
    """The sandbox failed."""

    message: str


Response = ShardCells | ShardReplies | Failure


def main() -> None:
    """Serve until standard input ends. The first frame says how boxes are made, and with which limits."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(name)s: %(message)s")
    first = read_frame(0)
    if first is None:
        return
    setup = msgspec.msgpack.decode(first, type=Setup)
    follow_parent()
    boxes = Boxes(setup.plan, setup.limits)
    cells, calls = CellRunner(boxes, setup.limits), CallRunner(boxes, setup.limits)
    try:
        boxes.warm()
        while (frame := read_frame(0)) is not None:
            response = _serve(cells, calls, _REQUESTS.decode(frame))
            boxes.rest()
            write_all(1, pack(msgspec.msgpack.encode(response)))
    finally:
        boxes.close()


def _serve(cells: CellRunner, calls: CallRunner, shard: Request) -> Response:
    try:
        return cells.cells(shard) if isinstance(shard, CellShard) else calls.calls(shard)
    except SandboxError as error:
        return Failure(str(error))
