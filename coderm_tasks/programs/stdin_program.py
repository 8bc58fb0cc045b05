"""A program from standard input to standard output as a module with one function, ``run_program(stdin) -> stdout``."""

from __future__ import annotations

import ast
from functools import cache
from importlib import resources

from executor.purity import drop_docstrings, parse

__all__ = ["RUN_PROGRAM", "as_module", "canonical"]

RUN_PROGRAM = "run_program"
"""The entry point of every whole program."""


def as_module(program: str) -> str:
    """Source of a module whose ``run_program(stdin)`` executes ``program`` and returns what it printed.

    A nonzero exit and an exception come out as exceptions. The module keeps state and says so (``exec``): the executor
    gives each call a process of its own. Programs that differ only in comments, docstrings and formatting give the same
    module, so that they are run once.
    """
    return (
        f"_PROGRAM = {canonical(program)!r}\n_INSIDE = {_inside()!r}\n"
        'exec(compile(_INSIDE, "<program>", "exec", dont_inherit=True))\n\n\n'
        f'def {RUN_PROGRAM}(stdin=""):\n    return coderm_run(_PROGRAM, stdin)\n'
    )


def canonical(program: str) -> str:
    """The program in the one spelling that its syntax tree has; as it stands where that cannot be had."""
    tree = parse(program)
    if tree is None:
        return program
    try:
        if "__doc__" not in program:
            drop_docstrings(ast.walk(tree))
        text = ast.unparse(tree)
        again = parse(text)
        # Unparsing has had bugs: it counts only where it means the same.
        return text if again is not None and ast.dump(again) == ast.dump(tree) else program
    except (RecursionError, ValueError):
        return program


@cache
def _inside() -> str:
    text = resources.files("coderm_tasks.programs").joinpath("inside.py").read_text(encoding="utf-8")
    return ast.unparse(ast.parse(text))
