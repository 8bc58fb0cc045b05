"""A solution as the model wrote it -> the module that runs in its place."""

from __future__ import annotations

import ast
from functools import lru_cache

from coderm_tasks.model import Problem
from coderm_tasks.programs.names import with_imports
from coderm_tasks.programs.stdin_program import as_module
from executor.purity import parse

__all__ = ["module_of"]

_CLASS = "Solution"


def module_of(problem: Problem, code: str, *, one_instance: bool = False) -> str:
    """Return the source of a module that defines the problem's entry point as a function. Runs nothing, never raises.

    What does not parse is returned as it is: it fails where it is loaded, as it has to.

    Args:
        one_instance: for form ``method``: all calls go to one instance within the limits that the official evaluator
            sets; otherwise each call gets an instance of its own.
    """
    if problem.form == "function" or not code.strip():
        return code
    return _module(problem.form, problem.entry_point, code, one_instance)


@lru_cache(maxsize=4096)
def _module(form: str, entry_point: str, code: str, one_instance: bool) -> str:
    tree = parse(code)
    if form == "stdin":
        return as_module(code if tree is None else with_imports(code, tree))
    if tree is None:
        return code
    source = with_imports(code, tree, limits=True if one_instance else None)
    defined = {node.name for node in tree.body if isinstance(node, (ast.ClassDef, ast.FunctionDef))}
    if _CLASS not in defined:
        return source
    if entry_point in defined:  # a helper of the same name, which a function in the module would replace
        return _apart(source, entry_point, one_instance)
    return f"{source.rstrip()}\n\n\n{_adapter(entry_point, _CLASS, one_instance)}"


def _adapter(entry_point: str, name: str, one_instance: bool) -> str:
    head, instance = ("", f"{name}()")
    if one_instance:
        head, instance = f"_coderm_instance = {name}()\n\n\n", "_coderm_instance"
    return f"{head}def {entry_point}(*args, **kwargs):\n    return {instance}.{entry_point}(*args, **kwargs)\n"


def _apart(source: str, entry_point: str, one_instance: bool) -> str:
    return (
        f"_SOURCE = {source!r}\n_NAMES = {{'__name__': 'solution'}}\n"
        'exec(compile(_SOURCE, "<solution>", "exec", dont_inherit=True), _NAMES)\n\n\n'
        + _adapter(entry_point, f"_NAMES[{_CLASS!r}]", one_instance)
    )
