"""Reading a problem's prompt: its description in words, the example calls it shows. Pure, for any text."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import islice

from msgspec import Struct

from difficulty.sources import parse

__all__ = ["PromptView", "view_prompt"]

_LONGEST_CALL = 2_000
_MOST_CALLS = 20
_MOST_BRACKETS = 50
_WORD = re.compile(r"[a-z]+(?:'[a-z]+)?|\d+")


class PromptView(Struct, frozen=True):
    """What a prompt says, apart from how its data set happens to lay it out."""

    description: str
    """The docstring of the function (HumanEval), else of the module (MBPP+), else the prompt; without examples."""
    words: tuple[str, ...]
    """Words of the description and of the function's name, lower case, in order."""
    examples: tuple[ast.Call, ...]
    """Calls of the entry point with at least one argument, as the prompt's examples write them."""


def view_prompt(prompt: str, entry_point: str) -> PromptView:
    """Return what ``prompt`` says of ``entry_point``. Never raises, whatever the text."""
    text = _docstring(prompt, entry_point)
    examples = tuple(_calls(text, entry_point))
    description = "\n".join(line for line in text.splitlines() if not _is_example(line, entry_point))
    name = entry_point.replace("_", " ")
    return PromptView(description, tuple(_WORD.findall(f"{name} {description}".lower())), examples)


def _docstring(prompt: str, entry_point: str) -> str:
    tree = parse(prompt)
    if tree is None:
        return prompt
    functions = [node for node in tree.body if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    named = [node for node in functions if node.name == entry_point]
    for node in (*named, tree):
        if text := ast.get_docstring(node):
            return text
    return prompt


def _is_example(line: str, entry_point: str) -> bool:
    return line.lstrip().startswith((">>>", "assert ")) or f"{entry_point}(" in line


def _calls(text: str, entry_point: str) -> Iterator[ast.Call]:
    if not entry_point:
        return
    starts = re.finditer(rf"(?<![\w.]){re.escape(entry_point)}\(", text)
    for match in islice(starts, _MOST_CALLS):
        call = _call_at(text[match.start() : match.start() + _LONGEST_CALL])
        if call is not None and (call.args or call.keywords):
            yield call


def _call_at(text: str) -> ast.Call | None:
    """Parse the call with which ``text`` begins: up to the closing bracket that makes it whole."""
    for close in islice(re.finditer(r"\)", text), _MOST_BRACKETS):
        tree = parse(text[: close.end()])
        if tree is not None and len(tree.body) == 1 and isinstance(tree.body[0], ast.Expr):
            call = tree.body[0].value
            return call if isinstance(call, ast.Call) else None
    return None
