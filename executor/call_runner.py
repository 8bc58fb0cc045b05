"""Answers of one shard's solutions to all calls of a job: recorded, not judged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import msgspec

from executor.boxes import Boxes
from executor.budget import Budget
from executor.model import Limits, Verdict
from executor.shards import AS_EXPECTED, CallShard, ShardReplies, Source
from executor.streams import Answer, Streams
from executor.weights import weight_of

__all__ = ["CallRunner"]

_FIRST_CHUNK = 2
_GROWTH = 4
"""Where answers are expected, calls are made in chunks that grow: who is wrong is mostly wrong at once."""

Reply = tuple[bytes, str, float]
"""Frame, letter, CPU seconds."""


_NOT_MADE: Reply = (b"", Verdict.NOT_RUN.value, 0.0)


class CallRunner:
    """Runs shards in the boxes of one worker."""

    def __init__(self, boxes: Boxes, limits: Limits) -> None:
        self._streams = Streams(boxes)
        self._limits = limits

    def calls(self, shard: CallShard) -> ShardReplies:
        """Make the calls of a shard."""
        rows, sure = [], []
        short = _short_first(shard) if shard.short_first else None
        for solution in shard.solutions:
            order, asked = short if short and solution.stateless else (range(len(shard.calls)), shard)
            answers = list(_within(asked, self._answers(asked, solution)))
            rows.append(_row(asked, order, answers))
            # Assumed answers follow from the row's own timeouts: the same calls would be assumed again.
            sure.append(all(answer.sure or answer.assumed for answer in answers))
        return ShardReplies(tuple(rows), tuple(sure))

    def _answers(self, shard: CallShard, solution: Source) -> Iterator[Answer]:
        """Yield an answer per call, up to the first that is not as expected."""
        budget = Budget(shard.limits or self._limits, one_process=shard.in_order)
        expected = shard.expected
        done = 0
        last = Answer()
        for start, end in _spans(shard, solution):
            if last.loading or budget.spent:
                break
            for last in self._stream(shard, solution, budget, start, end):
                yield last
                if expected and last.frame != expected[done]:
                    return
                done += 1
        # A solution that cannot be loaded fails all calls, one that has used up its timeouts all that are left.
        rest = last if last.loading else Answer(letter=budget.letter, assumed=True, sure=False)
        yield from [rest] * (len(shard.calls) - done)

    def _stream(self, shard: CallShard, solution: Source, budget: Budget, start: int, end: int) -> Iterator[Answer]:
        return self._streams.stream(
            solution,
            shard.entry_point,
            shard.calls[start:end],
            budget,
            chunks=_chunks(shard, start, end) if shard.expected else (),
            cpu_s=shard.cpu_s[start:end],
        )


def _short_first(shard: CallShard) -> tuple[Sequence[int], CallShard]:
    """The shard with its calls in another order, and where each of them stood."""
    bounds = pairwise([0, *shard.parts, len(shard.calls)])
    order = [index for part in bounds for index in sorted(range(*part), key=lambda index: len(shard.calls[index]))]
    return order, msgspec.structs.replace(
        shard,
        calls=tuple(shard.calls[index] for index in order),
        cpu_s=tuple(shard.cpu_s[index] for index in order) if shard.cpu_s else (),
        expected=tuple(shard.expected[index] for index in order),
    )


def _row(shard: CallShard, order: Sequence[int], answers: Sequence[Answer]) -> tuple[Reply, ...]:
    """Replies to the calls in their own order; without those at the end that were not made."""
    expected = shard.expected or (b"",) * len(answers)
    row: list[Reply] = [_NOT_MADE] * len(shard.calls)
    for place, answer, frame in zip(order, answers, expected):
        if not (shard.short_first and answer.assumed):
            row[place] = _reply(answer, frame)
    while row and row[-1] is _NOT_MADE:
        row.pop()
    return tuple(row)


def _within(shard: CallShard, answers: Iterator[Answer]) -> Iterator[Answer]:
    """The answers, as far as there is room for them."""
    room = shard.outputs_mb << 20
    for number, answer in enumerate(answers):
        if not shard.expected or answer.frame != shard.expected[number]:
            room -= weight_of(answer.frame)
        if room < 0:
            yield from [Answer(letter="R")] * (len(shard.calls) - number)
            return
        yield answer


def _spans(shard: CallShard, solution: Source) -> Iterator[tuple[int, int]]:
    """First and last of the calls, as of a slice, that are made in one process."""
    if solution.stateless:
        cuts: list[int] = []
    elif shard.in_order:
        cuts = list(shard.parts)
    else:
        cuts = list(range(1, len(shard.calls)))
    return pairwise([0, *cuts, len(shard.calls)])


def _chunks(shard: CallShard, start: int, end: int) -> Iterator[int]:
    """Sizes that grow, and reach beyond no part: of later parts the solution may never get to see a call."""
    size = _FIRST_CHUNK
    for stop in [*(part for part in shard.parts if start < part < end), end]:
        while start < stop:
            yield min(size, stop - start)
            start += size
            size *= _GROWTH
        start = stop


def _reply(answer: Answer, expected: bytes) -> Reply:
    if answer.frame and answer.frame == expected:
        return b"", AS_EXPECTED, answer.cpu_s
    return answer.frame, answer.letter, answer.cpu_s
