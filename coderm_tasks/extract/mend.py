"""Source of unit tests that does not parse: take out the smallest broken units and keep the rest."""

from __future__ import annotations

import ast
import re

from msgspec import Struct

from coderm_tasks.extract.source import Effort, failing_line, lines_of, parse

__all__ = ["Mended", "looks_like_code", "mend", "without_prose"]

_CODE = re.compile(
    r"^(?:(?:assert|class|def|async|import|from|for|while|if|elif|else|with|try|except|finally|return|print)\b"
    r"|[@#)\]}]|[\"']{3}|[A-Za-z_][\w.,\[\]'\" ]*(?::[^=\n]+)?[-+*/|&]?=[^=]|[A-Za-z_][\w.]*\()"
)
_LISTED = re.compile(r"^[ \t]*(?:(?:[-*+]|\(?\d+[.)])[ \t]+)?`{0,2}(assert\b.*?)`{0,2}[ \t]*$")
_TESTS = re.compile(r"\b(?:assert|def[ \t]+test\w*|self\.assert\w+)\b")
_MOST_REPAIRS = 64


class Mended(Struct, frozen=True):
    """What is left of a source, and what had to go."""

    source: str
    tree: ast.Module
    broken: int = 0
    """Tests taken out because they do not parse."""
    cut: int = 0
    """Tests taken out because the text ends in the middle of them."""


def looks_like_code(line: str) -> bool:
    """Whether a line at the margin may be code rather than prose."""
    return bool(_CODE.match(line))


def without_prose(text: str) -> str:
    """Unfenced text without the lines at the margin that are prose; list markers before asserts go too."""
    kept = []
    for line in text.split("\n"):
        if listed := _LISTED.match(line):
            line = listed[1] if not line.startswith((" ", "\t")) or line.lstrip()[0] in "-*+(`" else line
        if not line.strip() or line[0] in " \t" or looks_like_code(line):
            kept.append(line)
    return "\n".join(kept)


def mend(source: str, effort: Effort, *, truncated: bool) -> Mended:
    """Make ``source`` parse by taking out broken methods and top-level statements, one by one.

    ``truncated``: generation stopped at the token limit, so the last method, or last line, is not whole even if it
    parses.
    """
    lines = source.rstrip().split("\n")
    broken = cut = 0
    for _ in range(_MOST_REPAIRS):
        text = "\n".join(lines)
        if not effort.spend(text):
            break
        tree = parse(text)
        if tree is not None:
            if truncated and not cut:
                return _without_last(lines, tree, broken, whole_line=source.endswith("\n"))
            return Mended(text, tree, broken, cut)
        first, last = _unit(lines, failing_line(text))
        at_end = not any(line.strip() for line in lines[last:])
        counts = bool(_TESTS.search("\n".join(lines[first:last])))
        broken, cut = broken + (counts and not at_end), cut + (counts and at_end)
        lines = lines[:first] + lines[last:]
        if not any(line.strip() for line in lines):
            break
    return Mended("", ast.Module(body=[], type_ignores=[]), broken + bool(_TESTS.search("\n".join(lines))), cut)


def _without_last(lines: list[str], tree: ast.Module, broken: int, *, whole_line: bool) -> Mended:
    """Without the statement that generation broke off in: the last method of a class, or an unfinished line."""
    if not tree.body:
        return Mended("", tree, broken)
    node = tree.body[-1]
    methods = (
        [inner for inner in node.body if hasattr(inner, "decorator_list")] if isinstance(node, ast.ClassDef) else []
    )
    if methods:
        first = lines_of(methods[-1])[0]
    elif whole_line and not hasattr(node, "body"):
        return Mended("\n".join(lines), tree, broken)
    else:
        first = lines_of(node)[0]
    counts = bool(_TESTS.search("\n".join(lines[first:])))
    rest = lines[:first]
    shorter = parse("\n".join(rest))
    if shorter is None:  # the class had this one method
        rest = lines[: lines_of(node)[0]]
        shorter = parse("\n".join(rest)) or ast.Module(body=[], type_ignores=[])
    return Mended("\n".join(rest), shorter, broken, int(counts))


def _unit(lines: list[str], failed: int) -> tuple[int, int]:
    """Half-open range of the lines that go when parsing fails at the 1-based line ``failed``."""
    last = max(number for number, line in enumerate(lines) if line.strip())
    at = min(failed - 1, last) if failed > 0 else last
    top = at
    while top > 0 and not _starts(lines[top], 0):
        top -= 1
    end = _end(lines, top, 0)
    if not lines[top].startswith("class"):
        return top, max(end, at + 1)
    method = _method(lines, top, at)
    if method is None:
        return (top, end) if at == top else (at, at + 1)
    return method, max(_end(lines, method, _indent(lines[method])), at + 1)


def _method(lines: list[str], top: int, at: int) -> int | None:
    """Line that starts the method of the class at ``top`` which holds line ``at``, decorators included."""
    heads = [n for n in range(top + 1, at + 1) if re.match(r"\s+(?:async\s+def|def)\b", lines[n])]
    if not heads:
        return None
    width = _indent(lines[heads[0]])
    start = [n for n in heads if _indent(lines[n]) <= width][-1]
    while start - 1 > top and lines[start - 1].lstrip().startswith("@"):
        start -= 1
    return start


def _end(lines: list[str], start: int, indent: int) -> int:
    """First line after ``start`` that begins another unit at this indentation or less."""
    decorated = lines[start].lstrip().startswith("@")
    for number in range(start + 1, len(lines)):
        if _starts(lines[number], indent):
            if not decorated:
                return number
            decorated = lines[number].lstrip().startswith("@")
    return len(lines)


def _starts(line: str, indent: int) -> bool:
    return bool(line.strip()) and _indent(line) <= indent and line.lstrip()[0] not in ")]}"


def _indent(line: str) -> int:
    expanded = line.expandtabs(4)
    return len(expanded) - len(expanded.lstrip())
