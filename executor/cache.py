"""Verdicts on disk, by content: the same solution, test, limits and interpreter are never run twice.

SQLite keeps it whole under concurrent writers and a kill at any point. One row holds the verdicts of one solution
found in one go; rows are only ever added.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import sqlite3
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from msgspec import Struct

from executor.errors import CacheError
from executor.model import Limits

__all__ = ["CacheInfo", "VerdictCache", "solution_key", "test_key"]

_VERSION = 1
"""Raised whenever a verdict may come out otherwise than before: part of every key, and of the file's name."""
_TEST = 12
_CELL = _TEST + 2


class CacheInfo(Struct, frozen=True):
    """What a cache holds."""

    path: str
    rows: int
    cells: int
    bytes: int


def solution_key(facts_key: str, entry_point: str, context: str, limits: Limits) -> bytes:
    """Key of everything that a solution's verdicts depend on besides the test. 20 bytes."""
    parts = (
        str(_VERSION), sys.version, facts_key, entry_point, context,
        f"{limits.cpu_s} {limits.wall_s} {limits.memory_mb} {limits.output_kb} {limits.max_timeouts}",
    )  # fmt: skip
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).digest()[:20]


def test_key(source: str) -> bytes:
    """Key of one test. 12 bytes."""
    return hashlib.sha256(source.encode("utf-8", "surrogatepass")).digest()[:_TEST]


class VerdictCache:
    """A cache in one folder. Use as a context manager.

    Raises:
        CacheError: from any method, where the file cannot be read or written; the message names the remedy.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / f"verdicts-{_VERSION}.sqlite3"
        with self._explained():
            folder.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(self.path, timeout=60, isolation_level=None, check_same_thread=False)
            # SQLite does not wait for others where it changes the journal mode, so those who open take turns.
            with (folder / "opening.lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                self._prepare()

    def _prepare(self) -> None:
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=NORMAL")
        self._database.execute("CREATE TABLE IF NOT EXISTS verdicts (key BLOB NOT NULL, cells BLOB NOT NULL)")
        self._database.execute("CREATE INDEX IF NOT EXISTS by_key ON verdicts (key)")

    def __enter__(self) -> VerdictCache:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file. Idempotent."""
        self._database.close()

    def get(self, key: bytes) -> dict[bytes, tuple[str, str]]:
        """Return what is known of one solution: test key to (letter, mode)."""
        known: dict[bytes, tuple[str, str]] = {}
        with self._explained():
            for (cells,) in self._database.execute("SELECT cells FROM verdicts WHERE key = ?", (key,)):
                known.update(_unpack(cells))
        return known

    def put(self, rows: Mapping[bytes, Iterable[tuple[bytes, str, str]]]) -> None:
        """Add verdicts: solution key to (test key, letter, mode)."""
        packed = [(key, b"".join(test + (letter + mode).encode("ascii") for test, letter, mode in cells))
                  for key, cells in rows.items()]  # fmt: skip
        with self._explained():
            self._database.execute("BEGIN IMMEDIATE")
            try:
                self._database.executemany("INSERT INTO verdicts VALUES (?, ?)", packed)
                self._database.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    self._database.execute("ROLLBACK")
                raise

    def info(self) -> CacheInfo:
        """Count what is there."""
        with self._explained():
            rows, size = self._database.execute(
                "SELECT COUNT(*), COALESCE(SUM(LENGTH(cells)), 0) FROM verdicts"
            ).fetchone()
            return CacheInfo(str(self.path), rows, size // _CELL, self.path.stat().st_size)

    def clear(self) -> None:
        """Forget everything and give the space back."""
        with self._explained():
            self._database.execute("DELETE FROM verdicts")
            self._database.execute("VACUUM")

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise CacheError(
                f"the cache {self.path} cannot be used ({error}); free the disk, make it writable, delete it, or go on "
                "without: --no-cache"
            ) from error


def _unpack(cells: bytes) -> Iterator[tuple[bytes, tuple[str, str]]]:
    for at in range(0, len(cells) - _CELL + 1, _CELL):
        cell = cells[at + _TEST : at + _CELL].decode("ascii")
        yield cells[at : at + _TEST], (cell[0], cell[1])
