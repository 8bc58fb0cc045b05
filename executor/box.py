"""The life of one box, seen from outside: start it, hold sessions with its children, end it."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import time
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from executor.bwrap import seccomp_program
from executor.errors import BoxDied
from executor.guests import NOBODY, free_user
from executor.inside.frames import HEAD, HEADER, pack
from executor.inside.waiting import longest_s
from executor.model import Limits
from executor.policy import BoxPlan, box_argv

__all__ = ["Box", "Replies"]

_START_SECONDS = 60.0
_MARGIN_SECONDS = 10.0
_WALL_LIMITS = 2
"""As many as the zygote lets a child sleep for: it is the zygote that ends a child, and the box is dead only later."""
_LARGEST_ANSWER = 1 << 28
_ENDS = frozenset({"alive", "exit", "signal", "closed", "cpu", "slow", "wall", "flood", "garbled"})


class _Header(Struct, frozen=True):
    end: str
    code: int
    cpu: list[float]
    sizes: list[int]


class Replies(Struct, frozen=True):
    """What one command to a box brought back."""

    frames: tuple[bytes, ...]
    """Bodies of the child's frames, in order. Untrusted. As many as were asked for, or fewer where it ended."""
    cpu_s: tuple[float, ...]
    """CPU seconds per frame, measured from outside the child."""
    end: str
    """``alive``, or how the child ended: ``exit``, ``signal``, ``closed``, ``cpu``, ``slow``, ``wall``, ``flood`` or
    ``garbled`` (see :mod:`executor.inside.zygote`)."""
    code: int
    """Exit status or signal number."""


class Box:
    """One bubblewrap with a zygote in it, which has one child at a time.

    Every method raises :class:`BoxDied` where the box itself fails; :meth:`close` never does.
    """

    def __init__(self, plan: BoxPlan, limits: Limits) -> None:
        self._plan = plan
        self._limits = limits
        self._process: subprocess.Popen[bytes] | None = None
        self._errors: int = -1
        self._child_limits = limits
        self._has_child = False

    def start(self) -> None:
        """Start the box and wait until its zygote is warm."""
        if self._process is not None:
            return
        errors_read, errors_write = os.pipe()
        self._errors = errors_read
        try:
            with seccomp_program("box").open("rb") as program:
                self._process = subprocess.Popen(
                    box_argv(self._plan, program.fileno(), free_user() if self._plan.privileged else NOBODY),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=errors_write,
                    pass_fds=(program.fileno(),),
                    env={},
                    cwd="/",
                    bufsize=0,
                    start_new_session=True,
                )
        except OSError as error:
            self.close()
            raise BoxDied(f"bubblewrap does not start: {error}; run: coderm doctor") from error
        finally:
            os.close(errors_write)
        try:
            ready = json.loads(self._read(time.monotonic() + _START_SECONDS))
            if ready.get("ready") != 1:
                raise self._death("the zygote is not process 1 of its box")
        except (ValueError, AttributeError, RecursionError) as error:
            raise self._death("the zygote did not greet") from error

    def start_child(
        self,
        role: str,
        payload: bytes,
        expect: int,
        limits: Limits | None = None,
        cpu_s: Sequence[float] = (),
        most_cpu_s: float = 0.0,
    ) -> Replies:
        """Fork a child for ``role`` (ending the one before) and take ``expect`` frames from it.

        ``cpu_s``: CPU seconds for each frame; empty: those of the limits. ``most_cpu_s``: CPU seconds for all frames
        after the first together, then the child is ended as ``slow``; 0: as many as each has.
        """
        limits = limits or self._limits
        self._child_limits = limits
        header = {
            "role": role,
            "expect": expect,
            "cpu_s": limits.cpu_s,
            "each": list(cpu_s),
            "most": most_cpu_s,
            "wall_s": limits.wall_s,
            "memory_mb": limits.memory_mb,
            "limit": limits.output_kb * 1024,
        }
        return self._command(b"S", header, payload, expect, cpu_s)

    def ask(self, payload: bytes, expect: int = 1, cpu_s: Sequence[float] = (), most_cpu_s: float = 0.0) -> Replies:
        """Pass one frame to the child and take ``expect`` frames from it.

        CPU seconds as in :meth:`start_child`, but that ``most_cpu_s`` is for all frames, the first among them.
        """
        return self._command(b"C", {"expect": expect, "each": list(cpu_s), "most": most_cpu_s}, payload, expect, cpu_s)

    def stop_child(self) -> None:
        """Kill the child, if there is one, and everything else it left in the box. Does not wait for that."""
        if self._has_child:
            self._has_child = False
            self._send(pack(b"K"))

    def close(self) -> None:
        """End the box and all in it. Idempotent, raises nothing."""
        process, self._process = self._process, None
        self._has_child = False
        if process is not None:
            process.kill()
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    with contextlib.suppress(OSError):
                        stream.close()
            process.wait()
        if self._errors >= 0:
            os.close(self._errors)
            self._errors = -1

    @property
    def pid(self) -> int | None:
        """Process id of bubblewrap on the host; None while the box is down."""
        return None if self._process is None else self._process.pid

    def _command(
        self, kind: bytes, header: Mapping[str, Any], payload: bytes, expect: int, cpu_s: Sequence[float]
    ) -> Replies:
        self._send(pack(kind + pack(json.dumps(header).encode("ascii")) + payload))
        limits = self._child_limits
        most_cpu_s = sum(cpu_s) if cpu_s else expect * limits.cpu_s
        longest = longest_s(_WALL_LIMITS * limits.wall_s, most_cpu_s)
        body = self._read(time.monotonic() + longest + _MARGIN_SECONDS)
        replies = self._parse(body, expect)
        self._has_child = replies.end == "alive"
        return replies

    def _parse(self, body: bytes, expect: int) -> Replies:
        length = int.from_bytes(body[:HEADER], "big")
        try:
            header = msgspec.json.decode(body[HEADER : HEADER + length], type=_Header)
        except msgspec.MsgspecError as error:
            raise self._death(f"an answer without a header: {error}") from error
        frames, at = [], HEADER + length
        for size in header.sizes:
            at += HEAD.size
            frames.append(body[at : at + size])
            at += size
        if at != len(body) or len(frames) > expect or len(header.cpu) != len(frames):
            raise self._death("an answer whose parts do not add up")
        if header.end not in _ENDS or (header.end == "alive") != (len(frames) == expect):
            raise self._death("an answer out of turn")
        return Replies(tuple(frames), tuple(header.cpu), header.end, header.code)

    def _send(self, data: bytes) -> None:
        process = self._running()
        assert process.stdin is not None
        descriptor = process.stdin.fileno()
        os.set_blocking(descriptor, False)
        deadline = time.monotonic() + self._child_limits.wall_s + _MARGIN_SECONDS
        view = memoryview(data)
        while view:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([], [descriptor], [], left)[1]:
                raise self._death("it takes no commands")
            try:
                view = view[os.write(descriptor, view) :]
            except OSError as error:
                raise self._death("it takes no commands") from error

    def _read(self, deadline: float) -> bytes:
        head = self._read_exactly(HEADER, deadline)
        size = int.from_bytes(head, "big")
        if size > _LARGEST_ANSWER:
            raise self._death(f"an answer of {size} bytes")
        return self._read_exactly(size, deadline)

    def _read_exactly(self, count: int, deadline: float) -> bytes:
        process = self._running()
        assert process.stdout is not None
        descriptor = process.stdout.fileno()
        parts: list[bytes] = []
        while count:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([descriptor], [], [], left)[0]:
                raise self._death("no answer in time")
            part = os.read(descriptor, min(count, 1 << 20))
            if not part:
                raise self._death("it ended")
            parts.append(part)
            count -= len(part)
        return b"".join(parts)

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise BoxDied("the box is not running")
        return self._process

    def _death(self, what: str) -> BoxDied:
        """Close the box and describe its end with the last that its standard error said."""
        said = ""
        if self._errors >= 0 and select.select([self._errors], [], [], 0.2)[0]:
            said = os.read(self._errors, 4096).decode("utf-8", "replace").strip()
        self.close()
        last = said.splitlines()[-1] if said else "nothing on standard error"
        return BoxDied(f"the sandbox failed: {what} ({last}); run: coderm doctor")
