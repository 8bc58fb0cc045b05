"""Which top-level statements a function or a test needs: its imports, helpers and data, and nothing else."""

from __future__ import annotations

import ast
import builtins
from bisect import bisect_left
from collections.abc import Collection, Iterator, Sequence

from coderm_tasks.extract.source import bound_names, free_names, loaded_names

__all__ = ["Program"]

_BUILTINS = frozenset(dir(builtins))
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_IMPORTS = (ast.Import, ast.ImportFrom)
_COMPOUND = (ast.For, ast.AsyncFor, ast.While, ast.If, ast.With, ast.AsyncWith, ast.Try)


class Program:
    """Top-level statements with the names they read and bind."""

    def __init__(self, statements: Sequence[ast.stmt], *, given: Collection[str] = ()) -> None:
        """``given``: names that exist without these statements, as builtins do."""
        self.statements = tuple(statements)
        self._given = _BUILTINS.union(given)
        self._loads = [free_names(node) for node in statements]
        self._binds = [bound_names(node) for node in statements]
        self._binders: dict[str, list[int]] = {}
        self._users: dict[str, list[int]] = {}
        for number, node in enumerate(statements):
            for name in self._binds[number]:
                self._binders.setdefault(name, []).append(number)
            if not isinstance(node, (*_DEFINITIONS, *_IMPORTS)):
                for name in self._loads[number] & _changed(node):
                    self._users.setdefault(name, []).append(number)

    def closure(self, root: int, *, barred: frozenset[str] = frozenset()) -> list[int]:
        """Positions of the statements that ``root`` needs, itself included, ascending.

        Straight-line code sees what stands before it; the bodies of functions and classes see everything, because
        they run later. Straight-line statements other than ``root`` that read a ``barred`` name are left out.
        """
        late = isinstance(self.statements[root], _DEFINITIONS)
        limit = len(self.statements) if late else root
        chosen, seen, pending = {root}, set[str](), [root]
        while pending:
            names = self._loads[pending.pop()] - seen
            seen |= names
            for number in sorted({number for name in names for number in self._suppliers(name, limit)} - chosen):
                if isinstance(self.statements[number], _DEFINITIONS) or not self._loads[number] & barred:
                    chosen.add(number)
                    pending.append(number)
        return sorted(chosen)

    def missing(self, chosen: Sequence[int]) -> set[str]:
        """Names that the chosen statements read and none of them binds at the top level."""
        bound = {name for number in chosen for name in self._binds[number]}
        return {name for number in chosen for name in self._loads[number]} - bound

    def _suppliers(self, name: str, limit: int) -> Iterator[int]:
        binders = self._binders.get(name) or ([] if name in self._given else self._binders.get("*", []))
        if not binders or binders[0] >= limit:
            yield from binders
            return
        first = 0
        for number in reversed(binders[: bisect_left(binders, limit)]):
            yield number
            if self._rebinds(number, name):
                first = number
                break
        if not isinstance(self.statements[first], (*_DEFINITIONS, *_IMPORTS)):
            yield from (number for number in self._users.get(name, []) if first < number < limit)

    def _rebinds(self, number: int, name: str) -> bool:
        """Whether the statement gives the name a value of its own, so that earlier ones do not matter."""
        node = self.statements[number]
        if isinstance(node, (*_COMPOUND, ast.AugAssign)):
            return False
        return name not in self._loads[number] or isinstance(node, _DEFINITIONS)


def _changed(node: ast.stmt) -> set[str]:
    """Names whose value a statement may change in place."""
    if isinstance(node, _COMPOUND):
        silent = not any(isinstance(inner, ast.Assert) for inner in ast.walk(node))
        names = loaded_names(node)
        return names if silent and not names & {"__name__", "input"} else set()
    if isinstance(node, (ast.Assign, ast.AugAssign)):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        return {name for target in targets if (name := _owner(target))}
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and isinstance(node.value.func, ast.Attribute):
        owner = _owner(node.value.func)
        return {owner} if owner else set()
    return set()


def _owner(node: ast.expr) -> str:
    """``x`` of ``x.append``, ``x[0]`` and ``x.a.b``; empty otherwise."""
    inner = node
    while isinstance(inner, (ast.Attribute, ast.Subscript)):
        inner = inner.value
    return inner.id if isinstance(inner, ast.Name) and inner is not node else ""
