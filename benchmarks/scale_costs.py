"""Measure what the model of docs/scale.md is made of: workers' seconds per solution, the driver's CPU per shard.

    ray start --head --num-cpus 1
    python benchmarks/scale_costs.py --data ../shared/data --problems 16 --json costs.json [--ray-address auto]
    python benchmarks/scale_costs.py --data ../shared/data --problems 16

Both need the cluster, and say so at once where there is none. Run by hand on an otherwise idle machine, before
benchmarks/scale_sim.py, which reads the file.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
from meter import Cost  # noqa: F401 - first: it mends the path
from msgspec import Struct
from need import need_cluster
from real_data import POLICIES, jobs_of, use_datasets
from rich.console import Console

from executor import CellJob, Limits, open_executor
from executor.bwrap import box_plan
from executor.cache import ResultCache
from executor.cgroup import group_homes
from executor.crew import Worker
from executor.jobs import CellPlan
from executor.judging import PlanBook
from executor.shards import CellShard, ShardCells
from executor.worker import Setup

LIMITS = Limits()


class Problem(Struct, frozen=True):
    """One problem, as measured."""

    job_id: str
    solutions: int
    """Sampled."""
    tests: int
    solution_s: tuple[float, ...]
    """Seconds of a worker for each distinct solution on all tests."""
    book_s: float
    """Seconds of a worker to look at the tests, once per problem."""
    shard_bytes: tuple[int, int]
    """Of a shard: what all of them carry (tests, context), and what each solution adds."""


class Costs(Struct, frozen=True):
    """Everything scale_sim.py needs."""

    problems: tuple[Problem, ...]
    plan_s: float
    """Driver CPU per sampled solution: parse, compare, look up, encode."""
    take_s: float
    """Driver CPU per shard's answer: enter, and write to the cache."""
    ray_s: float
    """Driver CPU per call of Ray's, one parcel of shards: send, answer, all threads."""
    local_s: float
    """The same for the pipes of the local engine, per shard."""


def apart(shard: CellShard) -> Iterator[CellShard]:
    """The same work, one solution a shard."""
    for place, solution in enumerate(shard.solutions):
        yield msgspec.structs.replace(
            shard,
            solutions=(solution,),
            wanted=shard.wanted[place : place + 1],
            audited=shard.audited[place : place + 1],
            votes=shard.votes[place : place + 1],
        )


def problem_of(job: CellJob, worker: Worker) -> Problem:
    """Serve each distinct solution by itself."""
    shards = [one for _, shard in CellPlan(job, LIMITS, None).shards() for one in apart(shard)]
    seconds = []
    for shard in shards:
        started = time.perf_counter()
        worker.ask(shard)
        seconds.append(time.perf_counter() - started)
    started = time.process_time()
    book = PlanBook(shards[0].entry_point, shards[0].context, shards[0].tests, LIMITS.cpu_s)
    for test in range(len(shards[0].tests)):
        book.plan_for(test, shards[0].solutions[0].text)
    book_s = time.process_time() - started
    seconds[0] = max(0.0, seconds[0] - book_s)
    whole = statistics.mean(len(msgspec.msgpack.encode(shard)) for shard in shards)
    text = statistics.mean(len(shard.solutions[0].text.encode()) for shard in shards)
    return Problem(
        job.job_id, len(job.solutions), len(job.tests), tuple(seconds), book_s, (round(whole - text), round(text))
    )


def driver_costs(jobs: Sequence[CellJob]) -> tuple[float, float]:
    """CPU seconds per sampled solution of planning, and per shard of taking the answer, with a cache on disk."""
    plan_s, take_s, solutions, shards = 0.0, 0.0, 0, 0
    with tempfile.TemporaryDirectory() as folder, ResultCache(Path(folder)) as cache:
        for job in jobs:
            started = time.process_time()
            plan = CellPlan(job, LIMITS, cache)
            work = list(plan.shards())
            for _, shard in work:
                msgspec.msgpack.encode(shard)
            plan_s += time.process_time() - started
            started = time.process_time()
            for number, shard in work:
                letters = tuple("P" * len(tests) for tests in shard.wanted)
                modes = tuple("l" * len(tests) for tests in shard.wanted)
                plan.take(number, ShardCells(letters, modes, ("",) * len(letters)))
            plan.matrix(0.0)
            take_s += time.process_time() - started
            solutions, shards = solutions + len(job.solutions), shards + len(work)
    return plan_s / solutions, take_s / shards


def transport_cost(opened: Any, shard: CellShard, times: int = 3000) -> float:
    """CPU seconds of this process per shard that is sent and answered and neither planned nor entered."""
    send: Callable[[Iterator[tuple[int, CellShard]]], Iterator[Any]] = opened._crew.map
    with opened:
        list(send(iter([(0, shard)])))
        started = time.process_time()
        for _ in send(zip(range(times), itertools.repeat(shard))):
            pass
        return (time.process_time() - started) / times


def measure(jobs: Sequence[CellJob], address: str | None) -> Costs:
    """All of it."""
    worker = Worker(Setup(box_plan(), LIMITS), group_homes())
    problems = []
    for job in jobs:
        problems.append(problem_of(job, worker))
        Console(stderr=True).print(f"{job.job_id}: {sum(problems[-1].solution_s):.2f} s for {len(job.tests)} tests")
    worker.close()
    plan_s, take_s = driver_costs(jobs)
    trivial = CellJob(
        job_id="j", entry_point="f", solutions=("def f(x):\n    return x\n",), tests=("assert f(1) == 1",)
    )
    ((_, shard),) = CellPlan(trivial, LIMITS, None).shards()
    shard = msgspec.structs.replace(shard, floor=0)  # which keeps the Ray engine from sending several at a time
    ray_s = transport_cost(open_executor(engine="ray", ray_address=address), shard)
    local_s = transport_cost(open_executor(workers=1), shard)
    return Costs(tuple(problems), plan_s, take_s, ray_s, local_s)


def run(jobs: Sequence[CellJob], address: str | None) -> None:
    """Run the problems on the cluster as it is, to hold the simulation against."""
    with open_executor(engine="ray", ray_address=address, limits=LIMITS) as executor:
        trivial = msgspec.structs.replace(jobs[0], solutions=jobs[0].solutions[:1], tests=jobs[0].tests[:1])
        list(executor.run([trivial]))  # a worker is up
        started = time.monotonic()
        cells = sum(matrix.letters.size for matrix in executor.run(jobs))
        seconds = time.monotonic() - started
    Console().print(f"on the cluster: {cells:,} cells in {seconds:.1f} s ({cells / seconds:,.0f} cells/s)")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="a folder laid out as ../shared/data")
    parser.add_argument("--policy", choices=POLICIES, default=POLICIES[0])
    parser.add_argument("--problems", type=int, default=16)
    parser.add_argument("--ray-address")
    parser.add_argument("--json", type=Path, help="where the costs go; without it the problems are run, no more")
    arguments = parser.parse_args()
    need_cluster(arguments.ray_address)
    with use_datasets(arguments.data):
        jobs = jobs_of(arguments.data, arguments.policy, problems=arguments.problems)
    if arguments.json is None:
        run(jobs, arguments.ray_address)
        return 0
    costs = measure(jobs, arguments.ray_address)
    arguments.json.write_bytes(msgspec.json.format(msgspec.json.encode(costs)))
    Console().print(
        f"driver: plan {1e3 * costs.plan_s:.2f} ms a solution, take {1e3 * costs.take_s:.2f} ms a shard, transport "
        f"{1e3 * costs.ray_s:.2f} ms a call (Ray) or {1e3 * costs.local_s:.2f} ms a shard (local)"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
