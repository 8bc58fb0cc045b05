"""Read what a study is made from. What does not fit together is left out and named; what is damaged is an error."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from coderm_tasks.datasets import Slice, cli_dataset, load_problems_to_rerank
from coderm_tasks.errors import InputError
from coderm_tasks.files import Samples, read_samples
from coderm_tasks.generation.bank import load_bank
from coderm_tasks.labels import read_sample_labels
from coderm_tasks.model import Problem
from coderm_tasks.store import MatrixRecord, read_records
from executor import PassMatrix

__all__ = ["Inputs", "LabelledProblem", "read_inputs", "read_matrices"]

_NAMED = 4


class LabelledProblem(Struct, frozen=True):
    """One problem with its labelled samples and its tests; what :class:`coderm_tasks.pipeline.Work` is, and labels."""

    problem: Problem
    solutions: tuple[str, ...]
    """N labelled sources in sample order, N >= 1."""
    tests: tuple[str, ...]
    labels: tuple[bool, ...]
    """Length N."""
    samples: tuple[int, ...]
    """Length N: which sample of the file each is, for a matrix of all samples."""


class Inputs(Struct, frozen=True):
    """The problems that can be studied, and what is missing of the others."""

    problems: tuple[LabelledProblem, ...]
    notes: tuple[str, ...]


def read_inputs(dataset: str, samples: Path, tests: Path, labels: Path, chosen: Slice | None = None) -> Inputs:
    """Read the three files and keep the problems that have labelled samples, in the order of the data set.

    Args:
        chosen: which of LiveCodeBench's problems, where that is the data set.

    Raises:
        ConfigError: unknown data set.
        DatasetError: the data set cannot be loaded.
        InputError: a file cannot be read, a record is damaged or of an unknown problem, or nothing is left to study.
    """
    problems = {problem.task_id: problem for problem in load_problems_to_rerank(cli_dataset(dataset), chosen)}
    part = chosen is not None and chosen.is_part
    read = read_samples(samples, problems, ignore_unknown=part)
    counts = {task_id: len(read.of(task_id)) for task_id in problems}
    order = None if part else [sample.task_id for sample in read.order]
    verdicts = read_sample_labels(labels, counts, str(samples), order)
    bank = load_bank(tests, problems, ignore_unknown=part)
    kept = tuple(
        _labelled(problems[task_id], read.codes(task_id), bank.get(task_id, ()), verdicts[task_id])
        for task_id in problems
        if verdicts.get(task_id)
    )
    if not kept:
        raise InputError(
            f"{labels}: labels no sample of {samples}; expected labels of these samples; make them with 'coderm "
            f"evaluate --samples {samples}'"
        )
    return Inputs(kept, tuple(_notes(problems, read, bank, verdicts)))


def _labelled(
    problem: Problem, codes: Sequence[str], tests: Sequence[str], verdicts: Mapping[int, bool]
) -> LabelledProblem:
    places = sorted(verdicts)
    return LabelledProblem(
        problem,
        tuple(codes[place] for place in places),
        tuple(tests),
        tuple(verdicts[place] for place in places),
        tuple(places),
    )


def _notes(
    problems: Mapping[str, Problem],
    samples: Samples,
    bank: Mapping[str, Sequence[str]],
    verdicts: Mapping[str, Mapping[int, bool]],
) -> Iterator[str]:
    sampled = list(samples.solutions)
    labelled = [task for task in problems if verdicts.get(task)]
    lacking = [task for task in sampled if len(verdicts.get(task, ())) < len(samples.of(task))]
    missing = sum(len(samples.of(task)) - len(verdicts.get(task, ())) for task in lacking)
    groups = (
        ([task for task in problems if task not in samples.solutions], "without samples, left out"),
        (lacking, f"with samples that have no label ({missing} samples, left out)"),
        (
            [task for task in labelled if not bank.get(task)],
            "without unit tests: every strategy takes the first sample",
        ),
        ([task for task in bank if task not in labelled], "with unit tests but no labelled sample, left out"),
    )
    for tasks, what in groups:
        if tasks:
            yield f"{len(tasks)} of {len(problems)} problems {what}: {_some(tasks)}"
    sizes = {len(verdicts[task]) for task in labelled}
    if len(sizes) > 1:
        yield f"problems have from {min(sizes)} to {max(sizes)} labelled samples: each counts once all the same"


def _some(tasks: Sequence[str]) -> str:
    return ", ".join(tasks[:_NAMED]) + (", ..." if len(tasks) > _NAMED else "")


def read_matrices(path: Path, problems: Sequence[LabelledProblem], samples: Mapping[str, int]) -> dict[str, PassMatrix]:
    """Read the matrices of ``coderm rerank --matrix`` for these problems, rows of unlabelled samples taken out.

    Args:
        samples: samples per task id in the samples file, which the matrix has to match.

    Raises:
        InputError: a matrix of another shape, or none for a problem that has tests.
        StoreError: a damaged file.
    """
    wanted = {item.problem.task_id: item for item in problems}
    found: dict[str, PassMatrix] = {}
    for line, record in enumerate(read_records(path, MatrixRecord), 1):
        item = wanted.get(record.task_id)
        if item is None:
            continue
        expected = (samples[record.task_id], len(item.tests))
        if (record.solutions, record.tests) != expected:
            raise InputError(
                f"{path}:{line}: got a matrix of {record.solutions} x {record.tests} for {record.task_id}; expected "
                f"{expected[0]} x {expected[1]} (samples x tests); leave --matrix out, or make it from these files"
            )
        whole, rows = record.matrix(), list(item.samples)
        found[record.task_id] = PassMatrix(record.task_id, whole.letters[rows], whole.shared[rows])
    missing = [task for task, item in wanted.items() if task not in found and item.tests]
    if missing:
        raise InputError(
            f"{path}: got no matrix of {len(missing)} problems ({_some(missing)}); expected one each; leave --matrix "
            "out, or make it from these files"
        )
    return found
