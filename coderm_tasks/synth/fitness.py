"""Which questions are fit for unit tests: the first filter, by the text alone (pure)."""

from __future__ import annotations

import ast
import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator

from msgspec import Struct

from coderm_tasks.extract.source import definitions, parse
from coderm_tasks.generation.questions import has_question, question
from coderm_tasks.model import Problem

__all__ = ["Fit", "fit_questions", "unfit"]

_CHANCE = frozenset({"random", "secrets", "uuid", "time"})
_MOMENTS = frozenset({"now", "today", "utcnow"})
_OUTSIDE = frozenset(
    """
    asyncio ftplib http multiprocessing requests select shutil signal smtplib socket sqlite3 ssl subprocess tempfile
    threading tkinter urllib
    """.split()
)
_INPUT = frozenset({"input", "open", "stdin", "argv", "environ"})


class Fit(Struct, frozen=True):
    """Questions that were kept, and how many were left out by reason."""

    problems: tuple[Problem, ...]
    left_out: dict[str, int]


def fit_questions(problems: Iterable[Problem]) -> Fit:
    """Keep the questions that unit tests can be written for, the first of each kind."""
    kept: list[Problem] = []
    left_out: Counter[str] = Counter()
    seen: set[bytes] = set()
    for problem in problems:
        reason = unfit(problem)
        mark = _mark(problem)
        if not reason and mark in seen:
            reason = "same question twice"
        if reason:
            left_out[reason] += 1
            continue
        seen.add(mark)
        kept.append(problem)
    return Fit(tuple(kept), dict(left_out))


def unfit(problem: Problem) -> str:
    """Why a question is unfit for unit tests; empty if it is not.

    A unit test calls a function and compares what it returns. So there has to be a question, and code that defines the
    function, returns something, and depends on nothing but its arguments.
    """
    if not has_question(problem):
        return "no question in words"
    tree = parse(problem.truth.reference)
    if not problem.truth.reference.strip() or tree is None:
        return "no code that parses"
    functions = [
        node for node in definitions(tree, problem.entry_point) if isinstance(node, (ast.FunctionDef, ast.Assign))
    ]
    if not problem.entry_point or not functions:
        return "no function to call"
    last = functions[-1]
    if isinstance(last, ast.FunctionDef) and not any(_gives(node) for node in _own(last)):
        return "the function returns nothing"
    used = set(_used(tree))
    for words, reason in (
        (_INPUT, "reads input or files"),
        (_OUTSIDE, "reaches outside its process"),
        (_CHANCE, "depends on chance or time"),
    ):
        if used & words:
            return reason
    return "depends on chance or time" if _asks_the_clock(tree) else ""


def _gives(node: ast.AST) -> bool:
    return (isinstance(node, ast.Return) and node.value is not None) or isinstance(node, (ast.Yield, ast.YieldFrom))


def _own(function: ast.FunctionDef) -> Iterator[ast.AST]:
    """Nodes of a function, without those of functions inside it."""
    pending: list[ast.AST] = list(function.body)
    while pending:
        node = pending.pop()
        yield node
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)):
            pending.extend(ast.iter_child_nodes(node))


def _used(tree: ast.Module) -> Iterator[str]:
    """Modules that are imported, and names of the outside that are read, unless the code defines them itself."""
    own = {node.name for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    own |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    own |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").split(".")[0]
            yield from (alias.name for alias in node.names if alias.name in _INPUT)
        elif isinstance(node, ast.Name) and node.id not in own:
            yield from {node.id} & _INPUT
        elif isinstance(node, ast.Attribute):
            yield from {node.attr} & {"stdin", "argv", "environ", "random"}


def _asks_the_clock(tree: ast.Module) -> bool:
    return any(
        isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _MOMENTS
        for node in ast.walk(tree)
    )


def _mark(problem: Problem) -> bytes:
    return hashlib.sha256(" ".join(question(problem).split()).encode("utf-8", "surrogatepass")).digest()[:16]
