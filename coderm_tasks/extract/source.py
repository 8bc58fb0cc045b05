"""Reading source text without running it: parsing that never raises, prefixes, segments, names."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator

__all__ = [
    "Effort",
    "bound_names",
    "definitions",
    "failing_line",
    "free_names",
    "lines_of",
    "loaded_names",
    "longest_prefix",
    "parse",
    "segment",
]

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


class Effort:
    """How much parsing one answer may cost: bounds the time that hostile text can take."""

    def __init__(self, attempts: int = 200, characters: int = 1_500_000) -> None:
        self._attempts = attempts
        self._characters = characters

    def spend(self, source: str) -> bool:
        """Take one parse of ``source`` from the budget. False when there is none left."""
        self._attempts -= 1
        self._characters -= len(source)
        return self._attempts >= 0 and self._characters >= 0


def parse(source: str) -> ast.Module | None:
    """The syntax tree, or None where there is none to be had. Raises nothing, whatever the text."""
    return _parse(source)[0]


def failing_line(source: str) -> int:
    """1-based line at which parsing ends; 0 if the text parses, -1 if the parser cannot tell."""
    return _parse(source)[1]


def _parse(source: str) -> tuple[ast.Module | None, int]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escape sequences and the like are the model's business
            return ast.parse(source), 0
    except SyntaxError as error:
        return None, _blamed(error)
    except (ValueError, RecursionError, MemoryError, OverflowError):
        return None, -1


def _blamed(error: SyntaxError) -> int:
    # "expected an indented block after 'if' statement on line 3": the header is the culprit, not what follows it.
    if "f-string" in error.msg:  # Python 3.10 and 3.11 count these lines from the string's own start
        return -1
    words = error.msg.rsplit(" on line ", 1)
    if isinstance(error, IndentationError) and len(words) == 2 and words[1].isdecimal():
        return int(words[1])
    return max(error.lineno or 1, 1)


def longest_prefix(lines: list[str], effort: Effort, *, least: int = 1) -> tuple[ast.Module, int] | None:
    """The longest run of leading lines that parses, with its length; None if none of at least ``least`` lines does.

    Whole lines only. Where parsing fails at line L no longer prefix than L-1 lines can parse, so each attempt
    starts from there; the effort bounds the attempts.
    """
    end = len(lines)
    while end >= least:
        source = "\n".join(lines[:end])
        if not effort.spend(source):
            return None
        tree, failed = _parse(source)
        if tree is not None:
            return tree, end
        end = min(end - 1, failed - 1 if failed > 0 else end)
    return None


def lines_of(node: ast.stmt) -> tuple[int, int]:
    """Zero-based, half-open range of lines that a statement covers, decorators included."""
    first = node.lineno
    if isinstance(node, (*_FUNCTIONS, ast.ClassDef)):
        first = min([first, *(decorator.lineno for decorator in node.decorator_list)])
    return first - 1, node.end_lineno or node.lineno


def segment(lines: list[str], node: ast.stmt) -> str:
    """Source text of a top-level statement. A statement that shares its line with others is cut out of it."""
    first, last = lines_of(node)
    chosen = lines[first:last]
    if node.col_offset == 0 and not _shares_line(lines, node):
        return "\n".join(chosen).rstrip()
    tail = chosen[-1].encode("utf-8")[: node.end_col_offset].decode("utf-8", "ignore")
    chosen = [*chosen[:-1], tail]
    head = chosen[0].encode("utf-8")[node.col_offset :].decode("utf-8", "ignore")
    return "\n".join([head, *chosen[1:]]).rstrip()


def _shares_line(lines: list[str], node: ast.stmt) -> bool:
    rest = lines[(node.end_lineno or 1) - 1].encode("utf-8")[node.end_col_offset :].strip()
    return rest.startswith(b";")


def definitions(tree: ast.Module, name: str) -> list[ast.stmt]:
    """Top-level statements that define something to be called as ``name``: ``def``, ``class``, or an assignment."""
    return [node for node in tree.body if _defines(node, name)]


def _defines(node: ast.stmt, name: str) -> bool:
    if isinstance(node, (*_FUNCTIONS, ast.ClassDef)):
        return node.name == name
    if isinstance(node, ast.Assign):
        return any(isinstance(target, ast.Name) and target.id == name for target in node.targets)
    return isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id == name


def loaded_names(*nodes: ast.AST) -> set[str]:
    """Names that are read anywhere in the nodes."""
    return {
        inner.id
        for node in nodes
        for inner in ast.walk(node)
        if isinstance(inner, ast.Name) and not isinstance(inner.ctx, ast.Store)
    }


def free_names(node: ast.stmt) -> set[str]:
    """Names that a top-level statement takes from its module. Names that it stores or has as parameters are its own."""
    own: set[str] = set()
    if isinstance(node, (*_FUNCTIONS, ast.ClassDef)):
        for inner in ast.walk(node):
            if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store):
                own.add(inner.id)
            elif isinstance(inner, ast.arg):
                own.add(inner.arg)
        own -= {name for inner in ast.walk(node) if isinstance(inner, ast.Global) for name in inner.names}
    return loaded_names(node) - own


def bound_names(node: ast.stmt) -> set[str]:
    """Names that a top-level statement binds in its module (``*`` for a star import)."""
    return set(_bound(node))


def _bound(node: ast.stmt) -> Iterator[str]:
    pending: list[ast.AST] = [node]
    while pending:
        inner = pending.pop()
        if isinstance(inner, (*_FUNCTIONS, ast.ClassDef)):
            yield inner.name
        elif isinstance(inner, ast.alias):
            yield (inner.asname or inner.name).split(".")[0]
        elif isinstance(inner, ast.Name):
            if isinstance(inner.ctx, ast.Store):
                yield inner.id
        elif not isinstance(inner, (ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)):
            pending.extend(ast.iter_child_nodes(inner))
