"""Lanes for tests of the scheduler: the shipped fake executor, and lanes that wait, fail or die when told to."""

from __future__ import annotations

import threading

import numpy as np

from coderm_tasks.reward.lane import Found, Work
from executor import CellJob, Limits, SandboxError
from executor.fake import FakeExecutor

__all__ = ["FakeLane", "plus", "work"]


def plus(number: int) -> str:
    """A solution that adds a number."""
    return f"def f(x):\n    return x + {number}\n"


def work(solutions: list[str], tests: list[str], name: str = "job") -> Work:
    return Work(CellJob(job_id=name, entry_point="f", solutions=tuple(solutions), tests=tuple(tests)))


class FakeLane:
    """Judges in this process. A solution with ``WAIT`` in it is held until ``release`` is set or the lane is killed."""

    release = threading.Event()
    opened = 0
    failures: list[str] = []  # noqa: RUF012 - shared by all lanes on purpose: what the next judgements raise

    def __init__(self) -> None:
        type(self).opened += 1
        self._killed = threading.Event()
        self.judged: list[str] = []

    def judge(self, work: Work) -> Found:
        if self.failures:
            raise SandboxError(self.failures.pop())
        if "WAIT" in work.job.solutions[0]:
            while not self.release.wait(0.01):
                if self._killed.is_set():
                    raise SandboxError("killed")
        with FakeExecutor(Limits()) as executor:
            (matrix,) = executor.run([work.job])
        has_code = np.array([bool(text.strip()) for text in work.job.solutions])
        return Found(matrix, has_code, np.zeros(len(work.job.tests), dtype=np.bool_))

    def kill(self) -> None:
        self._killed.set()

    def close(self) -> None:
        pass
