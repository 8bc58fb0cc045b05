"""Numbers and names in messages."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["are", "counted", "some"]


def some(names: Sequence[str]) -> str:
    """The first few names, for a message."""
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


def are(number: int) -> str:
    """The verb that goes with a number."""
    return "is" if number == 1 else "are"


def counted(number: int, noun: str) -> str:
    """``1 problem``, ``2 problems``: for nouns that take an s."""
    return f"{number} {noun}" + ("" if number == 1 else "s")
