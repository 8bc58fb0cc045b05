"""A model's answer to one self-contained program."""

from __future__ import annotations

import ast
import builtins
import re
import textwrap
from collections.abc import Iterator, Sequence
from typing import TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from coderm_tasks.extract.closure import Program
from coderm_tasks.extract.programs import extract_program
from coderm_tasks.extract.source import (
    Effort,
    bound_names,
    definitions,
    lines_of,
    loaded_names,
    longest_prefix,
    parse,
    segment,
)
from coderm_tasks.extract.text import blocks, is_python, normalise
from coderm_tasks.model import Problem

__all__ = ["extract_solution"]

_Source: TypeAlias = tuple[str, ast.Module]
_BUILTINS = frozenset(dir(builtins))
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_STARTS = re.compile(r"^(?:async[ \t]+def|def|class|import|from|@)\b|^@")
_CLASS = "Solution"
_MOST_STARTS = 24
_UNMOVED = 2  # variants of a body that keep its columns
_ANSWERS = (ast.Return, ast.Yield, ast.YieldFrom)


def extract_solution(text: str, problem: Problem, *, chat: bool) -> str:
    """Self-contained source of a solution; empty if the text holds none.

    In form ``function`` it defines ``problem.entry_point``; in form ``method`` it defines ``class Solution`` or, where
    there is none, the bare function, and ``chat=False`` says that the text continues ``problem.starter``; in form
    ``stdin`` it is a whole program (:func:`coderm_tasks.extract.programs.extract_program`).

    ``chat=False``: the text continues ``problem.prompt``; the result is the prompt, the rest of the function's body and
    the definitions after it that it uses. ``chat=True``: the text is an answer, with or without fences and prose; of
    several complete versions the last counts. What an answer leaves to the prompt (imports, helpers, the signature)
    is taken from there. Text that breaks off gives the longest part that parses and defines the entry point.

    Never raises, whatever the text; the time is bounded (text beyond 100,000 characters is not looked at).
    """
    if problem.form == "stdin":
        return extract_program(text)
    if problem.form == "method":
        asked = [_as_function(problem, name) for name in (_CLASS, problem.entry_point)]
        return next(filter(None, (_extract(text, one, chat=chat) for one in asked)), "")
    return _extract(text, problem, chat=chat)


def _as_function(problem: Problem, name: str) -> Problem:
    """The problem that asks for ``name`` at the top level, and lends a solution nothing."""
    return replace(problem, form="function", prompt=problem.starter, entry_point=name, context="")


def _extract(text: str, problem: Problem, *, chat: bool) -> str:
    effort = Effort()
    cleaned = normalise(text)
    if not cleaned.strip():
        return ""
    for stubs in (False, True):  # a body of `pass` counts only where nothing better is found
        job = _Job(problem, effort, stubs)
        if chat:
            source = _from_answer(cleaned, job) or _from_continuation(cleaned, job, strict=True)
        else:
            source = _from_continuation(cleaned, job, strict=False) or _from_answer(cleaned, job)
        if source:
            return source
    return ""


class _Job(Struct, frozen=True):
    """One reading of one answer."""

    problem: Problem
    effort: Effort
    stubs: bool
    """Whether a definition without a body counts."""

    def definitions(self, tree: ast.Module) -> list[ast.stmt]:
        """Definitions of the entry point that count."""
        found = definitions(tree, self.problem.entry_point)
        return [node for node in found if self.stubs or _does_something(node)]


def _from_continuation(text: str, job: _Job, *, strict: bool) -> str:
    """The prompt and what of the text continues it.

    ``strict``: only code that parses as a whole and returns something may pass as a function's body.
    """
    prompt = job.problem.prompt.replace("\r\n", "\n").rstrip() + "\n"
    found = [block.code for block in blocks(text) if is_python(block)] if strict else []
    for body in found or [text]:
        best = ""
        for number, variant in enumerate(_bodies(body, prompt)):
            joined = _Continuation(prompt, variant, job)
            moved = strict or number >= _UNMOVED  # prose, moved to the body's column, may parse as a body
            if not joined.source or (moved and not joined.returns):
                continue
            if joined.whole:
                return joined.source
            best = max(best, joined.source, key=len)
        if best and not strict:
            return best
    return ""


def _bodies(body: str, prompt: str) -> Iterator[str]:
    """The continuation as it is; with tabs as spaces; with its first line, or all of it, moved to the body's column."""
    body = body.strip("\n")
    yield body
    yield body.expandtabs(4)
    lines = body.split("\n")
    if not prompt.lstrip().startswith(('"""', "'''")) and not _STARTS.match(lines[0]):
        yield "\n".join(["    " + lines[0].lstrip(), *lines[1:]])
        yield textwrap.indent(textwrap.dedent(body), "    ")


class _Continuation:
    """A prompt and a body, cut where parsing ends and where the entry point has all it needs."""

    def __init__(self, prompt: str, body: str, job: _Job) -> None:
        self.source = ""
        self.whole = False
        """Whether all of the body parsed."""
        self.returns = False
        lines = (prompt + body).split("\n")
        head = prompt.count("\n")
        prefix = longest_prefix(lines, job.effort, least=head + 1)
        if prefix is None:
            return
        tree, end = prefix
        complete = [node for node in job.definitions(tree) if lines_of(node)[1] > head]
        if complete:
            self.whole = end == len(lines)
            self.returns = any(isinstance(inner, _ANSWERS) for inner in ast.walk(complete[0]))
            self.source = _join(lines, head, tree, complete[0], job.problem.entry_point)


def _join(lines: list[str], head: int, tree: ast.Module, entry: ast.stmt, entry_point: str) -> str:
    """The prompt without loose words, the entry point, and of the rest what the entry point needs."""
    first, last = lines_of(entry)
    inside = first < head  # the body continues the prompt's signature; else the text repeats the signature
    later = [node for node in tree.body if lines_of(node)[0] >= (last if inside else head)]
    pool = [node for node in later if node is not entry and entry_point not in bound_names(node)]
    pool = [entry, *pool] if inside else sorted([entry, *pool], key=lambda node: node.lineno)
    needed = [node for node in _needed(pool, entry_point) if not (inside and node is entry)]
    words = _loose_words(tree, head)
    kept = "\n".join(line for at, line in enumerate(lines[: last if inside else head]) if at not in words).rstrip()
    return "\n\n\n".join([kept, *(segment(lines, node) for node in needed)]) + "\n"


def _loose_words(tree: ast.Module, head: int) -> set[int]:
    """Lines before ``head`` that hold nothing but expressions: a prompt in words that happens to parse ("add")."""
    code: set[int] = set()
    words: set[int] = set()
    for node in tree.body:
        loose = isinstance(node, ast.Expr) and not isinstance(node.value, ast.Constant)
        (words if loose else code).update(range(*lines_of(node)))
    return {line for line in words - code if line < head}


def _does_something(node: ast.stmt) -> bool:
    """Whether a definition has a body beyond its docstring and placeholders."""
    if isinstance(node, ast.ClassDef):
        return any(isinstance(inner, _FUNCTIONS) and _does_something(inner) for inner in node.body)
    if not isinstance(node, _FUNCTIONS):
        return isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None
    return any(not _is_placeholder(inner) for inner in node.body)


def _is_placeholder(node: ast.stmt) -> bool:
    return isinstance(node, ast.Pass) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))


def _needed(nodes: Sequence[ast.stmt], entry_point: str) -> list[ast.stmt]:
    """The last complete definition of the entry point among the nodes with everything it needs, in order."""
    defining = [node for node in nodes if entry_point in bound_names(node)]
    root = ([node for node in defining if _does_something(node)] or defining)[-1]
    wrapped = entry_point in loaded_names(root) and not isinstance(root, _FUNCTIONS)  # f = lru_cache(f)
    pool = [node for node in nodes if node is root or wrapped or entry_point not in bound_names(node)]
    program = Program(pool)
    return [pool[number] for number in program.closure(pool.index(root), barred=frozenset({entry_point}))]


def _from_answer(text: str, job: _Job) -> str:
    fenced = [block.code for block in blocks(text) if is_python(block)]
    # Fences may hold something else while the code stands outside.
    return _assemble(fenced, job) or _assemble(list(_unfenced(text, job.effort)), job)


def _unfenced(text: str, effort: Effort) -> Iterator[str]:
    """Stretches of code between prose: from each line that opens one, as far as it parses."""
    lines = text.split("\n")
    at = 0
    for _ in range(_MOST_STARTS):
        at = next((number for number in range(at, len(lines)) if _STARTS.match(lines[number].lstrip())), len(lines))
        if at == len(lines):
            return
        width = len(lines[at]) - len(lines[at].lstrip())
        rest = [line[width:] if line[:width].isspace() else line for line in lines[at:]] if width else lines[at:]
        prefix = longest_prefix(rest, effort)
        if prefix is not None:
            yield "\n".join(rest[: prefix[1]])
        at += prefix[1] if prefix is not None else 1


def _assemble(sources: list[str], job: _Job) -> str:
    """The last complete definition of the entry point, else the first that can be cut to one."""
    trees = [(source, tree) for source in sources if (tree := _tree(source, job.effort)) is not None]
    for number in range(len(trees) - 1, -1, -1):
        if job.definitions(trees[number][1]):
            others = [*trees[:number], *trees[number + 1 :]]
            return _self_contained(trees[number], others, job.problem)
    for source in sources:
        lines = source.split("\n")
        prefix = longest_prefix(lines, job.effort)
        if prefix is not None and job.definitions(prefix[0]):
            cut = "\n".join(lines[: prefix[1]])
            return _self_contained((cut, prefix[0]), trees, job.problem)
    return ""


def _tree(source: str, effort: Effort) -> ast.Module | None:
    return parse(source) if effort.spend(source) else None


def _self_contained(chosen: _Source, others: list[_Source], problem: Problem) -> str:
    """The entry point with all it needs: from its own block, then from other blocks, then from the prompt."""
    needed = _needed(chosen[1].body, problem.entry_point)
    lines = chosen[0].split("\n")
    wanted = Program(needed).missing(range(len(needed))) - _BUILTINS
    borrowed: list[str] = []
    for source, tree in others:
        parts, names = _borrow(source, tree, wanted, problem.entry_point)
        borrowed += [part for part in parts if part not in borrowed]
        wanted -= names
    parts = [*_context(problem, wanted), *borrowed, *(segment(lines, node) for node in needed)]
    if any(_is_future(node) for node in chosen[1].body):
        parts.insert(0, "from __future__ import annotations")  # it must come first, and annotations may count on it
    return "\n\n\n".join(parts).strip("\n") + "\n"


def _is_future(node: ast.stmt) -> bool:
    return isinstance(node, ast.ImportFrom) and node.module == "__future__"


def _borrow(source: str, tree: ast.Module, wanted: set[str], entry_point: str) -> tuple[list[str], set[str]]:
    """What another block defines of the wanted names: (source segments, names)."""
    lines = source.split("\n")
    program = Program(tree.body)
    positions: set[int] = set()
    for number, node in enumerate(tree.body):
        names = bound_names(node)
        runs_it = entry_point in loaded_names(node) and not isinstance(node, (*_FUNCTIONS, ast.ClassDef))
        if names & wanted and entry_point not in names and not runs_it:
            positions.update(program.closure(number, barred=frozenset({entry_point})))
    chosen = [tree.body[number] for number in sorted(positions) if entry_point not in bound_names(tree.body[number])]
    return [segment(lines, node) for node in chosen], {name for node in chosen for name in bound_names(node)}


def _context(problem: Problem, wanted: set[str]) -> list[str]:
    """The prompt's imports and helpers, where the code uses one that it does not define."""
    tree = parse(problem.context)
    if tree is None or not wanted:
        return []
    offered = {name for node in tree.body for name in bound_names(node)}
    return [problem.context.strip("\n")] if wanted & offered or "*" in offered else []
