"""Run one unit test in a namespace and tell its verdict's letter."""

from __future__ import annotations

import ast
import importlib
import math
import sys
import unittest
from typing import Any

__all__ = ["MODULE_NAME", "PRELUDE", "is_unittest_main", "letter_of", "run_test"]

MODULE_NAME = "unit_test"
PRELUDE: dict[str, Any] = {"math": math, "unittest": unittest, "TestCase": unittest.TestCase}
"""Names every test may use without importing them: models often leave these imports out."""


class _Result(unittest.TestResult):
    """Remembers the types of errors, not their tracebacks."""

    def __init__(self) -> None:
        super().__init__()
        self.error_types: list[type[BaseException]] = []

    def addError(self, test: Any, err: Any) -> None:  # noqa: N802 - unittest's name
        self.error_types.append(err[0])

    def addFailure(self, test: Any, err: Any) -> None:  # noqa: N802 - unittest's name
        self.failures.append((test, ""))

    def addSubTest(self, test: Any, subtest: Any, err: Any) -> None:  # noqa: N802 - unittest's name
        if err is None:
            return
        if issubclass(err[0], test.failureException):
            self.failures.append((test, ""))
        else:
            self.error_types.append(err[0])


def is_unittest_main(node: ast.expr) -> bool:
    """Tell whether this is ``unittest.main()``: it would run the cases itself and end the process."""
    return isinstance(node, ast.Call) and ast.unparse(node.func) in ("unittest.main", "main")


def letter_of(error_type: type[BaseException]) -> str:
    """Verdict of an exception that ended a test."""
    if issubclass(error_type, AssertionError):
        return "F"
    return "R" if issubclass(error_type, MemoryError) else "E"


def run_test(source: str, namespace: dict[str, Any]) -> str:
    """Run ``source`` in ``namespace`` and return P, F, E, R, or I where it tests nothing.

    A script of bare asserts is judged by the exception that ends it; ``TestCase`` classes by unittest's own result.
    The first of F, R, E that applies is the verdict of a class with several failing methods.
    """
    namespace["__name__"] = MODULE_NAME
    if "pytest" in source:
        sys.modules["pytest"] = importlib.import_module(f"{__package__}.pytest_words")
    try:
        tree = ast.parse(source)
        tree.body = [node for node in tree.body if not (isinstance(node, ast.Expr) and is_unittest_main(node.value))]
        code = compile(tree, "<unit test>", "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError):
        return "I"
    try:
        exec(code, namespace)
    except BaseException as error:
        return letter_of(type(error))
    cases = _test_cases(namespace)
    return _run_cases(cases) if cases else "P"


def _test_cases(namespace: dict[str, Any]) -> list[type[unittest.TestCase]]:
    return [
        value
        for value in list(namespace.values())
        if isinstance(value, type) and issubclass(value, unittest.TestCase) and value.__module__ == MODULE_NAME
    ]


def _run_cases(cases: list[type[unittest.TestCase]]) -> str:
    result = _Result()
    loader = unittest.TestLoader()
    try:
        suite = unittest.TestSuite(loader.loadTestsFromTestCase(case) for case in dict.fromkeys(cases))
        suite.run(result)
    except BaseException as error:
        return letter_of(type(error))
    if result.failures or result.unexpectedSuccesses:
        return "F"
    if result.error_types:
        return "R" if any(issubclass(kind, MemoryError) for kind in result.error_types) else "E"
    return "P" if result.testsRun > len(result.skipped) else "I"
