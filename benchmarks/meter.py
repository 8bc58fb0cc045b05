"""What a piece of work costs: wall time, CPU time of all its processes, and their memory together."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

__all__ = ["Cost", "measure"]

# One of the scripts beside this one is called like a package of ours: their folder must not come first on the path.
_HERE = str(Path(__file__).resolve().parent)
sys.path[:] = [*(folder for folder in sys.path if str(Path(folder or ".").resolve()) != _HERE), _HERE]

_EVERY_S = 0.25
_SHARE = 0.02
"""Most of one core's time that looking may take: reading the memory of large processes takes long."""
_TICKS = os.sysconf("SC_CLK_TCK")


class Cost(Struct, frozen=True):
    """Of one run."""

    seconds: float
    cpu_seconds: float
    """Of this process and everything below it, whoever has waited for it."""
    peak_mib: float
    """Most memory that the processes below this one held at one time, shared pages counted once (PSS)."""


def measure(work: Callable[[], object]) -> Cost:
    """Run ``work`` and tell its cost. Processes that live for less than a second or two may be missing in the peak."""
    watch = _Watch()
    watch.start()
    started = time.perf_counter()
    try:
        work()
    finally:
        seconds = time.perf_counter() - started
        watch.stop()
    return Cost(seconds, watch.cpu_seconds, watch.peak_mib)


class _Watch(threading.Thread):
    """Looks at the processes below this one until it is told to stop."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._done = threading.Event()
        self._first = _cpu_ticks(_family())
        self._last = self._first
        self.peak_mib = 0.0

    def run(self) -> None:
        pause = _EVERY_S
        while not self._done.wait(pause):
            began = time.thread_time()
            self._look()
            pause = max(_EVERY_S, (time.thread_time() - began) / _SHARE)

    def stop(self) -> None:
        """End, after a last look."""
        self._look()
        self._done.set()
        self.join()

    def _look(self) -> None:
        family = _family()
        # A process that ends takes its time along unless somebody waits for it, so the most ever seen is the sum.
        self._last = max(self._last, _cpu_ticks(family))
        self.peak_mib = max(self.peak_mib, sum(map(_pss_kib, family[1:])) / 1024)

    @property
    def cpu_seconds(self) -> float:
        return (self._last - self._first) / _TICKS


def _family() -> list[int]:
    """This process and all below it."""
    found, todo = [], [os.getpid()]
    while todo:
        pid = todo.pop()
        found.append(pid)
        try:
            for task in Path(f"/proc/{pid}/task").iterdir():
                todo += map(int, (task / "children").read_text().split())
        except OSError:  # it has ended
            continue
    return found


def _cpu_ticks(pids: list[int]) -> int:
    total = 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += sum(map(int, fields[11:15]))
    return total


def _pss_kib(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)
