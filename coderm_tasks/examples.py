"""The examples that a problem's own text states, as unit tests (pure).

They are the one piece of ground truth that a selection may use: the policy model saw them too.
"""

from __future__ import annotations

import ast
import re
from itertools import pairwise

from coderm_tasks.model import Problem

__all__ = ["examples_of"]

_PROMPT = re.compile(r"^\s*>>>\s?(.*)$")
_ARROW = re.compile(r"\s*(?:#\s*)?(?:==>|=>|==|=|->|➞|→|returns?:?|should return|outputs?:?)\s*(.+)$", re.IGNORECASE)
_FOR = re.compile(r"^\s*For\s+(\w+\s*=.+?),?\s*the\s+(?:output|result)\s+(?:should be|is)\s+(.+)$", re.IGNORECASE)
_INPUT = re.compile(r"^\s*Input:\s*(\S.*)$", re.IGNORECASE)
_OUTPUT = re.compile(r"^\s*Output:\s*(\S.*)$", re.IGNORECASE)
_TRAILING = re.compile(r"\s+#.*$|\s+\(.*\)$|[.;,:]+$")
_MAX = 20


def examples_of(problem: Problem) -> tuple[str, ...]:
    """Bare asserts, in the order of the text, distinct, at most 20.

    Read are doctests (``>>> f(1)`` and the line below it), whole assert lines, ``f(1) -> 2`` with any of the usual
    arrows, ``For x = 1 the output should be 2``, and ``Input: x = 1`` above ``Output: 2``. An example counts only where
    its arguments and its expectation are literals, so prose is never taken for one; exceptions and examples that print
    are left out. Where the data set lists the examples, they are taken from there. Nothing is run here.
    """
    if problem.examples is not None:
        return problem.examples[:_MAX]
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
    pairs = [(match[1], match[2]) for line in lines if (match := _FOR.match(line))]
    filled = [line for line in lines if line.strip()]
    for line, below in pairwise(filled):
        given, expected = _INPUT.match(line), _OUTPUT.match(below)
        if given and expected:
            pairs.append((given[1], expected[1]))
    return [
        test
        for given_text, expected_text in pairs
        if (call := _call_of(given_text, entry_point))
        for test in _assertion(call, expected_text.strip())
    ]


def _call_of(given: str, entry_point: str) -> str:
    """``f([1], 2)`` of ``x = [1], k = 2`` (in that order) or ``[1], 2``; empty where an argument is no literal."""
    tree = _parse(f"f({given})")
    call = tree.body[0].value if tree and len(tree.body) == 1 and isinstance(tree.body[0], ast.Expr) else None
    if not isinstance(call, ast.Call):
        return ""
    nodes = [*call.args, *(keyword.value for keyword in call.keywords)]
    try:
        values = [ast.literal_eval(node) for node in nodes]
    except (ValueError, TypeError, MemoryError, RecursionError):
        return ""
    return f"{entry_point}({', '.join(map(repr, values))})"


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
