"""Numbers of a study as text, the same on the terminal, in the report and in docs/results.md."""

from __future__ import annotations

from coderm_tasks.metrics import Interval

__all__ = ["interval", "points", "rate", "size_name"]


def points(found: Interval, *, sign: bool = False) -> tuple[str, str]:
    """A rate or difference in percent (points), and its interval: ``("60.4", "50.1 to 70.7")``."""
    form = "+.1f" if sign else ".1f"
    if found.low is None or found.high is None:
        return f"{100 * found.value:{form}}", "one problem"
    return f"{100 * found.value:{form}}", f"{100 * found.low:{form}} to {100 * found.high:{form}}"


def interval(found: Interval, *, sign: bool = False) -> str:
    """Both in one cell: ``60.4 (50.1 to 70.7)``."""
    value, span = points(found, sign=sign)
    return f"{value} ({span})"


def rate(value: float | None) -> str:
    """A rate in percent; a dash where there was nothing to count."""
    return "–" if value is None else f"{100 * value:.1f}"


def size_name(size: int | None) -> str:
    """A budget as an axis label."""
    return "all" if size is None else str(size)
