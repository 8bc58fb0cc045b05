"""What runs in a lane's process: jobs on standard input, matrices on standard output (see :mod:`.lane`)."""

from __future__ import annotations

import logging
import os
import select
import sys
import threading
from pathlib import Path

import msgspec

from coderm_tasks.reward.lane import Failed, Judged, LaneSetup
from executor import CellJob, Executor, ExecutorError, open_executor
from executor.inside.frames import pack, read_frame, write_all

__all__ = ["main"]

_JOBS = msgspec.msgpack.Decoder(CellJob)


def main() -> None:
    """Serve until standard input ends or the sandbox fails: whoever needs more starts another lane."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(name)s: %(message)s")
    first = read_frame(0)
    if first is None:
        return
    setup = msgspec.msgpack.decode(first, type=LaneSetup)
    threading.Thread(target=_follow_parent, daemon=True).start()
    try:
        cache = None if setup.cache is None else Path(setup.cache)
        with open_executor(workers=1, limits=setup.limits, cache=cache) as executor:
            while (frame := read_frame(0)) is not None:
                _answer(_judge(executor, _JOBS.decode(frame)))
    except ExecutorError as error:
        _answer(Failed(type(error).__name__, str(error)))


def _answer(answer: Judged | Failed) -> None:
    write_all(1, pack(msgspec.msgpack.encode(answer)))


def _judge(executor: Executor, job: CellJob) -> Judged:
    (matrix,) = executor.run([job])
    return Judged(matrix.letters.tobytes(), matrix.shared.tobytes(), matrix.stats)


def _follow_parent() -> None:
    """End with the parent, also in the middle of a job; the executor's worker ends with this process."""
    poller = select.poll()
    poller.register(0, 0)
    poller.poll()
    os._exit(1)
