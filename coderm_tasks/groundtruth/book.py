"""Grades as they become final."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from msgspec import Struct

from coderm_tasks.groundtruth.model import Grade
from coderm_tasks.model import Problem

__all__ = ["Book", "Item", "Progress"]

Progress = Callable[[int], None]
"""Called with the number of solutions whose grades have just become final."""


class Item(Struct, frozen=True):
    """One problem on its way, with those of its distinct solutions that are still undecided."""

    problem: Problem
    codes: tuple[str, ...]

    @property
    def task_id(self) -> str:
        """Task id of the problem."""
        return self.problem.task_id


class Book:
    """Problem -> source -> grade. Identical sources share one entry."""

    def __init__(
        self, problems: Sequence[Problem], solutions: Sequence[Sequence[str]], progress: Progress | None = None
    ) -> None:
        self._given = {problem.task_id: tuple(codes) for problem, codes in zip(problems, solutions, strict=True)}
        self._copies = {task_id: Counter(codes) for task_id, codes in self._given.items()}
        self._grades: dict[str, dict[str, Grade]] = {task_id: {} for task_id in self._given}
        self._problems = tuple(problems)
        self._progress = progress

    def enter(self, task_id: str, code: str, grade: Grade) -> None:
        """Enter a final grade, and report the solutions it settles."""
        self._grades[task_id][code] = grade
        if self._progress is not None:
            self._progress(self._copies[task_id][code])

    def undecided(self) -> Iterator[Item]:
        """Yield, in the order given, each problem that has sources without a grade."""
        for problem in self._problems:
            grades = self._grades[problem.task_id]
            codes = tuple(code for code in self._copies[problem.task_id] if code not in grades)
            if codes:
                yield Item(problem, codes)

    def grades(self) -> list[list[Grade]]:
        """Return the grades aligned with the solutions given. All must have been entered."""
        return [[self._grades[task_id][code] for code in codes] for task_id, codes in self._given.items()]
