"""Memory of the driver and of the object store over many generated cells on a Ray cluster, and what a shard costs.

    ray start --head --num-cpus 2
    python benchmarks/ray_flat.py --cells 10000000 [--context-kb 120] [--ray-address auto] [--json FILE]

Run by hand. Jobs of 100 solutions x 100 unit tests are made as they are taken, no two alike, without a cache of
results: whatever grows, grows in the engine. With --context-kb every shard is larger than what Ray sends along with a
call (100 KiB), so all of them pass the object store.
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
from meter import Cost  # noqa: F401 - first: it mends the path
from msgspec import Struct
from need import need_cluster
from rich.console import Console
from rich.table import Table

from executor import CellJob, open_executor

SIDE = 100
"""Solutions, and tests, of a job."""
POINTS = 20
_PAGE = os.sysconf("SC_PAGE_SIZE")


class Point(Struct, frozen=True):
    """What was seen after so many cells."""

    cells: int
    seconds: float
    driver_mib: float
    """Resident memory of this process."""
    driver_cpu_s: float
    store_mib: float
    """Object store in use on all nodes."""


def jobs(cells: int, context_kb: int) -> Iterator[CellJob]:
    """Jobs whose solutions differ in their syntax tree, so that nothing is run once for several."""
    context = f"# {'x' * 1022}\n" * context_kb
    for number in range(-(-cells // SIDE**2)):
        yield CellJob(
            job_id=str(number),
            entry_point="f",
            context=context,
            solutions=tuple(
                f"def f(x):\n    y = x + {k % 3}\n    return y + {number * SIDE + k} * 0\n" for k in range(SIDE)
            ),
            tests=tuple(f"assert f({x}) == {x + 1 + number}" for x in range(SIDE)),
        )


def _resident_mib() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE / 2**20


def _store_mib() -> float:
    import ray

    name = "object_store_memory"
    return (ray.cluster_resources().get(name, 0) - ray.available_resources().get(name, 0)) / 2**20


def measure(cells: int, context_kb: int, address: str | None) -> list[Point]:
    """Run them and look now and then."""
    points: list[Point] = []
    with open_executor(engine="ray", ray_address=address) as executor:
        done, started, every = 0, 0.0, max(SIDE**2, cells // POINTS)
        for matrix in executor.run(jobs(cells, context_kb)):
            # The first job waits for the workers to start.
            started = started or time.monotonic()
            cpu_s = time.process_time()
            done += matrix.letters.size
            if done % every < SIDE**2 or done >= cells:
                points.append(Point(done, time.monotonic() - started, _resident_mib(), cpu_s, _store_mib()))
                Console(stderr=True).print(msgspec.json.encode(points[-1]).decode())
    return points


def show(points: list[Point]) -> None:
    """Print the table."""
    table = Table(title="memory over cells")
    for name in ("cells", "seconds", "cells/s", "driver MiB", "driver CPU ms per 1,000 cells", "object store MiB"):
        table.add_column(name, justify="right")
    for before, point in itertools.pairwise(points):
        cells, seconds = point.cells - before.cells, point.seconds - before.seconds
        cpu_ms = 1e6 * (point.driver_cpu_s - before.driver_cpu_s) / cells
        table.add_row(
            f"{point.cells:,}", f"{point.seconds:.0f}", f"{cells / seconds:,.0f}", f"{point.driver_mib:.1f}",
            f"{cpu_ms:.1f}", f"{point.store_mib:.2f}",
        )  # fmt: skip
    Console().print(table)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", type=int, default=10_000_000)
    parser.add_argument("--context-kb", type=int, default=0)
    parser.add_argument("--ray-address")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    need_cluster(arguments.ray_address)
    points = measure(arguments.cells, arguments.context_kb, arguments.ray_address)
    show(points)
    if arguments.json:
        arguments.json.write_bytes(msgspec.json.format(msgspec.json.encode(points)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
