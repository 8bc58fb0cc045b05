"""The records of a run, whole and checked: what a bundle is made from.

Two layouts: the folder that an lm-eval run leaves (:mod:`coderm_tasks.hosts.lm_eval.records`), and the output of
``coderm rerank`` with its record beside it. Ranks that shared the problems of one run are read together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from msgspec import Struct

from coderm_tasks.errors import InputError
from coderm_tasks.files import read_jsonl, read_samples
from coderm_tasks.hosts.bundles.answers import Written, written_by
from coderm_tasks.hosts.bundles.problem_sets import ProblemSets, part_of, recorded_path
from coderm_tasks.hosts.bundles.rerank_files import RunFiles, rerank_files
from coderm_tasks.hosts.bundles.words import counted, some
from coderm_tasks.labels import read_sample_labels
from coderm_tasks.model import Problem
from coderm_tasks.run_record import RunRecord, read_run_record
from coderm_tasks.store import MatrixRecord, SelectionRecord, read_records

__all__ = ["Run", "check_run", "read_by_task", "read_codes", "read_runs"]

_Record = TypeVar("_Record", MatrixRecord, SelectionRecord)


class Run(Struct, frozen=True, kw_only=True):
    """One run, by task id. All mappings have the same keys, in the order of the records."""

    records: tuple[RunRecord, ...]
    """One per rank."""
    samples: Mapping[str, tuple[str, ...]]
    tests: Mapping[str, tuple[str, ...]]
    matrices: Mapping[str, MatrixRecord]
    selections: Mapping[str, SelectionRecord]
    labels: Mapping[str, tuple[bool, ...]] | None
    """Ground truth of each sample, where the run has it."""
    policy: Written | None = None
    """How the samples came about, where the model's answers lie beside them."""
    writer: Written | None = None
    """Likewise of the tests."""
    problems: Path | None = None
    """File of the problems, where they are the user's own."""

    def chosen(self, task_id: str) -> str:
        """Code of the selected sample; empty where there was no sample."""
        index = self.selections[task_id].index
        return self.samples[task_id][index] if index >= 0 else ""


def read_runs(paths: Sequence[Path], labels: Path | None = None, sets: ProblemSets | None = None) -> Run:
    """Read the records at ``paths``: folders, or outputs of ``coderm rerank``; several are ranks of one run.

    ``sets`` finds the problems, behind whose prompts the samples of some files stand.

    Raises:
        InputError: a record is missing, damaged or incomplete, a problem occurs twice, or the ranks are not of one run.
        StoreError: a damaged matrix or selection file.
    """
    sets = sets or ProblemSets()
    parts = [_read_part(path, labels, sets) for path in paths]
    first = parts[0]
    seen = set(first.samples)
    for path, part in zip(paths[1:], parts[1:], strict=True):
        _check_same_run(path, part.records[0], first.records[0])
        if twice := [task_id for task_id in part.samples if task_id in seen]:
            raise InputError(
                f"{path}: holds {counted(len(twice), 'problem')} of another record ({some(twice)}); expected ranks "
                "that shared the problems; name each rank once"
            )
        seen.update(part.samples)
    run = Run(
        records=tuple(part.records[0] for part in parts),
        samples=_joined([part.samples for part in parts]),
        tests=_joined([part.tests for part in parts]),
        matrices=_joined([part.matrices for part in parts]),
        selections=_joined([part.selections for part in parts]),
        labels=None if any(part.labels is None for part in parts) else _joined([part.labels or {} for part in parts]),
        policy=_joined_answers([part.policy for part in parts]),
        writer=_joined_answers([part.writer for part in parts]),
        problems=first.problems,
    )
    check_run(run, str(paths[0]))
    return run


def _joined(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {task_id: value for part in parts for task_id, value in part.items()}


def _joined_answers(parts: Sequence[Written | None]) -> Written | None:
    """The settings of the first rank, and everyone's tokens."""
    counts = [None if part is None else part.tokens for part in parts]
    known = [count for count in counts if count is not None]
    tokens = sum(known) if len(known) == len(counts) else None
    return None if parts[0] is None else Written(settings=parts[0].settings, tokens=tokens)


def _check_same_run(path: Path, record: RunRecord, first: RunRecord) -> None:
    for name in ("tool", "dataset", "settings", "tests_from", "questions_sha256", "versions"):
        if getattr(record, name) != getattr(first, name):
            raise InputError(
                f"{path}: has another {name} than the first record; expected ranks of one run; bundle "
                "each run by itself"
            )


def _read_part(path: Path, labels: Path | None, sets: ProblemSets) -> Run:
    files = _folder_files(path) if path.is_dir() else rerank_files(path)
    record = read_run_record(files.record)
    selections = read_by_task(files.selection, SelectionRecord)
    samples = _samples(files, record, selections, sets)
    tests = read_codes(files.tests, "test", selections, ignore_unknown=_holds_more(record))
    by_us = record.tool != "lm-eval"
    policy = written_by(files.samples, "solutions", selections) if by_us else None
    writer = written_by(files.tests, "tests", selections) if by_us else None
    counts = {task_id: len(codes) for task_id, codes in samples.items()}
    label_file = labels or files.labels
    return Run(
        records=(record,),
        samples=samples,
        tests=tests,
        matrices=_with_empty(read_by_task(files.matrix, MatrixRecord), samples, tests),
        selections=selections,
        labels=None if label_file is None else _labels(label_file, counts, str(files.samples)),
        policy=policy,
        writer=writer,
        problems=files.problems,
    )


def _holds_more(record: RunRecord) -> bool:
    """Whether the files may speak of problems outside of the part of the data set that the run was about."""
    part = part_of([record])
    return record.tool != "lm-eval" and part is not None and not part.is_whole


def _samples(
    files: RunFiles, record: RunRecord, known: Mapping[str, object], sets: ProblemSets
) -> dict[str, tuple[str, ...]]:
    """A samples file of the user's may hold completions, which only mean something behind their prompts."""
    problems: Mapping[str, Problem] = {}
    if record.tool != "lm-eval" and record.dataset is not None:
        problems = sets.to_rerank(record.dataset, part_of([record]), files.problems, recorded_path(record))
    if not problems:
        return read_codes(files.samples, "solution", known)
    found = read_samples(files.samples, problems, ignore_unknown=_holds_more(record))
    return {task_id: found.codes(task_id) for task_id in known}


def _folder_files(folder: Path) -> RunFiles:
    needed = ("run.json", "samples.jsonl", "tests.jsonl", "matrix.jsonl", "selection.jsonl", "selected.jsonl")
    missing = [name for name in needed if not (folder / name).is_file()]
    if missing:
        raise InputError(
            f"{folder}: lacks {', '.join(missing)}; expected the records of a finished lm-eval run (coderm_TASK_TIME "
            "beside its results); run it to its end, without --predict_only"
        )
    labels = folder / "labels.jsonl"
    return RunFiles(
        record=folder / "run.json",
        samples=folder / "samples.jsonl",
        tests=folder / "tests.jsonl",
        matrix=folder / "matrix.jsonl",
        selection=folder / "selection.jsonl",
        labels=labels if labels.is_file() else None,
    )


def read_by_task(path: Path, kind: type[_Record]) -> dict[str, _Record]:
    """Read a file of records with one per problem.

    Raises:
        InputError: a problem stands there twice. StoreError: the file is damaged.
    """
    found: dict[str, _Record] = {}
    for record in read_records(path, kind):
        if record.task_id in found:
            raise InputError(f"{path}: has {record.task_id} twice; expected each problem once; delete one of the lines")
        found[record.task_id] = record
    return found


def read_codes(
    path: Path, key: str, known: Mapping[str, object], *, ignore_unknown: bool = False
) -> dict[str, tuple[str, ...]]:
    """Read ``{"task_id", key}`` lines, by problem, in the order of ``known``; problems without lines have none.

    Raises:
        InputError: an unreadable file, a line of another shape, or a problem that is not in ``known`` and not to be
            ignored.
    """
    found: dict[str, list[str]] = {task_id: [] for task_id in known}
    for number, record in read_jsonl(path):
        task_id, code = record.get("task_id"), record.get(key)
        if not isinstance(task_id, str) or not isinstance(code, str):
            raise InputError(f"{path}:{number}: has no text under task_id and {key}; expected both; write them again")
        if task_id not in found and ignore_unknown:
            continue
        if task_id not in found:
            raise InputError(
                f"{path}:{number}: got {task_id!r}, which was never selected from; expected the problems of the "
                "selection file; use the files of one run"
            )
        found[task_id].append(code)
    return {task_id: tuple(codes) for task_id, codes in found.items()}


def _with_empty(
    matrices: Mapping[str, MatrixRecord], samples: Mapping[str, tuple[str, ...]], tests: Mapping[str, tuple[str, ...]]
) -> dict[str, MatrixRecord]:
    """Problems without samples or without tests have no cells, and lm-eval's runs write no record of them."""
    whole = dict(matrices)
    for task_id, codes in samples.items():
        if task_id not in whole and not (codes and tests[task_id]):
            rows = ("-" * len(tests[task_id]),) * len(codes)
            whole[task_id] = MatrixRecord(
                task_id=task_id, solutions=len(codes), tests=len(tests[task_id]), verdicts=rows
            )
    return whole


def _labels(path: Path, counts: Mapping[str, int], source: str) -> dict[str, tuple[bool, ...]]:
    known = read_sample_labels(path, counts, source)
    lacking = [task_id for task_id, count in counts.items() if len(known.get(task_id, ())) != count]
    if lacking:
        raise InputError(
            f"{path}: lacks labels of {counted(len(lacking), 'problem')} ({some(lacking)}); expected one per sample; "
            "make them with coderm evaluate --output"
        )
    return {
        task_id: tuple(known[task_id][i] for i in range(count)) if count else () for task_id, count in counts.items()
    }


def check_run(run: Run, name: str) -> None:
    """Make sure that the records are of one run: a matrix and a selection of the right shape for every problem.

    Raises:
        InputError: names the first problem whose records do not fit together.
    """
    for what, found in (("the matrix file", run.matrices), ("the samples", run.samples)):
        if missing := [task_id for task_id in run.selections if task_id not in found]:
            raise InputError(
                f"{name}: {what} lacks {len(missing)} of {counted(len(run.selections), 'problem')} ({some(missing)}); "
                "expected every problem that was selected from; run it to its end"
            )
        if unknown := [task_id for task_id in found if task_id not in run.selections]:
            raise InputError(
                f"{name}: no selection of {counted(len(unknown), 'problem')} of {what} ({some(unknown)}); expected "
                "the files of one run; run it to its end"
            )
    for task_id, selection in run.selections.items():
        _check_problem(run, name, task_id, selection)


def _check_problem(run: Run, name: str, task_id: str, selection: SelectionRecord) -> None:
    count, matrix = len(run.samples[task_id]), run.matrices[task_id]
    shapes: tuple[tuple[str, int, int], ...] = (
        ("rows in the matrix", len(matrix.verdicts), count),
        ("samples in the matrix", matrix.solutions, count),
        ("unit tests in the matrix", matrix.tests, len(run.tests[task_id])),
        ("scores in the selection", len(selection.scores), count),
        ("unit tests in the selection", selection.tests, len(run.tests[task_id])),
    )
    for what, got, expected in shapes:
        if got != expected:
            raise InputError(
                f"{name}: {task_id} has {got} {what}, and there are {expected}; expected the files of one run; run it "
                "again (verdicts are cached)"
            )
    if not (0 <= selection.index < count or (selection.index == -1 and count == 0)):
        raise InputError(f"{name}: {task_id}: sample {selection.index} was selected of {count}; expected one of them")
    checked: Callable[[], object] = matrix.matrix
    checked()
