"""A test that is a program: run in the judge's box against the solution in its own, or in one process with it."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from typing import Any

from msgspec import Struct

from executor.box import Replies
from executor.boxes import Boxes
from executor.budget import Budget
from executor.classify import end_letter, load_failure, verdict_of
from executor.errors import BoxDied
from executor.inside.judge import ANSWER, STOPPED
from executor.inside.unit import PRELUDE
from executor.inside.waiting import longest_s
from executor.lift import Program
from executor.model import Limits
from executor.purity import defined_names
from executor.requests import call_of, solution_task
from executor.shards import Source

__all__ = ["Programs"]

_log = logging.getLogger(__name__)
_WALL_LIMITS = 3
"""A test and the solution it talks to may sleep for this many wall limits between them."""
_SAFE_MODULES = frozenset(
    """
    bisect cmath collections copy datetime decimal fractions functools heapq itertools json math operator random re
    statistics string textwrap typing
    """.split()
)
"""Modules that a test may use because the solution imported them under their own name. None of them runs data."""


class _Task(Struct, frozen=True):
    """One solution and one test."""

    solution: Source
    entry_point: str
    context: str
    test: str
    limits: Limits


class Programs:
    """Runs tests in the boxes of one worker. Raises :class:`SandboxError` where the sandbox fails for good."""

    def __init__(self, boxes: Boxes) -> None:
        self._boxes = boxes

    def run(
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
                self._boxes.solutions.start()
                self._boxes.judges.start()
                return run()
            except BoxDied as error:
                _log.warning("a box died under a cell: %s", error)
                self._boxes.close()
        self._boxes.check_canary()
        return "R", False

    def _judge(self, task: _Task, program: Program, reuse: bool) -> tuple[str, bool]:
        if program.same_process:
            return self._shared(task), True
        letter, exports = self._load(task, reuse)
        if letter:
            return letter, False
        wanted = set(program.names) - set(PRELUDE)
        if wanted & exports["classes"] - defined_names(task.context):
            return self._shared(task), True
        functions = sorted(wanted & exports["functions"])
        payload = {
            "test": task.test,
            "entry_point": task.entry_point,
            "context": task.context,
            "functions": functions,
            "modules": sorted(name for name in wanted & _SAFE_MODULES if exports["modules"].get(name) == name),
        }
        judge = self._boxes.judges.start_child("judge", json.dumps(payload).encode("ascii"), 1, task.limits)
        letter = self._converse(judge, task.limits)
        if not reuse:
            self._boxes.loaded = None
        if letter == "shared":
            return self._shared(task), True
        # A helper of the solution's in the test is a judge in its own cause: marked like a shared process.
        return letter, bool(functions)

    def _load(self, task: _Task, reuse: bool) -> tuple[str, dict[str, Any]]:
        """Have a process of the solution ready: what it exports, or a letter where it cannot be loaded."""
        wanted = (task.solution, task.entry_point, task.limits)
        if reuse and self._boxes.loaded is not None and self._boxes.loaded[0] == wanted:
            return "", self._boxes.loaded[1]
        payload = solution_task(task.solution, task.entry_point, [], task.limits)
        replies = self._boxes.start_solution("solution", payload, 1, task.limits)
        if not replies.frames:
            return end_letter(replies), {}
        letter, exports = load_failure(replies.frames[0])
        if not letter:
            self._boxes.loaded = (wanted, exports)
        return letter, exports

    def _converse(self, judge: Replies, limits: Limits) -> str:
        """Carry the judge's calls to the solution and its answers back, until the verdict."""
        judge_cpu = solution_cpu = 0.0
        began = time.monotonic()
        while judge.frames:
            judge_cpu += sum(judge.cpu_s)
            busy = judge_cpu + solution_cpu
            overdue = time.monotonic() - began > longest_s(_WALL_LIMITS * limits.wall_s, busy)
            if overdue or max(judge_cpu, solution_cpu) > limits.cpu_s:
                self._boxes.judges.stop_child()
                return "T"
            request = call_of(judge.frames[0])
            if request is None:
                return verdict_of(judge.frames[0])
            replies = self._boxes.solutions.ask(request)
            solution_cpu += sum(replies.cpu_s)
            if replies.frames:
                judge = self._boxes.judges.ask(ANSWER + replies.frames[0])
            else:
                self._boxes.loaded = None
                judge = self._boxes.judges.ask(STOPPED + end_letter(replies).encode("ascii"))
        return end_letter(judge)

    def _shared(self, task: _Task) -> str:
        payload = json.dumps(
            {"source": task.solution.text, "entry_point": task.entry_point, "context": task.context, "test": task.test}
        )
        replies = self._boxes.start_solution("shared", payload.encode("ascii"), 1, task.limits)
        letter = verdict_of(replies.frames[0]) if replies.frames else end_letter(replies)
        self._boxes.solutions.stop_child()
        return letter
