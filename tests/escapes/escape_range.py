"""The range on which attacks are made: one executor with one worker, and a look at the machine after every shot."""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
from escape_attack import FROM_TEST, MARKED, SHARED, SPLIT, UNLIFTABLE, Attack
from msgspec import Struct

from executor import Call, CallJob, CellJob, Limits, LocalExecutor, PassMatrix, SandboxError, open_executor
from executor.view import interpreter_view

__all__ = ["LATE_S", "LIMITS", "Report", "ShootingRange", "open_range"]

REPOSITORY = Path(__file__).parents[2]
LIMITS = Limits(cpu_s=0.5, wall_s=2.0, memory_mb=512, output_kb=4096)
SECRET = "SECRET-" + "TEXT"
MARK = "coderm-escaped"
MEMORY_MIB = 1024
"""The worker on the host may take this much at most while it reads and judges one answer."""
LATE_S = 0.5
"""A verdict comes within the limit and so much."""
_ATTEMPTS = 3
"""Attacks whose verdict comes late are made again, as the machine may have been busy in a way that is not seen."""
DEADLINE_S = 15.0
"""Far beyond every limit, loaded machine included: a shot that takes longer has hung the host."""
CANARY = """
import decimal, gc, json, math, random, re, sys, threading, unittest
def f(x):
    state = [
        sys.getrecursionlimit() == 1000, decimal.getcontext().prec == 28, math.floor(2.5) == 2, len([1]) == 1,
        random.random() == random.Random(0).random(), threading.active_count() == 1, sorted([2, 1]) == [1, 2],
        re.match("a", "a") is not None, gc.isenabled(), json.dumps([1]) == "[1]", callable(print),
        hasattr(unittest.TestCase, "run"), decimal.DefaultContext.prec == 28, "solution" in sys.modules,
    ]
    return x + 1 if all(state) else state
"""


class Report(Struct, frozen=True):
    """What came of one attack."""

    letter: str
    """The verdict, or ``!`` where there was none: the host hung, or the sandbox failed."""
    shared: bool
    problems: tuple[str, ...]
    """Everything else that is wrong after it."""
    reason: str = ""
    """What the solution said of its attack."""
    seconds: float = 0.0
    """From the request to the verdict, without what others kept from us."""


class _Clock:
    """Seconds since it was made, without those for which others had all processors of this machine."""

    def __init__(self) -> None:
        self._began, self._others = time.monotonic(), _others_s()

    def seconds(self) -> float:
        """So many until now."""
        passed = time.monotonic() - self._began
        kept = _others_s() - self._others - ((os.cpu_count() or 1) - 1) * passed
        return passed - max(0.0, kept)


class ShootingRange:
    """Makes attacks one after the other in the same boxes."""

    def __init__(self, secret_file: Path) -> None:
        self._secret_file = secret_file
        self._files = _signature()
        self._executor: LocalExecutor | None = None
        self._boxes: set[int] = set()
        self._descriptors = 0

    def close(self) -> None:
        """End the executor. Idempotent."""
        executor, self._executor = self._executor, None
        if executor is not None:
            executor.close()

    def shoot(self, attack: Attack, mode: str) -> Report:
        """Make one attack and look at what it left, and whether its verdict came in time."""
        longest = attack.limits * (LIMITS.wall_s if attack.sleeps else LIMITS.cpu_s) + LATE_S
        for _ in range(_ATTEMPTS):
            report = self._shoot(attack, mode)
            if report.seconds <= longest or report.problems:
                return report
        late = f"the verdict came after {report.seconds:.2f} s"
        return msgspec.structs.replace(report, problems=(late,))

    def _shoot(self, attack: Attack, mode: str) -> Report:
        executor = self._opened()
        _reset_peak()
        solution, test = self._cell(attack, mode)
        if attack.before_solution:
            self._matrix(executor, attack.before_solution, (attack.before_test,))
        try:
            with _watchdog() as fired:
                clock = _Clock()
                matrix = self._matrix(executor, solution, (test,))
        except SandboxError as error:
            self.close()
            hung = f"no verdict within {DEADLINE_S:.0f} s" if fired.is_set() else f"the sandbox failed: {error}"
            return Report("!", False, (hung,))
        seconds = clock.seconds()
        problems = [*self._after(executor), *self._wrong_mode(mode, matrix)]
        letter = matrix.rows()[0]
        reason = "" if letter in attack.expected else self._reason(executor, solution)
        return Report(letter, bool(matrix.shared.all()), tuple(problems), reason, seconds)

    def _opened(self) -> LocalExecutor:
        if self._executor is None:
            self._executor = open_executor(workers=1, limits=LIMITS)
            assert self._canary(self._executor) == "PP"
            self._boxes = set(_zygotes())
            self._descriptors = _descriptors()
        return self._executor

    def _cell(self, attack: Attack, mode: str) -> tuple[str, str]:
        words = {"@ESCAPED@": MARK, "@SECRET_FILE@": str(self._secret_file), "@REPOSITORY@": str(REPOSITORY)}
        solution = attack.solution.replace('@SECRET" b"-TEXT@', 'SECRET" b"-TEXT').replace("@SECRET@", SECRET)
        for word, value in words.items():
            solution = solution.replace(word, value)
        test = attack.test
        if mode == SPLIT:
            test += UNLIFTABLE
        elif mode == SHARED:
            # A test that makes an object of the solution's own class cannot be served by a proxy.
            solution += "\nclass Marker:\n    pass\n"
            test = "marker = Marker()\n" + test + UNLIFTABLE
        elif mode == FROM_TEST:
            attack_of_the_test = solution.replace("def f(", "def attack(")
            test = f"{attack_of_the_test}\nassert f(1) == 2\nassert attack(1) == 2{UNLIFTABLE}"
            solution = "def f(x):\n    return x + 1\n"
        return solution, test

    @staticmethod
    def _matrix(executor: LocalExecutor, solution: str, tests: tuple[str, ...]) -> PassMatrix:
        (matrix,) = executor.run([CellJob(job_id="shot", entry_point="f", solutions=(solution,), tests=tests)])
        return matrix

    def _canary(self, executor: LocalExecutor) -> str:
        return self._matrix(executor, CANARY, ("assert f(1) == 2", "assert f(1) == 2" + UNLIFTABLE)).rows()[0]

    def _after(self, executor: LocalExecutor) -> Iterator[str]:
        if (peak := _peak_mib()) > MEMORY_MIB:
            yield f"the worker on the host took {peak} MiB"
        if (letters := self._canary(executor)) != "PP":
            yield f"the next ordinary cells got {letters}"
        zygotes = _zygotes()
        if set(zygotes) != self._boxes:
            yield "a box was replaced"
            self._boxes = set(zygotes)
        if crowd := [pid for pid, children in zygotes.items() if len(children) > 1]:
            yield f"{len(crowd)} boxes hold more than the canary"
        if (now := _descriptors()) != self._descriptors:
            yield f"the worker has {now} descriptors, had {self._descriptors}"
        if (files := _signature()) != self._files:
            yield f"files changed: {sorted(set(files) ^ set(self._files))[:3]}"
            self._files = files

    @staticmethod
    def _wrong_mode(mode: str, matrix: PassMatrix) -> Iterator[str]:
        if mode in (SHARED, MARKED) and not matrix.shared.all() and matrix.rows()[0] == "P":
            yield "a verdict from one process is not marked as shared"
        if mode not in (SHARED, MARKED, FROM_TEST) and matrix.shared.any():
            yield "it got itself a process shared with the test"

    @staticmethod
    def _reason(executor: LocalExecutor, solution: str) -> str:
        job = CallJob(job_id="why", entry_point="f", solutions=(solution,), calls=(Call((1,)),))
        try:
            with _watchdog():
                (outputs,) = executor.call([job])
        except SandboxError as error:
            return f"no answer: {error}"
        outcome = outputs.outcomes[0][0]
        told = repr(outcome.value) if outcome.kind == "value" else outcome.error or outcome.verdict.name
        return f"{outcome.kind}: {told[:200]} {outcome.message[:200]}".strip()


@contextlib.contextmanager
def open_range() -> Iterator[ShootingRange]:
    """A range with a secret file and a secret variable on the host for attacks to look for."""
    with tempfile.TemporaryDirectory() as folder:
        secret = Path(folder) / "secret.txt"
        secret.write_text(SECRET)
        os.environ["CODERM_ESCAPE_SECRET"] = SECRET
        target = ShootingRange(secret)
        try:
            yield target
        finally:
            target.close()
            del os.environ["CODERM_ESCAPE_SECRET"]


@contextlib.contextmanager
def _watchdog() -> Iterator[threading.Event]:
    """Kill workers that have not answered by the deadline, so that a hang is a report and not a hang of the battery."""
    done, fired = threading.Event(), threading.Event()

    def watch() -> None:
        if done.wait(DEADLINE_S):
            return
        fired.set()
        while not done.wait(0.2):
            for pid in _workers():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, 9)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield fired
    finally:
        done.set()
        thread.join()


def _children(pid: int) -> list[int]:
    """Child processes, zombies among them; none where the process is gone."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (task / "children").read_text().split())
    return found


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _workers() -> list[int]:
    return [pid for pid in _children(os.getpid()) if b"executor.worker" in _command(pid)]


def _zygotes() -> dict[int, list[int]]:
    """The first process of each of our boxes, with its children."""
    boxes = [box for worker in _workers() for box in _children(worker)]
    return {zygote: _children(zygote) for box in boxes for zygote in _children(box)}


def _others_s() -> float:
    """CPU seconds that this machine's processors have spent on everything but us, so far."""
    ticks = list(map(int, Path("/proc/stat").read_text().split(None, 9)[1:9]))
    busy = sum(ticks) - sum(ticks[3:5])  # all but idle and waiting for input
    todo = [os.getpid()]
    own = 0
    while todo:
        pid = todo.pop()
        with contextlib.suppress(OSError):
            own += sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:15]))
        todo += _children(pid)
    return (busy - own) / os.sysconf("SC_CLK_TCK")


def _descriptors() -> int:
    return sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in _workers())


def _reset_peak() -> None:
    for pid in _workers():
        Path(f"/proc/{pid}/clear_refs").write_text("5")


def _peak_mib() -> int:
    peaks = [0]
    for pid in _workers():
        status = Path(f"/proc/{pid}/status").read_text()
        peaks.append(int(status.partition("VmHWM:")[2].split()[0]) >> 10)
    return max(peaks)


def _signature() -> dict[str, tuple[int, int]]:
    """Sizes and times of what a box sees of the host, and every file that an attack has marked."""
    view = interpreter_view()
    folders = [Path(path) for path in view.paths if Path(path).is_dir()]
    seen = [path for folder in folders for path in folder.glob("*.py")]
    seen += [*(REPOSITORY / "executor" / "inside").glob("*.py"), *(REPOSITORY / "executor" / "data").iterdir()]
    places = [
        Path("/"),
        Path(tempfile.gettempdir()),
        Path("/dev/shm"),
        Path("/dev"),
        Path("/var/tmp"),
        Path.cwd(),
        *folders,
    ]
    seen += [path for place in places if place.is_dir() for path in place.glob(f"*{MARK}*")]
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in seen}
