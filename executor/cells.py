"""Verdicts of one shard: some distinct solutions of a problem against all its distinct tests."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Struct

from executor.classify import reply_value
from executor.expressions import Raised, Stopped
from executor.lift import Lifted, Program, TestPlan, Vacuous, plan_test, verdict_letter
from executor.model import Limits
from executor.purity import defined_names
from executor.sessions import Answer, Sessions

__all__ = ["CallShard", "CellRunner", "CellShard", "ShardCells", "ShardReplies", "Source"]


_LARGEST_ON_HOST = 1 << 16
_HEAVY_TAGS = (b'{"r":', b'{"D":', b'{"F":', b'{"i":')


class Source(Struct, frozen=True, array_like=True):
    """A distinct solution."""

    text: str
    stateless: bool


class CellShard(Struct, frozen=True, tag="cells"):
    """Work for one worker: every solution against the tests it still lacks."""

    entry_point: str
    context: str
    solutions: tuple[Source, ...]
    tests: tuple[str, ...]
    wanted: tuple[tuple[int, ...], ...]
    """Per solution, indices of the tests to run."""


class ShardCells(Struct, frozen=True, tag="cells"):
    """Per solution one letter and one mode per wanted test.

    Modes: ``l`` lifted, ``s`` split, ``x`` shared, ``v`` vacuous, ``a`` assumed: TIMEOUT without a run, because the
    solution had used up its timeouts (:attr:`Limits.max_timeouts`).
    """

    letters: tuple[str, ...]
    modes: tuple[str, ...]


class CallShard(Struct, frozen=True, tag="calls"):
    """Work for one worker: calls of every solution, to be recorded, not judged."""

    entry_point: str
    solutions: tuple[Source, ...]
    calls: tuple[str, ...]
    """Requests' JSON texts."""
    limits: Limits | None = None
    in_order: bool = False


class ShardReplies(Struct, frozen=True, tag="calls"):
    """Per solution one answer per call. Untrusted frames."""

    answers: tuple[tuple[tuple[bytes, str, float], ...], ...]


class CellRunner:
    """Runs shards in the two boxes of one worker."""

    def __init__(self, sessions: Sessions, limits: Limits) -> None:
        self._sessions = sessions
        self._limits = limits
        self._job = functools.lru_cache(maxsize=4)(_Job)

    def calls(self, shard: CallShard) -> ShardReplies:
        """Make all calls of a shard."""
        rows = []
        for solution in shard.solutions:
            limits = shard.limits or self._limits
            if solution.stateless or shard.in_order:
                answers = self._sessions.batch(solution.text, shard.entry_point, shard.calls, limits)
            else:
                answers = self._one_by_one(solution.text, shard.entry_point, shard.calls, limits)
            rows.append(tuple((answer.frame, answer.letter, answer.cpu_s) for answer in answers))
        return ShardReplies(tuple(rows))

    def _one_by_one(self, source: str, entry_point: str, calls: Sequence[str], limits: Limits) -> list[Answer]:
        """A fresh process per call, up to the limit of timeouts; a solution that cannot be loaded fails all at once."""
        answers: list[Answer] = []
        timeouts = 0
        for call in calls:
            answers += self._sessions.batch(source, entry_point, [call], limits)
            timeouts += answers[-1].letter == "T"
            if answers[-1].loading or (limits.max_timeouts is not None and timeouts >= limits.max_timeouts):
                break
        return answers + [answers[-1]] * (len(calls) - len(answers))

    def cells(self, shard: CellShard) -> ShardCells:
        """Judge all cells of a shard."""
        job = self._job(shard.entry_point, shard.context, shard.tests, self._limits.cpu_s)
        letters, modes = [], []
        for solution, wanted in zip(shard.solutions, shard.wanted):
            row = self._solution(job, shard, solution, wanted)
            letters.append("".join(letter for letter, _ in row))
            modes.append("".join(mode for _, mode in row))
        return ShardCells(tuple(letters), tuple(modes))

    def _solution(self, job: _Job, shard: CellShard, solution: Source, wanted: Sequence[int]) -> list[tuple[str, str]]:
        plans = {test: job.plan_for(test, solution.text) for test in wanted}
        answers = self._answers(job, shard.entry_point, solution, [t for t in wanted if isinstance(plans[t], Lifted)])
        row = []
        timeouts = 0
        for test, plan in plans.items():
            if isinstance(plan, Vacuous):
                row.append(("I", "v"))
            elif isinstance(plan, Lifted):
                row.append(self._lifted(job, shard, solution, test, answers[test]))
            elif self._limits.max_timeouts is not None and timeouts >= self._limits.max_timeouts:
                row.append(("T", "a"))
            else:
                row.append(self._program(shard, solution, shard.tests[test], plan))
                timeouts += row[-1][0] == "T"
        return row

    def _lifted(
        self, job: _Job, shard: CellShard, solution: Source, test: int, answers: tuple[Answer, ...]
    ) -> tuple[str, str]:
        plan = job.plans[test]
        if isinstance(plan, Lifted) and any(_is_heavy(answer.frame) for answer in answers):
            return self._program(shard, solution, shard.tests[test], plan.program)
        letter = job.verdict(test, answers)
        return letter, "a" if letter == "T" and any(answer.assumed for answer in answers) else "l"

    def _program(self, shard: CellShard, solution: Source, test: str, plan: Program) -> tuple[str, str]:
        letter, shared = self._sessions.judge(
            solution.text, shard.entry_point, shard.context, test, plan, reuse=solution.stateless
        )
        return letter, "x" if shared else "s"

    def _answers(
        self, job: _Job, entry_point: str, solution: Source, tests: Sequence[int]
    ) -> dict[int, tuple[Answer, ...]]:
        """Answers to the calls of each lifted test. A stateful solution gets a fresh process for every test."""
        if not tests:
            return {}
        if solution.stateless:
            texts = list(dict.fromkeys(text for test in tests for text in job.texts[test]))
            table = dict(zip(texts, self._sessions.batch(solution.text, entry_point, texts)))
            return {test: tuple(table[text] for text in job.texts[test]) for test in tests}
        sequences: dict[tuple[str, ...], tuple[Answer, ...]] = {}
        failed: Answer | None = None
        for test in tests:
            sequence = job.texts[test]
            if failed is not None:
                sequences[sequence] = (failed,) * len(sequence)
            elif sequence and sequence not in sequences:
                sequences[sequence] = tuple(self._sessions.batch(solution.text, entry_point, sequence))
                failed = sequences[sequence][0] if sequences[sequence][0].loading else None
        # A test may fail at an unbound name before it makes a call: its sequence is empty, and was not run.
        return {test: sequences.get(job.texts[test], ()) for test in tests}


def _is_heavy(frame: bytes) -> bool:
    """Tell whether a value may cost its reader more than its size: such a test is judged in a box, within limits.

    Ranges, decimals, fractions and large integers are short to write and long to sum, convert or compare.
    """
    return len(frame) > _LARGEST_ON_HOST or any(tag in frame for tag in _HEAVY_TAGS)


class _Job:
    """Plans of one problem's tests, and the verdicts found so far by the answers they follow from."""

    def __init__(self, entry_point: str, context: str, tests: tuple[str, ...], cpu_s: float) -> None:
        foreign = defined_names(context)
        self.plans: list[TestPlan] = [plan_test(test, entry_point, foreign) for test in tests]
        self.texts = [
            tuple(call.text for call in plan.calls) if isinstance(plan, Lifted) else () for plan in self.plans
        ]
        self._cpu_s = cpu_s
        self._defined = functools.lru_cache(maxsize=256)(defined_names)
        self._verdicts: dict[tuple[int, tuple[bytes, ...]], str] = {}
        self._values: dict[bytes, Callable[[], Any]] = {}

    def plan_for(self, test: int, solution: str) -> TestPlan:
        """The plan of one test on one solution: a name that the solution defines is no NameError."""
        plan = self.plans[test]
        if isinstance(plan, Lifted) and plan.unbound:
            defined = self._defined(solution)
            if plan.unbound & defined or "*" in defined:
                return plan.program
        return plan

    def verdict(self, test: int, answers: tuple[Answer, ...]) -> str:
        """Judge one lifted test; the same answers give the same verdict without looking again."""
        if sum(answer.cpu_s for answer in answers) > self._cpu_s:
            return "T"
        key = (test, tuple([answer.frame or b"!" + answer.letter.encode() for answer in answers]))
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
