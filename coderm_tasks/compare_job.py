"""``coderm compare``: two selections of the same samples, problem by problem."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from coderm_tasks.errors import InputError
from coderm_tasks.files import read_jsonl
from coderm_tasks.labels import read_sample_labels
from coderm_tasks.metrics import Interval, mean_interval, paired_difference
from coderm_tasks.model import Selection
from coderm_tasks.pipeline import expected_correctness
from coderm_tasks.rerank_job import selection_path
from coderm_tasks.store import SelectionRecord, read_records

__all__ = ["Comparison", "compare_selections"]

_NAMED = 4


class Comparison(Struct, frozen=True, kw_only=True):
    """Expected correctness of two selections, in [0, 1]."""

    first: Interval
    second: Interval
    difference: Interval
    """First minus second, paired."""
    better: tuple[str, ...]
    """Task ids on which the first is better."""
    worse: tuple[str, ...]
    strategies: tuple[str, str]
    notes: tuple[str, ...]
    """Problems that were left out, and why."""


def compare_selections(first: Path, second: Path, labels: Path, *, seed: int = 0) -> Comparison:
    """Compare two files of selections, or the samples files that ``coderm rerank`` wrote beside them.

    Raises:
        InputError: a file that is neither, labels of other samples, or no problem in common.
        StoreError: a damaged selection file.
    """
    a, b = _selections(first), _selections(second)
    for task_id in a.keys() & b.keys():
        if len(a[task_id].scores) != len(b[task_id].scores):
            raise InputError(
                f"{second}: got {len(b[task_id].scores)} samples of {task_id}, {first} has {len(a[task_id].scores)}; "
                "expected two selections among the same samples; choose again from one samples file"
            )
    counts = {task_id: len(one.scores) for task_id, one in {**b, **a}.items()}
    known = read_sample_labels(labels, counts, str(first))
    both = [task_id for task_id in a if task_id in b]
    labelled = [task_id for task_id in both if counts[task_id] and len(known.get(task_id, ())) == counts[task_id]]
    if not labelled:
        raise InputError(
            f"{labels}: labels all samples of no problem that is in both {first} and {second}; expected the labels of "
            "the samples that were selected from; make them with coderm evaluate"
        )
    x = [_correctness(a[task_id], known[task_id]) for task_id in labelled]
    y = [_correctness(b[task_id], known[task_id]) for task_id in labelled]
    return Comparison(
        first=mean_interval(x, seed=seed),
        second=mean_interval(y, seed=seed),
        difference=paired_difference(x, y, seed=seed),
        better=tuple(task for task, p, q in zip(labelled, x, y, strict=True) if p > q),
        worse=tuple(task for task, p, q in zip(labelled, x, y, strict=True) if p < q),
        strategies=(_strategy(a), _strategy(b)),
        notes=tuple(_notes(first, second, a, b, [task for task in both if task not in labelled])),
    )


def _selections(path: Path) -> dict[str, Selection]:
    """By task id. A samples file stands for the selection file beside it."""
    record = next((record for _, record in read_jsonl(path)), None)
    if record is None:
        raise InputError(f"{path}: is empty; expected the selections that coderm rerank wrote; check the path")
    if "ties" not in record:
        beside = selection_path(path)
        if not beside.is_file():
            raise InputError(
                f"{path}: holds no selections, and there is no {beside.name} beside it; expected a file that coderm "
                "rerank wrote; name its *.selection.jsonl"
            )
        path = beside
    found: dict[str, Selection] = {}
    for one in read_records(path, SelectionRecord):
        if one.task_id in found:
            raise InputError(f"{path}: selects from {one.task_id} twice; expected each problem once; delete one line")
        found[one.task_id] = one.selection()
    return found


def _correctness(selection: Selection, labels: Mapping[int, bool]) -> float:
    return expected_correctness(selection, [labels[index] for index in range(len(selection.scores))])


def _strategy(selections: Mapping[str, Selection]) -> str:
    return ", ".join(sorted({one.strategy for one in selections.values()}))


def _notes(
    first: Path, second: Path, a: Mapping[str, Selection], b: Mapping[str, Selection], unlabelled: list[str]
) -> list[str]:
    groups = (
        ([task for task in a if task not in b], f"only in {first.name}, left out"),
        ([task for task in b if task not in a], f"only in {second.name}, left out"),
        (unlabelled, "without a label for each of their samples, left out"),
    )
    return [f"{len(tasks)} problems {what}: {_some(tasks)}" for tasks, what in groups if tasks]


def _some(tasks: list[str]) -> str:
    return ", ".join(tasks[:_NAMED]) + (", ..." if len(tasks) > _NAMED else "")
