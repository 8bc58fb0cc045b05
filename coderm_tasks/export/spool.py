"""Texts by key on disk: what a file holds in any order, at hand one key at a time, whatever the file's size."""

from __future__ import annotations

import tempfile
from array import array
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from coderm_tasks.errors import StoreError

__all__ = ["Spool"]


class Spool:
    """An unnamed file of texts; in memory stay 16 bytes of each. A context manager.

    Args:
        folder: where the file is made; it takes as much space there as the texts together.

    Raises (on opening and adding):
        StoreError: the folder cannot be written, or is full.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._places: dict[str, array[int]] = {}
        self._end = 0
        try:
            self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed by close()
        except OSError as error:
            raise self._error(error) from error

    def add(self, key: str, text: str) -> None:
        """Add a text behind the others of its key."""
        data = text.encode("utf-8", "surrogatepass")
        try:
            self._file.write(data)
        except OSError as error:
            raise self._error(error) from error
        self._places.setdefault(key, array("Q")).extend((self._end, len(data)))
        self._end += len(data)

    def count(self, key: str) -> int:
        """How many texts a key has."""
        return len(self._places.get(key, ())) // 2

    def counts(self) -> Iterator[tuple[str, int]]:
        """Every key with its number of texts, in the order of their first text."""
        return ((key, len(places) // 2) for key, places in self._places.items())

    def texts(self, key: str) -> tuple[str, ...]:
        """The texts of a key in the order they were added; none where it has none."""
        places = self._places.get(key, array("Q"))
        return tuple(self._read(places[at], places[at + 1]) for at in range(0, len(places), 2))

    def close(self) -> None:
        """Give the space back. Idempotent."""
        self._file.close()

    def __enter__(self) -> Spool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _read(self, start: int, length: int) -> str:
        self._file.seek(start)
        data = self._file.read(length)
        self._file.seek(self._end)
        return data.decode("utf-8", "surrogatepass")

    def _error(self, error: OSError) -> StoreError:
        return StoreError(
            f"{self._folder}: holds no room for the texts that are being read ({error.strerror}); free space, or name "
            "another output folder"
        )
