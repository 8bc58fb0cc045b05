"""The records that travel between the rooms. All frozen; arrays live in :class:`executor.model.PassMatrix`."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

__all__ = ["GroundTruth", "Problem", "Selection", "Solution", "UnitTest"]


class GroundTruth(Struct, frozen=True, kw_only=True):
    """How a data set decides whether a solution is correct. One of two kinds.

    ``check``: source of a ``check(candidate)`` function (HumanEval's own tests).
    ``inputs``: EvalPlus's inputs; expected outputs come from ``reference`` executed in the sandbox.
    """

    check: str = ""
    reference: str = ""
    """Self-contained canonical solution."""
    base_inputs: tuple[tuple[Any, ...], ...] = ()
    plus_inputs: tuple[tuple[Any, ...], ...] = ()
    atol: float = 0.0


class Problem(Struct, frozen=True, kw_only=True):
    """One problem of a data set."""

    task_id: str
    dataset: str
    """``humaneval`` or ``mbpp``: the name EvalPlus gives the data set."""
    prompt: str
    """What the policy model continues: for HumanEval signature and docstring, for MBPP+ the EvalPlus prompt."""
    entry_point: str
    truth: GroundTruth
    context: str = ""
    """Imports and helper definitions of the prompt, without the entry point: unit tests may use them."""


class Solution(Struct, frozen=True):
    """One sampled program."""

    task_id: str
    code: str
    """Self-contained source; empty if nothing could be extracted."""


class UnitTest(Struct, frozen=True):
    """One generated unit test: whole ``unittest.TestCase`` classes, or bare assert statements."""

    task_id: str
    code: str


class Selection(Struct, frozen=True, kw_only=True):
    """What a strategy chose for one problem."""

    task_id: str
    index: int
    """Index of the chosen solution in sample order; -1 when there was none."""
    ties: tuple[int, ...]
    """Indices the strategy could not tell apart, ``index`` among them, ascending."""
    scores: tuple[float, ...]
    """Score per solution, higher is better; length N."""
    strategy: str
    tests_used: int = 0
    note: str = ""
    """Why a fallback was used: ``no tests``, ``no samples``; empty otherwise."""
