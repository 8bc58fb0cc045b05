"""The side files of a run: what lm-eval's own samples file has no room for.

=====================  =================================================================
``samples.jsonl``      every sample's code, in EvalPlus's format, in sample order
``tests.jsonl``        every unit test
``matrix.jsonl``       verdicts of every sample on every test, written as problems finish
``selection.jsonl``    scores, ties and tests used, per problem
``selected.jsonl``     the chosen sample per problem, in EvalPlus's format
``budget.jsonl``       predicted difficulty, budget and tests used, per problem
``labels.jsonl``       whether each sample is correct by the data set's own tests
``run.json``           effective settings, versions, totals
=====================  =================================================================
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from coderm_tasks.budgeting import BudgetPlan, budget_records
from coderm_tasks.groundtruth import Grade
from coderm_tasks.pipeline import ProblemRun, Work
from coderm_tasks.run_record import write_run_record
from coderm_tasks.store import MatrixRecord, RecordLog, SelectionRecord, write_records

__all__ = [
    "LabelRecord",
    "SampleRecord",
    "TestRecord",
    "matrix_log",
    "write_budgets",
    "write_outcome",
    "write_run",
    "write_work",
]


class SampleRecord(Struct, frozen=True):
    """One sample, as EvalPlus reads it."""

    task_id: str
    solution: str


class TestRecord(Struct, frozen=True):
    """One unit test, as a bank file holds it."""

    __test__ = False  # not for pytest to collect

    task_id: str
    test: str


class LabelRecord(Struct, frozen=True):
    """Ground truth of one sample."""

    task_id: str
    index: int
    base: str
    """``pass`` or ``fail``."""
    plus: str
    reason: str


def write_work(folder: Path, work: Sequence[Work]) -> None:
    """Write samples and tests. Raises StoreError."""
    samples = (SampleRecord(one.problem.task_id, code) for one in work for code in one.solutions)
    write_records(folder / "samples.jsonl", samples)
    tests = (TestRecord(one.problem.task_id, test) for one in work for test in one.tests)
    write_records(folder / "tests.jsonl", tests)


def matrix_log(folder: Path) -> RecordLog[MatrixRecord]:
    """Open the file that takes matrices as they finish. Raises StoreError."""
    return RecordLog(folder / "matrix.jsonl", MatrixRecord)


def write_outcome(folder: Path, runs: Sequence[ProblemRun], grades: Sequence[Sequence[Grade]]) -> None:
    """Write selections and labels. Raises StoreError."""
    write_records(folder / "selection.jsonl", (SelectionRecord.of(run.selection, len(run.tests)) for run in runs))
    chosen = (SampleRecord(run.problem.task_id, run.solutions[run.selection.index]) for run in runs)
    write_records(folder / "selected.jsonl", chosen)
    write_records(folder / "labels.jsonl", _labels(runs, grades))


def write_budgets(folder: Path, runs: Sequence[ProblemRun], planned: BudgetPlan, allocation: str) -> None:
    """Write what each problem was predicted to be, granted, and used. Raises StoreError."""
    write_records(folder / "budget.jsonl", budget_records(runs, planned, allocation))


def _labels(runs: Sequence[ProblemRun], grades: Sequence[Sequence[Grade]]) -> Iterable[LabelRecord]:
    for run, of_run in zip(runs, grades, strict=True):
        for index, grade in enumerate(of_run):
            yield LabelRecord(run.problem.task_id, index, _word(grade.base), _word(grade.plus), grade.reason)


def _word(passed: bool) -> str:
    return "pass" if passed else "fail"


def write_run(folder: Path, facts: Mapping[str, Any]) -> None:
    """Write ``run.json``. Raises StoreError."""
    write_run_record(folder / "run.json", facts)
