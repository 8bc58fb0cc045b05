"""Solution and unit test in one process, for tests whose use of the solution cannot cross as plain data.

The verdict comes from a process that ran the solution, which could forge it; the host marks it so.
"""

from __future__ import annotations

import json

from .frames import pack, write_all
from .solution import load
from .unit import PRELUDE, letter_of, run_test

__all__ = ["serve"]


def serve(payload: bytes) -> None:
    """Role ``shared``. Payload: JSON with the solution's source, the context and the test."""
    task = json.loads(payload)
    try:
        namespace = dict(PRELUDE)
        exec(compile(task["context"], "<context>", "exec", dont_inherit=True), namespace)
        namespace.update(load(task["source"]).__dict__)
    except BaseException as error:
        letter = "R" if letter_of(type(error)) == "R" else "E"
    else:
        letter = run_test(task["test"], namespace)
    write_all(4, pack(json.dumps(["verdict", letter, 1]).encode("ascii")))
