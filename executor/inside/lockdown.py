"""What a freshly forked child gives up before it runs a line of foreign code."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
from typing import Any

__all__ = ["CellFilter", "drop_root", "enter", "follow_parent", "limit_box"]

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_SECCOMP = 22
_PR_SET_NO_NEW_PRIVS = 38
_SECCOMP_MODE_FILTER = 2
_MIB = 1 << 20
_DESCRIPTORS = 64
_THREADS = 128
_LIBC = ctypes.CDLL(None, use_errno=True)
_UNUSED_FDS = 1 << 16


class _Program(ctypes.Structure):
    """``struct sock_fprog``."""

    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


class CellFilter:
    """The seccomp program of a cell, loaded once by the zygote and installed by each child."""

    def __init__(self, code: bytes) -> None:
        if not code or len(code) % 8:
            raise ValueError(f"seccomp program of {len(code)} bytes: expected a multiple of 8")
        self._buffer = ctypes.create_string_buffer(code, len(code))
        self._program = _Program(len(code) // 8, ctypes.addressof(self._buffer))
        self._prctl = _LIBC.prctl

    def install(self) -> None:
        """Bind this process and all its threads to the program, for good, after :func:`limit_box`. Raises OSError."""
        _prctl(self._prctl, _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(self._program))


def _prctl(function: Any, option: int, *arguments: Any) -> None:
    if function(option, *arguments, *(0,) * (4 - len(arguments))) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"prctl({option}): {os.strerror(number)}")


def drop_root(uid: int, gid: int) -> None:
    """Become a real unprivileged user where the box was started by root. The capabilities go with the user id."""
    if os.getuid() != 0:
        return
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)


def follow_parent() -> None:
    """Die when the parent dies, where it may signal us. Has to be asked for again after a change of user."""
    _prctl(_LIBC.prctl, _PR_SET_PDEATHSIG, signal.SIGKILL)
    _prctl(_LIBC.prctl, _PR_SET_DUMPABLE, 0)


def limit_box() -> None:
    """Set the limits that bind the zygote as well as its children, which inherit them."""
    _prctl(_LIBC.prctl, _PR_SET_NO_NEW_PRIVS, 1)
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_NOFILE, _DESCRIPTORS)
    _limit(resource.RLIMIT_MSGQUEUE, 0)
    _limit(resource.RLIMIT_MEMLOCK, 0)


def enter(requests: int, replies: int, null: int, memory_mb: int, cell_filter: CellFilter) -> None:
    """Leave the child with descriptors 0-2 on the null device, 3 to read requests, 4 to write replies; then lock.

    Every page that is touched here is copied for each child: what can be done once is done by :func:`limit_box`.
    """
    for number in (0, 1, 2):
        os.dup2(null, number)
    # Moved high first, so that neither dup2 below overwrites the other's source.
    high_requests, high_replies = os.dup(requests), os.dup(replies)
    os.dup2(high_requests, 3)
    os.dup2(high_replies, 4)
    os.closerange(5, _UNUSED_FDS)
    _limit(resource.RLIMIT_AS, memory_mb * _MIB)
    _limit(resource.RLIMIT_NPROC, _THREADS)
    cell_filter.install()


def _limit(which: int, value: int) -> None:
    resource.setrlimit(which, (value, value))
