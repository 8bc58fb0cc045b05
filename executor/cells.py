"""Verdicts of one shard: some distinct solutions of a problem against all its distinct tests."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from executor.ballot import Ballot
from executor.boxes import Boxes
from executor.budget import Budget
from executor.judging import PlanBook, is_heavy
from executor.lift import Lifted, Program, Vacuous
from executor.model import Limits
from executor.programs import Programs
from executor.shards import CellShard, ShardCells, Source
from executor.streams import Answer, Streams

__all__ = ["CellRunner"]

Cell = tuple[str, str]
"""Letter and mode of one cell."""

_NOT_RUN: Cell = ("-", "-")
_CACHED: Cell = ("-", "l")
"""Stands for a cell that is to be audited and not to be run: the engine knows it to be lifted."""
_AUDITABLE = frozenset({_CACHED, *((letter, "l") for letter in "PFERI")})
_CHUNK = 24
"""Calls made at a time: between them a solution may be given up."""


class CellRunner:
    """Runs shards in the two boxes of one worker."""

    def __init__(self, boxes: Boxes, limits: Limits) -> None:
        self._streams, self._programs = Streams(boxes), Programs(boxes)
        self._limits = limits
        self._book = functools.lru_cache(maxsize=4)(PlanBook)

    def cells(self, shard: CellShard) -> ShardCells:
        """Judge all cells of a shard."""
        book = self._book(shard.entry_point, shard.context, shard.tests, self._limits.cpu_s)
        letters, modes, audits = [], [], []
        floor = shard.floor
        for place, solution in enumerate(shard.solutions):
            wanted = shard.wanted[place]
            ballot = Ballot(shard.votes[place], sum(shard.weights[test] for test in wanted), floor)
            row = _Row(self._streams, self._programs, self._limits, book, shard, solution, ballot).judge(wanted)
            if floor is not None and not ballot.hopeless:
                floor = max(floor, ballot.votes)
            letters.append("".join(row[test][0] for test in wanted))
            modes.append("".join(row[test][1] for test in wanted))
            # A timeout is no matter of how the test was run.
            lifted = [row.get(test, _CACHED) in _AUDITABLE for test in shard.audited[place]]
            audits.append("".join(
                self._audit(book, shard, solution, test) if is_lifted else "-"
                for test, is_lifted in zip(shard.audited[place], lifted)
            ))  # fmt: skip
        return ShardCells(tuple(letters), tuple(modes), tuple(audits))

    def _audit(self, book: PlanBook, shard: CellShard, solution: Source, test: int) -> str:
        """Run a lifted test as the program it is, on a process of the solution that has served nobody else
        and is given all its time."""
        plan = book.plan_for(test, solution.text)
        if not isinstance(plan, Lifted):
            return "-"
        slow = msgspec.structs.replace(solution, watchable=False)
        letter, _ = self._programs.run(
            slow, shard.entry_point, shard.context, shard.tests[test], plan.program, Budget(self._limits), reuse=False
        )
        return letter


class _Row:
    """One solution against its tests."""

    def __init__(
        self,
        streams: Streams,
        programs: Programs,
        limits: Limits,
        book: PlanBook,
        shard: CellShard,
        solution: Source,
        ballot: Ballot,
    ) -> None:
        self._streams = streams
        self._programs = programs
        self._book = book
        self._shard = shard
        self._solution = solution
        self._ballot = ballot
        self._budget = Budget(limits)
        self._cells: dict[int, Cell] = {}

    def judge(self, wanted: Sequence[int]) -> dict[int, Cell]:
        """Return the cell of each wanted test.

        Tests that are lifted come first: they cost next to nothing. Otherwise the order is that of the book, whatever
        the order in the job: once a solution has timed out, verdicts may depend on what was run before.
        """
        ordered = sorted(wanted, key=self._book.order)
        plans = {test: self._book.plan_for(test, self._solution.text) for test in ordered}
        lifted: dict[int, Lifted] = {}
        programs: dict[int, Program] = {}
        for test, plan in plans.items():
            if isinstance(plan, Lifted) and (plan.straight or self._solution.stateless):
                lifted[test] = plan
            elif not isinstance(plan, Vacuous):
                programs[test] = _program_of(plan)
        programs |= {test: lifted[test].program for test in self._lifted(list(lifted))}
        for test, plan in plans.items():
            if isinstance(plan, Vacuous):
                self._enter(test, "I", "v")
        for test in sorted(programs, key=self._book.order):
            if self._ballot.hopeless:
                break
            self._program(test, programs[test])
        return {test: self._cells.get(test, _NOT_RUN) for test in wanted}

    def _enter(self, test: int, letter: str, mode: str, *, sure: bool = True) -> None:
        self._cells[test] = (letter, mode if sure else mode.upper())
        self._ballot.count(self._shard.weights[test], passed=letter == "P")

    def _lifted(self, tests: Sequence[int]) -> list[int]:
        """Judge lifted tests by recorded answers; returns those that are to run as programs: their answers are too
        heavy to be judged here, or took so long that only a run of the test itself can tell what comes of its time."""
        left = []
        for test, answers in self._answered(tests):
            if answers is None or not self._book.is_in_time(answers) or any(is_heavy(one.frame) for one in answers):
                left.append(test)
                continue
            letter = self._book.verdict(test, answers)
            assumed = letter == self._budget.letter and any(answer.assumed for answer in answers)
            self._enter(test, letter, "a" if assumed else "l", sure=all(answer.sure for answer in answers))
            if self._ballot.hopeless:
                break
        return left

    def _answered(self, tests: Sequence[int]) -> Iterator[tuple[int, tuple[Answer, ...] | None]]:
        """Yield each test with the answers to its calls, or with None where they take too long."""
        return self._answered_together(tests) if self._solution.stateless else self._answered_apart(tests)

    def _answered_together(self, tests: Sequence[int]) -> Iterator[tuple[int, tuple[Answer, ...] | None]]:
        """Make every call once for all tests, many at a time. A test whose calls take too long is left out; one that is
        decided by a call that does not come back ends there. What only they call is not called any more."""
        known: dict[str, Answer] = {}
        answers = self._new_answers(tests, known)
        for place, test in enumerate(tests):
            wanted = self._book.texts[test]
            row: list[Answer] = []
            for text in wanted:
                while text not in known and (pair := next(answers, None)) is not None:
                    known[pair[0]] = pair[1]
                if text not in known or not self._book.is_in_time(row):
                    break
                row.append(known[text])
                if row[-1].ended and self._book.is_decided(test, row):
                    row += [row[-1]] * (len(wanted) - len(row))
                    answers = self._new_answers(tests[place + 1 :], known)
                    break
            if len(row) == len(wanted):
                yield test, tuple(row)
            else:
                answers = self._new_answers(tests[place + 1 :], known)
                yield test, None

    def _new_answers(self, tests: Sequence[int], known: Mapping[str, Answer]) -> Iterator[tuple[str, Answer]]:
        """Make the calls that tests lack, in the order of their first use: what a test lacks comes next."""
        texts = list(dict.fromkeys(text for test in tests for text in self._book.texts[test] if text not in known))
        if self._budget.spent:
            rest = Answer(letter=self._budget.letter, assumed=True, sure=False)
            return ((text, rest) for text in texts)
        return zip(texts, self._stream(texts))

    def _answered_apart(self, tests: Sequence[int]) -> Iterator[tuple[int, tuple[Answer, ...] | None]]:
        """Make the calls of each test in a process of its own: the solution may keep state."""
        known: dict[tuple[str, ...], tuple[Answer, ...] | None] = {(): ()}
        failed: Answer | None = None
        for test in tests:
            sequence = self._book.texts[test]
            if sequence not in known:
                found = [failed] * len(sequence) if failed is not None else self._in_order(test, sequence)
                known[sequence] = tuple(found) if len(found) == len(sequence) else None
                if found and found[-1].loading:
                    failed = found[-1]
                elif self._budget.spent:
                    failed = Answer(letter=self._budget.letter, assumed=True, sure=False)
            yield test, known[sequence]

    def _in_order(self, test: int, texts: Sequence[str]) -> list[Answer]:
        """The answers to calls that are made in one process; fewer where they take too long together."""
        found: list[Answer] = []
        for answer in self._stream(texts):
            found.append(answer)
            if answer.ended and self._book.is_decided(test, found):
                return [*found, *[answer] * (len(texts) - len(found))]
        return found

    def _stream(self, texts: Sequence[str]) -> Iterator[Answer]:
        # The same with and without pruning, so that no solution can tell, and behave otherwise.
        return self._streams.stream(
            self._solution, self._shard.entry_point, texts, self._budget, itertools.repeat(_CHUNK), together=True
        )

    def _program(self, test: int, program: Program) -> None:
        if self._budget.spent:
            self._enter(test, self._budget.letter, "a", sure=False)
            return
        whole = not self._budget.shrunk
        letter, shared = self._programs.run(
            self._solution, self._shard.entry_point, self._shard.context, self._shard.tests[test], program,
            self._budget, reuse=self._solution.stateless,
        )  # fmt: skip
        if letter in "TR":
            self._budget.note(letter)
        # A program that timed out may have waited: only CPU time is the same in every run.
        self._enter(test, letter, "x" if shared else "s", sure=letter not in "TR" or (whole and letter == "R"))


def _program_of(plan: Lifted | Program) -> Program:
    return plan.program if isinstance(plan, Lifted) else plan
