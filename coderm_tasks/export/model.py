"""One problem of a run, and the rows that are made of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from coderm_tasks.model import Problem
from executor import PassMatrix

__all__ = ["Case", "Message", "PreferenceRow", "RewardRow", "Rewards", "Rows", "UnitTestRow"]


class Case(Struct, frozen=True, kw_only=True, eq=False):
    """Everything that a run knows of one problem."""

    problem: Problem
    solutions: tuple[str, ...]
    """N sources in sample order."""
    tests: tuple[str, ...]
    """M sources."""
    matrix: PassMatrix
    """Shape (N, M)."""
    labels: tuple[bool | None, ...] = ()
    """N entries, None where a sample has no label; empty where there are no labels."""

    def label(self, index: int) -> bool | None:
        """Whether a sample is correct; None where nobody knows."""
        return self.labels[index] if self.labels else None


class Rewards(Struct, frozen=True, eq=False):
    """Rewards of one problem's solutions: ``values`` of shape (N,) in [0, 1], by ``tests_used`` unit tests."""

    values: NDArray[np.float64]
    tests_used: int
    note: str = ""
    """Why there is no reward to speak of; then the problem gives no row."""


class Message(Struct, frozen=True):
    """One turn of a conversation, as TRL and chat templates have it."""

    role: str
    content: str


class PreferenceRow(Struct, frozen=True, kw_only=True):
    """A pair of answers to one prompt. The first three fields are what DPO needs."""

    prompt: str | Sequence[Message]
    chosen: str | Sequence[Message]
    rejected: str | Sequence[Message]
    task_id: str
    chosen_sample: int
    """Number of the sample among those of the problem, from 0."""
    rejected_sample: int
    chosen_reward: float
    rejected_reward: float
    tests_used: int
    chosen_correct: bool | None = None
    """By the labels; None without."""
    rejected_correct: bool | None = None


class RewardRow(Struct, frozen=True, kw_only=True):
    """One answer with its reward."""

    prompt: str | Sequence[Message]
    completion: str | Sequence[Message]
    reward: float
    task_id: str
    sample: int
    tests_passed: int
    tests_used: int
    correct: bool | None = None


class UnitTestRow(Struct, frozen=True, kw_only=True):
    """One problem in the columns of CodeRM-UnitTest; the last two hold JSON, as they do there."""

    task_id: str
    question: str
    code_ground_truth: str
    code_generate: str
    """JSON list of ``{"sol_id", "code"}``."""
    unit_tests: str
    """JSON list of ``{"ut_id", "code", "FAR", "FRR", ...}``."""


class Rows(Struct, frozen=True):
    """What became of one problem."""

    rows: Sequence[Struct]
    counts: dict[str, int]
    """What it adds to the totals."""
