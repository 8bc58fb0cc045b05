"""A batch of jobs on its way through the lanes: what is still to be judged, what came back, the matrices."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress

import msgspec
import numpy as np
from msgspec import Struct

from executor import CellJob, PassMatrix, RunStats, Verdict
from executor.purity import sendable

__all__ = ["Piece", "Ticket"]


class Piece(Struct, eq=False):
    """One distinct solution of one job: as much as a lane is given at a time."""

    ticket: Ticket
    job: int
    """Index of the job in its batch."""
    rows: list[int]
    """Samples with this solution."""
    attempts: int = 0

    def work(self) -> CellJob:
        """Return the job of this one solution."""
        job = self.ticket.jobs[self.job]
        return msgspec.structs.replace(job, solutions=(job.solutions[self.rows[0]],))


class Ticket:
    """One batch. Its methods are called by the scheduler, one at a time."""

    def __init__(self, jobs: list[CellJob], deadline: float | None) -> None:
        """Args:
        jobs: may be none, and may have no solutions or no tests.
        deadline: as :func:`time.monotonic` tells time; None: as long as it takes.
        """
        self.jobs = [_clean(job) for job in jobs]
        self.deadline = deadline
        self.future: Future[list[PassMatrix]] = Future()
        shapes = [(len(job.solutions), len(job.tests)) for job in jobs]
        self._letters = [np.full(shape, ord(Verdict.NOT_RUN.value), dtype=np.uint8) for shape in shapes]
        self._shared = [np.zeros(shape, dtype=np.bool_) for shape in shapes]
        self._stats = [RunStats() for _ in jobs]
        self.pending = deque(piece for number in range(len(jobs)) for piece in self._pieces(number))
        self._open = len(self.pending)

    def _pieces(self, number: int) -> list[Piece]:
        job = self.jobs[number]
        rows: dict[str, list[int]] = {}
        for row, solution in enumerate(job.solutions if job.tests else ()):
            rows.setdefault(solution, []).append(row)
        return [Piece(self, number, same) for same in rows.values()]

    @property
    def closed(self) -> bool:
        """Whether nobody waits for it any more, or there is nothing to wait for."""
        return self.future.done()

    def take(self, piece: Piece, found: PassMatrix) -> None:
        """Enter the verdicts of a piece, whose matrix has one row; the last one gives the batch its result."""
        self._letters[piece.job][piece.rows] = found.letters
        self._shared[piece.job][piece.rows] = found.shared
        self._stats[piece.job] += found.stats
        self._open -= 1
        self.finish_if_complete()

    def finish_if_complete(self) -> None:
        """Give the result if nothing is open."""
        if self._open == 0:
            self.finish()

    def finish(self) -> None:
        """Give the result, with the rows that have no verdict by now NOT_RUN. Idempotent."""
        with suppress(InvalidStateError):  # whoever waited has given up
            self.future.set_result([self._matrix(number) for number in range(len(self.jobs))])
        self.pending.clear()

    def fail(self, error: Exception) -> None:
        """Give the error instead of a result. Idempotent."""
        with suppress(InvalidStateError):
            self.future.set_exception(error)
        self.pending.clear()

    def _matrix(self, number: int) -> PassMatrix:
        letters, total = self._letters[number].copy(), self._stats[number]
        stats = msgspec.structs.replace(
            total, cells=letters.size, unique_tests=len(set(self.jobs[number].tests))
        )  # each piece counted the tests anew
        return PassMatrix(self.jobs[number].job_id, letters, self._shared[number].copy(), stats)


def _clean(job: CellJob) -> CellJob:
    """Texts as the executor would send them on: what UTF-8 cannot hold does not get past a lane's pipe."""
    return msgspec.structs.replace(
        job,
        solutions=tuple(map(sendable, job.solutions)),
        tests=tuple(map(sendable, job.tests)),
        context=sendable(job.context),
    )
