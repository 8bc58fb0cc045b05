"""A model's answer to one whole program, from standard input to standard output."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from coderm_tasks.extract.mend import looks_like_code
from coderm_tasks.extract.source import Effort, longest_prefix, parse
from coderm_tasks.extract.text import blocks, is_python, normalise

__all__ = ["extract_program"]

_MOST_STARTS = 12
_READS = frozenset({"input", "stdin", "open", "fileinput", "read"})
_WRITES = frozenset({"print", "stdout", "write", "writelines"})


def extract_program(text: str) -> str:
    """The program in an answer; empty if there is none.

    Of several fenced blocks the last that parses and both reads and writes counts, else the last that does one of the
    two: answers also show inputs, outputs and first attempts. Text without fences is a program as far as it parses; so
    is the end of a text that breaks off. A program is taken whole: nothing of it can be told to be useless.

    Never raises, whatever the text; the time is bounded (text beyond 100,000 characters is not looked at).
    """
    effort = Effort()
    cleaned = normalise(text)
    best, found = 0, ""
    for source in _candidates(cleaned, effort):
        if (worth := _worth(source)) >= max(best, 1):
            best, found = worth, source
    return found.strip("\n") + "\n" if found else ""


def _candidates(text: str, effort: Effort) -> Iterator[str]:
    """Sources that parse, in the order of the text; what stands outside of fences only where there are none."""
    fenced = [block.code for block in blocks(text) if is_python(block)]
    for source in fenced or _unfenced(text):
        tree = parse(source) if effort.spend(source) else None
        if tree is not None:
            yield source
        elif (prefix := longest_prefix(source.split("\n"), effort)) is not None:
            yield "\n".join(source.split("\n")[: prefix[1]])


def _unfenced(text: str) -> Iterator[str]:
    """The text from each line on that may begin a program after prose: likeliest last."""
    lines = text.split("\n")
    starts = [0, *(at for at in range(1, len(lines)) if not lines[at - 1].strip() and looks_like_code(lines[at]))]
    for at in reversed(starts[:_MOST_STARTS]):
        yield "\n".join(lines[at:])


def _worth(source: str) -> int:
    """0: does nothing; 1: reads or writes; 2: both."""
    tree = parse(source)
    if tree is None:
        return 0
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    names |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    names |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}
    return bool(names & _READS) + bool(names & _WRITES)
