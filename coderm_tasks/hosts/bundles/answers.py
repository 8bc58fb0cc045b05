"""What ``coderm sample`` and ``coderm generate`` left beside their output: the model's settings, and its tokens."""

from __future__ import annotations

from collections.abc import Container
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from coderm_tasks.generate_job import answers_path

__all__ = ["Written", "written_by"]


class Written(Struct, frozen=True, kw_only=True):
    """How the lines of a samples or tests file came about."""

    settings: dict[str, Any]
    tokens: int | None
    """Of all answers to the problems; None where the model did not count."""


class _Counted(Struct, frozen=True):
    task_id: str
    tokens: int = 0


def written_by(path: Path, kind: str, problems: Container[str]) -> Written | None:
    """What the answers beside ``path`` say; None where there are none, or they are of another kind.

    Args:
        kind: ``solutions`` or ``tests``.
        problems: task ids whose answers count.
    """
    try:
        with answers_path(path).open("rb") as stream:
            header = msgspec.json.decode(stream.readline())
            settings = header.get("settings") if isinstance(header, dict) else None
            if not isinstance(settings, dict) or settings.get("kind", kind) != kind:
                return None
            decode = msgspec.json.Decoder(_Counted).decode
            # A run that was killed leaves a last line without its end.
            answers = (decode(line) for line in stream if line.endswith(b"\n"))
            tokens = sum(answer.tokens for answer in answers if answer.task_id in problems)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None
    return Written(settings=settings, tokens=tokens or None)
