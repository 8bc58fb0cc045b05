"""The child that a zygote has at a time, seen from the zygote: pass it requests, take its frames, end it."""

from __future__ import annotations

import contextlib
import math
import os
import select
import signal
import time
from typing import Any

from . import frames
from .relay import Relay
from .waiting import longest_s

__all__ = ["Child", "gather"]

_GRACE_S = 0.05
_READ = 1 << 18
_FLOOD_FACTOR = 16
"""The frames of one answer may together be this many times as large as a single one."""
_WALL_LIMITS = 2
"""A child may sleep for this many wall limits in all while it answers one request, however many frames that takes."""


class Child:
    """The child there is now: its pid, pipes and clocks."""

    def __init__(self, pid: int, requests: int, replies: int, header: dict[str, Any]) -> None:
        """``requests``, ``replies``: our ends of its pipes. ``header``: of the command that it is for."""
        self.pid = pid
        self.number = 0
        """Of the frame that is due (:class:`frames.Link`)."""
        self.requests = requests
        self.replies = replies
        self.cpu_limit = header["cpu_s"]
        self.wall_limit = header["wall_s"]
        self.flood = header["limit"] + 65536
        self.flood_total = _FLOOD_FACTOR * self.flood
        self.clock = (~pid << 3) | 2  # the kernel's number for the CPU clock of a whole process
        self.cpu_mark = 0.0

    def cpu(self) -> float:
        """CPU seconds used so far by all threads of the child."""
        try:
            return time.clock_gettime(self.clock)
        except OSError:  # it is dead already
            return self.cpu_mark

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


class _Clocks:
    """What the child may still take: for the frame that is due, and for the whole request."""

    def __init__(self, child: Child, header: dict[str, Any]) -> None:
        self._child = child
        self._each: list[float] = header["each"]
        self._most: float = header["most"] or math.inf
        self.cpus: list[float] = []
        """CPU seconds of each frame so far."""
        child.cpu_mark = self._cpu_start = child.cpu()
        self._together_from = math.inf if "role" in header else self._cpu_start
        """Where the time of all frames together starts: that of a child which is new after its first, by which it is
        loaded."""
        self._wall_mark = self._wall_start = time.monotonic()

    def left(self) -> tuple[str, float]:
        """Seconds until the child has to be ended, and how; with an empty word, that it is not time yet.

        ``cpu``: by the CPU time of the frame that is due, ``slow``: by that of all frames together, ``wall``: by the
        clock on the wall, where idle time counts and time that others held the processor not.
        """
        child = self._child
        limit = self._each[len(self.cpus)] if self._each else child.cpu_limit
        cpu, now = child.cpu(), time.monotonic()
        cpu_left = limit - (cpu - child.cpu_mark)
        slow_left = self._most - (cpu - self._together_from)
        wall_left = min(
            longest_s(child.wall_limit, cpu - child.cpu_mark) - (now - self._wall_mark),
            longest_s(_WALL_LIMITS * child.wall_limit, cpu - self._cpu_start) - (now - self._wall_start),
        )
        if cpu_left <= 0:
            return "cpu", 0.0
        if slow_left <= 0:
            return "slow", 0.0
        return "wall" if wall_left <= 0 else "", min(cpu_left, slow_left, wall_left)

    def note(self, frames_now: int) -> None:
        """Frames have come: those of one read share its time."""
        count = frames_now - len(self.cpus)
        if count:
            used = self._child.cpu()
            self.cpus += [(used - self._child.cpu_mark) / count] * count
            self._child.cpu_mark, self._wall_mark = used, time.monotonic()
            if self._together_from == math.inf:
                self._together_from = used


def gather(child: Child, request: memoryview, answers: Relay, header: dict[str, Any]) -> dict[str, Any]:
    """Pass ``request``, a whole frame, to the child and take as many frames from it as the command asks for.

    ``header``: the command's, with ``expect``, ``each`` (CPU seconds for each frame; empty: the child's limit for all)
    and ``most`` (CPU seconds for all frames together; 0: no such limit). Returns the header of the answer. The frames
    are in ``answers``, whole, one after the other from the start.
    """
    expect = header["expect"]
    sizes: list[int] = []
    taken = 0  # bytes of whole frames
    clocks = _Clocks(child, header)
    poller = select.poll()
    poller.register(child.replies, select.POLLIN)
    poller.register(child.requests, select.POLLOUT)
    poller.register(0, 0)  # reports only that whoever commands this box is gone
    # An honest one has written nothing before it is asked.
    end, code = "garbled" if _readable(child.replies) and answers.take(child.replies, _READ) else "alive", 0
    while len(sizes) < expect and end == "alive":
        over, left = clocks.left()
        if over:
            end = over
            break
        events = dict(poller.poll(max(1, int(1000 * left))))
        if events.get(0, 0) & (select.POLLHUP | select.POLLERR):
            # The kernel's parent-death signal does not reach us: the parent is another user, without capabilities.
            # Everything else in the box dies with process 1.
            os._exit(1)
        if child.requests in events:
            request = _push(child, request)
            if not request:
                poller.unregister(child.requests)
        if child.replies in events:
            if not answers.take(child.replies, _READ):
                end = "gone"
                break
            taken, end = _cut(child, answers, taken, sizes, expect)
            clocks.note(len(sizes))
            if answers.used - taken > child.flood or answers.used > child.flood_total:
                end = "flood"
    if end != "alive":
        del sizes[expect - 1 :]
        how, code = child.end(_GRACE_S if end == "gone" else 0.0)
        end = how if end == "gone" else end
    return {"end": end, "code": code, "cpu": clocks.cpus[: len(sizes)], "sizes": sizes}


def _cut(child: Child, answers: Relay, at: int, sizes: list[int], expect: int) -> tuple[int, str]:
    """Find whole frames from ``at`` on and add their sizes. Returns where they stop, and how the child ends by them."""
    while len(sizes) < expect and answers.used - at >= frames.HEADER:
        size = answers.size_at(at)
        if size > child.flood:
            return at, "flood"
        if answers.used - at < frames.HEADER + size:
            break
        if size < frames.NUMBER or answers.head_at(at) != (size, child.number):
            return at, "garbled"
        child.number += 1
        sizes.append(size - frames.NUMBER)
        at += frames.HEADER + size
    # More than was asked for, in one read with the last of it.
    return at, "garbled" if answers.used > at and len(sizes) == expect else "alive"


def _readable(descriptor: int) -> bool:
    return bool(select.select([descriptor], [], [], 0)[0])


def _push(child: Child, request: memoryview) -> memoryview:
    try:
        return request[os.write(child.requests, request) :]
    except BlockingIOError:
        return request
    except BrokenPipeError:
        return request[len(request) :]
