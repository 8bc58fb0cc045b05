"""Answers on disk: append-only JSONL, synced before they count, safe to kill at any point."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from coderm_tasks.errors import StoreError

__all__ = ["Answer", "AnswerLog", "Commits", "content_key"]

_FORMAT = 2
_OPENING = b'{"answers":'  # how a file of answers starts


class Answer(Struct, frozen=True, kw_only=True):
    """All completions of one request."""

    key: str
    """:func:`content_key` of the request."""
    task_id: str
    index: int
    """Number of the request among those of its problem."""
    prompt: str
    """Name and version of the prompt, ``coderm/1``."""
    shown: str = ""
    """SHA-256 of the candidate code that the prompt showed; empty if it showed none."""
    texts: tuple[str, ...]
    finish_reasons: tuple[str, ...]
    """One per text."""
    tokens: int = 0
    """Tokens of all texts; 0 where the endpoint does not count."""
    mean_logprobs: tuple[float, ...] = ()
    """One per text, nats per token, where they were asked for."""


class _Header(Struct, frozen=True, kw_only=True):
    answers: int
    """Version of the file's format."""
    settings: dict[str, Any]


class _Keyed(Struct, frozen=True):
    key: str


def content_key(**request: Any) -> str:
    """SHA-256 over everything that a request consists of, whatever the order of the parts."""
    return hashlib.sha256(msgspec.json.encode(request, order="deterministic")).hexdigest()


class AnswerLog:
    """One file of answers, all asked with the same settings. The file is locked while it is open.

    Raises (on opening and on writing):
        StoreError: another process has the file, it holds answers to other settings, is damaged, or cannot be written.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any]) -> None:
        self.path = path
        # Only what an earlier run left: a run asks each question once, and never for its own answers.
        self._where: dict[bytes, tuple[int, int]] = {}
        self._count = 0
        self._handle = self._open()
        try:
            self._lock()
            self._load(dict(settings))
        except BaseException:
            self.close()
            raise

    def __len__(self) -> int:
        return self._count

    def get(self, key: str) -> Answer | None:
        """The answer to a request that was in the file when it was opened, None if there was none."""
        place = self._where.get(_short(key))
        if place is None:
            return None
        return msgspec.json.decode(os.pread(self._handle, place[1], place[0]), type=Answer)

    def append(self, *answers: Answer) -> None:
        """Store answers: they are on the disk when this returns. Where space ends, those before it are."""
        lines = [msgspec.json.encode(answer) + b"\n" for answer in answers]
        try:
            self._write(b"".join(lines))
        except StoreError:
            if len(lines) < 2:
                raise
            for answer in answers:
                self.append(answer)
            return
        self._count += len(lines)

    def close(self) -> None:
        """Release the file. Idempotent."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def __enter__(self) -> AnswerLog:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open(self) -> int:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            return os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise StoreError(
                f"{self.path}: cannot be opened ({error.strerror}): expected a file that can be written; name another"
            ) from error

    def _lock(self) -> None:
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise StoreError(
                f"{self.path}: another run is writing it: wait until that run ends, or name another file"
            ) from error

    def _load(self, settings: dict[str, Any]) -> None:
        offset = 0
        mismatch = ""
        with os.fdopen(os.dup(self._handle), "rb") as stream:
            stream.seek(0)
            for number, line in enumerate(stream, 1):
                if not line.endswith(b"\n"):  # a run was killed while it wrote this line
                    if number == 1 and not (_OPENING.startswith(line) or line.startswith(_OPENING)):
                        self._mismatch(line, settings)
                    break
                if number == 1:
                    mismatch = self._mismatch(line, settings)
                elif mismatch:
                    raise StoreError(mismatch)
                else:
                    self._where[_short(self._key(line, number))] = (offset, len(line) - 1)
                offset += len(line)
        if mismatch:  # a run that failed before its first answer: there is nothing to mix with
            offset = 0
        os.ftruncate(self._handle, offset)
        self._end = offset
        self._count = len(self._where)
        if offset == 0:
            self._write(msgspec.json.encode(_Header(answers=_FORMAT, settings=settings)) + b"\n")

    def _mismatch(self, line: bytes, settings: dict[str, Any]) -> str:
        """How the header differs from the settings; empty if it does not. Raises StoreError if it is no header."""
        try:
            header = msgspec.json.decode(line, type=_Header)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise StoreError(
                f"{self.path}:1: is no file of generated answers: it is left untouched; name another file"
            ) from error
        stored = msgspec.to_builtins(header.settings) if header.answers == _FORMAT else {"format": header.answers}
        wanted = settings if header.answers == _FORMAT else {"format": _FORMAT}
        first = ("kind", "dataset")  # what matters most is named first
        for name in sorted(stored.keys() | wanted.keys(), key=lambda name: (name not in first, name)):
            if stored.get(name) != wanted.get(name):
                return (
                    f"{self.path}: was written with {name} = {stored.get(name)!r}, and this run has "
                    f"{wanted.get(name)!r}: answers are not mixed; set it back, or name another file"
                )
        return ""

    def _key(self, line: bytes, number: int) -> str:
        try:
            return msgspec.json.decode(line, type=_Keyed).key
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise StoreError(
                f"{self.path}:{number}: is damaged ({error}): expected one answer a line; delete the line and run again"
            ) from error

    def _write(self, lines: bytes) -> None:
        try:
            written = 0
            while written < len(lines):
                written += os.pwrite(self._handle, lines[written:], self._end + written)
            os.fsync(self._handle)
        except OSError as error:
            os.ftruncate(self._handle, self._end)  # shrinking needs no space
            raise StoreError(
                f"{self.path}: cannot be written ({error.strerror}): what it holds is kept; free space and run again"
            ) from error
        self._end += len(lines)


def _short(key: str) -> bytes:
    """16 bytes of a key tell a billion answers apart, in half the memory."""
    return bytes.fromhex(key[:32])


class Commits:
    """Stores answers from an event loop: those that arrive while others are synced share the next sync.

    An async context manager; leaving it waits until all is on the disk.
    """

    def __init__(self, log: AnswerLog) -> None:
        self._log = log
        self._waiting: list[tuple[Answer, asyncio.Future[None]]] = []
        self._writer: asyncio.Task[None] | None = None
        # A thread of its own: the default pool could be busy, and leaving must be able to wait for the last write.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="answers")

    async def __aenter__(self) -> Commits:
        return self

    async def __aexit__(self, *_: object) -> None:
        while self._writer is not None and not self._writer.done():
            await asyncio.wait([self._writer])
        self._thread.shutdown()

    async def append(self, answer: Answer) -> None:
        """Store an answer: it is on the disk when this returns, and goes there even if the caller is cancelled."""
        stored: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((answer, stored))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write())
        await stored

    async def _write(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            batch, self._waiting = self._waiting, []
            error: Exception | None = None
            try:
                await loop.run_in_executor(self._thread, self._log.append, *(answer for answer, _ in batch))
            except Exception as failure:  # noqa: BLE001 - whoever waits must learn of it, whatever it is
                error = failure
            for _, stored in batch:
                if stored.done():  # its caller was cancelled
                    continue
                if error is None:
                    stored.set_result(None)
                else:
                    stored.set_exception(error)
