"""The examples that a problem's own text states, as unit tests (pure).

They are the one piece of ground truth that a selection may use: the policy model saw them too.
"""

from __future__ import annotations

import ast
import re

from coderm_tasks.model import Problem

__all__ = ["examples_of"]

_PROMPT = re.compile(r"^\s*>>>\s?(.*)$")
_ARROW = re.compile(r"\s*(?:#\s*)?(?:==>|=>|==|=|->|➞|→|returns?:?|should return|outputs?:?)\s*(.+)$", re.IGNORECASE)
_FOR = re.compile(
    r"^\s*For\s+\w+\s*=\s*(.+?),?\s*(?:the\s+)?(?:output|result)\s+(?:should be|is)\s+(.+)$", re.IGNORECASE
)
_TRAILING = re.compile(r"\s+#.*$|\s+\(.*\)$|[.;,:]+$")
_MAX = 20


def examples_of(problem: Problem) -> tuple[str, ...]:
    """Bare asserts, in the order of the text, distinct, at most 20.

    Read are doctests (``>>> f(1)`` and the line below it), whole assert lines, ``f(1) -> 2`` with any of the usual
    arrows, and ``For x = 1 the output should be 2``. An example counts only where its expectation is a literal, so
    prose is never taken for one; exceptions and examples that print are left out. Nothing is run here.
    """
    lines = _text(problem).splitlines()
    name = problem.entry_point
    found = [*_doctests(lines, name), *_asserts(lines), *_arrows(lines, name), *_sentences(lines, name)]
    usable = (test for test in found if _calls(test, problem.entry_point))
    return tuple(dict.fromkeys(usable))[:_MAX]


def _text(problem: Problem) -> str:
    """Docstring of the entry point, else of the module (MBPP), else the whole prompt."""
    tree = _parse(problem.prompt) or _parse(problem.prompt.rstrip() + "\n    pass\n")
    if tree is None:
        return problem.prompt
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name == problem.entry_point:
            return ast.get_docstring(node) or ""
    return ast.get_docstring(tree) or problem.prompt


def _doctests(lines: list[str], entry_point: str) -> list[str]:
    found = []
    for place, line in enumerate(lines):
        match = _PROMPT.match(line)
        below = lines[place + 1].strip() if place + 1 < len(lines) else ""
        if match and entry_point in match[1] and not _PROMPT.match(below):
            found += _assertion(match[1].split("  #")[0].split(" # ")[0], below)
    return found


def _asserts(lines: list[str]) -> list[str]:
    return [line.strip() for line in lines if line.strip().startswith("assert ") and _parse(line.strip())]


def _arrows(lines: list[str], entry_point: str) -> list[str]:
    found = []
    for line in lines:
        start = line.find(f"{entry_point}(")
        if start < 0:
            continue
        end = _closing(line, start + len(entry_point))
        match = _ARROW.match(line[end:]) if end else None
        if match:
            found += _assertion(line[start:end], match[1].strip())
    return found


def _sentences(lines: list[str], entry_point: str) -> list[str]:
    matches = [match for line in lines if (match := _FOR.match(line))]
    return [test for match in matches for test in _assertion(f"{entry_point}({match[1]})", match[2].strip())]


def _closing(line: str, start: int) -> int:
    """End of the shortest text from the bracket at ``start`` that is a call; 0 where there is none."""
    for end in range(start + 1, len(line) + 1):
        if line[end - 1] == ")" and _parse(f"f{line[start:end]}") is not None:
            return end
    return 0


def _assertion(call: str, expected: str) -> list[str]:
    """The assert, or none where the call does not parse or no beginning of ``expected`` is a literal."""
    expected = re.sub(r"(?<=\d)\.$", "", expected)  # the end of a sentence, not of a float
    while expected:
        try:
            value = ast.literal_eval(expected)
        except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
            shorter = _TRAILING.sub("", expected)
            expected = {"true": "True", "false": "False", "none": "None"}.get(shorter, shorter * (shorter != expected))
        else:
            test = f"assert {call.strip()} == {value!r}"
            return [test] if _parse(test) else []
    return []


def _calls(test: str, entry_point: str) -> bool:
    tree = _parse(test)
    return tree is not None and any(isinstance(node, ast.Name) and node.id == entry_point for node in ast.walk(tree))


def _parse(source: str) -> ast.Module | None:
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
