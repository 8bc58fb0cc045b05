"""Real cells with the watch for endless calls and without: every verdict must be the same, at less CPU time.

python benchmarks/endless.py --data ../shared/data [--policy codegen-16b] [--problems 0]
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from unittest.mock import patch

import msgspec
from meter import Cost, measure
from real_data import POLICIES, jobs_of, use_datasets
from rich.console import Console
from rich.table import Table

from executor import CellJob, open_executor
from executor.purity import SolutionFacts, look_at

Rows = dict[str, list[str]]


def unwatched(source: str) -> SolutionFacts:
    """What is known of a solution, but that its states tell something."""
    return msgspec.structs.replace(look_at(source), watchable=False)


def verdicts(jobs: Sequence[CellJob]) -> tuple[Rows, Cost]:
    """Letters of all cells, and what they cost on one worker."""
    found: Rows = {}

    def work() -> None:
        with open_executor(workers=1) as executor:
            found.update((matrix.job_id, matrix.rows()) for matrix in executor.run(jobs))

    return found, measure(work)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="a folder laid out as ../shared/data")
    parser.add_argument("--policy", choices=POLICIES, default=POLICIES[0])
    parser.add_argument("--problems", type=int, default=0, help="so many, evenly spread; 0: all")
    arguments = parser.parse_args()
    with use_datasets(arguments.data):
        jobs = jobs_of(arguments.data, arguments.policy, problems=arguments.problems)
    with patch("executor.jobs.look_at", unwatched):
        by_clock, slow = verdicts(jobs)
    watched, fast = verdicts(jobs)
    timeouts = Counter(letter for rows in by_clock.values() for row in rows for letter in row)["T"]
    cells = sum(len(row) for rows in by_clock.values() for row in rows)
    differing = [name for name in by_clock if by_clock[name] != watched[name]]
    table = Table(title=f"{len(jobs)} problems, {cells:,} cells, {timeouts:,} of them timeouts; {arguments.policy}")
    for heading in ("endless calls", "seconds", "CPU s"):
        table.add_column(heading, justify="left" if heading == "endless calls" else "right")
    table.add_row("by the clock alone", f"{slow.seconds:.1f}", f"{slow.cpu_seconds:.1f}")
    table.add_row("watched", f"{fast.seconds:.1f}", f"{fast.cpu_seconds:.1f}")
    Console().print(table)
    Console().print(f"problems with other verdicts: {', '.join(differing) or 'none'}")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
