"""Why a solution is wrong, in one short printable line, whatever the untrusted code returned or raised."""

from __future__ import annotations

import reprlib
from typing import Any

from executor import Outcome, Verdict

__all__ = ["describe_stop", "describe_verdict", "describe_wrong", "stopped_by_limit"]

_MAX_CHARACTERS = 100
_MAX_BITS = 2048
_VERDICTS = {
    Verdict.FAIL: "an assertion failed",
    Verdict.ERROR: "raised, exited or crashed",
    Verdict.TIMEOUT: "timed out",
    Verdict.RESOURCE: "exceeded memory, output or process limit",
    Verdict.INVALID: "never reached an assertion",
    Verdict.NOT_RUN: "not executed",
}


def describe_verdict(verdict: Verdict) -> str:
    """Say what a verdict other than PASS means."""
    return _VERDICTS[verdict]


def stopped_by_limit(reason: str) -> bool:
    """Tell whether a grade's reason is a limit of time or memory, which might come out otherwise on another machine."""
    return reason.endswith((_VERDICTS[Verdict.TIMEOUT], _VERDICTS[Verdict.RESOURCE]))


def describe_stop(outcome: Outcome) -> str:
    """Say why a call gave no value."""
    if outcome.kind == "raised":
        return _one_line(f"raised {outcome.error}: {outcome.message}" if outcome.message else f"raised {outcome.error}")
    return _VERDICTS[outcome.verdict]


def describe_wrong(output: Any, expected: Any) -> str:
    """Show an output beside the expected one."""
    return f"returned {_show(output)}, expected {_show(expected)}"


class _Brief(reprlib.Repr):
    def repr_instance(self, x: Any, level: int) -> str:
        # What has no spelling of its own, such as an iterator, would show its address, another in every run.
        spelling: Any = type(x).__repr__
        return f"<{type(x).__name__}>" if spelling is object.__repr__ else super().repr_instance(x, level)

    def repr_int(self, x: int, level: int) -> str:
        # Printing a huge int takes quadratic time, or is refused, depending on the interpreter.
        return repr(x) if x.bit_length() <= _MAX_BITS else f"<int of {x.bit_length()} bits>"


def _show(value: Any) -> str:
    try:
        return _one_line(_Brief().repr(value))
    except (ArithmeticError, RecursionError, ValueError):  # a huge int inside a Fraction, for one
        return f"<{type(value).__name__}>"


def _one_line(text: str) -> str:
    printable = "".join(letter if letter.isprintable() else " " for letter in text[: 2 * _MAX_CHARACTERS])
    return printable if len(printable) <= _MAX_CHARACTERS else printable[: _MAX_CHARACTERS - 3] + "..."
