"""Calls of one solution, in a batch: made in as few processes as they allow, answered one by one."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from msgspec import Struct

from executor.boxes import Boxes
from executor.budget import Budget
from executor.classify import end_letter, load_failure
from executor.errors import BoxDied
from executor.requests import calls_request, solution_task
from executor.shards import Source

__all__ = ["Answer", "Streams"]

_log = logging.getLogger(__name__)
_TOGETHER = 1.5
"""Calls of a chunk have so many limits together. More than one, as a call that loops is to be ended by its own limit,
and blamed for it, also where those before it took some time."""


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

    @property
    def ended(self) -> bool:
        """The call was made, and took all its time or memory."""
        return self.letter in ("T", "R") and not (self.loading or self.assumed)


class _Work(NamedTuple):
    """Calls of one solution; what they are is said at :meth:`Streams.stream`."""

    solution: Source
    entry_point: str
    calls: Sequence[str]
    budget: Budget
    cpu_s: Sequence[float]
    together: bool

    def only(self, number: int) -> _Work:
        """The same with this call alone."""
        one = slice(number, number + 1)
        return self._replace(calls=self.calls[one], cpu_s=self.cpu_s[one])


class Streams:
    """Makes calls in the boxes of one worker. Raises :class:`SandboxError` where the sandbox fails for good."""

    def __init__(self, boxes: Boxes) -> None:
        self._boxes = boxes

    def stream(
        self,
        solution: Source,
        entry_point: str,
        calls: Sequence[str],
        budget: Budget,
        chunks: Iterable[int] = (),
        cpu_s: Sequence[float] = (),
        *,
        together: bool = False,
    ) -> Iterator[Answer]:
        """Make calls of one solution, in as few processes as they allow; yield one answer per call, in order.

        Whoever has seen enough stops taking answers. Until then nothing else may be asked of the boxes.

        Args:
            calls: requests' JSON texts, ``[function, arguments, keywords]``.
            budget: limits the calls, and is told of those that do not come back.
            chunks: numbers of calls to make at a time, ahead of the answers that are taken; then the rest at once.
            cpu_s: CPU seconds of each call; empty: those of the budget.
            together: the calls of a chunk have little more CPU time together than one has alone. Where it is used up
                the answers end early, and the call that was being made is not blamed.
        """
        work = _Work(solution, entry_point, calls, budget, cpu_s, together)
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
                self._boxes.check_canary()
                yield Answer(letter="R", sure=False)

    def _from_the_start(self, work: _Work, taken: int) -> Iterator[Answer]:
        """Make all calls once more, of which those that have answers lead to the state for the others."""
        try:
            for answer in itertools.islice(self._stream(work), taken, None):
                taken += 1
                yield answer
        except BoxDied:
            self._boxes.check_canary()
            yield from [Answer(letter="R", sure=False)] * (len(work.calls) - taken)

    def _stream(self, work: _Work, chunks: Iterable[int] = ()) -> Iterator[Answer]:
        solution, entry_point, calls, budget, cpu_s, together = work
        self._boxes.solutions.start()
        taken, sizes = 0, iter(chunks)
        while taken < len(calls):
            ahead = calls[taken : taken + next(sizes, len(calls))]
            payload = solution_task(solution, entry_point, ahead, budget.limits)
            each = [budget.limits.cpu_s, *cpu_s[taken : taken + len(ahead)]] if cpu_s else []
            most = _TOGETHER * budget.limits.cpu_s if together else 0.0
            replies = self._boxes.start_solution("solution", payload, 1 + len(ahead), budget.limits, each, most)
            letter = load_failure(replies.frames[0])[0] if replies.frames else end_letter(replies)
            if letter:
                whole = letter != "T" or not (budget.shrunk or replies.end == "wall")
                yield from [Answer(letter=letter, loading=True, sure=whole)] * (len(calls) - taken)
                return
            answers = [Answer(frame, "", cpu) for frame, cpu in zip(replies.frames[1:], replies.cpu_s[1:])]
            sure = not budget.shrunk
            while True:
                yield from answers
                taken += len(answers)
                if replies.end != "alive" or taken == len(calls):
                    break
                ahead = calls[taken : taken + next(sizes, len(calls))]
                replies = self._boxes.solutions.ask(
                    calls_request(ahead), len(ahead), cpu_s[taken : taken + len(ahead)],
                    _TOGETHER * budget.limits.cpu_s if together else 0.0,
                )  # fmt: skip
                answers = [Answer(frame, "", cpu) for frame, cpu in zip(replies.frames, replies.cpu_s)]
            if replies.end == "slow":
                return
            if replies.end != "alive":
                letter = end_letter(replies)
                budget.note(letter)
                yield Answer(letter=letter, sure=sure and replies.end != "wall")
                taken += 1
                if budget.spent:
                    yield from [Answer(letter=letter, assumed=True, sure=False)] * (len(calls) - taken)
                    return
