"""The verdict of ground truth on one solution."""

from __future__ import annotations

from msgspec import Struct

__all__ = ["Grade"]


class Grade(Struct, frozen=True):
    """Whether one solution is correct, by the data set's own inputs and not by generated tests."""

    base: bool
    """Right on the original data set's inputs (or by HumanEval's ``check``)."""
    plus: bool
    """Right on those and on EvalPlus's extra inputs; the same as ``base`` where there are none."""
    reason: str = ""
    """What went wrong first, in one line; empty for a correct solution."""

    @property
    def correct(self) -> bool:
        """The verdict that pass@1 counts: right on everything the data set asks."""
        return self.plus
