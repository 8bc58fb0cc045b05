"""What an attack is, and the sources that attacks share."""

from __future__ import annotations

import platform

from msgspec import Struct

__all__ = [
    "DENIED",
    "FROM_TEST",
    "KERNEL",
    "LIFTED",
    "MARKED",
    "NEVER_PASS",
    "SHARED",
    "SPLIT",
    "TALK",
    "UNLIFTABLE",
    "Attack",
]

LIFTED, SPLIT, SHARED = "lifted", "split", "shared"
MARKED = "marked"
"""The test as it stands reaches beyond the entry point's plain data: a PASS can be forged, and has to be marked shared."""
FROM_TEST = "from the test"
"""The attacker is the test, which a model has written as well; the solution it meets is honest."""
UNLIFTABLE = "\nfor _ in ():\n    pass\n"
"""Appended to a test, keeps it from being lifted: it then runs as a program in the judge's box."""

DENIED = "P"
"""The solution attacks and returns 2 only where the attack was denied: a PASS says that it was."""
NEVER_PASS = "FETRI"
"""The solution did not return 2."""


class Attack(Struct, frozen=True, kw_only=True):
    """A hostile program, the honest test it meets, and the verdicts it may get."""

    name: str
    kind: str
    """Heading of the threat list: files, network, processes, kernel, floods, time, survivors, forgery, protocol,
    contamination, host."""
    solution: str
    test: str = "assert f(1) == 2"
    expected: str
    """Letters of the verdicts it may get."""
    modes: tuple[str, ...] = (LIFTED, SPLIT)
    before_solution: str = ""
    """A cell that runs first in the same boxes: somebody else's solution, and the test it meets."""
    before_test: str = ""
    sleeps: bool = False
    """It waits more than it computes: its limit is the one on the wall."""
    limits: float = 1.0
    """Its verdict may take so many times the limit: calls of a lifted test that are too slow together are given up,
    and the test runs as a program."""
    machine: str = ""
    """Processor it is written for; empty for any."""

    def fits(self) -> bool:
        """Tell whether this machine can run it."""
        return self.machine in ("", platform.machine())


KERNEL = """
import ctypes, errno, os
libc = ctypes.CDLL(None, use_errno=True)

def call(number, *arguments):
    ctypes.set_errno(0)
    plain = [ctypes.c_long(item) if isinstance(item, int) else item for item in arguments]
    result = libc.syscall(ctypes.c_long(number), *plain)
    return result, errno.errorcode.get(ctypes.get_errno(), "none")

def refused(number, *arguments):
    result, name = call(number, *arguments)
    return 2 if result == -1 and name in ("EPERM", "ENOSYS") else f"answered {result}, {name}"

def blocked(action, *kinds):
    try:
        return f"went through: {action()!r}"
    except kinds or (OSError,):
        return 2
"""
"""Helpers of solutions that attack the kernel: each gives 2 where the attack was denied, else what happened."""

TALK = """
import json, os, sys

def link_of_this_process():
    for top in sys._current_frames().values():
        while top is not None:
            if (link := top.f_locals.get("link")) is not None:
                return link
            top = top.f_back

def write(data, descriptor=4):
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view):]

def framed(body, ahead=0):
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    link = link_of_this_process()
    body = (link.number + ahead).to_bytes(8, "big") + body
    return len(body).to_bytes(4, "big") + body

def say(body, descriptor=4):
    write(framed(body), descriptor)
    link_of_this_process().number += descriptor == 4

def instead(body):
    write(framed(body))
    names = type(link_of_this_process()).send.__globals__
    honest = names["write_all"]
    names["write_all"] = lambda *own: names.update(write_all=honest)
"""
"""Helpers of solutions that write to the pipe they answer on, as if it were the answer that is due (``say``), and with
their own answer to the call left out (``instead``): what they wrote is then what the host reads."""
