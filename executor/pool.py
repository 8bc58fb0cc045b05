"""Many boxes, one matrix: the local engine."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from executor.bwrap import box_plan
from executor.cache import VerdictCache
from executor.cells import CallShard, ShardCells, ShardReplies, Source
from executor.crew import Crew
from executor.jobs import CellPlan, call_texts, outcome_rows, sendable
from executor.model import CallJob, CellJob, Limits, Outputs, PassMatrix
from executor.purity import look_at
from executor.worker import Setup

__all__ = ["LocalExecutor", "open_executor"]

_CALL_CHUNK = 8
"""Solutions per shard of calls."""


class LocalExecutor:
    """Runs jobs in sandboxed worker processes on this machine. See :class:`executor.model.Executor`."""

    def __init__(self, *, workers: int = 0, limits: Limits | None = None, cache: Path | None = None) -> None:
        """Args:
        workers: worker processes, each with boxes of its own; 0 means one per core this process may use.
        cache: folder of the verdict cache; None keeps no verdicts.

        Raises:
            CacheError: the cache cannot be used.
            SandboxMissing: the sandbox cannot run on this machine.
        """
        self.limits = limits or Limits()
        self.workers = workers or len(os.sched_getaffinity(0))
        self._crew = Crew(self.workers, Setup(box_plan(), self.limits))
        self._cache = None if cache is None else VerdictCache(cache)

    def run(self, jobs: Iterable[CellJob]) -> Iterator[PassMatrix]:
        """Yield one matrix per job, as jobs finish. Raises SandboxError, CacheError."""
        plans: dict[int, tuple[CellPlan, float]] = {}
        pending = iter(enumerate(jobs))
        done: list[PassMatrix] = []

        def tickets() -> Iterator[tuple[Any, Any]]:
            for number, job in pending:
                plan = CellPlan(job, self.limits, self._cache)
                plans[number] = (plan, time.monotonic())
                if plan.open_shards == 0:
                    done.append(plan.matrix(time.monotonic() - plans.pop(number)[1]))
                    yield None, None
                for shard_number, shard in enumerate(plan.shards):
                    yield (number, shard_number), shard

        for ticket, answer in self._crew.map(tickets()):
            if ticket is not None:
                number, shard_number = ticket
                plan, started = plans[number]
                assert isinstance(answer, ShardCells)
                plan.take(shard_number, answer)
                if plan.open_shards == 0:
                    del plans[number]
                    done.append(plan.matrix(time.monotonic() - started))
            while done:
                yield done.pop(0)
        yield from done

    def call(self, jobs: Iterable[CallJob]) -> Iterator[Outputs]:
        """Yield the outputs of each job, as jobs finish. Raises SandboxError."""
        rows: dict[int, list[Any]] = {}
        open_jobs: dict[int, tuple[CallJob, list[int], int]] = {}

        def tickets() -> Iterator[tuple[Any, Any]]:
            for number, job in enumerate(jobs):
                solutions = [sendable(solution) for solution in job.solutions]
                facts = [look_at(solution) for solution in solutions]
                first = {fact.key: index for index, fact in reversed(list(enumerate(facts)))}
                unique = sorted(first.values())
                places = {facts[index].key: place for place, index in enumerate(unique)}
                rows[number] = [None] * len(unique)
                open_jobs[number] = (job, [places[fact.key] for fact in facts], len(unique))
                texts = call_texts(job)
                if not unique:
                    yield (number, 0, 0), None
                for at in range(0, len(unique), _CALL_CHUNK):
                    sources = [Source(solutions[i], facts[i].stateless) for i in unique[at : at + _CALL_CHUNK]]
                    yield (
                        (number, at, len(sources)),
                        CallShard(job.entry_point, tuple(sources), texts, job.limits, job.in_order),
                    )

        for (number, at, count), answer in self._crew.map(tickets()):
            job, places, left = open_jobs[number]
            if count:
                assert isinstance(answer, ShardReplies)
                rows[number][at : at + count] = outcome_rows(answer)
            if left > count:
                open_jobs[number] = (job, places, left - count)
                continue
            del open_jobs[number]
            table = rows.pop(number)
            yield Outputs(job.job_id, tuple(table[place] for place in places))

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
