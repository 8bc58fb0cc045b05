"""LiveCodeBench's rule for when a program printed what was expected.

Lines are compared one by one, without the space around them and around the whole; a line that differs still counts
where both hold the same decimal numbers. Standard library only: this text also runs beside unit tests, in their box.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

__all__ = ["same_output"]


def same_output(printed: object, expected: object) -> bool:
    """Tell whether ``printed`` is right. Anything but two texts is not. Total, whatever was printed."""
    if not (isinstance(printed, str) and isinstance(expected, str)):
        return False
    wanted = expected.strip().split("\n")
    lines = printed.strip().split("\n", len(wanted))
    return len(lines) == len(wanted) and all(map(_same_line, lines, wanted))


def _same_line(line: str, wanted: str) -> bool:
    if line.strip() == wanted.strip():
        return True
    numbers = wanted.split()
    parts = line.split(None, len(numbers))
    return len(parts) == len(numbers) and all(map(_same_number, parts, numbers))


def _same_number(part: str, number: str) -> bool:
    try:
        return Decimal(part) == Decimal(number)
    except (InvalidOperation, ValueError):
        return False
