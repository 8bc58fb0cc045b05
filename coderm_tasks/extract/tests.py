"""A model's answer to unit tests, each a source of its own."""

from __future__ import annotations

import ast
import hashlib
from collections import Counter
from collections.abc import Iterable
from enum import Enum

from msgspec import Struct

from coderm_tasks.extract.mend import Mended, looks_like_code, mend, without_prose
from coderm_tasks.extract.source import Effort, parse
from coderm_tasks.extract.suite import MAX_TESTS, Suite
from coderm_tasks.extract.text import Block, blocks, is_python, normalise

__all__ = ["Drop", "Extraction", "extract_tests", "fingerprint"]


class Drop(str, Enum):
    """Why something that was meant as a unit test is not one. The value is what summaries print."""

    NO_TEST = "no test found"
    BROKEN = "does not parse"
    CUT = "cut off"
    EMPTY = "no test method"
    NO_CALL = "never calls the entry point"
    RUNNER = "needs fixtures or a test runner"
    DUPLICATE = "duplicate"
    SURPLUS = "too many in one answer"
    BEYOND = "beyond the budget"


class Extraction(Struct, frozen=True):
    """Unit tests of one answer."""

    tests: tuple[str, ...]
    """One source per test, in the order of the text: a ``unittest.TestCase`` class with what it needs, or one bare
    assertion (or loop of assertions) with what it needs."""
    dropped: dict[str, int]
    """How many were dropped, by the values of :class:`Drop`; an answer without any test counts one ``NO_TEST``."""


def extract_tests(text: str, entry_point: str, *, truncated: bool = False) -> Extraction:
    """Unit tests for the function ``entry_point`` in a model's answer, or in a continuation of ``assert f(``.

    ``unittest.TestCase`` classes stay whole, several classes are several tests, and so are bare asserts; functions and
    classes in pytest's manner become bare asserts. Imports of the solution, copies of it, ``if __name__`` blocks and
    ``unittest.main()`` go. A class that breaks off keeps its complete methods. ``truncated``: the answer ended at the
    token limit, so its last method or line is not whole even if it parses.

    Never raises, whatever the text; the time is bounded (text beyond 100,000 characters is not looked at).
    """
    effort = Effort()
    cleaned = normalise(text)
    dropped: Counter[str] = Counter()
    for parts in _readings(cleaned, entry_point):
        attempt: Counter[str] = Counter()
        mended = [_mend(code, effort, truncated or cut, attempt) for code, cut in parts]
        tests = _collect(mended, entry_point, attempt)
        if tests:
            return Extraction(tests, dict(attempt))
        dropped |= attempt
    return Extraction((), dict(dropped) or {Drop.NO_TEST.value: 1})


def fingerprint(test: str) -> str:
    """Equal for tests whose syntax trees are equal: comments and formatting do not count."""
    tree = parse(test)
    try:
        meaning = ast.dump(tree) if tree is not None else test
    except RecursionError:
        meaning = test
    return hashlib.sha256(meaning.encode("utf-8", "surrogatepass")).hexdigest()


def _readings(text: str, entry_point: str) -> Iterable[list[tuple[str, bool]]]:
    """Ways to read the text, likeliest first: sources, each with whether it breaks off."""
    found = [block for block in blocks(text) if is_python(block)]
    head = _before_fence(text)
    first = next((line for line in head.split("\n") if line.strip()), "")
    if continued := _continued(head, entry_point):
        yield [(continued, False)]
    elif found and looks_like_code(first):
        yield [(head, False)]
    if found:
        yield [(block.code, _breaks_off(block, text)) for block in found]
    yield [(text if parse(text) is not None else without_prose(text), False)]


def _before_fence(text: str) -> str:
    lines = text.split("\n")
    fence = next((number for number, line in enumerate(lines) if line.lstrip().startswith(("```", "~~~"))), len(lines))
    return "\n".join(lines[:fence])


def _breaks_off(block: Block, text: str) -> bool:
    # A stop string at the closing fence leaves the newline before it; a token limit rarely falls on one.
    return not block.closed and not text.endswith("\n")


def _continued(text: str, entry_point: str) -> str:
    """The text after ``assert f(``, if its first lines finish such an assertion; empty otherwise."""
    lines = text.split("\n")
    if parse(lines[0]) is not None:
        return ""
    for count in range(1, min(len(lines), 6) + 1):
        tree = parse(f"assert {entry_point}(" + "\n".join(lines[:count]))
        if tree is not None:
            return without_prose(f"assert {entry_point}({text}")
    return ""


def _mend(code: str, effort: Effort, truncated: bool, dropped: Counter[str]) -> Mended:
    mended = mend(code.expandtabs(4) if "\t" in code and parse(code) is None else code, effort, truncated=truncated)
    for reason, count in ((Drop.BROKEN, mended.broken), (Drop.CUT, mended.cut)):
        if count:
            dropped[reason.value] += count
    return mended


def _collect(mended: list[Mended], entry_point: str, dropped: Counter[str]) -> tuple[str, ...]:
    suite = Suite(entry_point)
    try:
        for part in mended:
            suite.add(part.source, part.tree)
        candidates = suite.tests()
    except RecursionError:  # nested deeper than the walk over the tree can go
        dropped[Drop.BROKEN.value] += 1
        return ()
    dropped.update({Drop.RUNNER.value: suite.unsupported} if suite.unsupported else {})
    dropped.update({Drop.EMPTY.value: suite.empty} if suite.empty else {})
    dropped.update({Drop.SURPLUS.value: suite.surplus} if suite.surplus else {})
    kept: dict[str, str] = {}
    for candidate in candidates:
        mark = fingerprint(candidate.source)
        if not candidate.calls:
            dropped[Drop.NO_CALL.value] += 1
        elif mark in kept:
            dropped[Drop.DUPLICATE.value] += 1
        else:
            kept[mark] = candidate.source
    assert len(kept) <= MAX_TESTS
    return tuple(kept.values())
