"""What the routes do: from an accepted body to scores or a matrix."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from coderm_tasks.reward.lane import Found
from coderm_tasks.reward.scheduler import Scheduler
from coderm_tasks.serve.admission import Admission, Place
from coderm_tasks.serve.gate import queue_full
from coderm_tasks.serve.metrics import Metrics
from coderm_tasks.serve.readers import Readers
from coderm_tasks.serve.reading import Kind, MatrixRead, Refused, RewardsRead
from coderm_tasks.serve.replies import ServeError
from coderm_tasks.serve.schema import MatrixReply, RewardsReply
from executor import ExecutorError, Verdict

__all__ = ["Service"]

_log = logging.getLogger(__name__)

_Result = TypeVar("_Result")


class Service:
    """The parts of one service, and the two things it does."""

    def __init__(self, scheduler: Scheduler, readers: Readers, admission: Admission, *, deadline_s: float) -> None:
        self.scheduler = scheduler
        self.readers = readers
        self.admission = admission
        self.metrics = Metrics(scheduler, readers, admission)
        self.sandbox_failed = False
        """So it was with the last request; before the first one, whoever made the lanes has tried them."""
        self._deadline_s = deadline_s

    async def rewards(self, body: bytes, place: Place) -> RewardsReply:
        """Reward a batch. Raises ServeError."""
        arrived = time.monotonic()
        read = await self._read("rewards", body, place, arrived)
        assert isinstance(read, RewardsRead)
        batch = read.batch
        found = await self._judged(lambda: batch.submit(self.scheduler, deadline=arrived + read.deadline_s))
        scores = await asyncio.to_thread(batch.scores, found)
        place.judged()
        self.metrics.scored(scores)
        return RewardsReply(items=tuple(scores), shared_passes=sum(score.shared for score in scores))

    async def matrix(self, body: bytes, place: Place) -> MatrixReply:
        """Fill a matrix. Raises ServeError."""
        arrived = time.monotonic()
        read = await self._read("matrix", body, place, arrived)
        assert isinstance(read, MatrixRead)
        work = read.work
        found = await self._judged(lambda: self.scheduler.submit([work], deadline=arrived + read.deadline_s))
        place.judged()
        matrix = found[0].matrix
        rows = tuple(matrix.rows())
        self.metrics.judged(rows, int((matrix.shared & matrix.passed).sum()))
        return MatrixReply(
            verdicts=rows,
            shared=tuple("".join("x" if one else "." for one in row) for row in matrix.shared.tolist()),
            complete=matrix.count(Verdict.NOT_RUN) == 0,
        )

    async def _read(self, kind: Kind, body: bytes, place: Place, arrived: float) -> RewardsRead | MatrixRead:
        try:
            read = await asyncio.wrap_future(self.readers.submit(kind, body, deadline=arrived + self._deadline_s))
        except ExecutorError as error:
            raise _failed(error) from error
        if isinstance(read, Refused):
            raise ServeError(read.status, read.code, read.message, retry_after_s=self.admission.retry_after_s())
        if not place.take_items(read.items):
            raise queue_full(self.admission)
        return read

    async def _judged(self, submit: Callable[[], Future[list[Found]]]) -> list[Found]:
        try:
            # In a thread, as a big batch takes a while to take apart.
            future = await _undone_if_cancelled(asyncio.to_thread(submit), lambda late: late.cancel())
            found = await asyncio.wrap_future(future)
        except ExecutorError as error:
            self.sandbox_failed = True
            raise _failed(error) from error
        self.sandbox_failed = False
        return found


def _failed(error: ExecutorError) -> ServeError:
    """The error's own message names files of this machine: it goes to the log."""
    _log.error("a request could not be judged: %s", error)
    return ServeError(
        503, "sandbox_failed", "the sandbox failed, and said why in the service's log: nothing was judged"
    )


async def _undone_if_cancelled(work: Coroutine[Any, Any, _Result], undo: Callable[[_Result], object]) -> _Result:
    """Await what cannot be stopped half-way; if nobody waits for it any more, undo what it did."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        task.add_done_callback(lambda done: done.cancelled() or done.exception() or undo(done.result()))
        raise
