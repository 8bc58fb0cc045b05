"""Simulate the Ray engine on clusters that are not at hand, event by event, from measured costs.

    python benchmarks/scale_sim.py costs.json [--cores 32] [--gbit 10] [--workers 1 2]

The costs are those of benchmarks/scale_costs.py; no cluster is needed here. What is simulated: one driver that plans,
sends, takes answers and writes the cache, all in one thread; its network link; workers that have two parcels of
shards each at most and look at a problem's tests once. Solutions are drawn from the measured ones with their problem.
Time that did not come from timeouts (below 0.2 s) is scaled with the number of tests. A shard is one solution, as the
engine makes them.

Rewards are another matter: every node judges its own rollouts on its own cores, without Ray and without a network, and
the step takes as long as the slowest node.
"""

from __future__ import annotations

import argparse
import heapq
import math
import random
import sys
from collections import OrderedDict, deque
from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec import Struct
from rich.console import Console
from rich.table import Table
from scale_costs import Costs

_DEPTH = 2
_PARCEL_S, _LARGEST_PARCEL = 0.25, 16
_BOOKS = 4
_TIMED_OUT_S = 0.2
_LATENCY_S = 0.0005
_ANSWER_BYTES = 400


class Load(Struct, frozen=True):
    """A piece of work."""

    name: str
    problems: int
    solutions: int
    tests: int
    """0: as many as were measured."""
    cached: bool = True
    """Verdicts are written to the cache."""
    apart: bool = False
    """Each node judges its share of the problems by itself, as rewards are; otherwise one driver feeds all nodes."""


class Shard(Struct, frozen=True):
    """As simulated."""

    problem: int
    seconds: float
    book_s: float
    plan_s: float
    """Driver's planning of the problem, on its first shard; 0 on the others."""
    size: int
    """Bytes."""
    cells: int
    count: int = 1
    """Shards of which this is the parcel."""

    def __add__(self, other: Shard) -> Shard:
        return Shard(
            self.problem,
            self.seconds + other.seconds,
            max(self.book_s, other.book_s),
            self.plan_s + other.plan_s,
            self.size + other.size,
            self.cells + other.cells,
            self.count + other.count,
        )


class Outcome(Struct, frozen=True):
    """Of one simulation."""

    seconds: float
    cells: int
    workers_busy: float
    """Mean share of the time."""
    driver_busy: float
    link_busy: float
    ideal_s: float
    """The workers' seconds over their number: no driver, no link, no end of the queue."""


def shards_of(load: Load, costs: Costs, rng: random.Random) -> Iterator[Shard]:
    """The shards of a load, in order."""
    for number in range(load.problems):
        problem = costs.problems[number % len(costs.problems)]
        tests = load.tests or problem.tests
        distinct = round(load.solutions * len(problem.solution_s) / problem.solutions)
        for place, seconds in enumerate(rng.choices(problem.solution_s, k=distinct)):
            yield Shard(
                problem=number,
                seconds=_scaled(seconds, tests / problem.tests),
                book_s=problem.book_s * tests / problem.tests,
                plan_s=0.0 if place else costs.plan_s * load.solutions,
                size=round(problem.shard_bytes[0] * tests / problem.tests + problem.shard_bytes[1]),
                cells=tests * load.solutions // distinct,
            )


def shares_of(load: Load, costs: Costs, nodes: int) -> list[list[Shard]]:
    """The shards by who sends them out: one driver, or every node its own."""
    shards = list(shards_of(load, costs, random.Random(0)))
    if not load.apart:
        return [shards]
    return [[shard for shard in shards if shard.problem % nodes == node] for node in range(nodes)]


def _scaled(seconds: float, factor: float) -> float:
    return seconds if seconds >= _TIMED_OUT_S else seconds * factor


class _Simulation:
    """The driver's thread is a server with a queue: events wait until it is free."""

    def __init__(
        self, shards: list[Shard], costs: Costs, workers: int, gbit: float, *, cached: bool = True, ray: bool = True
    ) -> None:
        self._take_s = costs.take_s if cached else costs.take_s / 4
        self._send_s = costs.ray_s if ray else costs.local_s
        self._ray = ray
        self._pace_s = 0.0
        self._bytes_s = gbit * 1e9 / 8
        self._todo = deque(shards)
        self._workers = [deque[Shard]() for _ in range(workers)]
        self._busy = [False] * workers
        self._books: list[OrderedDict[int, None]] = [OrderedDict() for _ in range(workers)]
        self._events: list[tuple[float, int, int, Shard | None]] = []
        self._count = 0
        self._driver_free = self._driver_s = self._link_free = self._link_s = self._work_s = 0.0

    def run(self) -> Outcome:
        workers = len(self._workers)
        cells, last = sum(shard.cells for shard in self._todo), 0.0
        for _ in range(_DEPTH):
            for worker in range(workers):
                self._send(worker, 0.0)
        while self._events:
            now, _, worker, answered = heapq.heappop(self._events)
            if answered is None:  # a shard has come to its worker
                self._begin(worker, now)
            elif answered.seconds >= 0:  # the worker is done with it
                self._busy[worker] = False
                each = answered.seconds / answered.count
                self._pace_s = 0.8 * self._pace_s + 0.2 * each if self._pace_s else each
                self._begin(worker, now)
                self._push(now + _LATENCY_S, worker, msgspec.structs.replace(answered, seconds=-1.0))
            else:  # the driver has the answer
                last = self._drive(now, self._take_s * answered.count)
                self._send(worker, last)
        return Outcome(
            last, cells, self._work_s / (workers * last), self._driver_s / last, self._link_s / last,
            self._work_s / workers,
        )  # fmt: skip

    def _push(self, at: float, worker: int, what: Shard | None) -> None:
        self._count += 1
        heapq.heappush(self._events, (at, self._count, worker, what))

    def _drive(self, now: float, seconds: float) -> float:
        self._driver_free = max(now, self._driver_free) + seconds
        self._driver_s += seconds
        return self._driver_free

    def _send(self, worker: int, now: float) -> None:
        if not self._todo:
            return
        shard = self._todo.popleft()
        for _ in range(self._parcel() - 1):
            shard += self._todo.popleft()
        sent = self._drive(now, shard.plan_s + self._send_s)
        seconds = (shard.size + _ANSWER_BYTES) / self._bytes_s
        self._link_free = max(sent, self._link_free) + seconds
        self._link_s += seconds
        self._workers[worker].append(shard)
        self._push(self._link_free + _LATENCY_S, worker, None)

    def _parcel(self) -> int:
        """As executor.ray_crew makes them: a quarter of a second's work, and the last ones shared out."""
        if not self._ray or not self._pace_s:
            return 1
        most = max(1, min(_LARGEST_PARCEL, round(_PARCEL_S / self._pace_s)))
        return min(most, 1 + len(self._todo) // (_DEPTH * len(self._workers)))

    def _begin(self, worker: int, now: float) -> None:
        """Let a worker go on to its next shard, if it is free and has one."""
        if self._busy[worker] or not self._workers[worker]:
            return
        shard = self._workers[worker].popleft()
        books = self._books[worker]
        seconds = shard.seconds + (0.0 if shard.problem in books else shard.book_s)
        books[shard.problem] = None
        books.move_to_end(shard.problem)
        while len(books) > _BOOKS:
            books.popitem(last=False)
        self._busy[worker] = True
        self._work_s += seconds
        self._push(now + seconds, worker, shard)


def simulate(load: Load, costs: Costs, nodes: int, cores: int, gbit: float) -> Outcome:
    """Run one load on so many nodes of so many workers each."""
    shares = shares_of(load, costs, nodes)
    if not load.apart:
        return _Simulation(shares[0], costs, nodes * cores, gbit, cached=load.cached).run()
    outcomes = [
        _Simulation(share, costs, cores, math.inf, cached=load.cached, ray=False).run() for share in shares if share
    ]
    seconds = max(outcome.seconds for outcome in outcomes)
    return Outcome(
        seconds,
        sum(outcome.cells for outcome in outcomes),
        sum(outcome.workers_busy * outcome.seconds for outcome in outcomes) / (nodes * seconds),
        max(outcome.driver_busy * outcome.seconds for outcome in outcomes) / seconds,
        0.0,
        max(outcome.ideal_s for outcome in outcomes),
    )


def bound(load: Load, costs: Costs, nodes: int, cores: int, gbit: float) -> tuple[float, str]:
    """The cost model in closed form: the slowest of workers, driver and link, were each alone; and which one it is."""
    shares = shares_of(load, costs, nodes)
    workers = cores if load.apart else nodes * cores
    gbit = math.inf if load.apart else gbit
    return max(_bound(share, load, costs, workers, gbit) for share in shares if share)


def _bound(shards: list[Shard], load: Load, costs: Costs, workers: int, gbit: float) -> tuple[float, str]:
    take_s = costs.take_s if load.cached else costs.take_s / 4
    seconds = sum(shard.seconds for shard in shards)
    largest = max(1, len(shards) // (_DEPTH * workers))
    parcel = 1 if load.apart else max(1, min(_LARGEST_PARCEL, largest, _PARCEL_S * len(shards) / seconds))
    send_s = (costs.local_s if load.apart else costs.ray_s) * len(shards) / parcel
    parts = {
        "workers": seconds / workers,
        "driver": sum(shard.plan_s for shard in shards) + len(shards) * take_s + send_s,
        "network": sum(shard.size + _ANSWER_BYTES for shard in shards) * 8 / (gbit * 1e9),
        "the longest shard": max(shard.seconds for shard in shards),
    }
    name = max(parts, key=lambda part: parts[part])
    return parts[name], name


POLICIES = 4
SETS = 164 + 378 + 168
"""Problems of HumanEval+, MBPP+ and the paper's part of LiveCodeBench (arXiv 2501.01054), all as those measured."""
LOADS = (
    Load("paper, HumanEval+: 4 x 164 x 100 x 100", POLICIES * 164, 100, 100),
    Load("paper, all three: 4 x 710 x 100 x 100", POLICIES * SETS, 100, 100),
    Load("RL step: 1,024 rollouts x 32 tests", 64, 16, 32, cached=False, apart=True),
)
NODES = (1, 8, 64)


def table(costs: Costs, cores: int, gbit: float) -> Table:
    """All loads on all clusters."""
    found = Table(title=f"{cores} cores a node, {gbit:g} Gbit/s")
    names = ("load", "nodes", "model, s", "simulated, s", "cells/s", "workers", "driver", "network", "bound by")
    for name in names:
        found.add_column(name, justify="left" if name in ("load", "bound by") else "right")
    for load in LOADS:
        for nodes in NODES:
            out = simulate(load, costs, nodes, cores, gbit)
            seconds, name = bound(load, costs, nodes, cores, gbit)
            found.add_row(
                load.name, str(nodes), f"{seconds:.2f}", f"{out.seconds:.2f}", f"{out.cells / out.seconds:,.0f}",
                f"{out.workers_busy:.0%}", f"{out.driver_busy:.0%}", f"{out.link_busy:.1%}", name,
            )  # fmt: skip
    return found


def read_costs(path: Path) -> Costs:
    """Read what was measured, or end the process with how to measure it."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Costs)
    except (OSError, msgspec.DecodeError) as error:
        raise SystemExit(
            f"{path} cannot be read ({getattr(error, 'strerror', None) or error}): expected the file of "
            "benchmarks/scale_costs.py, which needs a running "
            f"Ray cluster: ray start --head --num-cpus 1 && python benchmarks/scale_costs.py --data DATA --json {path}"
        ) from None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("costs", type=Path, help="the file of benchmarks/scale_costs.py")
    parser.add_argument("--cores", type=int, default=32)
    parser.add_argument("--gbit", type=float, default=10.0)
    parser.add_argument("--workers", type=int, nargs="*", default=(), help="instead: the measured problems on so many")
    arguments = parser.parse_args()
    costs = read_costs(arguments.costs)
    console = Console(width=150)
    for workers in arguments.workers:
        load = Load("measured", len(costs.problems), costs.problems[0].solutions, 0)
        out = simulate(load, costs, 1, workers, arguments.gbit)
        console.print(f"{workers} workers: {out.seconds:.1f} s for {len(costs.problems)} problems")
    if not arguments.workers:
        console.print(table(costs, arguments.cores, arguments.gbit))
    return 0


if __name__ == "__main__":
    sys.exit(main())
