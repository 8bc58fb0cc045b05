"""What is done with boxes for one solution: calls in a batch, a test in the judge, a test in one process with it."""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from msgspec import Struct

from executor.box import Box, Replies
from executor.budget import Budget
from executor.classify import end_letter, load_failure, verdict_of
from executor.errors import BoxDied, SandboxError
from executor.inside.judge import ANSWER, STOPPED
from executor.inside.unit import PRELUDE
from executor.inside.waiting import longest_s
from executor.lift import Program
from executor.model import Limits
from executor.policy import BoxPlan
from executor.purity import defined_names
from executor.shards import Source

__all__ = ["Answer", "Sessions"]

_log = logging.getLogger(__name__)
_WALL_LIMITS = 3
"""A test and the solution it talks to may sleep for this many wall limits between them."""
SAFE_MODULES = frozenset(
    """
    bisect cmath collections copy datetime decimal fractions functools heapq itertools json math operator random re
    statistics string textwrap typing
    """.split()
)
"""Modules that a test may use because the solution imported them under their own name. None of them runs data."""
_CANARY = "def canary(x):\n    return x + 1\n"


class Answer(Struct, frozen=True):
    """What came of one call: a frame of the solution's, or the letter of a process that did not answer."""

    frame: bytes = b""
    letter: str = ""
    cpu_s: float = 0.0
    loading: bool = False
    """The solution ended or failed while it was loaded: every other call of it does the same."""
    assumed: bool = False
    """Not made: the solution had used up its timeouts."""
    sure: bool = True
    """A call with the whole of its limits would give the same: it was not cut short by earlier timeouts, by the
    clock on the wall or by a dying box."""


class _Task(Struct, frozen=True):
    """One solution and one test."""

    solution: Source
    entry_point: str
    context: str
    test: str
    limits: Limits


class _Work(NamedTuple):
    """Calls of one solution; what they are is said at :meth:`Sessions.stream`."""

    solution: Source
    entry_point: str
    calls: Sequence[str]
    budget: Budget
    cpu_s: Sequence[float]

    def only(self, number: int) -> _Work:
        """The same with this call alone."""
        one = slice(number, number + 1)
        return self._replace(calls=self.calls[one], cpu_s=self.cpu_s[one])


class Sessions:
    """Two boxes: one in which solutions run, one in which tests do. They cannot see each other.

    Every method raises :class:`SandboxError` where the sandbox fails for good.
    """

    def __init__(self, plan: BoxPlan, limits: Limits) -> None:
        self._limits = limits
        self._solutions = Box(plan, limits)
        self._judges = Box(plan, limits)
        self._loaded: tuple[Source, str, Limits] | None = None
        """Source, entry point and limits of the solution whose process is alive and may serve further tests."""
        self._exports: dict[str, Any] = {}

    def warm(self) -> None:
        """Start the box that all work needs. Raises nothing: one that fails is found by whoever needs it."""
        with contextlib.suppress(BoxDied):
            self._solutions.start()

    def close(self) -> None:
        """End both boxes. Idempotent."""
        self._solutions.close()
        self._judges.close()
        self._loaded = None

    def rest(self) -> None:
        """End the processes that still live in the boxes, of which nothing will be asked any more.

        A thread that a solution has left running would otherwise go on until the next job, however far off that is.
        Raises nothing: a box that has failed is found by whoever needs it next.
        """
        self._loaded = None
        for box in (self._solutions, self._judges):
            with contextlib.suppress(BoxDied):
                box.stop_child()

    def stream(
        self,
        solution: Source,
        entry_point: str,
        calls: Sequence[str],
        budget: Budget,
        chunks: Iterable[int] = (),
        cpu_s: Sequence[float] = (),
    ) -> Iterator[Answer]:
        """Make calls of one solution, in as few processes as they allow; yield one answer per call, in order.

        Whoever has seen enough stops taking answers. Until then no other method may be used.

        Args:
            calls: requests' JSON texts, ``[function, arguments, keywords]``.
            budget: limits the calls, and is told of those that do not come back.
            chunks: numbers of calls to make at a time, ahead of the answers that are taken; then the rest at once.
            cpu_s: CPU seconds of each call; empty: those of the budget.
        """
        work = _Work(solution, entry_point, calls, budget, cpu_s)
        taken = 0
        try:
            for answer in self._stream(work, chunks):
                taken += 1
                yield answer
        except BoxDied as error:
            _log.warning("a box died under %d calls, they run again: %s", len(calls) - taken, error)
            yield from (self._one_by_one if solution.stateless else self._from_the_start)(work, taken)

    def _one_by_one(self, work: _Work, taken: int) -> Iterator[Answer]:
        """Make the calls that lack answers, each in a process of its own: only the one that kills boxes has none."""
        for number in range(taken, len(work.calls)):
            if work.budget.spent:
                left = len(work.calls) - number
                yield from [Answer(letter=work.budget.letter, assumed=True, sure=False)] * left
                return
            try:
                yield next(self._stream(work.only(number)))
            except BoxDied:
                self._check_canary()
                yield Answer(letter="R", sure=False)

    def _from_the_start(self, work: _Work, taken: int) -> Iterator[Answer]:
        """Make all calls once more, of which those that have answers lead to the state for the others."""
        try:
            for answer in itertools.islice(self._stream(work), taken, None):
                taken += 1
                yield answer
        except BoxDied:
            self._check_canary()
            yield from [Answer(letter="R", sure=False)] * (len(work.calls) - taken)

    def _stream(self, work: _Work, chunks: Iterable[int] = ()) -> Iterator[Answer]:
        solution, entry_point, calls, budget, cpu_s = work
        self._loaded = None
        self._solutions.start()
        taken, sizes = 0, iter(chunks)
        while taken < len(calls):
            ahead = calls[taken : taken + next(sizes, len(calls))]
            payload = self._payload(solution, entry_point, ahead, budget.limits)
            each = [budget.limits.cpu_s, *cpu_s[taken : taken + len(ahead)]] if cpu_s else []
            replies = self._solutions.start_child("solution", payload, 1 + len(ahead), budget.limits, each)
            letter = load_failure(replies.frames[0])[0] if replies.frames else end_letter(replies)
            if letter:
                yield from [Answer(letter=letter, loading=True)] * (len(calls) - taken)
                return
            answers = [Answer(frame, "", cpu) for frame, cpu in zip(replies.frames[1:], replies.cpu_s[1:])]
            sure = not budget.shrunk
            while True:
                yield from answers
                taken += len(answers)
                if replies.end != "alive" or taken == len(calls):
                    break
                ahead = calls[taken : taken + next(sizes, len(calls))]
                replies = self._solutions.ask(_many(ahead), len(ahead), cpu_s[taken : taken + len(ahead)])
                answers = [Answer(frame, "", cpu) for frame, cpu in zip(replies.frames, replies.cpu_s)]
            if replies.end != "alive":
                letter = end_letter(replies)
                budget.note(letter)
                yield Answer(letter=letter, sure=sure and replies.end != "wall")
                taken += 1
                if budget.spent:
                    yield from [Answer(letter=letter, assumed=True, sure=False)] * (len(calls) - taken)
                    return

    def _payload(self, solution: Source, entry_point: str, calls: Sequence[str], limits: Limits) -> bytes:
        task = {
            "source": solution.text,
            "watch": solution.watchable,
            "entry_point": entry_point,
            "limit": limits.output_kb * 1024,
        }
        head = json.dumps(task, separators=(",", ":"))
        return head[:-1].encode("ascii") + b',"calls":' + _many(calls) + b"}"

    def judge(
        self,
        solution: Source,
        entry_point: str,
        context: str,
        test: str,
        program: Program,
        budget: Budget,
        *,
        reuse: bool,
    ) -> tuple[str, bool]:
        """Run a test that is a program. Returns its letter, and whether it shared a process with the solution.

        ``reuse``: the solution keeps no state, so one process of it may serve several tests.
        """
        task = _Task(solution, entry_point, context, test, budget.limits)
        return self._twice(lambda: self._judge(task, program, reuse))

    def _twice(self, run: Callable[[], tuple[str, bool]]) -> tuple[str, bool]:
        """Run a cell; if a box dies under it, run it alone once more; only then blame it."""
        for _ in range(2):
            try:
                self._solutions.start()
                self._judges.start()
                return run()
            except BoxDied as error:
                _log.warning("a box died under a cell: %s", error)
                self.close()
        self._check_canary()
        return "R", False

    def _check_canary(self) -> None:
        """Tell a box that dies of one cell from a sandbox that does not work.

        Raises:
            SandboxError: an ordinary cell dies too.
        """
        self.close()
        try:
            self._solutions.start()
            payload = self._payload(Source(_CANARY, True), "canary", ['["",{"t":[1]},{"d":[]}]'], self._limits)
            replies = self._solutions.start_child("solution", payload, 2)
        except BoxDied as error:
            raise SandboxError(f"the sandbox does not hold an ordinary program: {error}") from error
        if replies.frames[1:] != (b'["v",2]',):
            raise SandboxError(f"the sandbox gave {replies.frames!r} for a known program; run: coderm doctor")

    def _judge(self, task: _Task, program: Program, reuse: bool) -> tuple[str, bool]:
        if program.same_process:
            return self._shared(task), True
        letter = self._load(task, reuse)
        if letter:
            return letter, False
        wanted = set(program.names) - set(PRELUDE)
        if wanted & self._exports["classes"] - defined_names(task.context):
            return self._shared(task), True
        functions = sorted(wanted & self._exports["functions"])
        payload = {
            "test": task.test,
            "entry_point": task.entry_point,
            "context": task.context,
            "functions": functions,
            "modules": sorted(name for name in wanted & SAFE_MODULES if self._exports["modules"].get(name) == name),
        }
        judge = self._judges.start_child("judge", json.dumps(payload).encode("ascii"), 1, task.limits)
        letter = self._converse(judge, task.limits)
        if not reuse:
            self._loaded = None
        if letter == "shared":
            return self._shared(task), True
        # A helper of the solution's in the test is a judge in its own cause: marked like a shared process.
        return letter, bool(functions)

    def _load(self, task: _Task, reuse: bool) -> str:
        """Have a process of the solution ready; a letter where it cannot be loaded."""
        wanted = (task.solution, task.entry_point, task.limits)
        if reuse and self._loaded == wanted:
            return ""
        self._loaded = None
        payload = self._payload(task.solution, task.entry_point, [], task.limits)
        replies = self._solutions.start_child("solution", payload, 1, task.limits)
        if not replies.frames:
            return end_letter(replies)
        letter, self._exports = load_failure(replies.frames[0])
        if not letter:
            self._loaded = wanted
        return letter

    def _converse(self, judge: Replies, limits: Limits) -> str:
        """Carry the judge's calls to the solution and its answers back, until the verdict."""
        judge_cpu = solution_cpu = 0.0
        began = time.monotonic()
        while judge.frames:
            judge_cpu += sum(judge.cpu_s)
            busy = judge_cpu + solution_cpu
            overdue = time.monotonic() - began > longest_s(_WALL_LIMITS * limits.wall_s, busy)
            if overdue or max(judge_cpu, solution_cpu) > limits.cpu_s:
                self._judges.stop_child()
                return "T"
            request = _call_of(judge.frames[0])
            if request is None:
                return verdict_of(judge.frames[0])
            replies = self._solutions.ask(request)
            solution_cpu += sum(replies.cpu_s)
            if replies.frames:
                judge = self._judges.ask(ANSWER + replies.frames[0])
            else:
                self._loaded = None
                judge = self._judges.ask(STOPPED + end_letter(replies).encode("ascii"))
        return end_letter(judge)

    def _shared(self, task: _Task) -> str:
        self._loaded = None
        payload = json.dumps(
            {"source": task.solution.text, "entry_point": task.entry_point, "context": task.context, "test": task.test}
        )
        replies = self._solutions.start_child("shared", payload.encode("ascii"), 1, task.limits)
        letter = verdict_of(replies.frames[0]) if replies.frames else end_letter(replies)
        self._solutions.stop_child()
        return letter


def _many(calls: Sequence[str]) -> bytes:
    """A list of requests; each is a JSON text, [function, arguments, keywords], and gets its copy_back=false."""
    return f"[{','.join(call[:-1] + ',false]' for call in calls)}]".encode("ascii")


def _call_of(frame: bytes) -> bytes | None:
    """Turn the judge's ``["call", function, arguments, keywords]`` into a request; None where it is no call."""
    if not frame.startswith(b'["call",') or not frame.endswith(b"]"):
        return None
    return b"[" + frame[len(b'["call",') : -1] + b",true]"
