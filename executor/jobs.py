"""One job on its way: distinct solutions and tests, what the cache knows, shards for the workers, the matrix."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from executor.cache import VerdictCache, solution_key, test_key
from executor.cells import CellShard, ShardCells, ShardReplies, Source
from executor.classify import reply_value
from executor.expressions import Raised, Stopped
from executor.inside import wire
from executor.model import CallJob, CellJob, Limits, Outcome, PassMatrix, RunStats, Verdict
from executor.purity import look_at

__all__ = ["CellPlan", "call_texts", "outcome_rows", "sendable"]

_SHARD = 16
"""Distinct solutions per shard: small enough to keep all workers busy to the end of a job."""
_NOTEWORTHY_CPU_S = 0.05
"""Faster calls are recorded as taking no time, so that equal outcomes are one object."""


class CellPlan:
    """The cells of one job: which are known, which are to be run, where their verdicts go."""

    def __init__(self, job: CellJob, limits: Limits, cache: VerdictCache | None) -> None:
        self._job = job
        self._cache = cache
        solutions = [sendable(solution) for solution in job.solutions]
        facts = [look_at(solution) for solution in solutions]
        first: dict[str, int] = {}
        self._row_of = [first.setdefault(fact.key, len(first)) for fact in facts]
        texts: dict[str, int] = {}
        self._column_of = [texts.setdefault(sendable(test), len(texts)) for test in job.tests]
        self._tests = tuple(texts)
        self._keys = [solution_key(key, job.entry_point, job.context, limits) for key in first]
        self._test_keys = [test_key(test) for test in self._tests]
        shape = (len(first), len(self._tests))
        self._letters = np.full(shape, ord(Verdict.NOT_RUN.value), dtype=np.uint8)
        self._modes = np.full(shape, ord("-"), dtype=np.uint8)
        self._run = np.zeros(shape, dtype=np.bool_)
        if cache is not None:
            self._recall(cache)
        sources = {row: Source(solutions[i], facts[i].stateless) for i, row in reversed(list(enumerate(self._row_of)))}
        self.shards, self._rows = self._make_shards(sources)
        self.open_shards = len(self.shards)

    def _recall(self, cache: VerdictCache) -> None:
        column = {key: index for index, key in enumerate(self._test_keys)}
        for row, key in enumerate(self._keys):
            for test, (letter, mode) in cache.get(key).items():
                if test in column:
                    self._letters[row, column[test]] = ord(letter)
                    self._modes[row, column[test]] = ord(mode)

    def _make_shards(self, sources: dict[int, Source]) -> tuple[list[CellShard], list[list[int]]]:
        lacking = self._letters == ord(Verdict.NOT_RUN.value)
        todo = [row for row in range(len(self._keys)) if lacking[row].any()]
        shards, rows = [], []
        for at in range(0, len(todo), _SHARD):
            part = todo[at : at + _SHARD]
            wanted = tuple(tuple(int(test) for test in np.flatnonzero(lacking[row])) for row in part)
            solutions = tuple(sources[row] for row in part)
            shards.append(CellShard(self._job.entry_point, self._job.context, solutions, self._tests, wanted))
            rows.append(part)
        return shards, rows

    def take(self, number: int, answer: ShardCells) -> None:
        """Enter a shard's verdicts and remember them."""
        found: dict[bytes, list[tuple[bytes, str, str]]] = {}
        shard = self.shards[number]
        for row, wanted, letters, modes in zip(self._rows[number], shard.wanted, answer.letters, answer.modes):
            tests = list(wanted)
            self._letters[row, tests] = np.frombuffer(letters.encode("ascii"), dtype=np.uint8)
            self._modes[row, tests] = np.frombuffer(modes.encode("ascii"), dtype=np.uint8)
            self._run[row, tests] = True
            found[self._keys[row]] = [(self._test_keys[t], *cell) for t, *cell in zip(tests, letters, modes)]  # type: ignore[misc]
        if self._cache is not None:
            self._cache.put(found)
        self.open_shards -= 1

    def matrix(self, seconds: float) -> PassMatrix:
        """Spread the verdicts of distinct solutions and tests over the whole matrix."""
        index = np.ix_(self._row_of, self._column_of)
        letters = self._letters[index]
        counted = {mode: int(np.count_nonzero(self._run & (self._modes == ord(mode)))) for mode in "lsxa"}
        run = int(np.count_nonzero(self._run))
        stats = RunStats(
            cells=letters.size,
            run=run,
            cached=self._run.size - run,
            lifted=counted["l"],
            split=counted["s"],
            shared=counted["x"],
            assumed=counted["a"],
            unique_solutions=len(self._keys),
            unique_tests=len(self._tests),
            seconds=seconds,
        )
        return PassMatrix(self._job.job_id, letters, self._modes[index] == ord("x"), stats)


def sendable(source: str) -> str:
    """Return the source, or, where it holds lone surrogates and so is no program at all, one that is none either."""
    try:
        source.encode("utf-8")
    except UnicodeEncodeError:
        return "\0"
    return source


def call_texts(job: CallJob) -> tuple[str, ...]:
    """Requests of a job's calls as JSON texts.

    Raises:
        TypeError: an argument is no plain data.
    """
    texts = []
    for number, call in enumerate(job.calls):
        if not wire.is_plain(call.args):
            raise TypeError(f"{job.job_id}: call {number} has an argument that is no plain data")
        request = [call.function, wire.encode(tuple(call.args)), wire.encode({})]
        texts.append(json.dumps(request, separators=(",", ":")))
    return tuple(texts)


def outcome_rows(answer: ShardReplies) -> list[tuple[Outcome, ...]]:
    """Decode a shard's answers. Equal frames become one object."""
    known: dict[tuple[bytes, str, float], Outcome] = {}
    rows = []
    for replies in answer.answers:
        row = []
        for frame, letter, cpu_s in replies:
            key = (frame, letter, cpu_s if cpu_s >= _NOTEWORTHY_CPU_S else 0.0)
            if key not in known:
                known[key] = _outcome(*key)
            row.append(known[key])
        rows.append(tuple(row))
    return rows


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
    reply: Sequence[Any] = json.loads(frame)
    return str(reply[2])[:500]
