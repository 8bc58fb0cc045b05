"""Unit tests of whole programs: their comparisons follow the official rule (pure)."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from functools import lru_cache

from coderm_tasks.model import Problem
from coderm_tasks.programs.context import PRINTED
from executor.purity import parse

__all__ = ["tests_of"]


def tests_of(problem: Problem, tests: Sequence[str]) -> tuple[str, ...]:
    """The tests as they are to be run.

    ``assert run_program("1 2\\n") == "3"`` is right for a program that prints ``3`` and a newline, or ``3.0``: what
    ``run_program`` returns is wrapped so that ``==`` and ``!=`` say so. Other problems' tests stay as they are.
    """
    return tuple(_wrapped(test, problem.entry_point) for test in tests) if problem.form == "stdin" else tuple(tests)


@lru_cache(maxsize=4096)
def _wrapped(test: str, entry_point: str) -> str:
    tree = parse(test)
    if tree is None:
        return test
    try:
        return ast.unparse(ast.fix_missing_locations(_Wrapper(entry_point).visit(tree)))
    except (RecursionError, ValueError):
        return test


class _Wrapper(ast.NodeTransformer):
    def __init__(self, entry_point: str) -> None:
        self._entry_point = entry_point

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.func, ast.Name) and node.func.id == self._entry_point:
            return ast.copy_location(ast.Call(ast.Name(PRINTED, ast.Load()), [node], []), node)
        return node
