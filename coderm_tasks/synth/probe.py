"""Runs a unit test beside the reference and says what Python reports: which assertion, and what was got.

This module's text from the mark on is appended to the reference, and the call of ``coderm_probe`` runs in the sandbox.
What it returns is feedback for a model and never a verdict: test and code share a process here, so either could forge
it. Below the mark: nothing imported at the top and every name with a prefix, as all of it stands beside the names of
the reference; annotations in quotes, as theirs are not there.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ast
    from typing import Any

__all__ = ["CODERM_CUT", "coderm_probe"]

CODERM_CUT = "# ---- appended from here ----"
# ---- appended from here ----
CODERM_MOST = 3
"""Failures that are told: a model that is shown more repairs no more."""
CODERM_LONGEST = 300
"""Characters of one value or message."""


def coderm_probe(source: "str") -> "list[list[str]]":
    """Failures of the unit test ``source``: ``[the line that fails, what Python reports]`` each; none if it passes."""
    import ast
    import math
    import unittest

    names: dict[str, Any] = {**globals(), "math": math, "unittest": unittest, "TestCase": unittest.TestCase}
    names["__name__"] = "unit_test"
    found: list[list[str]] = []
    try:
        tree = coderm_telling(ast.parse(source))
        exec(compile(tree, "<unit test>", "exec", dont_inherit=True), names)  # noqa: S102 - in the sandbox
        coderm_run_cases(names, source, found)
    except BaseException as error:  # noqa: BLE001 - whatever a test does is what is to be told
        found.append(coderm_told(error, source))
    return found[:CODERM_MOST]


def coderm_run_cases(names: "dict[str, Any]", source: "str", found: "list[list[str]]") -> "None":
    """Run the TestCase classes and add what fails."""
    import unittest

    class Result(unittest.TestResult):
        def addError(self, test: "Any", err: "Any") -> "None":  # noqa: N802 - unittest's name
            found.append(coderm_told(err[1], source))

        def addFailure(self, test: "Any", err: "Any") -> "None":  # noqa: N802 - unittest's name
            found.append(coderm_told(err[1], source))

        def addSubTest(self, test: "Any", subtest: "Any", err: "Any") -> "None":  # noqa: N802 - unittest's name
            if err is not None:
                found.append(coderm_told(err[1], source))

    loader = unittest.TestLoader()
    for value in list(names.values()):
        if isinstance(value, type) and issubclass(value, unittest.TestCase) and value.__module__ == "unit_test":
            loader.loadTestsFromTestCase(value).run(Result())


def coderm_told(error: "BaseException", source: "str") -> "list[str]":
    """The line of the test at which the error came up, and the error."""
    trace, number = error.__traceback__, 0
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "<unit test>":
            number = trace.tb_lineno
        trace = trace.tb_next
    if isinstance(error, SyntaxError) and not number:
        number = error.lineno or 0
    lines = source.split("\n")
    line = lines[number - 1].strip() if 0 < number <= len(lines) else ""
    words = " ".join(str(error).split())
    return [line[:CODERM_LONGEST], coderm_short(f"{type(error).__name__}: {words}" if words else type(error).__name__)]


def coderm_short(text: "str") -> "str":
    """At most so many characters, and no address, which would be another one in the next run."""
    import re

    text = re.sub(r"0x[0-9a-fA-F]{6,}", "0x...", text)
    return text if len(text) <= CODERM_LONGEST else text[: CODERM_LONGEST - 3] + "..."


def coderm_telling(tree: "ast.Module") -> "ast.Module":
    """The test with asserts that tell both sides: Python's own says nothing but AssertionError."""
    import ast

    class Telling(ast.NodeTransformer):
        def visit_Assert(self, node: "ast.Assert") -> "Any":
            test = node.test
            if isinstance(test, ast.Compare) and len(test.ops) == 1:
                sides = {"coderm_left": test.left, "coderm_right": test.comparators[0]}
                words = '"the left side is " + coderm_value(coderm_left) + ", the right side is " + coderm_value('
                words += "coderm_right)"
                known = ast.Compare(
                    ast.Name("coderm_left", ast.Load()), test.ops, [ast.Name("coderm_right", ast.Load())]
                )
            else:
                sides, words = {"coderm_left": test}, '"the condition is " + coderm_value(coderm_left)'
                known = ast.Name("coderm_left", ast.Load())  # type: ignore[assignment]
            steps: list[ast.stmt] = [ast.Assign([ast.Name(name, ast.Store())], side) for name, side in sides.items()]
            fails = ast.parse(f"raise AssertionError({words})").body
            steps.append(ast.If(ast.UnaryOp(ast.Not(), known), fails, []))
            for step in steps:
                for inner in ast.walk(step):
                    if isinstance(inner, (ast.stmt, ast.expr)):
                        ast.copy_location(inner, node)
            return [ast.fix_missing_locations(ast.copy_location(step, node)) for step in steps]

    changed: ast.Module = Telling().visit(tree)
    return changed


def coderm_value(value: "object") -> "str":
    """A value as a reader would write it."""
    try:
        return coderm_short(repr(value))
    except BaseException as error:  # noqa: BLE001 - a __repr__ that fails is no failure of the test
        return f"a {type(value).__name__} that cannot be shown ({type(error).__name__})"
