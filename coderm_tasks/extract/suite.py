"""Cleaned test code, cut into tests that stand on their own."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from msgspec import Struct

from coderm_tasks.extract.clean import Cleaner, is_main_block
from coderm_tasks.extract.closure import Program
from coderm_tasks.extract.source import loaded_names, segment

__all__ = ["MAX_TESTS", "Candidate", "Suite"]

MAX_TESTS = 500
"""Tests taken from one answer; what is beyond has degenerated into repetition."""

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_COMPOUND = (ast.For, ast.While, ast.If, ast.With, ast.Try)
_CANDIDATES = frozenset({"candidate", "func", "function", "fn", "solution", "f", "method"})


class Candidate(Struct, frozen=True):
    """Source that may be a test."""

    source: str
    calls: bool
    """Whether it refers to the function under test."""


class Suite:
    """Everything that one answer holds, block after block."""

    def __init__(self, entry_point: str) -> None:
        self.entry_point = entry_point
        self.unsupported = 0
        """Test functions that need fixtures, parameters or an event loop."""
        self.empty = 0
        """TestCase classes without a test method."""
        self.surplus = 0
        self._cleaner = Cleaner(entry_point)
        self._nodes: list[ast.stmt] = []
        self._texts: list[str] = []

    def add(self, source: str, tree: ast.Module) -> None:
        """Clean the statements of one block and take them over. Raises RecursionError on code nested too deeply."""
        lines = source.split("\n")
        self._cleaner.learn(tree)
        for node in tree.body:
            if is_main_block(node) or self._is_copy(node):
                continue
            self._cleaner.changed = False
            cleaned = self._cleaner.visit(node)
            if cleaned is None:
                continue
            parameter = self._checked_parameter(cleaned)
            if parameter:
                for inner in cleaned.body:
                    self._append(self._cleaner.rename(inner, parameter), None)
            else:
                self._append(cleaned, None if self._cleaner.changed else segment(lines, node))

    def tests(self) -> list[Candidate]:
        """The tests, in the order of the text."""
        program = Program(self._nodes, given={self.entry_point})
        used_as_base = {name for node in self._nodes if isinstance(node, ast.ClassDef) for name in _bases(node)}
        found: list[Candidate] = []
        for number, node in enumerate(self._nodes):
            for tail in self._roots(node, used_as_base):
                if len(found) == MAX_TESTS:
                    self.surplus += 1
                else:
                    found.append(self._candidate(program, number, tail))
        return found

    def _append(self, node: ast.stmt | None, text: str | None) -> None:
        if node is not None:
            self._nodes.append(node)
            self._texts.append(ast.unparse(ast.fix_missing_locations(node)) if text is None else text)

    def _is_copy(self, node: ast.stmt) -> bool:
        """A class that holds a method of the function's name and no tests: the answer's own solution."""
        return (
            isinstance(node, ast.ClassDef)
            and not _is_test_case(node)
            and self.entry_point in {inner.name for inner in node.body if isinstance(inner, _FUNCTIONS)}
        )

    def _checked_parameter(self, node: ast.stmt) -> str:
        """Name under which ``def check(candidate)`` knows the function under test; empty for other statements."""
        if not isinstance(node, ast.FunctionDef) or not any(isinstance(inner, ast.Assert) for inner in ast.walk(node)):
            return ""
        names = [argument.arg for argument in node.args.args]
        return names[0] if len(names) == 1 and names[0] in _CANDIDATES and _is_straight(node) else ""

    def _roots(self, node: ast.stmt, used_as_base: set[str]) -> Iterator[str | None]:
        """None for a statement that is a test as it stands, else the source that replaces it."""
        if isinstance(node, ast.ClassDef):
            yield from self._class_roots(node, used_as_base)
        elif isinstance(node, _FUNCTIONS) and node.name.startswith("test"):
            yield from self._unrolled(node, own=0)
        elif isinstance(node, ast.Assert) or (
            isinstance(node, _COMPOUND) and any(isinstance(inner, ast.Assert) for inner in ast.walk(node))
        ):
            yield None

    def _class_roots(self, node: ast.ClassDef, used_as_base: set[str]) -> Iterator[str | None]:
        methods = [inner for inner in node.body if isinstance(inner, _FUNCTIONS) and inner.name.startswith("test")]
        if _is_test_case(node) or any(name in used_as_base for name in _bases(node)):
            if methods:
                yield None
            elif node.name not in used_as_base and not _inherits_tests(node, self._nodes):
                self.empty += 1
            return
        if not node.name.startswith("Test"):
            return
        for method in methods:
            yield from self._unrolled(method, own=1)

    def _unrolled(self, node: ast.FunctionDef | ast.AsyncFunctionDef, own: int) -> Iterator[str]:
        """Body of a test function in pytest's manner as top-level statements."""
        arguments = node.args
        given = len(arguments.posonlyargs) + len(arguments.args) + len(arguments.kwonlyargs)
        selfish = own and arguments.args and arguments.args[0].arg in loaded_names(node)
        if isinstance(node, ast.AsyncFunctionDef) or given != own or selfish or not _is_straight(node):
            self.unsupported += 1
            return
        body = node.body[1:] if ast.get_docstring(node, clean=False) is not None else node.body
        yield "\n".join(ast.unparse(ast.fix_missing_locations(inner)) for inner in body) or "pass"

    def _candidate(self, program: Program, number: int, tail: str | None) -> Candidate:
        chosen = program.closure(number)
        nodes = [self._nodes[position] for position in chosen]
        texts = [self._texts[position] for position in chosen if tail is None or position != number]
        if "unittest" in program.missing(chosen):
            texts.insert(0, "import unittest")
        elif any("TestCase" in _bases(node) for node in nodes if isinstance(node, ast.ClassDef)):
            texts[:0] = ["from unittest import TestCase"] if "TestCase" in program.missing(chosen) else []
        return Candidate(
            "\n".join([*texts, *([tail] if tail is not None else [])]), self.entry_point in loaded_names(*nodes)
        )


def _is_straight(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether the body means the same at the top level: no return, yield or decorator."""
    exits = (ast.Return, ast.Yield, ast.YieldFrom, ast.Nonlocal, ast.Global, ast.Await)
    own = [inner for inner in _own_nodes(node) if isinstance(inner, exits)]
    return not own and not node.decorator_list and not node.args.vararg and not node.args.kwarg


def _own_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """Nodes below a function, without those of functions inside it."""
    pending = list(ast.iter_child_nodes(node))
    while pending:
        inner = pending.pop()
        yield inner
        if not isinstance(inner, (*_FUNCTIONS, ast.Lambda, ast.ClassDef)):
            pending.extend(ast.iter_child_nodes(inner))


def _bases(node: ast.ClassDef) -> list[str]:
    """Last part of each base's name."""
    return [
        base.id if isinstance(base, ast.Name) else base.attr
        for base in node.bases
        if isinstance(base, (ast.Name, ast.Attribute))
    ]


def _is_test_case(node: ast.ClassDef) -> bool:
    return any(name.endswith("TestCase") for name in _bases(node))


def _inherits_tests(node: ast.ClassDef, nodes: list[ast.stmt]) -> bool:
    """Whether a base in the same text brings test methods."""
    parents = [inner for inner in nodes if isinstance(inner, ast.ClassDef) and inner.name in _bases(node)]
    return any(
        isinstance(inner, _FUNCTIONS) and inner.name.startswith("test") for parent in parents for inner in parent.body
    )
