"""The files of a run, checked against each other, and read one problem at a time.

Samples and tests may stand in any order, so they are copied into spools on the disk; the matrix is read as it stands.
In memory are the problems, one problem's texts, and a few bytes per sample and test.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from msgspec import Struct

from coderm_tasks.errors import CoderMError, InputError, StoreError
from coderm_tasks.export.model import Case
from coderm_tasks.export.spool import Spool
from coderm_tasks.files import iterate_samples
from coderm_tasks.generation.bank import iterate_bank
from coderm_tasks.labels import read_sample_labels
from coderm_tasks.model import Problem, Solution
from coderm_tasks.store import MatrixRecord, read_records
from executor import PassMatrix, Verdict

__all__ = ["RunFiles", "RunPaths"]

_NAMED = 3
_PARTIAL = "or pass --allow-partial to use what there is"


class RunPaths(Struct, frozen=True, kw_only=True):
    """Where the files of a run lie."""

    samples: Path
    tests: Path
    matrix: Path
    labels: Path | None = None

    def named(self) -> dict[str, Path]:
        """The files that there are, by the name of their flag."""
        every = {"samples": self.samples, "tests": self.tests, "matrix": self.matrix, "labels": self.labels}
        return {name: path for name, path in every.items() if path is not None}


class _Head(Struct, frozen=True):
    """The part of a matrix record that says what it is of."""

    task_id: str
    solutions: int
    tests: int


class RunFiles:
    """A run whose files fit together. A context manager.

    Args:
        folder: for the spools, which take the space of samples and tests together.
        partial: take a run that is not whole: problems without a matrix, of unequal numbers of samples, cells that were
            not run, samples without a label.

    Raises (on entering):
        InputError: a file cannot be read, or the files do not fit together: names file, line and remedy.
        StoreError: no room for the spools.
    """

    def __init__(self, paths: RunPaths, problems: Sequence[Problem], folder: Path, *, partial: bool) -> None:
        self._paths = paths
        self._problems = {problem.task_id: problem for problem in problems}
        self._folder = folder
        self._partial = partial
        self._stack = ExitStack()
        self._labels: Mapping[str, Mapping[int, bool]] | None = None
        self.task_ids: tuple[str, ...] = ()
        """Problems that have samples and a matrix, in its order."""
        self.cells = 0

    def __enter__(self) -> RunFiles:
        try:
            self._samples = self._stack.enter_context(Spool(self._folder))
            self._tests = self._stack.enter_context(Spool(self._folder))
            order = [self._spool_sample(solution.task_id, solution.code) for solution in self._iterate_samples()]
            for test in iterate_bank(self._paths.tests, self._problems):
                self._tests.add(test.task_id, test.code)
            self._read_labels(order)
            self.task_ids = self._check_matrix()
            self._check_whole()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def cases(self, without: set[str] | frozenset[str] = frozenset()) -> Iterator[Case]:
        """The problems in the order of the matrix, less those that are done.

        Raises:
            InputError: a matrix that is damaged, or cells that were not run.
        """
        for line, record in enumerate(read_records(self._paths.matrix, MatrixRecord), 1):
            if record.task_id in without or not record.solutions:
                continue
            yield Case(
                problem=self._problems[record.task_id],
                solutions=self._samples.texts(record.task_id),
                tests=self._tests.texts(record.task_id),
                matrix=self._matrix(line, record),
                labels=self._labels_of(record.task_id),
            )

    def _iterate_samples(self) -> Iterator[Solution]:
        return (solution for _, solution in iterate_samples(self._paths.samples, self._problems))

    def _spool_sample(self, task_id: str, code: str) -> str:
        self._samples.add(task_id, code)
        return self._problems[task_id].task_id  # one text per problem, not one per line

    def _read_labels(self, order: Sequence[str]) -> None:
        path = self._paths.labels
        if path is None:
            return
        counts = dict(self._samples.counts())
        self._labels = read_sample_labels(path, counts, str(self._paths.samples), order)
        missing = {task: count - len(self._labels.get(task, ())) for task, count in counts.items()}
        lacking = [task for task, count in missing.items() if count]
        if len(lacking) == len(counts) and not any(self._labels.values()):
            raise InputError(f"{path}: labels no sample of {self._paths.samples}; expected labels of these samples")
        if lacking and not self._partial:
            raise InputError(
                f"{path}: got no label for {sum(missing.values())} samples of {len(lacking)} problems "
                f"({_some(lacking)}); expected one per sample of {self._paths.samples}; make them with coderm "
                f"evaluate, {_PARTIAL}"
            )

    def _labels_of(self, task_id: str) -> tuple[bool | None, ...]:
        if self._labels is None:
            return ()
        found = self._labels.get(task_id, {})
        return tuple(found.get(index) for index in range(self._samples.count(task_id)))

    def _check_matrix(self) -> tuple[str, ...]:
        lines: dict[str, int] = {}
        path = self._paths.matrix
        for line, head in enumerate(_heads(path), 1):
            task_id, where = head.task_id, f"{path}:{line}"
            if task_id not in self._problems:
                raise InputError(f"{where}: got a matrix of {task_id!r}, which is no problem of the set; delete it")
            if task_id in lines:
                raise InputError(
                    f"{where}: got a second matrix of {task_id}, after line {lines[task_id]}; expected each problem "
                    "once; delete one"
                )
            expected = (self._samples.count(task_id), self._tests.count(task_id))
            if (head.solutions, head.tests) != expected:
                raise InputError(
                    f"{where}: got a matrix of {head.solutions} x {head.tests} for {task_id}; expected "
                    f"{expected[0]} x {expected[1]}, as {self._paths.samples} and {self._paths.tests} have samples and "
                    "tests; make it from these files with coderm rerank --matrix"
                )
            lines[task_id] = line
            self.cells += head.solutions * head.tests
        if not lines:
            raise InputError(f"{path}: holds no matrix; expected one per problem; make it with coderm rerank --matrix")
        return tuple(task_id for task_id in lines if self._samples.count(task_id))

    def _check_whole(self) -> None:
        if self._partial:
            return
        counts = dict(self._samples.counts())
        found = set(self.task_ids)
        missing = [task for task in counts if task not in found]
        if missing:
            raise InputError(
                f"{self._paths.matrix}: got no matrix for {len(missing)} of {len(counts)} problems ({_some(missing)}); "
                f"expected one for each problem of {self._paths.samples}; finish coderm rerank --matrix, {_PARTIAL}"
            )
        least, most = min(counts, key=counts.__getitem__), max(counts, key=counts.__getitem__)
        if counts[least] != counts[most]:
            raise InputError(
                f"{self._paths.samples}: got {counts[least]} samples of {least} and {counts[most]} of {most}; expected "
                f"as many of every problem; finish coderm sample, {_PARTIAL}"
            )

    def _matrix(self, line: int, record: MatrixRecord) -> PassMatrix:
        where = f"{self._paths.matrix}:{line}"
        try:
            matrix = record.matrix()
        except CoderMError as error:
            raise InputError(f"{where}: {error}") from error
        not_run = matrix.letters[:, matrix.executed.any(axis=0)] == ord(Verdict.NOT_RUN.value)
        if not_run.any() and not self._partial:
            raise InputError(
                f"{where}: got {int(not_run.sum())} cells of {record.task_id} that were not run; expected all of them, "
                f"as a reward counts them; make the matrix without --prune, {_PARTIAL}"
            )
        return matrix


def _heads(path: Path) -> Iterator[_Head]:
    try:
        yield from read_records(path, _Head)
    except StoreError as error:
        raise InputError(str(error)) from error


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMED]) + (", ..." if len(names) > _NAMED else "")
