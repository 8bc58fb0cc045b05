"""The cells of one job on their way: distinct solutions and tests, what the cache knows, shards, the matrix."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import msgspec
import numpy as np

from executor.cache import ResultCache, draw, row_key, solution_key, test_key
from executor.model import CellJob, Disagreement, Limits, PassMatrix, RunStats, Verdict
from executor.purity import look_at, sendable
from executor.shards import CellShard, ShardCells, Source

__all__ = ["CellPlan"]

_SHARD = 1
"""Distinct solutions per shard. Each may take seconds where it times out, and a worker that has more of them than the
others keeps everybody waiting at the end; what a shard costs beside its cells is a fraction of a millisecond."""
_PRUNED_SHARD = 4
"""The same where cells may be left out: what one solution of a shard is known to pass counts for those after it, while
shards are sent ahead of each other's answers."""


class CellPlan:
    """The cells of one job: which are known, which are to be run, where their verdicts go."""

    def __init__(self, job: CellJob, limits: Limits, cache: ResultCache | None) -> None:
        self._job = job
        self._cache = cache
        solutions = [sendable(solution) for solution in job.solutions]
        facts = [look_at(solution) for solution in solutions]
        first: dict[str, int] = {}
        self._row_of = [first.setdefault(fact.key, len(first)) for fact in facts]
        texts: dict[str, int] = {}
        self._column_of = [texts.setdefault(sendable(test), len(texts)) for test in job.tests]
        self._tests = tuple(texts)
        self._weights = np.bincount(self._column_of, minlength=len(texts))
        self._keys = [solution_key(key, job.entry_point, job.context, limits) for key in first]
        self._test_keys = [test_key(test) for test in self._tests]
        row_of_all = b"".join(sorted(self._test_keys))
        self._row_keys = [row_key(key, row_of_all) for key in self._keys]
        shape = (len(first), len(self._tests))
        self._letters = np.full(shape, ord(Verdict.NOT_RUN.value), dtype=np.uint8)
        self._modes = np.full(shape, ord("-"), dtype=np.uint8)
        self._run = np.zeros(shape, dtype=np.bool_)
        self._audits: dict[tuple[int, int], str] = {}
        if cache is not None:
            self._recall(cache)
        self._whole = self._letters != ord(Verdict.NOT_RUN.value)
        """Cells known before this run."""
        self._floor = self._best_of_whole_rows() if job.prune else None
        sources = {
            row: Source(solutions[i], facts[i].stateless, facts[i].watchable)
            for i, row in reversed(list(enumerate(self._row_of)))
        }
        self._shards, self._rows = self._make_shards(sources)
        self.open_shards = len(self._shards)

    def _recall(self, cache: ResultCache) -> None:
        """Enter what is known of each row.

        A verdict that followed from timeouts elsewhere in its row is known for the same row of tests only. A row that
        lacks cells and holds timeouts is run anew as a whole: what they leave to the rest is part of its verdicts.
        """
        column = {key: index for index, key in enumerate(self._test_keys)}
        for row, (key, whole_row) in enumerate(zip(self._keys, self._row_keys)):
            found = {test: cell for test, cell in cache.get(key).items() if test in column} | cache.get(whole_row)
            if len(found) < len(column) and any(letter in "TR" for letter, _ in found.values()):
                continue
            for test, (letter, mode) in found.items():
                self._letters[row, column[test]] = ord(letter)
                self._modes[row, column[test]] = ord(mode)

    def _votes(self, row: int) -> int:
        return int(self._weights[self._letters[row] == ord(Verdict.PASS.value)].sum())

    def _best_of_whole_rows(self) -> int:
        rows = np.flatnonzero((self._letters != ord(Verdict.NOT_RUN.value)).all(axis=1))
        return max((self._votes(int(row)) for row in rows), default=0)

    def _make_shards(self, sources: dict[int, Source]) -> tuple[list[CellShard], list[list[int]]]:
        audited = self._audited()
        todo = [row for row in range(len(self._keys)) if audited[row] or not self._whole[row].all()]
        if self._job.prune:
            # The likeliest winner first, a solution that was sampled often: the sooner its votes are known the better.
            copies = Counter(self._row_of)
            todo.sort(key=lambda row: -copies[row])
        shards, rows = [], []
        size = _PRUNED_SHARD if self._job.prune else _SHARD
        for at in range(0, len(todo), size):
            part = todo[at : at + size]
            shards.append(
                CellShard(
                    entry_point=self._job.entry_point,
                    context=self._job.context,
                    solutions=tuple(sources[row] for row in part),
                    tests=self._tests,
                    wanted=tuple(tuple(np.flatnonzero(~self._whole[row]).tolist()) for row in part),
                    audited=tuple(audited[row] for row in part),
                    weights=tuple(self._weights.tolist()),
                    votes=tuple(self._votes(row) for row in part),
                )
            )
            rows.append(part)
        return shards, rows

    def _audited(self) -> list[tuple[int, ...]]:
        """Tests to be audited per row: drawn by a hash of solution and test, so that every run draws the same."""
        if not self._job.audit:
            return [()] * len(self._keys)
        bound = int(self._job.audit * (1 << 32))
        may = ~self._whole | (self._modes == ord("l"))
        return [
            tuple(j for j, test in enumerate(self._test_keys) if may[i, j] and draw(key, test) < bound)
            for i, key in enumerate(self._keys)
        ]

    def shard(self, number: int) -> CellShard:
        """The work of one shard, with what is known by now of the votes to be beaten."""
        return msgspec.structs.replace(self._shards[number], floor=self._floor)

    def shards(self) -> Iterator[tuple[int, CellShard]]:
        """Number and work of each shard, made when it is asked for."""
        for number in range(len(self._shards)):
            yield number, self.shard(number)

    def take(self, number: int, answer: ShardCells) -> None:
        """Enter a shard's verdicts and remember them."""
        found: dict[bytes, list[tuple[bytes, str, str]]] = {}
        shard = self._shards[number]
        for place, row in enumerate(self._rows[number]):
            letters, modes = answer.letters[place], answer.modes[place]
            tests = list(shard.wanted[place])
            self._letters[row, tests] = np.frombuffer(letters.encode("ascii"), dtype=np.uint8)
            self._modes[row, tests] = np.frombuffer(modes.lower().encode("ascii"), dtype=np.uint8)
            ran = [test for test, letter in zip(tests, letters) if letter != Verdict.NOT_RUN.value]
            self._run[row, ran] = True
            if len(ran) == len(tests) and self._floor is not None:
                self._floor = max(self._floor, self._votes(row))
            self._audits |= {(row, test): letter for test, letter in zip(shard.audited[place], answer.audits[place])}
            cells = [(self._test_keys[t], letter, mode) for t, letter, mode in zip(tests, letters, modes)]
            found[self._keys[row]] = [cell for cell in cells if cell[2].islower()]
            found[self._row_keys[row]] = [
                (test, letter, mode.lower()) for test, letter, mode in cells if mode.isupper()
            ]
        if self._cache is not None:
            self._cache.put({key: cells for key, cells in found.items() if cells})
        self.open_shards -= 1

    def matrix(self, seconds: float) -> PassMatrix:
        """Spread the verdicts of distinct solutions and tests over the whole matrix."""
        index = np.ix_(self._row_of, self._column_of)
        letters = self._letters[index]
        counted = {mode: int(np.count_nonzero(self._run & (self._modes == ord(mode)))) for mode in "lsx"}
        audits = {cell: letter for cell, letter in self._audits.items() if letter != Verdict.NOT_RUN.value}
        disagreements = tuple(self._disagreements(audits))
        stats = RunStats(
            cells=letters.size,
            run=int(np.count_nonzero(self._run)),
            cached=int(np.count_nonzero(self._whole)),
            lifted=counted["l"],
            split=counted["s"],
            shared=counted["x"],
            assumed=int(np.count_nonzero(self._modes == ord("a"))),
            pruned=int(np.count_nonzero(self._letters == ord(Verdict.NOT_RUN.value))),
            audited=len(audits),
            disagreed=len(disagreements),
            unique_solutions=len(self._keys),
            unique_tests=len(self._tests),
            seconds=seconds,
        )
        return PassMatrix(self._job.job_id, letters, self._modes[index] == ord("x"), stats, disagreements)

    def _disagreements(self, audits: dict[tuple[int, int], str]) -> Iterator[Disagreement]:
        for (row, column), letter in sorted(audits.items()):
            lifted = chr(self._letters[row, column])
            if letter != lifted:
                yield Disagreement(
                    self._row_of.index(row), self._column_of.index(column), Verdict(lifted), Verdict(letter)
                )
