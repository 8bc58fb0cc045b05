"""Process 1 of a box: a warm interpreter that forks one child at a time and relays frames to and from it.

It runs no foreign code itself, decodes nothing that a child wrote, and measures the child's CPU time from outside.
Commands on descriptor 0, answers on descriptor 1, each a frame (:mod:`frames`):

- ``S`` + header + payload: end the child there is, fork one with a role, gather ``expect`` frames from it.
- ``C`` + header + payload: pass the payload to the child as one frame, gather ``expect`` frames.
- ``K``: end the child. Not answered.

An answer is a JSON header ``{"end", "code", "cpu", "sizes"}`` and the frames' bodies, one after the other.
The answer of a child that ended lacks at least one frame: a child that wrote more than it was asked for has, by that,
not answered what was asked last.

``end``: ``alive``, ``exit``, ``signal``, ``closed`` (it lives, but closed its pipe), ``cpu``, ``wall``, ``flood``,
``garbled`` (it wrote what it was not asked for), or ``astray`` (there was no child to ask).
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import select
import signal
import sys
import time
from pathlib import Path
from typing import Any

from . import frames, lockdown
from .waiting import longest_s

__all__ = ["main"]

_PRELOAD = """
    bisect collections copy datetime decimal fractions functools hashlib heapq itertools json math operator random re
    statistics string traceback typing unittest
    """.split()
"""Modules that solutions import most: a child finds them loaded."""
_GRACE_S = 0.05
_FILL = 0xA5
_FLOOD_FACTOR = 16
"""The frames of one answer may together be this many times as large as a single one."""
_WALL_LIMITS = 2
"""A child may sleep for this many wall limits in all while it answers one request, however many frames that takes."""
_ROLES = ("judge", "shared", "solution")


class _Child:
    """The child there is now: its pid, pipes and clocks."""

    def __init__(self, pid: int, requests: int, replies: int, number: int, header: dict[str, Any]) -> None:
        self.pid = pid
        self.number = number
        """Of the frame that is due (:class:`frames.Link`)."""
        self.requests = requests
        self.replies = replies
        self.cpu_limit = header["cpu_s"]
        self.wall_limit = header["wall_s"]
        self.flood = header["limit"] + 65536
        self.flood_total = _FLOOD_FACTOR * self.flood
        self.buffer = bytearray()
        self.clock = (~pid << 3) | 2  # the kernel's number for the CPU clock of a whole process
        self.cpu_mark = 0.0

    def cpu(self) -> float:
        """CPU seconds used so far by all threads of the child."""
        try:
            return time.clock_gettime(self.clock)
        except OSError:  # it is dead already
            return self.cpu_mark

    def request(self, payload: bytes) -> bytes:
        """Return the frame that asks the child for something, under a number of its own."""
        self.number = _unforeseen()
        return frames.pack(self.number.to_bytes(frames.NUMBER, "big") + payload)

    def end(self, grace_s: float = 0.0) -> tuple[str, int]:
        """Kill and reap the child and whatever else lives in this box. Returns (end, code).

        ``grace_s``: a child that has just closed its pipe by exiting may still have a status of its own to tell.
        """
        os.close(self.requests)
        os.close(self.replies)
        status = _wait(self.pid, grace_s) if grace_s else None
        killed = status is None
        if status is None:
            os.kill(self.pid, signal.SIGKILL)
            _, status = os.waitpid(self.pid, 0)
        _sweep()
        if killed:
            return "closed", 0
        if os.WIFSIGNALED(status):
            return "signal", os.WTERMSIG(status)
        return "exit", os.WEXITSTATUS(status)


def _unforeseen() -> int:
    """A number to count frames from: one byte short of their field, which they therefore never overflow."""
    return int.from_bytes(os.urandom(frames.NUMBER - 1), "big")


def _wait(pid: int, seconds: float) -> int | None:
    deadline = time.monotonic() + seconds
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return status
        if time.monotonic() > deadline:
            return None
        time.sleep(0.0005)


def _sweep() -> None:
    """Kill every other process of the box and reap them all."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(-1, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        while True:
            os.waitpid(-1, 0)


def _fork(header: dict[str, Any], payload: bytes, null: int, cell_filter: lockdown.CellFilter) -> _Child:
    request_read, request_write = os.pipe()
    reply_read, reply_write = os.pipe()
    number = _unforeseen()
    pid = os.fork()
    if pid == 0:
        status = 70
        try:
            lockdown.enter(request_read, reply_write, null, header["memory_mb"], cell_filter)
            sys.modules[f"{__package__}.{header['role']}"].serve(payload, frames.Link(number))
            status = 0
        finally:
            os._exit(status)
    os.close(request_read)
    os.close(reply_write)
    os.set_blocking(request_write, False)
    return _Child(pid, request_write, reply_read, number, header)


def _cut(child: _Child, bodies: list[bytes], expect: int) -> str:
    """Move whole frames from the child's buffer to ``bodies``. Returns how the child ends by what it wrote, or ""."""
    buffer = child.buffer
    while len(bodies) < expect and len(buffer) >= frames.HEADER:
        size = int.from_bytes(buffer[: frames.HEADER], "big")
        if size > child.flood:
            return "flood"
        stop = frames.HEADER + size
        if len(buffer) < stop:
            break
        start = frames.HEADER + frames.NUMBER
        if size < frames.NUMBER or int.from_bytes(buffer[frames.HEADER : start], "big") != child.number:
            return "garbled"
        child.number += 1
        bodies.append(bytes(buffer[start:stop]))
        del buffer[:stop]
    # More than was asked for, in one read with the last of it.
    return "garbled" if buffer and len(bodies) == expect else ""


def _gather(child: _Child, expect: int, request: bytes, each: list[float]) -> tuple[dict[str, Any], list[bytes]]:
    """Pass ``request`` to the child and take ``expect`` frames from it, within its limits.

    ``each``: CPU seconds for each frame; empty: the child's limit for all.
    """
    bodies: list[bytes] = []
    cpus: list[float] = []
    child.cpu_mark = child.cpu()
    wall_mark = time.monotonic()
    poller = select.poll()
    poller.register(child.replies, select.POLLIN)
    poller.register(0, 0)  # reports only that whoever commands this box is gone
    outgoing = memoryview(request)
    end, code = "alive", 0
    if outgoing:
        poller.register(child.requests, select.POLLOUT)
        if _babbled(child):
            end = "garbled"
    started, cpu_started, total = wall_mark, child.cpu_mark, 0
    while len(bodies) < expect and end == "alive":
        cpu_limit = each[len(bodies)] if each else child.cpu_limit
        cpu, now = child.cpu(), time.monotonic()
        cpu_left = cpu_limit - (cpu - child.cpu_mark)
        # Idle time counts, not time for which others held the processor: of the frame, and of the request.
        wall_left = min(
            longest_s(child.wall_limit, cpu - child.cpu_mark) - (now - wall_mark),
            longest_s(_WALL_LIMITS * child.wall_limit, cpu - cpu_started) - (now - started),
        )
        if cpu_left <= 0 or wall_left <= 0:
            end = "cpu" if cpu_left <= 0 else "wall"
            break
        events = dict(poller.poll(max(1, int(1000 * min(cpu_left, wall_left)))))
        if events.get(0, 0) & (select.POLLHUP | select.POLLERR):
            # The kernel's parent-death signal does not reach us: the parent is another user, without capabilities.
            # Everything else in the box dies with process 1.
            os._exit(1)
        if child.requests in events:
            outgoing = _push(child, outgoing)
            if not outgoing:
                poller.unregister(child.requests)
        if child.replies in events:
            data = os.read(child.replies, 1 << 18)
            before = len(bodies)
            child.buffer += data
            if not data:
                end = "gone"
                break
            end = _cut(child, bodies, expect) or end
            if len(bodies) > before:
                used = child.cpu()
                cpus += [(used - child.cpu_mark) / (len(bodies) - before)] * (len(bodies) - before)
                child.cpu_mark, wall_mark = used, time.monotonic()
            total += len(data)
            if len(child.buffer) > child.flood or total > child.flood_total:
                end = "flood"
    if end != "alive":
        del bodies[expect - 1 :], cpus[expect - 1 :]
        how, code = child.end(_GRACE_S if end == "gone" else 0.0)
        end = how if end == "gone" else end
    return {"end": end, "code": code, "cpu": cpus, "sizes": [len(body) for body in bodies]}, bodies


def _babbled(child: _Child) -> bool:
    """Tell whether the child wrote something before it was asked: no answer of an honest one."""
    readable = select.select([child.replies], [], [], 0)[0]
    if readable:
        child.buffer += os.read(child.replies, 1 << 18)
    return len(child.buffer) > 0


def _push(child: _Child, outgoing: memoryview) -> memoryview:
    try:
        return outgoing[os.write(child.requests, outgoing) :]
    except BlockingIOError:
        return outgoing
    except BrokenPipeError:
        return outgoing[len(outgoing) :]


def _answer(header: dict[str, Any], bodies: list[bytes]) -> None:
    text = json.dumps(header).encode("ascii")
    frames.write_all(1, frames.pack(frames.pack(text) + b"".join(bodies)))


def _split(body: bytes) -> tuple[dict[str, Any], bytes]:
    length = int.from_bytes(body[1 : 1 + frames.HEADER], "big")
    start = 1 + frames.HEADER
    return json.loads(body[start : start + length]), body[start + length :]


def _serve(null: int, cell_filter: lockdown.CellFilter) -> None:
    child: _Child | None = None
    while (body := frames.read_frame(0)) is not None:
        kind = body[:1]
        if kind in (b"S", b"K") and child is not None:
            child.end()
            child = None
        if kind == b"K":
            continue
        header, payload = _split(body)
        del body
        if kind == b"S":
            child = _fork(header, payload, null, cell_filter)
            outgoing = b""
        else:
            outgoing = child.request(payload) if child is not None else b""
        del payload
        if child is None:
            _answer({"end": "astray", "code": 0, "cpu": [], "sizes": []}, [])
            continue
        answer, bodies = _gather(child, header["expect"], outgoing, header["each"])
        if answer["end"] != "alive":
            child = None
        _answer(answer, bodies)
        # Freed now, and so overwritten, before the next child inherits this memory.
        del answer, bodies, outgoing


def main(arguments: list[str]) -> None:
    """Warm up, say so with one frame, then serve until descriptor 0 ends.

    Arguments: file of the cell's seccomp program, user id, group id, folder of third-party packages.
    """
    filter_path, uid, gid, packages = arguments
    lockdown.drop_root(int(uid), int(gid))
    lockdown.follow_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    # A write to a child that died in the meantime is an error to handle, not a reason to die.
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    sys.path.append(packages)
    for name in _PRELOAD:
        importlib.import_module(name)
    for role in _ROLES:
        importlib.import_module(f"{__package__}.{role}")
    cell_filter = lockdown.CellFilter(Path(filter_path).read_bytes())
    lockdown.perturb_freed_memory(_FILL)
    null = os.open(os.devnull, os.O_RDWR)
    gc.collect()
    gc.freeze()
    frames.write_all(1, frames.pack(json.dumps({"ready": os.getpid(), "uid": os.getuid()}).encode("ascii")))
    _serve(null, cell_filter)
