"""Static look at a solution: which solutions are the same program, and which keep state between calls (pure)."""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Iterable, Iterator

from msgspec import Struct

from executor.watchable import is_watchable

__all__ = [
    "LARGEST_PARSED",
    "UNPRINTABLE_NUMBER",
    "SolutionFacts",
    "defined_names",
    "drop_docstrings",
    "look_at",
    "parse",
    "sendable",
]

LARGEST_PARSED = 200_000
"""Characters of source that are parsed on the host; longer texts are judged in the box without a look."""
_DEEPEST_NESTING = 100
"""Brackets within brackets; Python's own tokenizer stops at 200."""
UNPRINTABLE_NUMBER = re.compile("(?<![0-9a-zA-Z_])0[xXoObB][0-9a-fA-F_]{3500}")
"""A literal that Python reads and then refuses to write in decimal (``sys.get_int_max_str_digits``): trees with one
cannot be dumped or unparsed."""
_BRACKETS = re.compile(r"[()\[\]{}]")
_IMMUTABLE = (ast.Constant, ast.Name, ast.Attribute)
_QUIET_MODULES = frozenset(
    """
    __future__ abc array bisect cmath collections copy dataclasses enum fractions functools hashlib heapq
    itertools math numbers numpy operator re statistics string textwrap typing typing_extensions unicodedata
    """.split()
)
"""Modules whose functions neither keep state for the caller nor depend on time or chance."""
_DECORATORS = ("staticmethod", "classmethod", "property", "wraps")
_LOUD_NAMES = frozenset(
    """
    exec eval globals vars getattr setattr delattr attrgetter methodcaller __setattr__ __delattr__ open input
    getcontext setrecursionlimit
    __import__ __dict__
    __defaults__ __kwdefaults__ __globals__ __annotations__ __closure__ __code__ __wrapped__
    random seterr set_printoptions
    """.split()
)
"""Names and attributes that reach for state, time or chance; ``random`` and those after it are NumPy's."""

_HARMLESS = frozenset(
    """
    __abs__ __add__ __class__ __contains__ __doc__ __eq__ __float__ __floordiv__ __ge__ __getitem__ __gt__ __hash__
    __init__ __int__ __iter__ __le__ __len__ __lt__ __mod__ __mul__ __name__ __ne__ __neg__ __next__ __pow__ __radd__
    __repr__ __reversed__ __rmul__ __round__ __str__ __sub__ __truediv__
    """.split()
)
"""Attributes that lead to no state although they are not public."""
_BINDING_NAMES = frozenset("exec eval globals locals vars setattr __setattr__ __dict__ f_globals".split())
"""Names and attributes by which a source may bind a name that it does not spell out."""


class SolutionFacts(Struct, frozen=True):
    """What can be told of a solution without running it."""

    key: str
    """Equal for solutions that differ only in comments, docstrings and formatting."""
    stateless: bool
    """True where a call cannot change what a later call in the same process returns, as far as the source shows."""
    watchable: bool = False
    """True where all that a ``while`` loop goes by is in the variables of its function, as far as the source shows
    (:mod:`executor.watchable`)."""


def look_at(source: str) -> SolutionFacts:
    """Describe one solution. Text that does not parse is its own key and counts as stateful."""
    tree = parse(source)
    if tree is None:
        return SolutionFacts(_digest("text", source), False)
    try:
        nodes = list(ast.walk(tree))
        stateless = not _keeps_state(tree, nodes)
        watchable = stateless and "while" in source and is_watchable(nodes)
        if "__doc__" not in source:
            drop_docstrings(nodes)
        return SolutionFacts(_digest("tree", "\n".join(_spelled(tree, []))), stateless, watchable)
    except RecursionError:
        return SolutionFacts(_digest("text", source), False)


def parse(source: str) -> ast.Module | None:
    """Parse text of unknown origin; None where it does not parse or is not safe to try."""
    if len(source) > LARGEST_PARSED or _nesting(source) > _DEEPEST_NESTING or UNPRINTABLE_NUMBER.search(source):
        return None
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError):
        return None


def _nesting(source: str) -> int:
    depth = deepest = 0
    for bracket in _BRACKETS.findall(source):
        depth += 1 if bracket in "([{" else -1
        deepest = max(deepest, depth)
    return deepest


def _digest(kind: str, text: str) -> str:
    return hashlib.sha256(f"{kind}\0{text}".encode("utf-8", "surrogatepass")).hexdigest()


def _spelled(part: object, words: list[str]) -> list[str]:
    """Append a tree's nodes and values in order: equal for equal trees alone, as ``ast.dump`` is, in half its time."""
    if isinstance(part, ast.AST):
        words.append(type(part).__name__)
        for name in part._fields:
            _spelled(getattr(part, name, None), words)
    elif type(part) is list:
        words.append(f"[{len(part)}")
        for item in part:
            _spelled(item, words)
    else:
        words.append(repr(part))
    return words


def drop_docstrings(nodes: Iterable[ast.AST]) -> None:
    """Take the docstrings out of a tree, in place. ``nodes``: all of its nodes."""
    for node in nodes:
        if isinstance(node, (ast.Module, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) and node.body:
            first = node.body[0]
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                node.body[0:1] = [] if len(node.body) > 1 else [ast.Pass()]


def _keeps_state(tree: ast.Module, nodes: list[ast.AST]) -> bool:
    return any(not _quiet_statement(node) for node in tree.body) or any(_loud(node) for node in nodes)


def _quiet_statement(node: ast.stmt) -> bool:
    """A module-level statement that leaves nothing mutable behind."""
    if isinstance(node, (ast.FunctionDef, ast.Import, ast.ImportFrom, ast.Pass)):
        return True
    if _binds(node) and not isinstance(node, ast.ClassDef):
        return False
    if isinstance(node, (ast.Expr, ast.Assert)):
        return True  # a call of functions that keep no state, as in print(f(3)), leaves none behind either
    if isinstance(node, ast.Assign):
        return _frozen_value(node.value)
    if isinstance(node, ast.AnnAssign):
        return node.value is None or _frozen_value(node.value)
    return isinstance(node, ast.ClassDef) and _quiet_class(node)


def _quiet_class(node: ast.ClassDef) -> bool:
    """A class of methods alone: its instances come and go, and a store to an attribute is loud wherever it stands."""
    plain = not node.decorator_list and not node.keywords
    bases = all(isinstance(base, ast.Name) and base.id == "object" for base in node.bases)
    return (
        plain and bases and all(isinstance(item, (ast.FunctionDef, ast.Pass)) or _is_text(item) for item in node.body)
    )


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _frozen_value(node: ast.expr) -> bool:
    if isinstance(node, ast.Tuple):
        return all(_frozen_value(item) for item in node.elts)
    if isinstance(node, ast.UnaryOp):
        return _frozen_value(node.operand)
    if isinstance(node, ast.BinOp):
        return _frozen_value(node.left) and _frozen_value(node.right)
    return isinstance(node, _IMMUTABLE)


def _loud(node: ast.AST) -> bool:
    """A construct that may keep state, or depend on time or chance, anywhere in the source."""
    if isinstance(node, ast.Global):
        return True
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
        defaults = [*node.args.defaults, *(value for value in node.args.kw_defaults if value is not None)]
        decorated = not isinstance(node, ast.Lambda) and any(not _quiet_decorator(item) for item in node.decorator_list)
        return decorated or any(not _frozen_value(value) for value in defaults) or _binds_as_defined(node)
    if isinstance(node, ast.alias):
        return node.asname in _DECORATORS
    if isinstance(node, ast.Import):
        names = [alias.name.split(".") for alias in node.names]
        return any(parts[0] not in _QUIET_MODULES or set(parts) & _LOUD_NAMES for parts in names)
    if isinstance(node, ast.ImportFrom):
        parts = {*(node.module or "").split("."), *(alias.name for alias in node.names)}
        return (node.module or "").split(".")[0] not in _QUIET_MODULES or bool(parts & _LOUD_NAMES)
    if isinstance(node, ast.Attribute):
        # Any store to an attribute may hang state on a function, class or module; a name of theirs that is not public
        # may lead to state that they have.
        return not isinstance(node.ctx, ast.Load) or node.attr in _LOUD_NAMES or _is_private(node)
    if isinstance(node, ast.Name):
        return node.id in _LOUD_NAMES or (node.id in _DECORATORS and not isinstance(node.ctx, ast.Load))
    return False


def _is_private(node: ast.Attribute) -> bool:
    own = isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
    return node.attr.startswith("_") and not own and node.attr not in _HARMLESS


def _binds_as_defined(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> bool:
    """A function that is called like a decorator which keeps nothing, or whose annotations bind a name (``:=``)."""
    if isinstance(node, ast.Lambda):
        return False
    parts = [arg.annotation for arg in ast.walk(node.args) if isinstance(arg, ast.arg)]
    parts += [node.returns, *node.decorator_list]
    return node.name in _DECORATORS or any(part is not None and _binds(part) for part in parts)


def _binds(node: ast.AST) -> bool:
    return any(isinstance(part, ast.NamedExpr) for part in ast.walk(node))


def _quiet_decorator(node: ast.expr) -> bool:
    target = node.func if isinstance(node, ast.Call) else node
    name = target.attr if isinstance(target, ast.Attribute) else target.id if isinstance(target, ast.Name) else ""
    return name in _DECORATORS


def defined_names(source: str) -> frozenset[str]:
    """Names that a source may bind at its top level, by whatever statement and however deep in ``if`` or ``try``.

    ``*`` is among them where it may bind names that it does not spell out, or is too large to be looked at.
    """
    tree = parse(source)
    if tree is None:
        return frozenset({"*"})
    names = set(_bound_names(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.Global):
            names.update(node.names)
        elif _binds_unseen(node):
            names.add("*")
    return frozenset(names)


def _bound_names(tree: ast.Module) -> Iterator[str]:
    """Names bound in the scope of the module itself."""
    todo: list[ast.AST] = list(tree.body)
    while todo:
        node = todo.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            yield from ((alias.asname or alias.name).split(".")[0] for alias in node.names if alias.name != "*")
        elif isinstance(node, ast.Name):
            if not isinstance(node.ctx, ast.Load):
                yield node.id
        elif not isinstance(node, ast.Lambda):
            captured = getattr(node, "name", None) or getattr(node, "rest", None)  # of a pattern
            if isinstance(captured, str):
                yield captured
            todo.extend(ast.iter_child_nodes(node))


def _binds_unseen(node: ast.AST) -> bool:
    if isinstance(node, ast.ImportFrom):
        return any(alias.name == "*" for alias in node.names)
    name = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
    return name in _BINDING_NAMES


def sendable(source: str) -> str:
    """Return the source, or, where it holds lone surrogates and so is no program at all, one that is none either."""
    try:
        source.encode("utf-8")
    except UnicodeEncodeError:
        return "\0"
    return source
