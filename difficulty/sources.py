"""Parsing source text that nobody vouches for: nothing is run, and whatever the text is, nothing is raised."""

from __future__ import annotations

import ast
import hashlib
import warnings

__all__ = ["LONGEST_SOURCE", "parse", "program_key", "tree_key"]

LONGEST_SOURCE = 100_000
"""Characters. A longer text is not parsed: no solution is that long, and deep trees cost the interpreter its stack."""


def parse(source: str) -> ast.Module | None:
    """Return the tree of ``source``, None where it does not parse or is longer than :data:`LONGEST_SOURCE`."""
    if len(source) > LONGEST_SOURCE:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes and the like warn; here they are the sample's affair
            return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError):
        return None


def tree_key(tree: ast.Module) -> bytes | None:
    """Return a digest that equal programs share: layout, comments and docstrings apart.

    None for a tree that is too deep, or has a number too long, to be written out.
    """
    try:
        bare = _WithoutDocstrings().visit(tree)
        text = ast.dump(bare, annotate_fields=False)
    except (RecursionError, ValueError):  # the latter: a number too long to be written in decimal
        return None
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


class _WithoutDocstrings(ast.NodeTransformer):
    """Replaces the docstring of each function and class by ``pass``, in place."""

    def _strip(self, node: ast.AST) -> ast.AST:
        self.generic_visit(node)
        body = getattr(node, "body", [])
        if body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
            constant = body[0].value.value
            if isinstance(constant, str):
                body[0] = ast.copy_location(ast.Pass(), body[0])
        return node

    visit_FunctionDef = visit_AsyncFunctionDef = visit_ClassDef = visit_Module = _strip  # noqa: N815  ast's names


def program_key(source: str) -> str:
    """Return a text that equal programs share (see :func:`tree_key`); the source itself where it has no tree."""
    tree = parse(source)
    key = None if tree is None else tree_key(tree)
    return source if key is None else key.hex()
