"""Verdicts of one shard: some distinct solutions of a problem against all its distinct tests."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Collection, Iterator, Sequence

import msgspec

from executor.ballot import Ballot
from executor.boxes import Boxes
from executor.budget import Budget
from executor.expressions import Stopped
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
        self._known: dict[str, Answer] = {}
        """Answers to calls of a solution that keeps no state."""

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
        """Judge lifted tests by recorded answers; returns those whose answers are too heavy to be judged here."""
        heavy = []
        for test, answers in self._answered(tests):
            if answers is None:
                if not self._on_demand(test):
                    heavy.append(test)
            elif any(is_heavy(answer.frame) for answer in answers):
                heavy.append(test)
            else:
                self._enter_lifted(test, self._book.verdict(test, answers), answers)
            if self._ballot.hopeless:
                break
        return heavy

    def _enter_lifted(self, test: int, letter: str, answers: Collection[Answer]) -> None:
        assumed = letter == self._budget.letter and any(answer.assumed for answer in answers)
        self._enter(test, letter, "a" if assumed else "l", sure=all(answer.sure for answer in answers))

    def _answered(self, tests: Sequence[int]) -> Iterator[tuple[int, tuple[Answer, ...] | None]]:
        """Yield each test with the answers to its calls; None: they are to be asked for as the test needs them."""
        return self._answered_together(tests) if self._solution.stateless else self._answered_apart(tests)

    def _answered_together(self, tests: Sequence[int]) -> Iterator[tuple[int, tuple[Answer, ...] | None]]:
        """Make every call once for all tests, many at a time: up to the first test that does not get by on its time,
        or to calls that do not get by on that of one."""
        # In the order of their first use: what a test lacks comes next.
        texts = list(dict.fromkeys(text for test in tests for text in self._book.texts[test]))
        answers = self._stream(texts)
        known = self._known
        for test in tests:
            wanted = self._book.texts[test]
            while not all(text in known for text in wanted) and (answer := next(answers, None)) is not None:
                known[texts[len(known)]] = answer
            row = tuple(known[text] for text in wanted if text in known)
            if len(row) < len(wanted) or not self._book.is_in_time(row):
                answers = iter(())
                yield test, None
            else:
                yield test, row

    def _on_demand(self, test: int) -> bool:
        """Judge a lifted test as the program it is: it stops at its end, and has its time and no more. False: it is to
        be run as one, as an answer is too heavy to be judged here."""
        texts = self._book.texts[test]
        row: list[Answer] = []

        def answer_of(index: int, left: float) -> Answer:
            row.append(self._known[texts[index]] if texts[index] in self._known else self._alone(texts[index], left))
            if is_heavy(row[-1].frame):
                raise Stopped("R")  # before it is read
            return row[-1]

        letter = self._book.verdict_on_demand(test, answer_of)
        if any(is_heavy(answer.frame) for answer in row):
            return False
        if letter == "T" and not any(answer.letter for answer in row):
            self._budget.note("T")
        self._enter_lifted(test, letter, row)
        return True

    def _alone(self, text: str, left: float) -> Answer:
        """Make one call in the time that is left to its test."""
        if self._budget.spent:
            return Answer(letter=self._budget.letter, assumed=True, sure=False)
        limit = self._budget.limits.cpu_s
        (answer,) = self._streams.stream(
            self._solution, self._shard.entry_point, [text], self._budget, cpu_s=[min(left, limit)]
        )
        if answer.letter != "T" or left >= limit:
            self._known[text] = answer  # the same for all tests
        return answer

    def _answered_apart(self, tests: Sequence[int]) -> Iterator[tuple[int, tuple[Answer, ...]]]:
        """Make the calls of each test in a process of its own: the solution may keep state."""
        known: dict[tuple[str, ...], tuple[Answer, ...]] = {(): ()}
        failed: Answer | None = None
        for test in tests:
            sequence = self._book.texts[test]
            if sequence not in known:
                found = [failed] * len(sequence) if failed is not None else self._in_time(sequence)
                known[sequence] = tuple(found)
                if found[-1].loading:
                    failed = found[-1]
                elif self._budget.spent:
                    failed = Answer(letter=self._budget.letter, assumed=True, sure=False)
            yield test, known[sequence]

    def _in_time(self, texts: Sequence[str]) -> list[Answer]:
        """The answers to the calls of one test, in one process; those after its time is used up are timeouts."""
        found = list(self._stream(texts, chunk=len(texts)))
        late = len(texts) - len(found)
        if late:
            self._budget.note("T")
        return [*found, *[Answer(letter="T", sure=False)] * late]

    def _stream(self, texts: Sequence[str], chunk: int = _CHUNK) -> Iterator[Answer]:
        # The same with and without pruning, so that no solution can tell, and behave otherwise.
        return self._streams.stream(
            self._solution, self._shard.entry_point, texts, self._budget, itertools.repeat(chunk), together=True
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
