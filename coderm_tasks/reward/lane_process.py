"""What runs in a lane's process: jobs on standard input, matrices on standard output (see :mod:`.lane`)."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import msgspec

from coderm_tasks.extract import extract_solution
from coderm_tasks.model import GroundTruth, Problem
from coderm_tasks.reward.lane import Failed, Judged, LaneSetup, ReadAs, Work
from coderm_tasks.reward.stub import Stub
from executor import CellJob, Executor, ExecutorError, open_executor
from executor.child_process import follow_parent
from executor.inside.frames import pack, read_frame, write_all

__all__ = ["main"]

_WORK = msgspec.msgpack.Decoder(Work)


def main() -> None:
    """Serve until standard input ends or the sandbox fails: whoever needs more starts another lane."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(name)s: %(message)s")
    first = read_frame(0)
    if first is None:
        return
    setup = msgspec.msgpack.decode(first, type=LaneSetup)
    follow_parent()
    try:
        cache = None if setup.cache is None else Path(setup.cache)
        with open_executor(workers=1, limits=setup.limits, cache=cache) as executor:
            stub = Stub(executor)
            while (frame := read_frame(0)) is not None:
                _answer(_judge(executor, stub, _WORK.decode(frame)))
    except ExecutorError as error:
        _answer(Failed(type(error).__name__, str(error)))


def _answer(answer: Judged | Failed) -> None:
    write_all(1, pack(msgspec.msgpack.encode(answer)))


def _judge(executor: Executor, stub: Stub, work: Work) -> Judged:
    job = work.job if work.read_as is None else _read(work.job, work.read_as)
    (matrix,) = executor.run([job])
    has_code = bytes(bool(solution.strip()) for solution in job.solutions)
    void, broken_context = stub.faults(job, matrix) if any(has_code) else (bytes(len(job.tests)), False)
    return Judged(matrix.letters.tobytes(), matrix.shared.tobytes(), has_code, void, broken_context, matrix.stats)


def _read(job: CellJob, how: ReadAs) -> CellJob:
    problem = Problem(task_id=job.job_id, dataset="", prompt=how.prompt, entry_point=job.entry_point,
                      truth=GroundTruth(), context=job.context)  # fmt: skip
    return msgspec.structs.replace(
        job, solutions=tuple(extract_solution(text, problem, chat=how.chat) for text in job.solutions)
    )
