"""What a solution's answers weigh once they are read: many times their size, where they are lists of lists."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from executor.inside import wire

__all__ = ["OUTPUTS_MB", "room_for", "value_frame", "weight_of"]

OUTPUTS_MB = 16
"""MiB for the answers of one solution to all calls of a job, where nothing is known of them."""
_PART = 64
"""Bytes of a Python object and the place that holds it, about."""
_SLACK = 4
_AT_LEAST_MB = 64


def weight_of(frame: bytes) -> int:
    """Bytes that an answer takes when it has been read, about. Untrusted frames are welcome: nothing is parsed."""
    return len(frame) + _PART * (frame.count(b",") + frame.count(b"["))


def value_frame(value: Any) -> bytes:
    """The frame with which a solution's process answers where it returns ``value``.

    Raises:
        WireError: it is no plain data.
    """
    return wire.text_of(["v", wire.encode(value)]).encode("ascii")


def room_for(values: Iterable[Any]) -> int:
    """MiB for the answers of a solution that is to return these values, and may return some others."""
    return _AT_LEAST_MB + (_SLACK * sum(weight_of(value_frame(value)) for value in values) >> 20)
