"""Many batches, few lanes: who waits is served in turn, who is slow holds up nobody else, who is late is answered.

The unit of work is one distinct solution with all tests of its job (:class:`Piece`). Batches take turns, a piece each.
A lane whose piece takes long counts no longer as one of the ``workers`` that may run at the same time, so that a spare
one takes over; at a batch's deadline its lanes are killed, and what they had not judged stays NOT_RUN.
"""

from __future__ import annotations

import heapq
import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future

from msgspec import Struct

from coderm_tasks.reward.lane import Found, Lane, Work
from coderm_tasks.reward.ticket import Piece, Ticket
from executor import ExecutorError, SandboxError

__all__ = ["Load", "Scheduler"]

_log = logging.getLogger(__name__)

_ATTEMPTS = 3
"""Times a piece is tried, each time in a new lane, before the sandbox is said to have failed."""
_ATTEMPTS_BESIDE_OTHERS = 12
"""The same where other pieces were judged meanwhile: the sandbox works then, and where lanes are killed now and then,
they are so over the pieces that take longest."""
_STALLED_S = 2.0
"""Seconds after which a piece no longer counts as running: most take milliseconds."""


class Load(Struct, frozen=True):
    """What a scheduler has to do."""

    batches: int
    """Accepted and not yet answered."""
    waiting: int
    """Pieces that no lane has taken."""
    running: int
    replaced: int
    """Lanes that were replaced so far, because they failed or their batch's deadline passed."""
    failed: int
    """Batches that ended in an error so far."""


class _Run(Struct):
    """A piece in a lane."""

    piece: Piece
    since: float
    killed: bool = False


class _Slot:
    """A lane and the thread that drives it."""

    def __init__(self) -> None:
        self.inbox: queue.SimpleQueue[Piece | None] = queue.SimpleQueue()
        self.lane: Lane | None = None
        self.run: _Run | None = None


class Scheduler:
    """Judges batches of work, from any number of threads. Lanes start with the first batch."""

    def __init__(self, make_lane: Callable[[], Lane], *, workers: int, spares: int | None = None) -> None:
        """Args:
        make_lane: makes a lane; what it raises counts as a failure of the sandbox.
        workers: lanes that work at the same time.
        spares: lanes beyond those, which take over from stalled ones; None: as many as ``workers``.
        """
        self._make_lane = make_lane
        self._workers = workers
        self._changed = threading.Condition()
        self._slots = [_Slot() for _ in range(workers + (workers if spares is None else spares))]
        self._idle = list(range(len(self._slots)))
        """A heap: slots whose lanes have started come first."""
        self._queue: deque[Ticket] = deque()
        self._tickets: set[Ticket] = set()
        self._replaced = self._failed = self._judged = 0
        self._closed = False
        self._threads = [
            threading.Thread(target=self._drive, args=(number,), daemon=True, name=f"coderm-lane-{number}")
            for number in range(len(self._slots))
        ]
        self._watch = threading.Thread(target=self._keep_watch, daemon=True, name="coderm-lane-watch")
        for thread in (*self._threads, self._watch):
            thread.start()

    def submit(self, works: Sequence[Work], *, deadline: float | None = None) -> Future[list[Found]]:
        """Have the works done; the future gives one result per work, in their order.

        At the deadline (by :func:`time.monotonic`) it gives what there is: rows without verdicts are NOT_RUN. Its
        exception is an :class:`executor.ExecutorError` where the sandbox failed. Cancel it to give the batch up: what
        waits is dropped, what runs is killed.

        Raises:
            SandboxError: the scheduler is closed.
        """
        ticket = Ticket(works, deadline)
        ticket.future.add_done_callback(self._give_up)
        with self._changed:
            if self._closed:
                raise SandboxError("this scheduler is closed; open another")
            self._tickets.add(ticket)
            self._queue.append(ticket)
            ticket.finish_if_complete()
            self._settle()
            self._changed.notify_all()
        return ticket.future

    def load(self) -> Load:
        """Count what there is to do."""
        with self._changed:
            return Load(
                batches=len(self._tickets),
                waiting=sum(len(ticket.pending) for ticket in self._tickets),
                running=sum(slot.run is not None for slot in self._slots),
                replaced=self._replaced,
                failed=self._failed,
            )

    def close(self, *, drain: bool = False) -> None:
        """Take no more batches and end the lanes. Idempotent.

        ``drain``: first finish what was accepted; otherwise its futures get a SandboxError.
        """
        with self._changed:
            self._closed = True
            if not drain:
                for ticket in self._tickets:
                    ticket.fail(SandboxError("the scheduler was closed before this was judged"))
            self._settle()
            self._changed.notify_all()
            while self._tickets:
                self._changed.wait()
            self._kill_stale()
        for slot in self._slots:
            slot.inbox.put(None)
        for thread in self._threads:
            thread.join()

    def _give_up(self, future: Future[list[Found]]) -> None:
        if future.cancelled():
            with self._changed:
                self._settle()
                self._changed.notify_all()

    # Under the lock.

    def _settle(self) -> None:
        """Drop batches that are over, kill their lanes, and give out what can be given out."""
        for ticket in [ticket for ticket in self._tickets if ticket.closed]:
            self._tickets.discard(ticket)
            ticket.pending.clear()
        self._kill_stale()
        now = time.monotonic()
        while self._idle and self._active(now) < self._workers and (piece := self._next()) is not None:
            number = heapq.heappop(self._idle)
            self._slots[number].run = _Run(piece, now)
            self._slots[number].inbox.put(piece)

    def _kill_stale(self) -> None:
        for slot in self._slots:
            if slot.run is not None and slot.run.piece.ticket.closed and not slot.run.killed:
                slot.run.killed = True
                if slot.lane is not None:
                    slot.lane.kill()

    def _active(self, now: float) -> int:
        return sum(slot.run is not None and now - slot.run.since < _STALLED_S for slot in self._slots)

    def _next(self) -> Piece | None:
        """The next piece; its batch goes to the end of the queue."""
        while self._queue:
            ticket = self._queue.popleft()
            if ticket.pending:
                piece = ticket.pending.popleft()
                if ticket.pending:
                    self._queue.append(ticket)
                return piece
        return None

    # The watch.

    def _keep_watch(self) -> None:
        with self._changed:
            while not self._closed or self._tickets:
                now = time.monotonic()
                for ticket in self._tickets:
                    if ticket.deadline is not None and ticket.deadline <= now:
                        ticket.finish()
                self._settle()
                self._changed.notify_all()
                self._changed.wait(self._next_event(now))

    def _next_event(self, now: float) -> float | None:
        """Seconds to the next deadline, or, where work waits, to the next lane that counts as stalled."""
        events = [ticket.deadline for ticket in self._tickets if ticket.deadline is not None]
        if self._queue:
            events += [slot.run.since + _STALLED_S for slot in self._slots if slot.run is not None]
        later = [event for event in events if event > now]
        return min(later) - now if later else None

    # The lanes' threads.

    def _drive(self, number: int) -> None:
        slot = self._slots[number]
        while (piece := slot.inbox.get()) is not None:
            found = self._judge(slot, piece)
            with self._changed:
                run, slot.run = slot.run, None
                spoiled = isinstance(found, Exception) or (run is not None and run.killed)
                self._replaced += spoiled
            if spoiled:
                self._end_lane(slot)
            with self._changed:
                if isinstance(found, Exception):
                    self._note_failure(piece, found)
                else:
                    self._judged += 1
                    if not piece.ticket.closed:
                        piece.ticket.take(piece, found)
                heapq.heappush(self._idle, number)
                self._settle()
                self._changed.notify_all()
        self._end_lane(slot)

    def _judge(self, slot: _Slot, piece: Piece) -> Found | Exception:
        try:
            if slot.lane is None:
                lane = self._make_lane()
                with self._changed:
                    slot.lane = lane
                    if slot.run is not None and slot.run.killed:
                        lane.kill()
            return slot.lane.judge(piece.work())
        except Exception as error:  # noqa: BLE001 - it belongs to whoever waits for the batch, not to this thread
            return error

    def _end_lane(self, slot: _Slot) -> None:
        lane, slot.lane = slot.lane, None
        if lane is not None:
            lane.close()

    def _note_failure(self, piece: Piece, error: Exception) -> None:
        ticket = piece.ticket
        if ticket.closed:  # killed because of that, mostly
            return
        if piece.failures == 0:
            piece.judged_before = self._judged
        piece.failures += 1
        most = _ATTEMPTS_BESIDE_OTHERS if self._judged > piece.judged_before else _ATTEMPTS
        _log.warning("a lane failed (%s), attempt %d of %d", error, piece.failures, most)
        if piece.failures < most and isinstance(error, ExecutorError):
            if not ticket.pending:
                self._queue.append(ticket)
            ticket.pending.append(piece)
            return
        self._failed += 1
        ticket.fail(error)
