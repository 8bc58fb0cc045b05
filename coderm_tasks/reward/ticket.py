"""A batch of work on its way through the lanes: what is still to be judged, what came back, the matrices."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress

import msgspec
import numpy as np
from msgspec import Struct

from coderm_tasks.reward.lane import Found, ReadAs, Work
from executor import PassMatrix, RunStats, Verdict
from executor.purity import sendable

__all__ = ["Piece", "Ticket", "sendable_work"]


class Piece(Struct, eq=False):
    """One distinct solution of one job: as much as a lane is given at a time."""

    ticket: Ticket
    job: int
    """Index of the job in its batch."""
    rows: list[int]
    """Samples with this solution."""
    failures: int = 0
    """Lanes that failed over it."""
    judged_before: int = 0
    """Pieces that the scheduler had judged when the first of those failed."""

    def work(self) -> Work:
        """Return the work on this one solution."""
        work = self.ticket.works[self.job]
        job = msgspec.structs.replace(work.job, solutions=(work.job.solutions[self.rows[0]],))
        return Work(job, work.read_as)


class Ticket:
    """One batch. Its methods are called by the scheduler, one at a time."""

    def __init__(self, works: Sequence[Work], deadline: float | None) -> None:
        """Args:
        works: may be none, and may have no solutions or no tests.
        deadline: as :func:`time.monotonic` tells time; None: as long as it takes.
        """
        self.works = [sendable_work(work) for work in works]
        self.deadline = deadline
        self.future: Future[list[Found]] = Future()
        shapes = [(len(work.job.solutions), len(work.job.tests)) for work in works]
        self._letters = [np.full(shape, ord(Verdict.NOT_RUN.value), dtype=np.uint8) for shape in shapes]
        self._shared = [np.zeros(shape, dtype=np.bool_) for shape in shapes]
        self._has_code = [np.zeros(shape[0], dtype=np.bool_) for shape in shapes]
        self._void = [np.zeros(shape[1], dtype=np.bool_) for shape in shapes]
        self._broken = [False for _ in works]
        self._stats = [RunStats() for _ in works]
        self.pending = deque(piece for number in range(len(works)) for piece in self._pieces(number))
        self._open = len(self.pending)

    def _pieces(self, number: int) -> list[Piece]:
        job = self.works[number].job
        rows: dict[str, list[int]] = {}
        for row, solution in enumerate(job.solutions if job.tests else ()):
            rows.setdefault(solution, []).append(row)
        return [Piece(self, number, same) for same in rows.values()]

    @property
    def closed(self) -> bool:
        """Whether nobody waits for it any more, or there is nothing to wait for."""
        return self.future.done()

    def take(self, piece: Piece, found: Found) -> None:
        """Enter the verdicts of a piece, whose matrix has one row; the last one gives the batch its result."""
        self._letters[piece.job][piece.rows] = found.matrix.letters
        self._shared[piece.job][piece.rows] = found.matrix.shared
        self._has_code[piece.job][piece.rows] = found.has_code
        self._void[piece.job] |= found.void
        self._broken[piece.job] |= found.broken_context
        self._stats[piece.job] += found.matrix.stats
        self._open -= 1
        self.finish_if_complete()

    def finish_if_complete(self) -> None:
        """Give the result if nothing is open."""
        if self._open == 0:
            self.finish()

    def finish(self) -> None:
        """Give the result, with the rows that have no verdict by now NOT_RUN. Idempotent."""
        with suppress(InvalidStateError):  # whoever waited has given up
            self.future.set_result([self._found(number) for number in range(len(self.works))])
        self.pending.clear()

    def fail(self, error: Exception) -> None:
        """Give the error instead of a result. Idempotent."""
        with suppress(InvalidStateError):
            self.future.set_exception(error)
        self.pending.clear()

    def _found(self, number: int) -> Found:
        job, letters = self.works[number].job, self._letters[number].copy()
        # Each piece counted the tests anew.
        stats = msgspec.structs.replace(self._stats[number], cells=letters.size, unique_tests=len(set(job.tests)))
        matrix = PassMatrix(job.job_id, letters, self._shared[number].copy(), stats)
        return Found(matrix, self._has_code[number].copy(), self._void[number].copy(), self._broken[number])


def sendable_work(work: Work) -> Work:
    """The work with texts that UTF-8 can hold: others do not get past a pipe, and are no programs either."""
    if work.read_as is None:
        solutions, read_as = tuple(map(sendable, work.job.solutions)), None
    else:
        # Of a completion that holds half a surrogate pair somewhere, the code may still be whole.
        solutions = tuple(map(_replaced, work.job.solutions))
        read_as = ReadAs(_replaced(work.read_as.prompt), work.read_as.chat)
    job = msgspec.structs.replace(
        work.job, solutions=solutions, tests=tuple(map(sendable, work.job.tests)), context=sendable(work.job.context)
    )
    return Work(job, read_as)


def _replaced(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")
