"""Processes that read requests: no text, however hostile, holds up the service or ends it."""

from __future__ import annotations

import logging
import queue
import select
import subprocess
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor

import msgspec

from coderm_tasks.serve.reader_process import Asked
from coderm_tasks.serve.reading import Bounds, Kind, Read, Refused
from executor import SandboxError, child_process
from executor.inside.frames import pack, read_frame, write_all

__all__ = ["Readers"]

_log = logging.getLogger(__name__)

_ANSWERS: msgspec.msgpack.Decoder[Read] = msgspec.msgpack.Decoder(Read)
_ATTEMPTS = 4
"""Times a body is read, each time by another process, before it is said to have ended them."""
_OVERLOADED = Refused(503, "overloaded", "the deadline came before the request was read: come again")


class _Reader:
    """One process, used by one thread at a time. It starts with the first body."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._process: subprocess.Popen[bytes] | None = None

    def read(self, asked: bytes, seconds: float) -> Read | None:
        """Return what was read; None where it took longer. Raises OSError where the process ended."""
        if self._process is None:
            self._process = child_process.start("coderm_tasks.serve.reader_process")
            assert self._process.stdin is not None
            write_all(self._process.stdin.fileno(), pack(msgspec.msgpack.encode(self._bounds)))
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        write_all(self._process.stdin.fileno(), asked)
        poller = select.poll()
        poller.register(self._process.stdout.fileno(), select.POLLIN)
        if not poller.poll(seconds * 1000):
            return None
        frame = read_frame(self._process.stdout.fileno())
        if frame is None:
            raise BrokenPipeError("it ended")
        return _ANSWERS.decode(frame)

    def kill(self) -> None:
        """End it in the middle of its work, from any thread."""
        if self._process is not None:
            self._process.kill()

    def close(self) -> None:
        """End it and give back what it holds. From the thread that uses it; another starts with the next body."""
        process, self._process = self._process, None
        if process is not None:
            child_process.end(process)


class Readers:
    """Reads bodies, from any number of threads."""

    def __init__(self, bounds: Bounds, *, count: int, longest_s: float = 20.0) -> None:
        """Args:
        count: bodies read at the same time.
        longest_s: seconds that reading one body may take; one full of ordinary tests takes few.
        """
        self._longest_s = longest_s
        self._readers = [_Reader(bounds) for _ in range(count)]
        self._free: queue.LifoQueue[_Reader] = queue.LifoQueue()
        for reader in self._readers:
            self._free.put(reader)
        self._threads = ThreadPoolExecutor(count, thread_name_prefix="coderm-reader")
        self._lock = threading.Lock()
        self._closed = False
        self.replaced = 0
        """Processes that ended, or were ended because they took too long."""

    def submit(self, kind: Kind, body: bytes, *, deadline: float) -> Future[Read]:
        """Have a body read by the deadline (of :func:`time.monotonic`).

        The future's exception is a SandboxError where readers keep ending, for whatever reason.
        """
        return self._threads.submit(self._read, pack(msgspec.msgpack.encode(Asked(kind, body))), deadline)

    def _read(self, asked: bytes, deadline: float) -> Read:
        reader = self._free.get()
        try:
            for _ in range(_ATTEMPTS):
                left = deadline - time.monotonic()
                if left <= 0 or self._closed:
                    return _OVERLOADED
                try:
                    found = reader.read(asked, min(left, self._longest_s))
                except OSError as error:
                    self._replace(reader)
                    _log.warning("a process that reads requests ended (%s)", error)
                    continue
                if found is not None:
                    return found
                self._replace(reader)
                if left < self._longest_s:  # it may have waited for others
                    return _OVERLOADED
                return Refused(422, "unreadable", f"its tests took more than {self._longest_s:g} s to read")
            raise SandboxError("the processes that read requests keep ending")
        finally:
            self._free.put(reader)

    def _replace(self, reader: _Reader) -> None:
        reader.close()
        with self._lock:
            self.replaced += 1

    def close(self) -> None:
        """End the processes and wait for their threads; what they were reading is refused. Idempotent."""
        self._closed = True
        for reader in self._readers:
            reader.kill()
        self._threads.shutdown(cancel_futures=True)
        for reader in self._readers:
            reader.close()
