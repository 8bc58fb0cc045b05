"""Many boxes, one matrix: what every engine does with plans and shards, and the local engine."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, TypeVar

from executor.bwrap import box_plan
from executor.cache import ResultCache
from executor.call_jobs import CallPlan
from executor.crew import Crew
from executor.doctor import require_sandbox
from executor.errors import LimitsError
from executor.jobs import CellPlan
from executor.model import CallJob, CellJob, Limits, Outputs, PassMatrix
from executor.worker import Request, Response, Setup

__all__ = ["ENGINES", "LocalExecutor", "ShardExecutor", "Workforce", "check_workers", "open_executor", "require_engine"]

ENGINES = ("local", "ray")

_Plan = TypeVar("_Plan", CellPlan, CallPlan)
_Executor = TypeVar("_Executor", bound="ShardExecutor")


class Workforce(Protocol):
    """Who works off the shards of an engine: worker processes here (:class:`executor.crew.Crew`), or elsewhere."""

    def map(self, tickets: Iterator[tuple[Any, Request | None]]) -> Iterator[tuple[Any, Response | None]]:
        """Serve ``(ticket, shard)`` pairs, yield each ticket once, with its answer, in order of completion.

        A bounded number of pairs is taken ahead of their answers. A pair without a shard comes back at once.

        Raises:
            SandboxError: a box, or a worker, failed for good.
        """
        ...

    def close(self) -> None:
        """End all workers. Idempotent."""
        ...


class ShardExecutor:
    """Plans jobs, has a workforce work off their shards, and keeps the results. See :class:`executor.model.Executor`.

    Plans and the cache are the caller's process's whoever does the work: what is known is never shipped.
    """

    def __init__(self, crew: Workforce, limits: Limits, cache: Path | None) -> None:
        self.limits = limits
        self._crew = crew
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

    def __enter__(self: _Executor) -> _Executor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class LocalExecutor(ShardExecutor):
    """Runs jobs in sandboxed worker processes on this machine."""

    _crew: Crew

    def __init__(self, *, workers: int = 0, limits: Limits | None = None, cache: Path | None = None) -> None:
        """Args:
        workers: worker processes, each with boxes of its own; 0 means one per core this process may use.
        cache: folder of the cache of results; None keeps none.

        Raises:
            CacheError: the cache cannot be used.
            LimitsError: fewer than no workers.
            SandboxMissing: the sandbox cannot run on this machine.
        """
        check_workers(workers)
        limits = limits or Limits()
        self.workers = workers or len(os.sched_getaffinity(0))
        super().__init__(Crew(self.workers, Setup(box_plan(), limits)), limits, cache)

    def warm(self) -> None:
        """Have the workers and their boxes start now, in the background.

        Raises nothing: one that does not start is found by the job that needs it.
        """
        self._crew.warm()


def open_executor(
    *,
    workers: int = 0,
    limits: Limits | None = None,
    cache: Path | None = None,
    engine: str = "local",
    ray_address: str | None = None,
    warm: bool = False,
) -> ShardExecutor:
    """Check that boxes can be made, then return the engine.

    Args:
        workers: worker processes; 0: one per core of this machine, or per CPU of the Ray cluster.
        limits: limits of a cell.
        cache: folder of the cache of results, on this machine; None keeps none.
        engine: ``local``, or ``ray`` for the nodes of a Ray cluster.
        ray_address: HOST:PORT of the cluster's head; None: the one that RAY_ADDRESS names or that runs here.
        warm: start the workers now rather than with the first job: for whoever has other things to do until then.

    Raises:
        SandboxMissing: the sandbox cannot run on this machine, or on no node; the message names what mends it.
        ClusterError: the Ray cluster cannot be used.
        CacheError: the cache cannot be used.
        LimitsError: fewer than no workers.
        ValueError: no such engine.
    """
    _check_engine(engine)
    if engine == "local":
        executor = LocalExecutor(workers=workers, limits=limits, cache=cache)
        if warm:
            executor.warm()
        return executor
    from executor.ray_engine import RayExecutor

    return RayExecutor(address=ray_address or "auto", workers=workers, limits=limits, cache=cache)


def require_engine(engine: str = "local", ray_address: str | None = None) -> None:
    """Check that an engine could be opened, and let go of it. Arguments and errors as of :func:`open_executor`."""
    _check_engine(engine)
    if engine == "local":
        require_sandbox()
        return
    from executor.ray_engine import require_cluster

    require_cluster(ray_address or "auto")


def check_workers(workers: int) -> None:
    """Raises LimitsError where the number is negative."""
    if workers < 0:
        raise LimitsError(f"workers is {workers}: expected at least 1, or 0 for one per core", "workers")


def _check_engine(engine: str) -> None:
    if engine not in ENGINES:
        raise ValueError(f"engine is {engine!r}: expected {' or '.join(ENGINES)}")
