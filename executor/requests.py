"""What the processes in a box are told: which program to load, which calls to make of it."""

from __future__ import annotations

import json
from collections.abc import Sequence

from executor.model import Limits
from executor.shards import Source

__all__ = ["call_of", "calls_request", "solution_task"]


def solution_task(solution: Source, entry_point: str, calls: Sequence[str], limits: Limits) -> bytes:
    """First request to a process of a solution. ``calls``: requests' JSON texts, to be made as soon as it is loaded."""
    task = {
        "source": solution.text,
        "watch": solution.watchable,
        "entry_point": entry_point,
        "limit": limits.output_kb * 1024,
    }
    head = json.dumps(task, separators=(",", ":"))
    return head[:-1].encode("ascii") + b',"calls":' + calls_request(calls) + b"}"


def calls_request(calls: Sequence[str]) -> bytes:
    """A list of requests; each is a JSON text, [function, arguments, keywords], and gets its copy_back=false."""
    return f"[{','.join(call[:-1] + ',false]' for call in calls)}]".encode("ascii")


def call_of(frame: bytes) -> bytes | None:
    """Turn the judge's ``["call", function, arguments, keywords]`` into a request; None where it is no call."""
    if not frame.startswith(b'["call",') or not frame.endswith(b"]"):
        return None
    return b"[" + frame[len(b'["call",') : -1] + b",true]"
