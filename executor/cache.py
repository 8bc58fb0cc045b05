"""Results on disk, by content: the same solution, test or calls, limits and interpreter are never run twice.

SQLite keeps it whole under concurrent writers and a kill at any point. One row of ``verdicts`` holds the verdicts of
one solution found in one go; one row of ``replies`` the answers of one solution to all calls of a job. Rows are only
ever added.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import sqlite3
import sys
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path

import msgspec
from msgspec import Struct

from executor.errors import CacheError
from executor.model import Limits, Verdict
from executor.shards import AS_EXPECTED

__all__ = ["CacheInfo", "ResultCache", "calls_key", "discard", "draw", "row_key", "solution_key", "test_key"]

_VERSION = 5
"""Raised whenever a verdict or an output may come out otherwise: part of every key, and of the file's name."""
_TEST = 12
_CELL = _TEST + 2
_LARGEST_ROW = 1 << 22
"""Packed bytes of replies that are worth keeping; what is larger is run again."""

_LETTERS = frozenset("PFETRI")
_REPLY_LETTERS = _LETTERS | {"", AS_EXPECTED, Verdict.NOT_RUN.value}
_MODES = frozenset("lsxva")

Reply = tuple[bytes, str, float]
_REPLIES = msgspec.msgpack.Decoder(tuple[Reply, ...])


class CacheInfo(Struct, frozen=True):
    """What a cache holds."""

    path: str
    rows: int
    cells: int
    """Verdicts."""
    replies: int
    """Solutions whose outputs are known on some problem's calls."""
    bytes: int


@functools.lru_cache(maxsize=1)
def _interpreter() -> str:
    """Everything a program's behaviour depends on beside itself."""
    try:
        numpy = metadata.version("numpy")
    except metadata.PackageNotFoundError:
        numpy = "none"
    return f"{_VERSION} {sys.version} numpy {numpy}"


def _digest(*parts: str) -> bytes:
    return hashlib.sha256("\0".join((_interpreter(), *parts)).encode("utf-8", "surrogatepass")).digest()[:20]


def _limits_text(limits: Limits) -> str:
    return " ".join(str(getattr(limits, name)) for name in limits.__struct_fields__)


def solution_key(facts_key: str, entry_point: str, context: str, limits: Limits) -> bytes:
    """Key of everything that a solution's verdicts depend on besides the test. 20 bytes."""
    return _digest("cells", facts_key, entry_point, context, _limits_text(limits))


def calls_key(facts_key: str, entry_point: str, calls: bytes, limits: Limits, in_order: bool) -> bytes:
    """Key of everything that a solution's answers depend on; ``calls`` is a digest of the calls. 20 bytes."""
    return _digest("calls", facts_key, entry_point, calls.hex(), _limits_text(limits), str(in_order))


def row_key(solution: bytes, tests: bytes) -> bytes:
    """Key of verdicts that depend on the other tests of their row, too. 20 bytes."""
    return hashlib.sha256(b"row" + solution + tests).digest()[:20]


def test_key(source: str) -> bytes:
    """Key of one test. 12 bytes."""
    return hashlib.sha256(source.encode("utf-8", "surrogatepass")).digest()[:_TEST]


def draw(solution: bytes, test: bytes) -> int:
    """A number below 2**32 for a cell, by its keys: the same in every run."""
    return int.from_bytes(hashlib.blake2b(solution + test, digest_size=4).digest(), "big")


class ResultCache:
    """A cache in one folder. Use as a context manager.

    Raises:
        CacheError: from any method, where the file cannot be read or written; the message names the remedy.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / f"results-{_VERSION}.sqlite3"
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
        self._database.execute("CREATE TABLE IF NOT EXISTS replies (key BLOB PRIMARY KEY, packed BLOB NOT NULL)")

    def __enter__(self) -> ResultCache:
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
        self._insert("INSERT INTO verdicts VALUES (?, ?)", packed)

    def get_replies(self, key: bytes) -> tuple[Reply, ...] | None:
        """Answers of one solution to all calls of a job: frame, letter, CPU seconds. None where they are not known."""
        with self._explained():
            row = self._database.execute("SELECT packed FROM replies WHERE key = ?", (key,)).fetchone()
        if row is None:
            return None
        try:
            replies = _REPLIES.decode(zlib.decompress(row[0]))
        except (zlib.error, msgspec.MsgspecError, TypeError):
            return None  # written by something else: as good as not there
        return replies if all(letter in _REPLY_LETTERS for _, letter, _ in replies) else None

    def put_replies(self, rows: Mapping[bytes, Sequence[Reply]]) -> None:
        """Add answers by :func:`calls_key`."""
        packed = [(key, zlib.compress(msgspec.msgpack.encode(replies), 1)) for key, replies in rows.items()]
        small = [(key, row) for key, row in packed if len(row) <= _LARGEST_ROW]
        self._insert("INSERT OR REPLACE INTO replies VALUES (?, ?)", small)

    def _insert(self, statement: str, rows: Sequence[tuple[bytes, bytes]]) -> None:
        with self._explained():
            self._database.execute("BEGIN IMMEDIATE")
            try:
                self._database.executemany(statement, rows)
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
            (replies,) = self._database.execute("SELECT COUNT(*) FROM replies").fetchone()
            return CacheInfo(str(self.path), rows, size // _CELL, replies, self._size())

    def clear(self) -> None:
        """Forget everything, what other versions of this program left included, and give the space back."""
        with self._explained():
            self._database.execute("DELETE FROM verdicts")
            self._database.execute("DELETE FROM replies")
            self._database.execute("VACUUM")
            for old in self._files():
                if not old.name.startswith(self.path.name):
                    old.unlink(missing_ok=True)

    def _size(self) -> int:
        """Bytes of all files, those of other versions of this program included."""
        return sum(path.stat().st_size for path in self._files())

    def _files(self) -> list[Path]:
        """The files of this cache, and those of other versions of this program."""
        return _files_in(self.path.parent)

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise CacheError(
                f"the cache {self.path} cannot be used ({error}); free the disk, make it writable, delete it (coderm "
                "cache clear), or go on without: --no-cache"
            ) from error


def discard(folder: Path) -> int:
    """Delete the files of the cache in ``folder`` without reading them; returns how many.

    For a cache that is damaged, or that a full disk keeps from being emptied. A run that has it open goes on with the
    files it has, and what it finds is lost.

    Raises:
        CacheError: a file cannot be deleted.
    """
    files = _files_in(folder)
    for path in files:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise CacheError(f"the cache file {path} cannot be deleted ({error}); make its folder writable") from error
    return len(files)


def _files_in(folder: Path) -> list[Path]:
    return [path for stem in ("results", "verdicts") for path in folder.glob(f"{stem}-[0-9]*.sqlite3*")]


def _unpack(cells: object) -> Iterator[tuple[bytes, tuple[str, str]]]:
    """Read a row; what we did not write is as good as not there."""
    if not isinstance(cells, bytes):
        return
    for at in range(0, len(cells) - _CELL + 1, _CELL):
        letter, mode = chr(cells[at + _TEST]), chr(cells[at + _TEST + 1])
        if letter in _LETTERS and mode in _MODES:
            yield cells[at : at + _TEST], (letter, mode)
