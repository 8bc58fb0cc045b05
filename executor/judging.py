"""Plans of one problem's tests, and verdicts of lifted tests by the answers they follow from."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from executor.classify import reply_value
from executor.expressions import Raised, Stopped
from executor.lift import Lifted, TestPlan, plan_test, verdict_letter
from executor.purity import defined_names
from executor.streams import Answer

__all__ = ["PlanBook", "is_heavy"]

_LARGEST_ON_HOST = 1 << 16
_HEAVY = re.compile(rb'\{\s*"(?:[rDFi]"|\\u)')
"""Tags of values that cost their reader, however a hostile writer spells them; honest keys are tags of one or two
letters."""


def is_heavy(frame: bytes) -> bool:
    """Tell whether a test with this answer is to run as a program, in a box and within limits.

    A value may cost its reader more than its size: ranges, decimals, fractions and large integers are short to write
    and long to sum, convert or compare.
    """
    return len(frame) > _LARGEST_ON_HOST or _HEAVY.search(frame) is not None


class PlanBook:
    """Plans of one problem's tests, and the verdicts found so far by the answers they follow from."""

    def __init__(self, entry_point: str, context: str, tests: tuple[str, ...], cpu_s: float) -> None:
        foreign = defined_names(context)
        self._tests = tests
        self.plans: list[TestPlan] = [plan_test(test, entry_point, foreign) for test in tests]
        self.texts = [
            tuple(call.text for call in plan.calls) if isinstance(plan, Lifted) else () for plan in self.plans
        ]
        self._cpu_s = cpu_s
        self._defined = functools.lru_cache(maxsize=256)(defined_names)
        self._verdicts: dict[tuple[int, tuple[tuple[bytes, str], ...]], str] = {}
        self._values: dict[bytes, Callable[[], Any]] = {}

    def order(self, test: int) -> tuple[int, tuple[str, ...], str]:
        """Key by which tests are run, whatever the job's order: short calls first, as they mostly cost less."""
        texts = self.texts[test]
        return max(map(len, texts), default=0), texts, self._tests[test]

    def plan_for(self, test: int, solution: str) -> TestPlan:
        """The plan of one test on one solution: a name that the solution defines is no NameError."""
        plan = self.plans[test]
        if isinstance(plan, Lifted) and plan.unbound:
            defined = self._defined(solution)
            if plan.unbound & defined or "*" in defined:
                return plan.program
        return plan

    def is_decided(self, test: int, answers: Sequence[Answer]) -> bool:
        """Tell whether the verdict on a lifted test follows from the answers to its first calls."""
        plan = self.plans[test]
        if not isinstance(plan, Lifted) or any(is_heavy(answer.frame) for answer in answers):
            return False

        def value_of(index: int) -> Any:
            if index >= len(answers):
                raise Stopped("")
            return self._value(answers[index])

        return verdict_letter(plan, value_of) != ""

    def is_in_time(self, answers: Iterable[Answer]) -> bool:
        """Tell whether a test may take what these answers took, as far as can be told: answers that are read together
        share their time, and the first of them that of loading."""
        return sum(answer.cpu_s for answer in answers) <= self._cpu_s

    def verdict(self, test: int, answers: tuple[Answer, ...]) -> str:
        """Judge one lifted test; the same answers give the same verdict without looking again."""
        # Frame and letter apart: a frame is whatever a solution writes, and shall pass for no letter of another's.
        key = (test, tuple([(answer.frame, answer.letter) for answer in answers]))
        letter = self._verdicts.get(key)
        if letter is None:
            plan = self.plans[test]
            assert isinstance(plan, Lifted)
            letter = self._verdicts[key] = verdict_letter(plan, lambda index: self._value(answers[index]))
        return letter

    def _value(self, answer: Answer) -> Any:
        if answer.letter:
            raise Stopped(answer.letter)
        found = self._values.get(answer.frame)
        if found is None:
            found = self._values[answer.frame] = _reader(answer.frame)
        return found()


def _reader(frame: bytes) -> Callable[[], Any]:
    """Decode a frame once, unless its value is used up by looking at it."""
    if b'{"g":' in frame:
        return lambda: reply_value(frame)
    try:
        value = reply_value(frame)
    except (Raised, Stopped):
        return lambda: reply_value(frame)
    return lambda: value
