"""Which flag sets which limit of the executor's. It knows its limits, and nothing of a command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from executor import LimitsError

__all__ = ["FLAGS", "in_flags"]

FLAGS = {
    "cpu_s": "--cpu-limit",
    "wall_s": "--wall-limit",
    "memory_mb": "--memory-limit",
    "max_timeouts": "--max-timeouts",
    "workers": "--workers",
}
"""Limits that flags set, under the same name in every verb that has the flag."""


def in_flags(error: LimitsError) -> str:
    """Return the error's message with the flag in the place of the limit, and what to do about it (pure).

    A limit that no flag sets keeps its own name: it came from a file, which calls it so.
    """
    flag = FLAGS.get(error.limit)
    if flag is None:
        return str(error)
    said = str(error).removeprefix("limit ").removeprefix(error.limit)
    return f"{flag}{said}; leave {flag} out for the default"
