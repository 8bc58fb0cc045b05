"""Unit tests as a reward gets them: texts of any kind are read, and told apart by what a verdict is worth (pure)."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from enum import Enum

from msgspec import Struct

from coderm_tasks.extract import extract_tests
from executor.lift import Program, Vacuous, plan_test
from executor.purity import defined_names, sendable

__all__ = ["Kind", "ReadTests", "kind_of", "read_tests"]


class Kind(str, Enum):
    """What a test's verdicts are worth, whatever the solution."""

    USABLE = "usable"
    SHARED = "shared"
    """It has to run in the solution's own process, where a solution may forge its verdict."""
    VACUOUS = "vacuous"
    """It does not parse, or never calls the entry point: it says nothing about any solution."""


class ReadTests(Struct, frozen=True):
    """The tests of one problem, as they are executed."""

    tests: tuple[str, ...]
    """M sources."""
    weights: tuple[float, ...]
    """M weights."""
    kinds: tuple[Kind, ...]
    """M kinds."""
    given: int
    """Texts there were."""
    unusable: int
    """Texts in which there was no test, or only such as test nothing."""


def read_tests(
    texts: Sequence[str],
    entry_point: str,
    context: str = "",
    weights: Sequence[float] = (),
    *,
    verbatim: bool = False,
) -> ReadTests:
    """Read the tests of one problem.

    A text may be bare asserts, ``unittest`` classes, functions in pytest's manner, with or without imports of the
    solution, or a model's whole answer: it is read by :func:`coderm_tasks.extract.extract_tests`, and may hold several
    tests. ``verbatim`` takes each text as one test, as it stands.

    Args:
        weights: one per text, which its tests share; empty: all tests alike.
    """
    tests: list[str] = []
    shares: list[float] = []
    kinds: list[Kind] = []
    unusable = 0
    for number, text in enumerate(texts):
        found = (text,) if verbatim else extract_tests(text, entry_point).tests
        worth = [kind_of(test, entry_point, context) for test in found]
        unusable += all(kind is Kind.VACUOUS for kind in worth)
        tests += found
        kinds += worth
        shares += [weights[number] / max(1, len(found)) if weights else 1.0] * len(found)
    return ReadTests(tuple(tests), tuple(shares), tuple(kinds), len(texts), unusable)


def kind_of(test: str, entry_point: str, context: str = "") -> Kind:
    """Tell what a test's verdicts are worth. Runs nothing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what a model writes may be deprecated
        plan = plan_test(sendable(test), entry_point, defined_names(context))
    if isinstance(plan, Vacuous):
        return Kind.VACUOUS
    return Kind.SHARED if isinstance(plan, Program) and plan.same_process else Kind.USABLE
