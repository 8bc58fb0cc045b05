"""Labels of a samples file: one verdict per sample, and pass@k over the problems."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from coderm_tasks.files import Samples
from coderm_tasks.groundtruth.book import Progress
from coderm_tasks.groundtruth.grading import grade
from coderm_tasks.groundtruth.model import Grade
from coderm_tasks.metrics import PassAtK, mean_pass_at_k
from coderm_tasks.model import DIFFICULTIES, Problem
from executor import Executor, Limits

__all__ = ["Label", "Labels", "label_samples"]

_Word = Literal["pass", "fail"]


class Label(Struct, frozen=True):
    """One line of a labels file."""

    task_id: str
    index: int
    """Number of the sample among the samples of its problem, from 0."""
    base: _Word
    plus: _Word
    """Base and extra inputs together."""
    reason: str


class Labels(Struct, frozen=True, kw_only=True):
    """Everything known about a samples file."""

    records: tuple[Label, ...]
    """One per sample, in the order of the file."""
    base: tuple[PassAtK, ...]
    plus: tuple[PassAtK, ...]
    by_difficulty: dict[str, tuple[PassAtK, ...]]
    """``plus`` by the data set's own difficulty label, in order of difficulty; empty where it has none."""
    without_samples: tuple[str, ...]
    """Task ids that no sample answers. pass@k leaves them out; ``evalplus.evaluate`` refuses such a file."""


def label_samples(
    executor: Executor,
    problems: Sequence[Problem],
    samples: Samples,
    *,
    limits: Limits | None = None,
    progress: Progress | None = None,
    evalplus_bug_compat: bool = False,
) -> Labels:
    """Grade every sample and sum up.

    Raises:
        DatasetError, SandboxError: as :func:`coderm_tasks.groundtruth.grade`.
    """
    answered = [problem for problem in problems if samples.of(problem.task_id)]
    codes = [samples.codes(problem.task_id) for problem in answered]
    grades = grade(executor, answered, codes, limits=limits, progress=progress, evalplus_bug_compat=evalplus_bug_compat)
    by_id = {problem.task_id: of_problem for problem, of_problem in zip(answered, grades, strict=True)}
    counts = [len(of_problem) for of_problem in grades]
    return Labels(
        records=tuple(_label(ref.task_id, ref.index, by_id[ref.task_id][ref.index]) for ref in samples.order),
        base=mean_pass_at_k(counts, [sum(each.base for each in of_problem) for of_problem in grades]),
        plus=mean_pass_at_k(counts, [sum(each.plus for each in of_problem) for of_problem in grades]),
        by_difficulty=_by_difficulty(answered, grades),
        without_samples=tuple(problem.task_id for problem in problems if not samples.of(problem.task_id)),
    )


def _by_difficulty(problems: Sequence[Problem], grades: Sequence[Sequence[Grade]]) -> dict[str, tuple[PassAtK, ...]]:
    groups: dict[str, list[Sequence[Grade]]] = {}
    for problem, of_problem in zip(problems, grades, strict=True):
        groups.setdefault(problem.difficulty, []).append(of_problem)
    return {
        name: mean_pass_at_k([len(one) for one in group], [sum(each.plus for each in one) for one in group])
        for name in DIFFICULTIES
        if (group := groups.get(name))
    }


def _label(task_id: str, index: int, grade: Grade) -> Label:
    return Label(task_id, index, "pass" if grade.base else "fail", "pass" if grade.plus else "fail", grade.reason)
