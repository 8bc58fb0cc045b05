"""Memory and time of ``coderm export`` over growing runs: 100 solutions x 100 tests a problem, made up by a seed.

    python benchmarks/export_memory.py [--problems 100 500 1000] [--json F]

1,000 problems are 10 million cells. Solutions are distinct and about as long as real ones, tests likewise, and four
verdicts of ten are passes.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

import msgspec
from meter import Cost, measure
from msgspec import Struct
from rich.console import Console
from rich.table import Table

SOLUTIONS = TESTS = 100
KINDS = ("preferences", "rewards", "unittest-sft")
CODERM = Path(sys.executable).parent / "coderm"


class Row(Struct, frozen=True):
    """One export of one run."""

    kind: str
    cells: int
    cost: Cost


def write_run(folder: Path, problems: int) -> None:
    """Write the files of a run, as ``coderm rerank`` and ``coderm evaluate`` do."""
    names = ("problems", "samples", "tests", "matrix", "labels")
    streams = {name: (folder / f"{name}.jsonl").open("w", encoding="utf-8") for name in names}
    for number in range(problems):
        _write_problem(streams, f"Made/{number}", random.Random(number))
    for stream in streams.values():
        stream.close()


def _write_problem(streams: Mapping[str, TextIO], task_id: str, dice: random.Random) -> None:
    def put(name: str, **record: object) -> None:
        streams[name].write(json.dumps({"task_id": task_id, **record}) + "\n")

    put("problems", question="Add a number. " * 20, code_ground_truth="def f(x):\n    return x + 1\n")
    for index in range(SOLUTIONS):
        body = "".join(f"    y{line} = x + {dice.randrange(10**6)}\n" for line in range(12))
        put("samples", solution=f"def f(x):\n{body}    return x + {index}\n")
        word = "pass" if index % 3 == 0 else "fail"
        put("labels", index=index, base=word, plus=word, reason="")
    for index in range(TESTS):
        checks = "".join(f"    assert f({dice.randrange(10**6)}) == {index}\n" for _ in range(6))
        put("tests", test=f"def test_{index}():\n{checks}")
    rows = ["".join(dice.choices("PFET", (4, 4, 1, 1), k=TESTS)) for _ in range(SOLUTIONS)]
    put("matrix", solutions=SOLUTIONS, tests=TESTS, verdicts=rows, shared=0)


def exported(folder: Path, kind: str, problems: int) -> Row:
    """Run one export on a run's files."""
    files = [
        word for name in ("problems", "samples", "tests", "matrix", "labels") for word in (f"--{name}", f"{name}.jsonl")
    ]
    argv = [str(CODERM), "export", kind, *files, "--output", kind]
    cost = measure(lambda: subprocess.run(argv, cwd=folder, check=True, capture_output=True))
    row = Row(kind, problems * SOLUTIONS * TESTS, cost)
    Console(stderr=True).print(f"{kind}: {row.cells:,} cells, {cost.seconds:.1f} s, {cost.peak_mib:.0f} MiB")
    return row


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--problems", type=int, nargs="+", default=[100, 500, 1000])
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    rows = []
    for problems in arguments.problems:
        with tempfile.TemporaryDirectory() as name:
            write_run(Path(name), problems)
            rows += [exported(Path(name), kind, problems) for kind in KINDS]
    table = Table("export", "cells", "seconds", "peak MiB", title="coderm export")
    for row in rows:
        table.add_row(row.kind, f"{row.cells:,}", f"{row.cost.seconds:.1f}", f"{row.cost.peak_mib:.0f}")
    Console().print(table)
    if arguments.json:
        arguments.json.write_bytes(msgspec.json.format(msgspec.json.encode(rows)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
