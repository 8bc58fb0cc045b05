"""For how long a process may take that waits, on a machine that others use as well (pure)."""

from __future__ import annotations

__all__ = ["IDLE_FACTOR", "longest_s"]

IDLE_FACTOR = 10
"""What computes may wait for this many times the CPU time it used, beside its wall limit: machines are loaded."""


def longest_s(wall_s: float, cpu_s: float) -> float:
    """Wall-clock seconds that a process may take which has used ``cpu_s`` seconds and may sleep for ``wall_s``."""
    return wall_s + (1 + IDLE_FACTOR) * cpu_s
