"""Many boxes, one matrix: the local engine."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from executor.bwrap import box_plan
from executor.cache import ResultCache
from executor.call_jobs import CallPlan
from executor.crew import Crew
from executor.errors import LimitsError
from executor.jobs import CellPlan
from executor.model import CallJob, CellJob, Limits, Outputs, PassMatrix
from executor.worker import Setup

__all__ = ["LocalExecutor", "open_executor"]

_Plan = TypeVar("_Plan", CellPlan, CallPlan)


class LocalExecutor:
    """Runs jobs in sandboxed worker processes on this machine. See :class:`executor.model.Executor`."""

    def __init__(self, *, workers: int = 0, limits: Limits | None = None, cache: Path | None = None) -> None:
        """Args:
        workers: worker processes, each with boxes of its own; 0 means one per core this process may use.
        cache: folder of the cache of results; None keeps none.

        Raises:
            CacheError: the cache cannot be used.
            LimitsError: fewer than no workers.
            SandboxMissing: the sandbox cannot run on this machine.
        """
        if workers < 0:
            raise LimitsError(f"workers is {workers}: expected at least 1, or 0 for one per core", "workers")
        self.limits = limits or Limits()
        self.workers = workers or len(os.sched_getaffinity(0))
        self._crew = Crew(self.workers, Setup(box_plan(), self.limits))
        self._cache = None if cache is None else ResultCache(cache)

    def run(self, jobs: Iterable[CellJob]) -> Iterator[PassMatrix]:
        """Yield one matrix per job, as jobs finish. Raises SandboxError, CacheError."""
        for plan, seconds in self._carry_out(CellPlan(job, self.limits, self._cache) for job in jobs):
            yield plan.matrix(seconds)

    def call(self, jobs: Iterable[CallJob]) -> Iterator[Outputs]:
        """Yield the outputs of each job, as jobs finish. Raises SandboxError, CacheError."""
        for plan, _ in self._carry_out(CallPlan(job, self.limits, self._cache) for job in jobs):
            yield plan.outputs()

    def _carry_out(self, plans: Iterator[_Plan]) -> Iterator[tuple[_Plan, float]]:
        """Have the crew work off the plans; yield each with its seconds when all its shards are back."""
        ready: list[tuple[_Plan, float]] = []

        def tickets() -> Iterator[tuple[Any, Any]]:
            for plan in plans:
                started = time.monotonic()
                if plan.open_shards == 0:
                    ready.append((plan, 0.0))
                    yield None, None
                for number, shard in plan.shards():
                    yield (plan, number, started), shard

        for ticket, answer in self._crew.map(tickets()):
            if ticket is not None:
                plan, number, started = ticket
                plan.take(number, answer)
                if plan.open_shards == 0:
                    ready.append((plan, time.monotonic() - started))
            while ready:
                yield ready.pop(0)

    def close(self) -> None:
        """End the workers and their boxes. Idempotent."""
        self._crew.close()
        if self._cache is not None:
            self._cache.close()

    def __enter__(self) -> LocalExecutor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_executor(*, workers: int = 0, limits: Limits | None = None, cache: Path | None = None) -> LocalExecutor:
    """Check that boxes can be made here, then return the local engine.

    Raises:
        SandboxMissing: the sandbox cannot run on this machine; the message names what mends it.
        CacheError: the cache cannot be used.
    """
    return LocalExecutor(workers=workers, limits=limits, cache=cache)
