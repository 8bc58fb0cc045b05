"""Runs a whole program as a script: standard input and output at every level of Python, ``__name__ == "__main__"``.

This text becomes part of every solution that is a program, and runs in the sandbox, in the solution's own process:
standard library only, and nothing in it is relied upon. A program that tampers with it changes what it prints, which it
may do anyway. Streams are kept in memory: a cell can make no file, a pipe holds little, and threads to empty one are
scarce where many boxes share a user.
"""

from __future__ import annotations

import atexit
import builtins
import contextlib
import io
import os
import sys
import types
from typing import Any, NoReturn

__all__ = ["coderm_run"]

_LARGEST = 1 << 26
"""Bytes that a program may print."""
_REAL_OS = {name: getattr(os, name) for name in ("read", "write", "fstat", "_exit")}
_REAL_OPEN = io.open


class _Streams:
    """What descriptors 0 and 1 hold, whoever reads or writes them."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0
        self.printed = bytearray()
        self.writers: list[Any] = []

    def take(self, count: int) -> bytes:
        """The next bytes of standard input; none at its end."""
        found = self.data[self.at : self.at + count]
        self.at += len(found)
        return found

    def put(self, data: Any) -> int:
        """Add to standard output."""
        self.printed += data
        if len(self.printed) > _LARGEST:
            self.printed.clear()
            raise MemoryError("the program printed too much")
        return len(data)

    def read(self, descriptor: int, count: int) -> bytes:
        """``os.read``."""
        return self.take(count) if descriptor == 0 else bytes(_REAL_OS["read"](descriptor, count))

    def write(self, descriptor: int, data: Any) -> int:
        """``os.write``."""
        return self.put(data) if descriptor == 1 else int(_REAL_OS["write"](descriptor, data))

    def fstat(self, descriptor: int) -> os.stat_result:
        """``os.fstat``: programs ask how much there is to read."""
        found: os.stat_result = _REAL_OS["fstat"](descriptor)
        return os.stat_result((*found[:6], len(self.data), *found[7:10])) if descriptor == 0 else found

    def open(self, file: Any, mode: str = "r", buffering: int = -1, *more: Any, **named: Any) -> Any:
        """``open``, for standard input and output by number or name; anything else is really opened."""
        number = {0: 0, 1: 1, "/dev/stdin": 0, "/dev/stdout": 1}.get(file) if type(file) in (int, str) else None
        if number is None or (number == 0) != ("r" in mode):
            return _REAL_OPEN(file, mode, buffering, *more, **named)
        raw = _Raw(self, number)
        if buffering == 0:
            return raw
        buffer = io.BufferedReader(raw) if number == 0 else io.BufferedWriter(raw)
        self.writers += [buffer] if number else []
        if "b" in mode:
            return buffer
        names = dict(zip(("encoding", "errors", "newline"), more))
        given = {**names, **{key: value for key, value in named.items() if key in ("encoding", "errors", "newline")}}
        text: Any = io.TextIOWrapper(
            buffer, given.get("encoding") or "utf-8", given.get("errors") or "surrogateescape", given.get("newline")
        )
        self.writers += [text] if number else []
        return text

    def install(self) -> None:
        """Become the process's streams."""
        builtins.open = io.open = self.open
        sys.stdin = sys.__stdin__ = self.open(0)  # type: ignore[misc]
        sys.stdout = sys.__stdout__ = self.open(1, "w")  # type: ignore[misc]
        # What Python's site module gives a script, and a way out that takes the output along.
        builtins.exit = builtins.quit = _leave  # type: ignore[assignment]
        _patch(read=self.read, write=self.write, fstat=self.fstat, _exit=_leave)

    def output(self) -> str:
        """All that was printed, with what is still in buffers, the last opened first: text lies above bytes."""
        for writer in [sys.stdout, *reversed(self.writers)]:
            with contextlib.suppress(Exception):
                writer.flush()
        return self.printed.decode("utf-8", "replace")


class _Raw(io.RawIOBase):
    """Standard input (0) or output (1) as an unbuffered file. Closing it closes nothing else."""

    def __init__(self, streams: _Streams, number: int) -> None:
        super().__init__()
        self._streams = streams
        self._number = number

    def fileno(self) -> int:
        return self._number

    def readable(self) -> bool:
        return self._number == 0

    def writable(self) -> bool:
        return self._number == 1

    def readinto(self, buffer: Any) -> int:
        found = self._streams.take(len(buffer))
        buffer[: len(found)] = found
        return len(found)

    def write(self, data: Any) -> int:
        return self._streams.put(data)


def _patch(**functions: Any) -> None:
    for name, function in functions.items():
        setattr(os, name, function)


def _leave(code: object = None) -> NoReturn:
    raise SystemExit(code)


def _execute(source: str) -> None:
    """Run the program to its end: the main part, the threads it left, what it registered for the exit."""
    module = types.ModuleType("__main__")
    module.__dict__["__builtins__"] = builtins
    sys.modules["__main__"] = module
    sys.argv = ["solution.py"]
    # Both limits are the official evaluator's; the second came with patch releases of Python 3.10.
    sys.setrecursionlimit(50_000)
    getattr(sys, "set_int_max_str_digits", int)(50_000)
    try:
        try:
            exec(compile(source, "solution.py", "exec", dont_inherit=True), module.__dict__)
        except SystemExit as stop:
            if stop.code not in (None, 0):
                raise
        _join(sys.modules.get("threading"))
    finally:
        atexit._run_exitfuncs()


def _join(threading: Any) -> None:
    """Wait for the threads that the program started; without the module, whose import takes time, it started none."""
    for thread in threading.enumerate() if threading is not None else ():
        if not thread.daemon and thread is not threading.current_thread():
            thread.join()


def coderm_run(source: str, stdin: str) -> str:
    """What the program prints when it is given ``stdin``. Raises what it raises, and SystemExit for a nonzero exit."""
    if not isinstance(stdin, str):
        raise TypeError(f"run_program takes the standard input as a string, not as {type(stdin).__name__}")
    atexit._clear()
    streams = _Streams(stdin.encode("utf-8", "surrogateescape"))
    streams.install()
    try:
        _execute(source)
        return streams.output()
    finally:
        _patch(**_REAL_OS)
        builtins.open = io.open = _REAL_OPEN
