"""From raw outcomes of a box to verdict letters (pure)."""

from __future__ import annotations

import builtins
import json
import re
import signal
from typing import Any

import numpy as np

from executor.box import Replies
from executor.expressions import Raised, Stopped
from executor.inside import wire

__all__ = ["LETTERS", "end_letter", "load_failure", "reply_value", "verdict_of"]

LETTERS = frozenset("PFERI")
"""Letters a judge may give."""
_DEEPEST = 16 * wire.MAX_DEPTH
"""Brackets of JSON within each other; a container takes a few."""
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_OPENING, _CLOSING = list(b"[{"), list(b"]}")
_TIME_SIGNALS = frozenset({signal.SIGXCPU, signal.SIGVTALRM})
"""The kernel's limit of CPU time, and the end of a call that never would (:mod:`executor.inside.endless`)."""
_RESOURCE_SIGNALS = frozenset({signal.SIGKILL, signal.SIGXFSZ})


def end_letter(replies: Replies) -> str:
    """Verdict of a child that ended before it answered.

    A SIGKILL that was not ours is the kernel's, short of memory. Everything else the child did to itself.
    """
    if replies.end in ("cpu", "slow", "wall"):
        return "T"
    if replies.end == "flood":
        return "R"
    if replies.end == "signal":
        if replies.code in _TIME_SIGNALS:
            return "T"
        return "R" if replies.code in _RESOURCE_SIGNALS else "E"
    return "E"


def load_failure(frame: bytes) -> tuple[str, dict[str, Any]]:
    """Read the first frame of a solution: a letter where it could not be loaded, else "" and what it exports."""
    reply = _reply(frame)
    if reply is None or reply[0] not in ("ok", "e"):
        return "E", {}
    if reply[0] == "e":
        return ("R" if reply[1] == "MemoryError" else "E"), {}
    exports = reply[1]
    if not isinstance(exports, dict):
        return "E", {}
    return "", {
        "functions": _names(exports.get("functions")),
        "classes": _names(exports.get("classes")),
        "modules": exports["modules"] if isinstance(exports.get("modules"), dict) else {},
    }


def _names(value: Any) -> set[str]:
    return {item for item in value if isinstance(item, str)} if isinstance(value, list) else set()


def _reply(frame: bytes) -> list[Any] | None:
    if _is_too_deep(frame):
        return None
    try:
        # As text: bytes may be UTF-16, in which nothing that is looked for in them would be found.
        reply = json.loads(frame.decode("ascii"))
    except (ValueError, RecursionError, MemoryError):
        return None
    if isinstance(reply, list) and len(reply) >= 2 and isinstance(reply[0], str):
        return reply
    return None


def _is_too_deep(frame: bytes) -> bool:
    """Tell whether a frame is nested deeper than any that is decoded.

    The parser would stop at the limit of recursion; but where the program that we are part of has raised that, it
    crashes.
    """
    if frame.count(b"[") + frame.count(b"{") <= _DEEPEST:
        return False
    text = np.frombuffer(_STRING.sub(b"", frame), dtype=np.uint8)
    opened = np.isin(text, _OPENING).astype(np.int32) - np.isin(text, _CLOSING)
    return int(opened.cumsum().max(initial=0)) > _DEEPEST


def reply_value(frame: bytes) -> Any:
    """Return the value that a solution's frame carries.

    Raises:
        Raised: the call raised.
        Stopped: it returned what cannot be sent, or the frame makes no sense; no honest process wrote it.
    """
    reply = _reply(frame)
    if reply is not None and reply[0] == "u":
        raise Stopped("R" if reply[1] == "R" else "E")
    if reply is not None and reply[0] == "v":
        try:
            return wire.decode(reply[1])
        except (ValueError, TypeError, RecursionError, MemoryError, ArithmeticError):
            raise Stopped("E") from None
    if reply is not None and reply[0] == "e" and len(reply) == 3:
        raise Raised(exception_type(reply[1]))
    raise Stopped("E")


def exception_type(name: Any) -> type[BaseException]:
    """The builtin exception of this name; Exception for any other."""
    kind = getattr(builtins, name, None) if isinstance(name, str) else None
    return kind if isinstance(kind, type) and issubclass(kind, BaseException) else Exception


def verdict_of(frame: bytes) -> str:
    """Read a judge's ``["verdict", letter, calls]``; anything else is an error of the cell."""
    reply = _reply(frame)
    letter = reply[1] if reply is not None and reply[0] == "verdict" else None
    return letter if isinstance(letter, str) and letter in LETTERS | {"T", "shared"} else "E"
