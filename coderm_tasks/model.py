"""The records that travel between the rooms. All frozen; arrays live in :class:`executor.model.PassMatrix`."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

__all__ = ["DIFFICULTIES", "Form", "GroundTruth", "HiddenTests", "Problem", "Selection", "Solution", "UnitTest"]

Form = Literal["function", "method", "stdin"]
"""What a solution is: a module that defines the entry point as a function; one that may define it as a method of
``class Solution``, LeetCode's way; or a whole program from standard input to standard output."""

DIFFICULTIES = ("easy", "medium", "hard")
"""Labels that data sets give their problems."""


class HiddenTests(Struct, frozen=True):
    """Where a data set file keeps the tests of one problem. They are read when they are needed: there are gigabytes."""

    path: str
    line: int
    """Line in the file, from 1."""
    offset: int
    """Bytes before that line, in the unpacked file."""


class GroundTruth(Struct, frozen=True, kw_only=True):
    """How a data set decides whether a solution is correct. One of three kinds.

    ``check``: source of a ``check(candidate)`` function (HumanEval's own tests).
    ``inputs``: EvalPlus's inputs; expected outputs come from ``reference`` executed in the sandbox.
    ``hidden``: inputs and outputs that stay in the data set's file (LiveCodeBench).
    """

    check: str = ""
    reference: str = ""
    """Self-contained canonical solution."""
    base_inputs: tuple[tuple[Any, ...], ...] = ()
    plus_inputs: tuple[tuple[Any, ...], ...] = ()
    atol: float = 0.0
    hidden: HiddenTests | None = None


class Problem(Struct, frozen=True, kw_only=True):
    """One problem of a data set."""

    task_id: str
    dataset: str
    """``humaneval`` or ``mbpp``, the names EvalPlus gives the data sets; or ``livecodebench``."""
    prompt: str
    """What the policy model continues: for HumanEval signature and docstring, for MBPP+ the EvalPlus prompt. For
    LiveCodeBench the text of the question, which no code continues."""
    entry_point: str
    """Name by which unit tests call a solution. A whole program goes by ``run_program``, which takes the standard input
    and returns the standard output; :mod:`coderm_tasks.programs` makes it."""
    truth: GroundTruth
    context: str = ""
    """Imports and helper definitions of the prompt, without the entry point: unit tests may use them."""
    form: Form = "function"
    starter: str = ""
    """The code that a solution in form ``method`` is to begin with; part of what the model is shown."""
    examples: tuple[str, ...] | None = None
    """Asserts for the examples that the problem states, where the data set lists them; None where it does not."""
    difficulty: str = ""
    """The data set's own label: ``easy``, ``medium`` or ``hard``; empty where it has none."""


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
