"""A folder of training data that grows problem by problem and survives a kill at any point.

While it grows: ``NAME.jsonl.part`` for each file and ``progress.jsonl``, which says after each problem how long the
parts are. What a killed run wrote beyond that is cut off by the next one, so that no row is lost and none comes twice.
When all is done the card is written, the parts take their names and the progress goes.
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType

import msgspec
from msgspec import Struct

from coderm_tasks.atomic import atomic_writer
from coderm_tasks.errors import StoreError
from coderm_tasks.export.card import CARD, is_card_of
from coderm_tasks.store import RecordLog

__all__ = ["Growing", "output_folder"]

logger = logging.getLogger(__name__)

PROGRESS = "progress.jsonl"


class _Step(Struct, frozen=True, kw_only=True):
    """One problem is done."""

    run: str
    """Hash of all that the rows depend on."""
    task_id: str
    sizes: dict[str, int]
    """Bytes of each file with this problem's rows."""
    counts: dict[str, int]
    """What the problem adds to the totals."""


@contextmanager
def output_folder(folder: Path, kind: str, names: Sequence[str]) -> Iterator[None]:
    """Make the folder where it is missing, and see that it holds nothing that an export of this kind would spoil.

    A folder that was made here and is empty at the end, as nothing came of the work, goes again.

    Args:
        folder: for the data and its card.
        kind: of the data.
        names: of the files, without ``.jsonl``.

    Raises:
        StoreError: it is no folder, cannot be written, or holds a README.md or files of data that no such export wrote.
    """
    made = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"{folder}: cannot be made ({error.strerror}); expected a folder for the data and its card; name another"
        ) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise StoreError(f"{folder}: is not writable; expected a folder for the data and its card; name another")
    card = folder / CARD
    if card.exists() and not is_card_of(card, kind):
        raise StoreError(f"{card}: is no card of an earlier {kind!r} export: it is left untouched; name another folder")
    for file in (folder / f"{name}.jsonl" for name in names):
        if file.exists() and not card.exists():  # every export writes its card before its files get their names
            raise StoreError(f"{file}: no earlier {kind!r} export wrote it: it is left untouched; name another folder")
    try:
        yield
    finally:
        if made:
            with suppress(OSError):  # not empty
                folder.rmdir()


class Growing:
    """The files while they grow. A context manager; one writer at a time, held to it by a lock.

    Args:
        folder: within :func:`output_folder`.
        names: of the files, without ``.jsonl``.
        run: hash of all that the rows depend on; what another run left is thrown away.

    Raises (on opening and on writing):
        StoreError: a file cannot be used, or another run is writing it.
    """

    def __init__(self, folder: Path, names: Sequence[str], run: str) -> None:
        self._folder = folder
        self._run = run
        self.done: set[str] = set()
        """Task ids of problems that are written."""
        self.totals: Counter[str] = Counter()
        self._log = RecordLog(folder / PROGRESS, _Step)
        self._parts: dict[str, int] = {}
        try:
            for name in names:
                self._parts[name] = self._open(name)
            self._resume()
        except BaseException:
            self.close()
            raise
        self.resumed = len(self.done)
        """Problems that an earlier run had written."""

    def add(self, task_id: str, rows: Mapping[str, Iterable[Struct]], counts: Mapping[str, int]) -> None:
        """Write one problem's rows by file name; they are on the disk when this returns."""
        for name, records in rows.items():
            self._write(name, b"".join(msgspec.json.encode(record) + b"\n" for record in records))
        self._log.append(_Step(run=self._run, task_id=task_id, sizes=self._sizes(), counts=dict(counts)))
        self.done.add(task_id)
        self.totals.update(counts)

    def finish(self, card: str) -> None:
        """Write the card and give the files their names."""
        with atomic_writer(self._folder / CARD) as stream:
            stream.write(card)
        for name in self._parts:
            self._part(name).replace(self.path(name))
        self._log.path.unlink()
        self.close()

    def path(self, name: str) -> Path:
        """Where a file will be."""
        return self._folder / f"{name}.jsonl"

    def close(self) -> None:
        """Close the files; what is written stays for the next run, files that are empty go. Idempotent."""
        begun = [path for path in (*map(self._part, self._parts), self._log.path) if self._parts and path.exists()]
        if not any(path.stat().st_size for path in begun):
            for path in begun:
                path.unlink()
        for handle in self._parts.values():
            os.close(handle)
        self._parts = {}
        self._log.close()

    def __enter__(self) -> Growing:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _part(self, name: str) -> Path:
        return self._folder / f"{name}.jsonl.part"

    def _open(self, name: str) -> int:
        try:
            return os.open(self._part(name), os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise StoreError(f"{self._part(name)}: cannot be opened ({error.strerror}); name another folder") from error

    def _resume(self) -> None:
        sizes: dict[str, int] = dict.fromkeys(self._parts, 0)
        for step in self._log.read():
            if step.run != self._run or set(step.sizes) != set(self._parts):
                logger.warning(
                    "%s: is from a run with other settings or inputs; beginning anew", self._folder / PROGRESS
                )
                return self._restart()
            sizes = step.sizes
            self.done.add(step.task_id)
            self.totals.update(step.counts)
        there = self._sizes()
        if any(size > there[name] for name, size in sizes.items()):
            return self._restart()  # killed while the parts took their names, or someone removed one
        self._cut(sizes)
        return None

    def _restart(self) -> None:
        self.done.clear()
        self.totals.clear()
        self._log.clear()
        self._cut(dict.fromkeys(self._parts, 0))

    def _cut(self, sizes: Mapping[str, int]) -> None:
        for name, handle in self._parts.items():
            os.ftruncate(handle, sizes[name])

    def _sizes(self) -> dict[str, int]:
        return {name: os.fstat(handle).st_size for name, handle in self._parts.items()}

    def _write(self, name: str, data: bytes) -> None:
        handle, written = self._parts[name], 0
        try:
            while written < len(data):
                written += os.write(handle, data[written:])
            os.fsync(handle)
        except OSError as error:
            raise StoreError(
                f"{self._part(name)}: cannot be written ({error.strerror}); free space and run again: it goes on "
                "where it stopped"
            ) from error
