"""What is known of a unit test and of a problem on their way through the pipeline, and what is written of them."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from coderm_tasks.export.model import Message
from coderm_tasks.metrics import Quality
from coderm_tasks.model import Problem

__all__ = ["Draft", "Judged", "SftRow", "WeakerSolutions", "Yield"]


class Draft(Struct, frozen=True):
    """A unit test that a model wrote."""

    code: str
    rounds: int = 0
    """How often it was repaired."""


class Judged(Struct, frozen=True):
    """Drafts of one problem, by what the reference says to them."""

    problem: Problem
    passed: tuple[Draft, ...]
    failed: tuple[Draft, ...]
    """The reference fails them, raises under them or does not end."""
    vacuous: int = 0
    """Drafts that test nothing."""
    errors: dict[str, int] = {}
    """Verdict name -> how many of the failed ones."""


class WeakerSolutions(Struct, frozen=True):
    """What a weaker model wrote for one problem."""

    codes: tuple[str, ...]
    correct: tuple[bool, ...] | None = None
    """One per code; None where nobody labelled them: then those are wrong that fail a test which the reference
    passes."""


class SftRow(Struct, frozen=True, kw_only=True):
    """One unit test as an example to learn from; ``prompt`` and ``completion`` are what TRL's SFT looks at."""

    prompt: str | Sequence[Message]
    completion: str | Sequence[Message]
    task_id: str
    ut_id: int
    rounds: int
    """Repairs that the test took; 0: right at once."""
    far: float | None
    """Share of the weaker model's wrong solutions that it accepts, FP / (FP + TN); None where there are none."""
    frr: float | None
    """Share of its correct ones that it rejects, FN / (FN + TP); None where there are none."""

    @classmethod
    def of(
        cls,
        asked: tuple[str | Sequence[Message], str | Sequence[Message]],
        task_id: str,
        number: int,
        draft: Draft,
        rates: Quality | None,
    ) -> SftRow:
        """Build the row of the problem's test of this number; ``asked`` is the prompt and the answer to it."""
        return cls(
            prompt=asked[0],
            completion=asked[1],
            task_id=task_id,
            ut_id=number,
            rounds=draft.rounds,
            far=rates.far if rates else None,
            frr=rates.frr if rates else None,
        )


class Yield(Struct, frozen=True, kw_only=True):
    """What one step of the pipeline let through."""

    step: str
    unit: str
    """Of both numbers: questions, answers, tests."""
    came: int
    stayed: int
    left_out: dict[str, int]
    """Reason -> how many."""
