"""A bundle that was unpacked, read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from msgspec import Struct

from coderm_tasks.hosts.bundles.archive import MANIFEST
from coderm_tasks.hosts.bundles.method import Method, decode
from coderm_tasks.hosts.bundles.problem_sets import ProblemSets
from coderm_tasks.hosts.bundles.records import RECORDS
from coderm_tasks.hosts.bundles.run import Run, check_run, read_by_task, read_codes
from coderm_tasks.hosts.bundles.submissions import SUBMITTED_AS, submitted_name, submitted_solutions
from coderm_tasks.labels import read_sample_labels
from coderm_tasks.model import Problem
from coderm_tasks.run_record import RunRecord
from coderm_tasks.store import MatrixRecord, SelectionRecord

__all__ = ["Bundle", "read_bundle"]

_LABELS = "labels.jsonl"
_FILES = ("samples.jsonl", "tests.jsonl", "matrix.jsonl", "selection.jsonl", _LABELS)


class Bundle(Struct, frozen=True):
    """What was read of a bundle."""

    folder: Path
    method: Method
    run: Run
    submitted: list[tuple[str, str]]
    """Task id and code, as often as they stand there."""
    problems: Callable[[], Mapping[str, Problem]]
    """This machine's copy of the problems, loaded once; empty where they are not ours. Raises DatasetError."""
    graded: Callable[[], Mapping[str, Problem]]
    """Likewise, with ground truth; empty where there is none."""


def read_bundle(folder: Path, sets: ProblemSets) -> Bundle:
    """Read it.

    Raises:
        ValueError: it is not whole, or says what no bundle says; and what reading another's data can end in.
    """
    method = decode((folder / "method.json").read_bytes())
    records = folder / RECORDS
    if strange := sorted(path.name for path in records.iterdir() if path.name not in _FILES):
        raise ValueError(f"{RECORDS} holds {strange[0]}; expected {', '.join(_FILES)} only")
    selections = read_by_task(records / "selection.jsonl", SelectionRecord)
    samples = read_codes(records / "samples.jsonl", "solution", selections)
    run = Run(
        records=(RunRecord(tool=method.tool),),
        samples=samples,
        tests=read_codes(records / "tests.jsonl", "test", selections),
        matrices=read_by_task(records / "matrix.jsonl", MatrixRecord),
        selections=selections,
        labels=_labels(records / _LABELS, samples),
    )
    check_run(run, RECORDS)
    return Bundle(
        folder,
        method,
        run,
        _submitted(folder, method),
        lambda: sets.to_rerank(method.dataset, method.slice),
        lambda: sets.to_grade(method.dataset, method.slice),
    )


def _submitted(folder: Path, method: Method) -> list[tuple[str, str]]:
    if method.board not in SUBMITTED_AS:
        raise ValueError(f"method.json names the board {method.board!r}; expected one of {', '.join(SUBMITTED_AS)}")
    ending, name = SUBMITTED_AS[method.board], submitted_name(method)
    tops = [path for path in folder.iterdir() if path.suffix == ending and path.name not in (MANIFEST, "method.json")]
    if [path.name for path in tops] != [name]:
        there = ", ".join(sorted(path.name for path in tops)) or "none"
        raise ValueError(f"the files of solutions are {there}; expected one, {name}, by what method.json says")
    return submitted_solutions(method.board, tops[0].read_bytes())


def _labels(path: Path, samples: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[bool, ...]] | None:
    if not path.is_file():
        return None
    counts = {task_id: len(codes) for task_id, codes in samples.items()}
    known = read_sample_labels(path, counts, "samples.jsonl")
    return {
        task_id: tuple(known[task_id][index] for index in range(count)) if count else ()
        for task_id, count in counts.items()
    }
