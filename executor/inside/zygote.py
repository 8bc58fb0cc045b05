"""Process 1 of a box: a warm interpreter that forks one child at a time and relays frames to and from it.

It runs no foreign code itself, decodes nothing that a child wrote, keeps what passes through it out of the memory that
the next child inherits (:mod:`relay`), and measures the child's CPU time from outside.
Commands on descriptor 0, answers on descriptor 1, each a frame (:mod:`frames`):

- ``S`` + header + payload: end the child there is, fork one with a role, then as ``C``.
- ``C`` + header + payload: pass the payload to the child as one frame, gather ``expect`` frames.
- ``K``: end the child. Not answered.

An answer is a JSON header ``{"end", "code", "cpu", "sizes"}`` and the child's frames as it wrote them, heads included;
``sizes`` are those of their bodies.
The answer of a child that ended lacks at least one frame: a child that wrote more than it was asked for has, by that,
not answered what was asked last.

``end``: ``alive``, ``exit``, ``signal``, ``closed`` (it lives, but closed its pipe), ``cpu``, ``slow`` (each frame came
in time, but not all of them in the time that they had together), ``wall``, ``flood``,
``garbled`` (it wrote what it was not asked for), or ``astray`` (there was no child to ask).
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from . import frames, lockdown
from .child import Child, gather
from .relay import Relay

__all__ = ["main"]

_PRELOAD = """
    bisect collections copy datetime decimal fractions functools hashlib heapq itertools json math operator random re
    statistics string traceback typing unittest
    """.split()
"""Modules that solutions import most: a child finds them loaded."""
_ROLES = ("judge", "shared", "solution")
_ASTRAY = {"end": "astray", "code": 0, "cpu": [], "sizes": []}
_KIND = frames.HEADER
_HEADER = _KIND + 1
"""Where a command's kind and its header, with the length before it, lie in the frame."""


def _fork(header: dict[str, Any], null: int, cell_filter: lockdown.CellFilter) -> Child:
    request_read, request_write = os.pipe()
    reply_read, reply_write = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = 70
        try:
            lockdown.enter(request_read, reply_write, null, header["memory_mb"], cell_filter)
            sys.modules[f"{__package__}.{header['role']}"].serve(frames.Link())
            status = 0
        finally:
            os._exit(status)
    os.close(request_read)
    os.close(reply_write)
    os.set_blocking(request_write, False)
    return Child(pid, request_write, reply_read, header)


def _request(child: Child, commands: Relay, payload: int) -> memoryview:
    """Make the command's payload a frame for the child, under a number that nobody can foresee.

    The frame's head takes the place of the end of the command's header, which has been read.
    """
    # One byte short of its field, which counting up from it therefore never overflows.
    child.number = int.from_bytes(os.urandom(frames.NUMBER - 1), "big")
    start = payload - frames.HEAD.size
    commands.set_head(start, frames.NUMBER + commands.used - payload, child.number)
    return commands.view(start, commands.used)


def _answer(header: dict[str, Any], answers: Relay) -> None:
    text = json.dumps(header).encode("ascii")
    size = sum(header["sizes"]) + len(header["sizes"]) * frames.HEAD.size
    head = (frames.HEADER + len(text) + size).to_bytes(frames.HEADER, "big")
    frames.write_all(1, head + frames.pack(text), answers.view(0, size))


def _serve(null: int, cell_filter: lockdown.CellFilter) -> None:
    child: Child | None = None
    commands, answers = Relay(), Relay()
    while commands.fill(0, frames.HEADER) and commands.fill(0, frames.HEADER + commands.size_at(0)):
        kind = commands.copy(_KIND, _HEADER)
        if kind in (b"S", b"K") and child is not None:
            child.end()
            child = None
        if kind != b"K":
            start = _HEADER + frames.HEADER
            payload = start + commands.size_at(_HEADER)
            header = json.loads(commands.copy(start, payload))
            if kind == b"S":
                child = _fork(header, null, cell_filter)
            answer = gather(child, _request(child, commands, payload), answers, header) if child else _ASTRAY
            if answer["end"] != "alive":
                child = None
            _answer(answer, answers)
            answers.clear()
        commands.clear()


def _warm_up() -> None:
    """Import what children are to find loaded.

    Some of it would run code in every child, at a third of what the child costs: new locks where no thread could hold
    one, and other random numbers for each. None of it does, and all children start with the same random numbers.
    """
    register, os.register_at_fork = os.register_at_fork, lambda **_: None
    for name in _PRELOAD:
        importlib.import_module(name)
    for role in _ROLES:
        importlib.import_module(f"{__package__}.{role}")
    os.register_at_fork = register
    importlib.import_module("random").seed(0)


def main(arguments: list[str]) -> None:
    """Warm up, say so with one frame, then serve until descriptor 0 ends.

    Arguments: file of the cell's seccomp program, user id, group id, folder of third-party packages.
    """
    filter_path, uid, gid, packages = arguments
    lockdown.drop_root(int(uid), int(gid))
    lockdown.follow_parent()
    lockdown.limit_box()
    # No signal without a handler reaches process 1. That a write to a child that died is an error to handle, and no
    # reason to die, is Python's own setting.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.path.append(packages)
    _warm_up()
    cell_filter = lockdown.CellFilter(Path(filter_path).read_bytes())
    null = os.open(os.devnull, os.O_RDWR)
    gc.collect()
    gc.freeze()
    frames.write_all(1, frames.pack(json.dumps({"ready": os.getpid(), "uid": os.getuid()}).encode("ascii")))
    _serve(null, cell_filter)
