"""One box and its solution's process, spoken to without a worker between."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator

from executor import Limits
from executor.box import Box, Replies
from executor.bwrap import box_plan

__all__ = ["ask", "load", "opened_box"]


@contextlib.contextmanager
def opened_box(limits: Limits) -> Iterator[Box]:
    """A box that has started."""
    box = Box(box_plan(), limits)
    box.start()
    try:
        yield box
    finally:
        box.close()


def load(box: Box, source: str, *arguments: object, cpu_s: tuple[float, ...] = (), most_cpu_s: float = 0.0) -> Replies:
    """Start a process of the solution and call ``f`` on each argument, all in one batch.

    ``cpu_s``, ``most_cpu_s``: as in :meth:`Box.start_child`.
    """
    payload = {"source": source, "entry_point": "f", "limit": 1 << 22, "calls": _calls(arguments)}
    return box.start_child(
        "solution", json.dumps(payload).encode(), 1 + len(arguments), cpu_s=cpu_s, most_cpu_s=most_cpu_s
    )


def ask(box: Box, *arguments: object, most_cpu_s: float = 0.0) -> Replies:
    """Call ``f`` in the process that there is."""
    return box.ask(json.dumps(_calls(arguments)).encode(), len(arguments), most_cpu_s=most_cpu_s)


def _calls(arguments: tuple[object, ...]) -> list[object]:
    return [[None, {"t": [argument]}, {"d": []}, False] for argument in arguments]
