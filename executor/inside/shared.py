"""Solution and unit test in one process, for tests whose use of the solution cannot cross as plain data.

The verdict comes from a process that ran the solution, which could forge it; the host marks it so.
"""

from __future__ import annotations

import functools
import json
from typing import Any

from .frames import Link
from .solution import load
from .unit import PRELUDE, letter_of, run_test

__all__ = ["counted", "serve"]


def serve(link: Link) -> None:
    """Role ``shared``. Its request: JSON with the solution's source, the entry point, the context and the test."""
    task = json.loads(link.receive() or b"")
    entry_point = task["entry_point"]
    calls: list[None] = []
    try:
        solution = load(task["source"])
        namespace: dict[str, Any] = {**PRELUDE, **solution.__dict__}
        # The context's helpers win over the solution's, except for the function under test.
        exec(compile(task["context"], "<context>", "exec", dont_inherit=True), namespace)
        namespace[entry_point] = counted(solution.__dict__[entry_point], calls)
    except BaseException as error:
        letter = "R" if letter_of(type(error)) == "R" else "E"
    else:
        letter = run_test(task["test"], namespace)
    if letter == "P" and not calls:
        letter = "I"
    link.send(json.dumps(["verdict", letter, len(calls)]).encode("ascii"))


def counted(target: Any, calls: list[None]) -> Any:
    """Note that the entry point was called. A class stays itself: tests may look at its attributes."""
    if isinstance(target, type) or not callable(target):
        calls.append(None)
        return target

    @functools.wraps(target)
    def function(*args: Any, **kwargs: Any) -> Any:
        calls.append(None)
        return target(*args, **kwargs)

    return function
