"""A lane: a process with an executor of its own, which can be killed in the middle of its work.

An executor's run cannot be stopped from outside; a process can. So a batch's deadline is kept whatever the work does,
and reading solutions, looking into the cache and judging take place in the lanes rather than in the caller's process.
"""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from executor import (
    CacheError,
    CellJob,
    ExecutorError,
    Limits,
    PassMatrix,
    RunStats,
    SandboxError,
    SandboxMissing,
    child_process,
)
from executor.inside.frames import pack, read_frame, write_all

__all__ = ["Failed", "Found", "Judged", "Lane", "LaneSetup", "ProcessLane", "ReadAs", "Work", "process_lanes"]

_KINDS: dict[str, type[ExecutorError]] = {kind.__name__: kind for kind in (SandboxMissing, CacheError)}


class LaneSetup(Struct, frozen=True):
    """What a lane is told first."""

    limits: Limits
    cache: str | None
    """Folder of the cache of verdicts; None keeps none."""


class ReadAs(Struct, frozen=True):
    """How the code is taken out of a completion, in the lane, where reading too can be stopped."""

    prompt: str
    chat: bool
    """It is an answer rather than a continuation of the prompt."""


class Work(Struct, frozen=True):
    """A job, whose solutions may have to be read first."""

    job: CellJob
    read_as: ReadAs | None = None
    """None: the solutions are programs as they stand. Otherwise they are completions."""


class Found(Struct, frozen=True, eq=False):
    """What came of a work."""

    matrix: PassMatrix
    """Shape (N, M). A completion without code has a row of ERROR; a row without verdicts is NOT_RUN."""
    has_code: NDArray[np.bool_]
    """Shape (N,): whether there was any code; False also where nothing was read."""
    void: NDArray[np.bool_]
    """Shape (M,): tests that were found to test nothing, whatever the solution."""
    broken_context: bool = False
    """The context was found not to run: no test could be run by it."""


class Judged(Struct, frozen=True, tag="judged"):
    """A matrix on the way from a lane: verdict letters and shared marks row after row, a byte per row with code."""

    letters: bytes
    shared: bytes
    has_code: bytes
    void: bytes
    broken_context: bool
    stats: RunStats


class Failed(Struct, frozen=True, tag="failed"):
    """The sandbox, or the cache, failed."""

    kind: str
    """Name of the error's class."""
    message: str


class Lane(Protocol):
    """Does one work at a time."""

    def judge(self, work: Work) -> Found:
        """Read what is to be read, and return the verdicts.

        Raises:
            ExecutorError: the sandbox or the cache failed, or the lane was killed. The lane is of no use after that.
        """
        ...

    def kill(self) -> None:
        """End the lane's work at once, from any thread; :meth:`judge` then raises SandboxError."""
        ...

    def close(self) -> None:
        """End the lane and give back what it holds. From the thread that judges; idempotent."""
        ...


_ANSWERS = msgspec.msgpack.Decoder(Judged | Failed)


_END_S = 5.0
"""For a process whose pipe has ended to end itself."""


class ProcessLane:
    """A lane in a process of its own, which starts with the first job."""

    def __init__(self, setup: LaneSetup) -> None:
        self._setup = setup
        self._process: subprocess.Popen[bytes] | None = None
        self._killed = False

    def judge(self, work: Work) -> Found:
        """See :meth:`Lane.judge`. Texts must be encodable as UTF-8."""
        try:
            process = self._started()
            assert process.stdin is not None
            assert process.stdout is not None
            write_all(process.stdin.fileno(), pack(msgspec.msgpack.encode(work)))
            frame = read_frame(process.stdout.fileno())
        except OSError as error:
            raise SandboxError(f"a lane of the sandbox {self._end()} ({error})") from error
        if frame is None:
            raise SandboxError(f"a lane of the sandbox {self._end()}")
        answer = _ANSWERS.decode(frame)
        if isinstance(answer, Failed):
            raise _KINDS.get(answer.kind, SandboxError)(answer.message)
        shape = (len(work.job.solutions), len(work.job.tests))
        letters = np.frombuffer(answer.letters, dtype=np.uint8).reshape(shape)
        shared = np.frombuffer(answer.shared, dtype=np.bool_).reshape(shape)
        return Found(
            PassMatrix(work.job.job_id, letters, shared, answer.stats),
            np.frombuffer(answer.has_code, dtype=np.bool_),
            np.frombuffer(answer.void, dtype=np.bool_),
            answer.broken_context,
        )

    def _end(self) -> str:
        """How its process ended: one that is killed has said nothing."""
        if self._process is None:
            return "could not be started"
        try:
            code = self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            return "does not answer any more"
        if code < 0:
            return f"was killed by signal {-code} ({signal.strsignal(-code) or 'unknown'})"
        return f"ended with code {code}; what it said is on standard error"

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            self._process = child_process.start("coderm_tasks.reward.lane_process")
            if self._killed:  # while it was being started
                self._process.kill()
            assert self._process.stdin is not None
            write_all(self._process.stdin.fileno(), pack(msgspec.msgpack.encode(self._setup)))
        return self._process

    @property
    def pid(self) -> int | None:
        """Process id; None before the first job."""
        return None if self._process is None else self._process.pid

    def kill(self) -> None:
        """See :meth:`Lane.kill`. Closes no descriptor: the thread that judges may be about to read from one."""
        self._killed = True
        if self._process is not None:
            self._process.kill()

    def close(self) -> None:
        """See :meth:`Lane.close`."""
        process, self._process = self._process, None
        if process is not None:
            child_process.end(process)


def process_lanes(limits: Limits, cache: Path | None) -> Callable[[], ProcessLane]:
    """Return what makes lanes with these limits, all of them on one cache."""
    setup = LaneSetup(limits, None if cache is None else str(cache))
    return lambda: ProcessLane(setup)
