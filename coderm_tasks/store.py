"""The side files of a run: matrices and selections as JSONL, append-only and resumable.

One record a line. A run that is killed leaves at worst a last line without its end; the next run cuts that off and goes
on. A damaged line anywhere else is an error: it was not us who wrote it.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Generic, TypeVar

import msgspec
from msgspec import Struct

from coderm_tasks.atomic import atomic_writer
from coderm_tasks.errors import StoreError
from coderm_tasks.model import Selection
from executor import PassMatrix

__all__ = ["MatrixRecord", "RecordLog", "SelectionRecord", "matrix_record", "read_records", "write_records"]

_BLOCK = 1 << 16


class MatrixRecord(Struct, frozen=True, kw_only=True):
    """One problem's verdicts, as in a matrix file."""

    task_id: str
    solutions: int
    """N."""
    tests: int
    """M."""
    verdicts: tuple[str, ...]
    """N strings of M letters: P pass, F fail, E error, T timeout, R resource limit, I tests nothing, - not executed."""
    shared: int = 0
    """Cells whose test ran in one process with the solution."""

    def matrix(self) -> PassMatrix:
        """Return the pass matrix, without the mask of shared cells and without statistics.

        Raises:
            StoreError: the rows are not N strings of M verdict letters.
        """
        try:
            if len(self.verdicts) != self.solutions:
                raise ValueError(f"{len(self.verdicts)} rows, expected {self.solutions}")
            return PassMatrix.from_rows(self.task_id, self.verdicts, self.tests)
        except ValueError as error:
            raise StoreError(f"matrix of {self.task_id}: {error}; make the matrix file again") from error


class SelectionRecord(Struct, frozen=True, kw_only=True):
    """One problem's selection, as in a selection file."""

    task_id: str
    strategy: str
    index: int
    ties: tuple[int, ...]
    scores: tuple[float, ...]
    tests: int
    """Unit tests there were."""
    tests_used: int
    """Unit tests that were executed and test something."""
    note: str = ""

    @classmethod
    def of(cls, selection: Selection, tests: int) -> SelectionRecord:
        """Build the record of ``selection``, made from ``tests`` unit tests."""
        return cls(
            task_id=selection.task_id,
            strategy=selection.strategy,
            index=selection.index,
            ties=selection.ties,
            scores=selection.scores,
            tests=tests,
            tests_used=selection.tests_used,
            note=selection.note,
        )

    def selection(self) -> Selection:
        """Return the selection itself."""
        return Selection(
            task_id=self.task_id,
            index=self.index,
            ties=self.ties,
            scores=self.scores,
            strategy=self.strategy,
            tests_used=self.tests_used,
            note=self.note,
        )


def matrix_record(matrix: PassMatrix) -> MatrixRecord:
    """Build the record of ``matrix``."""
    solutions, tests = matrix.letters.shape
    return MatrixRecord(
        task_id=matrix.job_id,
        solutions=solutions,
        tests=tests,
        verdicts=tuple(matrix.rows()),
        shared=int(matrix.shared.sum()),
    )


Record = TypeVar("Record", bound=Struct)


class RecordLog(Generic[Record]):
    """Append-only file of records of one kind. A context manager; one writer at a time, held to it by a lock.

    Opening cuts off what a killed run left of its last line. Every :meth:`append` reaches the disk before it returns.

    Raises:
        StoreError: the file cannot be opened or written, or another run has it open.
    """

    def __init__(self, path: Path | str, kind: type[Record]) -> None:
        self.path = Path(path)
        self._kind = kind
        try:
            self._handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise StoreError(f"{self.path}: cannot be opened ({error.strerror}); name a writable file") from error
        self._open = True
        try:
            self._lock()
            self._cut_partial_line()
        except BaseException:
            self.close()
            raise

    def append(self, record: Record) -> None:
        """Write one record. After an error the file is as it was before."""
        line = msgspec.json.encode(record) + b"\n"
        before = os.fstat(self._handle).st_size
        try:
            written = 0
            while written < len(line):
                written += os.write(self._handle, line[written:])
            os.fsync(self._handle)
        except OSError as error:
            with suppress(OSError):  # should this fail too, the next run cuts the partial line off
                os.ftruncate(self._handle, before)
            raise StoreError(
                f"{self.path}: cannot be written ({error.strerror}); free space and run again, {before} bytes are kept"
            ) from error

    def read(self) -> Iterator[Record]:
        """Yield the records so far. Raises StoreError as :func:`read_records`."""
        return read_records(self.path, self._kind)

    def clear(self) -> None:
        """Take all records out; the lock stays. Raises StoreError where the file cannot be written."""
        try:
            os.ftruncate(self._handle, 0)
        except OSError as error:
            raise StoreError(f"{self.path}: cannot be written ({error.strerror}); name a writable file") from error

    def close(self) -> None:
        """Close the file and give up the lock. Idempotent."""
        if self._open:
            self._open = False
            os.close(self._handle)

    def __enter__(self) -> RecordLog[Record]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _lock(self) -> None:
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StoreError(
                f"{self.path}: another run is writing it; wait for that run or name another file"
            ) from error
        except OSError as error:
            raise StoreError(
                f"{self.path}: cannot be locked ({error.strerror}); name an ordinary local file"
            ) from error

    def _cut_partial_line(self) -> None:
        size = os.fstat(self._handle).st_size
        end = size
        while end > 0:
            start = max(0, end - _BLOCK)
            newline = os.pread(self._handle, end - start, start).rfind(b"\n")
            if newline >= 0:
                end = start + newline + 1
                break
            end = start
        if end < size:
            os.ftruncate(self._handle, end)


def read_records(path: Path | str, kind: type[Record]) -> Iterator[Record]:
    """Yield the records that :class:`RecordLog` or :func:`write_records` wrote; a partial last line is left out.

    Raises:
        StoreError: the file cannot be read, or a whole line is not a record of this kind.
    """
    path = Path(path)
    decoder = msgspec.json.Decoder(kind)
    try:
        with path.open("rb") as stream:
            for number, line in enumerate(stream, 1):
                if line.endswith(b"\n"):
                    yield _decode(decoder, path, number, line)
    except OSError as error:
        raise StoreError(f"{path}: cannot be read ({error.strerror}); check the path") from error


def _decode(decoder: msgspec.json.Decoder[Record], path: Path, number: int, line: bytes) -> Record:
    try:
        return decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        name = decoder.type.__name__ if isinstance(decoder.type, type) else "record"
        raise StoreError(
            f"{path}:{number}: got a line that is no {name} ({error}); expected the file as it was written; "
            "delete the line or the file"
        ) from error


def write_records(path: Path | str, records: Iterable[Struct]) -> None:
    """Write a whole file of records at once, atomically.

    Raises:
        StoreError: the file cannot be written.
    """
    encode = msgspec.json.Encoder().encode
    with atomic_writer(path) as stream:
        stream.writelines(encode(record).decode("utf-8") + "\n" for record in records)
