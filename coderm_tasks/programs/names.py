"""What solutions may use without importing it: the official evaluator imports the common modules ahead of them."""

from __future__ import annotations

import ast
import builtins
import importlib
import symtable
from collections.abc import Iterator
from functools import cache

__all__ = ["with_imports"]

_STARS = """
    string re datetime collections heapq bisect copy math random statistics itertools functools operator io sys json
    typing
    """.split()
"""Modules of which the evaluator takes all names, in its order: of a name that several have, the last counts. A builtin
name stays the builtin."""
_MODULES = _STARS[:-1]
"""Modules that it then imports under their own names."""
_LIMITS = "import sys\nsys.setrecursionlimit(50000)\ngetattr(sys, 'set_int_max_str_digits', int)(50000)"
"""The evaluator's, of recursion and of the digits of a printed integer; the second came with patch releases of 3.10."""
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def with_imports(source: str, tree: ast.Module, *, limits: bool | None = False) -> str:
    """The source with imports of those names that it uses without binding them, and that the evaluator provides.

    Only what is used is imported, so that it still shows what a solution depends on.

    Args:
        tree: of ``source``.
        limits: also raise Python's limits to the evaluator's; None: only where functions call themselves, because a
            solution that sets limits counts as one that keeps state.
    """
    offered = _offered()
    lines = sorted(offered[name] for name in (_free(source) & offered.keys()) - _bound(tree))
    if _recurs(tree) if limits is None else limits:
        lines.append(_LIMITS)
    if not lines:
        return source
    at = max((node.end_lineno or 0 for node in tree.body if _comes_first(node, tree)), default=0)
    text = source.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return "\n".join([*text[:at], *lines, *text[at:]])


def _free(source: str) -> set[str]:
    """Names that are looked up in the module, wherever in the source they stand."""
    try:
        todo = [symtable.symtable(source, "<solution>", "exec")]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return set()
    names: set[str] = set()
    while todo:
        scope = todo.pop()
        todo.extend(scope.get_children())
        names |= {symbol.get_name() for symbol in scope.get_symbols() if symbol.is_referenced() and symbol.is_global()}
    return names


def _comes_first(node: ast.stmt, tree: ast.Module) -> bool:
    if isinstance(node, ast.ImportFrom) and node.module == "__future__":
        return True
    return node is tree.body[0] and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _bound(tree: ast.Module) -> set[str]:
    """Names that the module binds outside of its functions and classes."""
    names: set[str] = set()
    todo: list[ast.AST] = list(tree.body)
    while todo:
        node = todo.pop()
        if isinstance(node, (*_FUNCTIONS, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, ast.alias):
            names.add((node.asname or node.name).split(".")[0])
        elif isinstance(node, ast.Name):
            names |= {node.id} if isinstance(node.ctx, ast.Store) else set()
        elif not isinstance(node, ast.Lambda):
            todo.extend(ast.iter_child_nodes(node))
    return names


@cache
def _offered() -> dict[str, str]:
    """Name -> the statement that imports it."""
    offered: dict[str, str] = {}
    for name in _STARS:
        offered |= {public: f"from {name} import {public}" for public in _public(name) if not hasattr(builtins, public)}
    return offered | {name: f"import {name}" for name in _MODULES}


def _public(name: str) -> Iterator[str]:
    module = importlib.import_module(name)
    yield from getattr(module, "__all__", None) or (each for each in vars(module) if not each.startswith("_"))


def _recurs(tree: ast.Module) -> bool:
    """Whether some function may come to call itself, by the names that functions and methods mention."""
    mentions: dict[str, set[str]] = {}
    for node in ast.walk(tree):
        if isinstance(node, _FUNCTIONS):
            inner = list(ast.walk(node))
            names = {part.id for part in inner if isinstance(part, ast.Name)}
            names |= {part.attr for part in inner if isinstance(part, ast.Attribute)}
            mentions[node.name] = mentions.get(node.name, set()) | names
    return any(name in _reached(name, mentions) for name in mentions)


def _reached(name: str, mentions: dict[str, set[str]]) -> set[str]:
    found: set[str] = set()
    todo = [name]
    while todo:
        new = (mentions[todo.pop()] & mentions.keys()) - found
        found |= new
        todo.extend(new)
    return found
