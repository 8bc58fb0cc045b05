"""Runs a whole program as its users would: real pipes as standard input and output, ``__name__ == "__main__"``.

This text becomes part of every solution that is a program, and runs in the sandbox, in the solution's own process:
standard library only, and nothing in it is relied upon. A program that tampers with it changes what it prints, which it
may do anyway.
"""

from __future__ import annotations

import atexit
import builtins
import contextlib
import io
import os
import signal
import sys
import threading
import types
from typing import Any, NoReturn

__all__ = ["coderm_run"]

_LARGEST = 1 << 26
_AT_ONCE = 4096
"""Bytes that a pipe surely holds."""
_REAL: dict[str, Any] = {"read": os.read, "fstat": os.fstat, "_exit": os._exit}


class _Feed:
    """Standard input: a pipe that holds the text, with the two things of a file that programs ask of it."""

    def __init__(self, data: bytes) -> None:
        self.size = len(data)
        self.end, self.source = os.pipe()
        os.dup2(self.end, 0)
        self.thread = threading.Thread(target=self._write, args=(data,), daemon=True)
        if self.size <= _AT_ONCE:
            self._write(data)
        else:
            self.thread.start()
        _patch(read=self._read, fstat=self._fstat)

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        with contextlib.suppress(OSError):
            while view:
                view = view[os.write(self.source, view) :]
        os.close(self.source)

    def _read(self, descriptor: int, count: int) -> bytes:
        """From a file one read gives all that was asked for; a pipe gives what it holds."""
        found = bytes(_REAL["read"](descriptor, count))
        while descriptor == 0 and len(found) < count and (more := _REAL["read"](0, count - len(found))):
            found += more
        return found

    def _fstat(self, descriptor: int) -> os.stat_result:
        found: os.stat_result = _REAL["fstat"](descriptor)
        return os.stat_result((*found[:6], self.size, *found[7:10])) if descriptor == 0 else found

    def stop(self) -> None:
        """Take what the program left unread, so that the writer can end."""
        while self.thread.is_alive():
            _REAL["read"](self.end, 1 << 20)
        os.close(self.end)


class _Catch:
    """Standard output: a pipe that is emptied while the program writes."""

    def __init__(self) -> None:
        self.start, self.end = os.pipe()
        os.dup2(self.end, 1)
        self.mark = os.urandom(16)
        self.data = bytearray()
        self.flooded = False
        self.thread = threading.Thread(target=self._collect, daemon=True)
        self.thread.start()

    def _collect(self) -> None:
        while not self.data.endswith(self.mark):
            self.data += _REAL["read"](self.start, 1 << 16)
            if len(self.data) > _LARGEST:
                self.flooded = True
                del self.data[: -len(self.mark)]

    def stop(self) -> str:
        """All that was written. The mark and not the pipe's end tells: the program may have kept a copy of it."""
        os.write(self.end, self.mark)
        self.thread.join()
        for descriptor in (self.start, self.end):
            os.close(descriptor)
        if self.flooded:
            raise MemoryError("the program printed too much")
        return self.data[: -len(self.mark)].decode("utf-8", "replace")


def _patch(**functions: Any) -> None:
    for name, function in functions.items():
        setattr(os, name, function)


def _leave(code: object = None) -> NoReturn:
    raise SystemExit(code)


def _open_streams() -> None:
    reader, writer = io.FileIO(0, "r", closefd=False), io.FileIO(1, "w", closefd=False)
    sys.stdin = sys.__stdin__ = io.TextIOWrapper(io.BufferedReader(reader), "utf-8", "surrogateescape")  # type: ignore[misc]
    sys.stdout = sys.__stdout__ = io.TextIOWrapper(io.BufferedWriter(writer), "utf-8", "surrogateescape")  # type: ignore[misc]
    # What Python's site module gives a script, and a way out that takes the output along.
    builtins.exit = builtins.quit = _leave  # type: ignore[assignment]
    _patch(_exit=_leave)


def _execute(source: str) -> None:
    """Run the program to its end: the main part, the threads it left, what it registered for the exit."""
    module = types.ModuleType("__main__")
    module.__dict__["__builtins__"] = builtins
    sys.modules["__main__"] = module
    sys.argv = ["solution.py"]
    sys.setrecursionlimit(50_000)  # the official evaluator's
    try:
        try:
            exec(compile(source, "solution.py", "exec", dont_inherit=True), module.__dict__)
        except SystemExit as stop:
            if stop.code not in (None, 0):
                raise
        for thread in threading.enumerate():
            if not thread.daemon and thread is not threading.current_thread():
                thread.join()
    finally:
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.__stdout__):
            with contextlib.suppress(Exception):
                stream.flush()  # type: ignore[union-attr]


def coderm_run(source: str, stdin: str) -> str:
    """What the program prints when it is given ``stdin``. Raises what it raises, and SystemExit for a nonzero exit."""
    if not isinstance(stdin, str):
        raise TypeError(f"run_program takes the standard input as a string, not as {type(stdin).__name__}")
    atexit._clear()
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    feed, catch = _Feed(stdin.encode("utf-8", "surrogateescape")), _Catch()
    try:
        _open_streams()
        _execute(source)
    finally:
        _patch(**_REAL)
        feed.stop()
        printed = catch.stop()
    return printed
