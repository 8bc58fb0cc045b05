"""The calls of one job on their way: distinct solutions, what the cache knows, shards, the outputs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from executor.cache import ResultCache, calls_key
from executor.classify import reply_value
from executor.errors import LimitsError
from executor.expressions import Raised, Stopped
from executor.inside import wire
from executor.model import CallJob, Limits, Outcome, Outputs, Verdict
from executor.purity import look_at, sendable
from executor.shards import AS_EXPECTED, CallShard, ShardReplies, Source
from executor.weights import value_frame

__all__ = ["CallPlan", "call_texts"]

_SMALLEST_SHARD, _LARGEST_SHARD = 2, 8
"""Distinct solutions per shard. A job's calls travel with each of its shards, which speaks for large ones; a solution
that times out takes seconds, which speaks for small ones at the end, so that all workers are busy until then."""
_ROUNDS = 4
"""A shard is this part of the solutions that are left (guided self-scheduling, Polychronopoulos and Kuck 1987)."""
_NOTEWORTHY_CPU_S = 0.05
"""Faster calls are recorded as taking no time, so that equal outcomes are one object."""

_WITH_EXPECTED = (AS_EXPECTED, Verdict.NOT_RUN.value)
"""Letters that only a job with expectations knows."""
_NOT_RUN = Outcome(kind="stopped", verdict=Verdict.NOT_RUN)

Reply = tuple[bytes, str, float]
"""Frame (untrusted), letter, CPU seconds."""


class CallPlan:
    """The calls of one job on each distinct solution: which are known, which are to be made, where outcomes go."""

    def __init__(self, job: CallJob, limits: Limits, cache: ResultCache | None) -> None:
        self._job = job
        self._cache = cache
        solutions = [sendable(solution) for solution in job.solutions]
        facts = [look_at(solution) for solution in solutions]
        first: dict[str, int] = {}
        self._row_of = [first.setdefault(fact.key, len(first)) for fact in facts]
        self._texts = call_texts(job)
        self._expected = expected_frames(job)
        asked = (str(job.cpu_s), str(job.parts), str(job.outputs_mb), str(job.short_first))
        parts = [text.encode("ascii") for text in (*self._texts, *asked)]
        digest = hashlib.sha256(b"\n".join((*parts, *self._expected))).digest()
        within = job.limits or limits
        if within.memory_mb > limits.memory_mb:
            raise LimitsError(
                f"{job.job_id}: its calls may take {within.memory_mb} MiB, this executor's workers {limits.memory_mb}; "
                "expected no more; open the executor with the larger limit"
            )
        self._keys = [calls_key(key, job.entry_point, digest, within, job.in_order) for key in first]
        self._decode = _Decoder(job)
        self._outcomes: list[tuple[Outcome, ...] | None] = [self._recall(key) for key in self._keys]
        sources = {
            row: Source(solutions[i], facts[i].stateless, facts[i].watchable)
            for i, row in reversed(list(enumerate(self._row_of)))
        }
        todo = [row for row, outcomes in enumerate(self._outcomes) if outcomes is None]
        self._rows = list(_shards(todo))
        self._sources = sources
        self.open_shards = len(self._rows)

    def _recall(self, key: bytes) -> tuple[Outcome, ...] | None:
        replies = None if self._cache is None else self._cache.get_replies(key)
        if replies is None or len(replies) > len(self._texts):
            return None
        if not self._expected and (len(replies) < len(self._texts) or any(one[1] in _WITH_EXPECTED for one in replies)):
            return None  # written by something else: without expectations every answer stands there
        return self._decode.row(replies)

    def shards(self) -> Iterator[tuple[int, CallShard]]:
        """Number and work of each shard."""
        for number, rows in enumerate(self._rows):
            sources = tuple(self._sources[row] for row in rows)
            job = self._job
            yield (
                number,
                CallShard(
                    job.entry_point,
                    sources,
                    self._texts,
                    job.limits,
                    job.cpu_s,
                    job.in_order,
                    job.parts,
                    self._expected,
                    job.outputs_mb,
                    job.short_first,
                ),
            )

    def take(self, number: int, answer: ShardReplies) -> None:
        """Enter a shard's answers and remember them."""
        for row, replies in zip(self._rows[number], answer.answers):
            self._outcomes[row] = self._decode.row(replies)
        if self._cache is not None:
            rows = zip(self._rows[number], answer.answers, answer.sure)
            self._cache.put_replies({self._keys[row]: replies for row, replies, sure in rows if sure})
        self.open_shards -= 1

    def outputs(self) -> Outputs:
        """Spread the outcomes of distinct solutions over all."""
        table = [outcomes or () for outcomes in self._outcomes]
        return Outputs(self._job.job_id, tuple(table[row] for row in self._row_of))


def _shards(rows: list[int]) -> Iterator[list[int]]:
    while rows:
        size = min(_LARGEST_SHARD, max(_SMALLEST_SHARD, len(rows) // _ROUNDS))
        yield rows[:size]
        rows = rows[size:]


def call_texts(job: CallJob) -> tuple[str, ...]:
    """Requests of a job's calls as JSON texts.

    Raises:
        TypeError: an argument is no plain data.
    """
    texts = []
    for number, call in enumerate(job.calls):
        try:
            texts.append(call.text)
        except TypeError:
            raise TypeError(f"{job.job_id}: call {number} has an argument that is no plain data") from None
    return tuple(texts)


def expected_frames(job: CallJob) -> tuple[bytes, ...]:
    """Frames of the answers that a job expects.

    Raises:
        TypeError: an expected value is no plain data.
    """
    for number, value in enumerate(job.expected):
        if not wire.is_plain(value):
            raise TypeError(f"{job.job_id}: what is expected of call {number} is no plain data")
    return tuple(value_frame(value) for value in job.expected)


class _Decoder:
    """Decodes frames. Equal frames become one object, and expected ones the job's own values."""

    def __init__(self, job: CallJob) -> None:
        self._known: dict[Reply, Outcome] = {}
        self._calls = len(job.calls)
        self._expected = [Outcome(kind="value", value=value) for value in job.expected]

    def row(self, replies: Sequence[Reply]) -> tuple[Outcome, ...]:
        """Outcomes of one solution, one per call."""
        row = []
        for number, (frame, letter, cpu_s) in enumerate(replies):
            noted = cpu_s if cpu_s >= _NOTEWORTHY_CPU_S else 0.0
            if letter == AS_EXPECTED:
                same = self._expected[number]
                row.append(msgspec.structs.replace(same, cpu_s=noted) if noted else same)
                continue
            key = (frame, letter, noted)
            if key not in self._known:
                self._known[key] = _outcome(*key)
            row.append(self._known[key])
        return (*row, *[_NOT_RUN] * (self._calls - len(row)))


def _outcome(frame: bytes, letter: str, cpu_s: float) -> Outcome:
    if letter:
        return Outcome(kind="stopped", verdict=Verdict(letter), cpu_s=cpu_s)
    try:
        return Outcome(kind="value", value=reply_value(frame), cpu_s=cpu_s)
    except Raised as raised:
        return Outcome(kind="raised", error=raised.kind.__name__, message=_message(frame), cpu_s=cpu_s)
    except Stopped as stopped:
        return Outcome(kind="stopped", verdict=Verdict(stopped.letter), cpu_s=cpu_s)


def _message(frame: bytes) -> str:
    reply: Sequence[Any] = json.loads(frame.decode("ascii"))
    return str(reply[2])[:500]
