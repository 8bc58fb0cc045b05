"""Take out of a unit test what would make it judge something else than the solution."""

from __future__ import annotations

import ast
import sys

__all__ = ["Cleaner", "is_main_block"]

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
# Modules of other distributions that tests import; any other unknown name is a guess at the solution's module.
_LIBRARIES = frozenset(
    {"attr", "dateutil", "ddt", "freezegun", "hypothesis", "mock", "networkx", "nose", "numpy", "pandas",
     "parameterized", "pytest", "requests", "scipy", "six", "sortedcontainers", "sympy", "typing_extensions"}
)  # fmt: skip


def is_main_block(node: ast.stmt) -> bool:
    """Whether the statement is ``if __name__ == ...``."""
    return isinstance(node, ast.If) and any(
        isinstance(inner, ast.Name) and inner.id == "__name__" for inner in ast.walk(node.test)
    )


class Cleaner(ast.NodeTransformer):
    """Removes imports of the solution and copies of it, at any depth; rewrites calls that went through such imports.

    ``from your_module import f`` and ``import your_module`` go; ``your_module.f(x)`` and an ``as`` name become ``f``.
    Imports from the standard library and from well-known libraries stay, unless they would take the function's name.
    A ``def f`` of the function under test goes, as a method too. ``Solution().f(x)``, LeetCode's way to call, becomes
    ``f(x)``, through names and attributes that hold such an instance as well. ``changed`` tells whether anything was
    rewritten.
    """

    def __init__(self, entry_point: str) -> None:
        self.entry_point = entry_point
        self.changed = False
        self._modules: set[str] = set()
        self._names: set[str] = set()
        self._instances: set[str] = set()
        """Names and attributes that hold a ``Solution()``."""

    def learn(self, tree: ast.Module) -> None:
        """Note which names stand for the solution, before anything is rewritten."""
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                self._modules |= {_binding(alias) for alias in node.names if self._is_solution(alias.name)}
            elif isinstance(node, ast.ImportFrom) and self._is_solution(node.module, node.level):
                self._names |= {alias.asname for alias in node.names if alias.name == self.entry_point and alias.asname}
                self._modules |= {_binding(alias) for alias in node.names if alias.name != self.entry_point}
            elif isinstance(node, ast.Assign) and _makes_solution(node.value):
                self._instances |= {_last_name(target) for target in node.targets}

    def rename(self, node: ast.stmt, name: str) -> ast.stmt:
        """The node with ``name`` standing for the entry point."""
        self._names.add(name)
        try:
            return self.visit(node)  # type: ignore[no-any-return]
        finally:
            self._names.discard(name)

    def visit_Import(self, node: ast.Import) -> ast.AST | None:
        kept = [name for name in node.names if not self._is_solution(name.name) and _binding(name) != self.entry_point]
        return self._with_names(node, kept)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST | None:
        solution = self._is_solution(node.module, node.level)
        kept = [alias for alias in node.names if not solution and _binding(alias) != self.entry_point]
        return self._with_names(node, kept)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST | None:
        return self._definition(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST | None:
        return self._definition(node)

    def visit_Assign(self, node: ast.Assign) -> ast.AST | None:
        if any(isinstance(target, ast.Name) and target.id == self.entry_point for target in node.targets):
            self.changed = True  # the test's own version, or an instance's method
            return None
        if _makes_solution(node.value):
            self.changed = True
            return None
        return self.generic_visit(node)

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        if node.attr == self.entry_point and (_root(node) in self._modules or self._is_instance(node.value)):
            self.changed = True
            return ast.copy_location(ast.Name(self.entry_point, node.ctx), node)
        return self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> ast.AST:
        if node.id in self._names:
            self.changed = True
            return ast.copy_location(ast.Name(self.entry_point, node.ctx), node)
        return node

    def generic_visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        if getattr(node, "body", True) == []:  # everything in it went
            node.body = [ast.copy_location(ast.Pass(), node)]  # type: ignore[attr-defined]
        return node

    def _definition(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.AST | None:
        if node.name == self.entry_point:
            self.changed = True
            return None
        if node.name == "setUp" and all(
            isinstance(one, ast.Assign) and _makes_solution(one.value) for one in node.body
        ):
            self.changed = True
            return None
        return self.generic_visit(node)

    def _is_instance(self, node: ast.expr) -> bool:
        return _makes_solution(node) or (
            isinstance(node, (ast.Name, ast.Attribute)) and _last_name(node) in self._instances
        )

    def _with_names(self, node: ast.Import | ast.ImportFrom, kept: list[ast.alias]) -> ast.AST | None:
        if len(kept) == len(node.names):
            return node
        self.changed = True
        node.names = kept
        return node if kept else None

    def _is_solution(self, module: str | None, level: int = 0) -> bool:
        if level or not module:
            return True
        root = module.split(".")[0]
        return root not in sys.stdlib_module_names and root not in _LIBRARIES


def _binding(alias: ast.alias) -> str:
    return alias.asname or alias.name.split(".")[0]


def _makes_solution(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Solution"


def _last_name(node: ast.expr) -> str:
    """``x`` of ``x`` and of ``self.x``."""
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _root(node: ast.expr) -> str:
    while isinstance(node, ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""
