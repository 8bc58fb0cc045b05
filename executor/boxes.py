"""The two boxes of a worker: one in which solutions run, one in which tests do. They cannot see each other."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

from executor.box import Box, Replies
from executor.errors import BoxDied, SandboxError
from executor.model import Limits
from executor.policy import BoxPlan
from executor.requests import solution_task
from executor.shards import Source

__all__ = ["Boxes"]

_CANARY = "def canary(x):\n    return x + 1\n"


class Boxes:
    """Both, with what is known of the process in the first. Boxes start when they are first asked for something."""

    def __init__(self, plan: BoxPlan, limits: Limits) -> None:
        self.limits = limits
        self.solutions = Box(plan, limits)
        self.judges = Box(plan, limits)
        self.loaded: tuple[object, dict[str, Any]] | None = None
        """What the process in the solutions' box was loaded for, where it may serve others who want the same, and what
        it said of itself."""

    def start_solution(
        self,
        role: str,
        payload: bytes,
        expect: int,
        limits: Limits,
        cpu_s: Sequence[float] = (),
        most_cpu_s: float = 0.0,
    ) -> Replies:
        """:meth:`Box.start_child` in the solutions' box."""
        self.loaded = None
        return self.solutions.start_child(role, payload, expect, limits, cpu_s, most_cpu_s)

    def warm(self) -> None:
        """Start the box that all work needs. Raises nothing: one that fails is found by whoever needs it."""
        with contextlib.suppress(BoxDied):
            self.solutions.start()

    def rest(self) -> None:
        """End the processes that still live in the boxes, of which nothing will be asked any more.

        A thread that a solution has left running would otherwise go on until the next job, however far off that is.
        Raises nothing: a box that has failed is found by whoever needs it next.
        """
        self.loaded = None
        for box in (self.solutions, self.judges):
            with contextlib.suppress(BoxDied):
                box.stop_child()

    def close(self) -> None:
        """End both boxes. Idempotent."""
        self.solutions.close()
        self.judges.close()
        self.loaded = None

    def check_canary(self) -> None:
        """Tell boxes that die of their work from a sandbox that does not work.

        Raises:
            SandboxError: an ordinary program dies too.
        """
        self.close()
        try:
            self.solutions.start()
            payload = solution_task(Source(_CANARY, True), "canary", ['["",{"t":[1]},{"d":[]}]'], self.limits)
            replies = self.solutions.start_child("solution", payload, 2)
        except BoxDied as error:
            raise SandboxError(f"the sandbox does not hold an ordinary program: {error}") from error
        if replies.frames[1:] != (b'["v",2]',):
            raise SandboxError(f"the sandbox gave {replies.frames!r} for a known program; run: coderm doctor")
