"""What unit tests may use of a problem's prompt: its imports and helpers, without the function under test."""

from __future__ import annotations

import ast

__all__ = ["prompt_context"]


def prompt_context(prompt: str, entry_point: str) -> str:
    """Return the source of everything that ``prompt`` defines besides ``entry_point``.

    HumanEval's own tests call such helpers (``poly`` of HumanEval/32, ``encode_cyclic`` of HumanEval/38), and generated
    tests copy the types of a signature (``List``). Docstrings and other bare expressions are left out, so that the
    context of an MBPP+ prompt, which is one docstring, is empty. A prompt that is no Python has no context.
    """
    try:
        body = ast.parse(prompt).body
    except (SyntaxError, ValueError):
        return ""
    kept = [node for node in body if not isinstance(node, ast.Expr) and getattr(node, "name", None) != entry_point]
    return "".join(ast.unparse(node) + "\n" for node in kept)
