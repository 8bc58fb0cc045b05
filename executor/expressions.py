"""A small, closed language of expressions over a solution's recorded outputs, evaluated on the host (pure).

Tests are written by a model and outputs come from untrusted code, so nothing here can call anything but a fixed set
of builtins on plain data, and no operation can make a value much larger than its operands.
"""

from __future__ import annotations

import ast
import builtins
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct

from executor import bounds
from executor.bounds import NotLiftable
from executor.inside import wire

__all__ = ["Call", "Evaluator", "Expression", "NotLiftable", "Raised", "Scope", "Stopped"]

Expression = Callable[["Evaluator"], Any]


class Raised(Exception):
    """The solution's call raised this builtin exception."""

    def __init__(self, kind: type[BaseException]) -> None:
        super().__init__(kind.__name__)
        self.kind = kind


class Stopped(Exception):
    """The solution's process did not answer a call; ``letter`` is the verdict."""

    def __init__(self, letter: str) -> None:
        super().__init__(letter)
        self.letter = letter


class Call(Struct, frozen=True):
    """One call of the entry point with constants. ``text`` is its request's JSON, by which equal calls are equal."""

    text: str


class Evaluator:
    """Gives expressions the outcomes of the calls, by index; see :func:`executor.tables.verdict_letter`."""

    def __init__(self, value_of: Callable[[int], Any]) -> None:
        self.value_of = value_of
        self.variables: dict[str, Any] = {}


_BINARY: Final[Mapping[type[ast.operator], Callable[[Any, Any], Any]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Div: operator.truediv,
}
_CONSTANT_BINARY: Final[Mapping[type[ast.operator], Callable[[Any, Any], Any]]] = {
    **_BINARY,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}
_UNARY: Final[Mapping[type[ast.unaryop], Callable[[Any], Any]]] = {
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    ast.Not: operator.not_,
}
_COMPARE: Final[Mapping[type[ast.cmpop], Callable[[Any, Any], Any]]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
    ast.In: lambda left, right: left in right,
    ast.NotIn: lambda left, right: left not in right,
}
_FUNCTIONS: Final[Mapping[str, Callable[..., Any]]] = {
    "abs": abs, "all": all, "any": any, "bool": bool, "dict": dict, "float": float, "frozenset": frozenset, "int": int,
    "isinstance": isinstance, "len": len, "list": list, "max": max, "min": min, "round": round, "set": set,
    "sorted": sorted, "str": str, "sum": sum, "tuple": tuple,
}  # fmt: skip
_KEYWORDS: Final = frozenset({"reverse", "rel_tol", "abs_tol", "ndigits"})
_TYPES: Final[Mapping[str, type]] = {
    kind.__name__: kind for kind in (bool, bytes, complex, dict, float, frozenset, int, list, set, str, tuple)
}
_KNOWN_NAMES: Final = frozenset(dir(builtins)) | {"math", "unittest", "TestCase", "__name__"}
"""Names that a test may use without binding them: Python's own and the judge's prelude."""
_MATH: Final = {"pi": math.pi, "e": math.e, "inf": math.inf, "nan": math.nan}
_WIDEST: Final = 256
"""Outputs that one value may hold."""
_MUTABLE: Final = (list, dict, set, bytearray)


class Scope:
    """Names a test has bound so far, and the calls it makes, while its source is being lifted."""

    def __init__(self, entry_point: str, foreign: frozenset[str]) -> None:
        self.entry_point = entry_point
        self.foreign = foreign
        """Names that mean something else than the builtin here: defined by the context or the test."""
        self.calls: list[Call] = []
        self.constants: dict[str, Any] = {}
        self.results: dict[str, int] = {}
        """Names bound to values that follow from outputs, and how many times larger than an output they may be."""
        self.unbound: set[str] = set()
        """Names that nothing known here defines: a NameError, unless the solution defines them."""
        self.spent: set[str] = set()
        """Variables whose mutable value was passed to the solution, which may have changed it."""

    def method(self) -> Scope:
        """A scope for one test method: sees the module's names, keeps its own; calls are counted together."""
        inner = Scope(self.entry_point, self.foreign)
        inner.calls, inner.spent, inner.unbound = self.calls, self.spent, self.unbound
        inner.constants, inner.results = dict(self.constants), dict(self.results)
        return inner

    def bind(self, name: str, node: ast.expr) -> Expression:
        """Lift ``name = node``; returns what to evaluate for it."""
        if name == self.entry_point or name in self.foreign or name in _FUNCTIONS or name == "self":
            raise NotLiftable(f"binds {name}")
        # The right-hand side means the name as it was.
        constant = self.constant(node)
        expression = self.lift(node) if constant is None else None
        spread = self._spread(node)
        self._forget(name)
        if constant is not None:
            self.constants[name] = constant[0]
        if expression is None:
            return lambda evaluator: None
        self.results[name] = spread

        def store(evaluator: Evaluator) -> None:
            evaluator.variables[name] = expression(evaluator)

        return store

    def _forget(self, name: str) -> None:
        self.constants.pop(name, None)
        self.results.pop(name, None)
        self.spent.discard(name)

    def _spread(self, node: ast.expr) -> int:
        """How many times larger than an output the value of an expression may be, about.

        Raises:
            NotLiftable: too many: sixty lists of two of the list before take no memory, and for ever to compare.
        """
        names = [part.id for part in ast.walk(node) if isinstance(part, ast.Name)]
        texts = sum(name in ("str", "repr") for name in names)
        spread = sum(self.results.get(name, 1 if name == self.entry_point else 0) for name in names)
        if spread * 4**texts > _WIDEST:
            raise NotLiftable("a value that grows")
        return spread * int(4**texts)

    def constant(self, node: ast.expr) -> tuple[Any] | None:
        """The value of an expression without calls of the solution, in a tuple; None where it has some."""
        if any(self._is_dynamic(child) for child in ast.walk(node)):
            return None
        try:
            value = self._constant(node)(_NO_OUTPUTS)
        except NotLiftable:
            raise
        except (ArithmeticError, ValueError, TypeError, LookupError, MemoryError, RecursionError) as error:
            raise NotLiftable("a constant that cannot be computed") from error
        bounds.check(value)
        return (value,)

    def _is_dynamic(self, node: ast.AST) -> bool:
        if not isinstance(node, ast.Name):
            return False
        known = node.id in self.constants or node.id in _KNOWN_NAMES or node.id in self.foreign
        return not known or node.id == self.entry_point or node.id in self.results

    def _constant(self, node: ast.expr) -> Expression:
        return self.lift(node, constant=True)

    def lift(self, node: ast.expr, *, constant: bool = False) -> Expression:
        """Translate one expression.

        Raises:
            NotLiftable: it uses something outside the language.
        """
        if isinstance(node, ast.Constant):
            value = node.value
            return lambda evaluator: value
        if not constant and (found := self.constant(node)) is not None:
            folded = found[0]
            return lambda evaluator: folded
        if not constant and isinstance(node, (ast.List, ast.Tuple, ast.Set, ast.Dict)):
            self._spread(node)
        handler = getattr(self, f"_lift_{type(node).__name__}", None)
        if handler is None:
            raise NotLiftable(type(node).__name__)
        lifted: Expression = handler(node, constant)
        return lifted

    def _lift_Name(self, node: ast.Name, constant: bool) -> Expression:  # noqa: N802
        name = node.id
        if name in self.spent:
            raise NotLiftable(f"{name} may have been changed by the solution")
        if name in self.constants:
            value = self.constants[name]
            return lambda evaluator: value
        if name in self.results:
            return lambda evaluator: evaluator.variables[name]
        if name in _TYPES and name not in self.foreign:
            kind = _TYPES[name]
            return lambda evaluator: kind
        if name == self.entry_point or name in self.foreign or name in _KNOWN_NAMES or "*" in self.foreign:
            raise NotLiftable(f"name {name}")
        return self._unbound(name)

    def _unbound(self, name: str) -> Expression:
        self.unbound.add(name)

        def fail(evaluator: Evaluator) -> Any:
            raise Raised(NameError)

        return fail

    def _lift_Attribute(self, node: ast.Attribute, constant: bool) -> Expression:  # noqa: N802
        if isinstance(node.value, ast.Name) and node.value.id == "math" and node.attr in _MATH:
            value = _MATH[node.attr]
            return lambda evaluator: value
        if isinstance(node.value, (ast.Name, ast.Attribute)):
            # Only a chain that starts at an unbound name gets through: it fails before the attribute is looked at.
            return self._unbound_root(node)
        raise NotLiftable(f"attribute {node.attr}")

    def _unbound_root(self, node: ast.expr) -> Expression:
        while isinstance(node, ast.Attribute):
            node = node.value
        name = node.id if isinstance(node, ast.Name) else ""
        bound = name in self.constants or name in self.results or name in self.spent or name in _TYPES
        if not name or bound or name == self.entry_point or name in self.foreign | _KNOWN_NAMES | {"self"}:
            raise NotLiftable("an attribute")
        return self._unbound(name)

    def _items(self, nodes: Sequence[ast.expr | None], constant: bool) -> list[Expression]:
        if any(item is None or isinstance(item, ast.Starred) for item in nodes):
            raise NotLiftable("unpacking")
        return [self.lift(item, constant=constant) for item in nodes if item is not None]

    def _lift_List(self, node: ast.List, constant: bool) -> Expression:  # noqa: N802
        items = self._items(node.elts, constant)
        return lambda evaluator: [item(evaluator) for item in items]

    def _lift_Tuple(self, node: ast.Tuple, constant: bool) -> Expression:  # noqa: N802
        items = self._items(node.elts, constant)
        return lambda evaluator: tuple([item(evaluator) for item in items])

    def _lift_Set(self, node: ast.Set, constant: bool) -> Expression:  # noqa: N802
        items = self._items(node.elts, constant)
        return lambda evaluator: {item(evaluator) for item in items}

    def _lift_Dict(self, node: ast.Dict, constant: bool) -> Expression:  # noqa: N802
        keys, values = self._items(node.keys, constant), self._items(node.values, constant)
        return lambda evaluator: {key(evaluator): value(evaluator) for key, value in zip(keys, values)}

    def _lift_UnaryOp(self, node: ast.UnaryOp, constant: bool) -> Expression:  # noqa: N802
        operation, operand = _UNARY.get(type(node.op)), self.lift(node.operand, constant=constant)
        if operation is None:
            raise NotLiftable(type(node.op).__name__)
        return lambda evaluator: operation(operand(evaluator))

    def _lift_BinOp(self, node: ast.BinOp, constant: bool) -> Expression:  # noqa: N802
        operation = (_CONSTANT_BINARY if constant else _BINARY).get(type(node.op))
        if operation is None:
            raise NotLiftable(type(node.op).__name__)
        left, right = self.lift(node.left, constant=constant), self.lift(node.right, constant=constant)
        if constant:
            return lambda evaluator: bounds.apply(operation, left(evaluator), right(evaluator))
        return lambda evaluator: operation(left(evaluator), right(evaluator))

    def _lift_BoolOp(self, node: ast.BoolOp, constant: bool) -> Expression:  # noqa: N802
        parts = self._items(node.values, constant)
        stop_at = isinstance(node.op, ast.Or)

        def evaluate(evaluator: Evaluator) -> Any:
            for part in parts:
                value = part(evaluator)
                if bool(value) is stop_at:
                    break
            return value

        return evaluate

    def _lift_Compare(self, node: ast.Compare, constant: bool) -> Expression:  # noqa: N802
        operands = self._items([node.left, *node.comparators], constant)
        operations = [_COMPARE[type(kind)] for kind in node.ops]
        if constant:
            operands = [_checked(operand) for operand in operands]
        for kind, *sides in zip(node.ops, [node.left, *node.comparators], node.comparators):
            if isinstance(kind, (ast.Is, ast.IsNot)) and not any(_is_singleton(side) for side in sides):
                raise NotLiftable("identity of values")
        if len(operations) == 1:
            (compare,), (left, right) = operations, operands
            return lambda evaluator: compare(left(evaluator), right(evaluator))

        def evaluate(evaluator: Evaluator) -> Any:
            value = operands[0](evaluator)
            for compare, operand in zip(operations, operands[1:]):
                following = operand(evaluator)
                outcome = compare(value, following)
                if not outcome:
                    break
                value = following
            return outcome

        return evaluate

    def _lift_Subscript(self, node: ast.Subscript, constant: bool) -> Expression:  # noqa: N802
        value = self.lift(node.value, constant=constant)
        if isinstance(node.slice, ast.Slice):
            bounds = [
                None if part is None else self.constant(part)
                for part in (node.slice.lower, node.slice.upper, node.slice.step)
            ]
            index = slice(*(None if bound is None else bound[0] for bound in bounds))
        else:
            found = self.constant(node.slice)
            if found is None:
                raise NotLiftable("a computed index")
            index = found[0]
        return lambda evaluator: value(evaluator)[index]

    def _lift_Call(self, node: ast.Call, constant: bool) -> Expression:  # noqa: N802
        if isinstance(node.func, ast.Name) and node.func.id == self.entry_point:
            index = self.call(node.args, node.keywords)
            return lambda evaluator: evaluator.value_of(index)
        if isinstance(node.func, (ast.Name, ast.Attribute)) and (missing := self._missing_function(node.func)):
            return missing
        function = self._function(node.func)
        arguments = self._items(node.args, constant)
        keywords = {}
        for keyword in node.keywords:
            found = self.constant(keyword.value) if keyword.arg in _KEYWORDS else None
            if found is None or keyword.arg is None:
                raise NotLiftable(f"keyword {keyword.arg}")
            keywords[keyword.arg] = found[0]
        if constant:
            arguments = [_checked(argument) for argument in arguments]
        else:
            self._spread(node)
        return lambda evaluator: function(*[argument(evaluator) for argument in arguments], **keywords)

    def _missing_function(self, node: ast.Name | ast.Attribute) -> Expression | None:
        """A call through an unbound name fails before its arguments are looked at."""
        if isinstance(node, ast.Name) and (node.id in _FUNCTIONS or node.id in self.foreign | _KNOWN_NAMES):
            return None
        if ast.unparse(node) == "math.isclose":
            return None
        return self._unbound_root(node)

    def _function(self, node: ast.expr) -> Callable[..., Any]:
        if isinstance(node, ast.Name) and node.id in _FUNCTIONS and node.id not in self.foreign:
            return _FUNCTIONS[node.id]
        if ast.unparse(node) == "math.isclose":
            return math.isclose
        raise NotLiftable("a call of another function")

    def call(self, arguments: Sequence[ast.expr], keywords: Sequence[ast.keyword]) -> int:
        """Note one call of the entry point; return its index among the test's calls."""
        values = [self._argument(argument) for argument in arguments]
        named = {}
        for keyword in keywords:
            if keyword.arg is None:
                raise NotLiftable("unpacking")
            named[keyword.arg] = self._argument(keyword.value)
        try:
            text = _request_text(tuple(values), named)
        except (wire.Unportable, RecursionError) as error:
            raise NotLiftable("an argument that cannot cross") from error
        self.calls.append(Call(text))
        return len(self.calls) - 1

    def _argument(self, node: ast.expr) -> Any:
        if isinstance(node, ast.Starred):
            raise NotLiftable("unpacking")
        found = self.constant(node)
        if found is None or bounds.weight(found[0]) > bounds.LONGEST or not wire.is_plain(found[0]):
            raise NotLiftable("an argument that is no constant")
        given = _mutable_parts(found[0])
        self.spent |= {name for name, value in self.constants.items() if given & _mutable_parts(value)}
        return found[0]


def _request_text(arguments: tuple[Any, ...], keywords: dict[str, Any]) -> str:
    request = ["", wire.encode(arguments), wire.encode(keywords)]
    text = wire.text_of(request)
    if len(text) > bounds.LONGEST:
        raise NotLiftable("arguments too long")
    return text


def _mutable_parts(value: Any) -> set[int]:
    """Identities of everything in a constant that a solution could change, at any depth."""
    found: set[int] = set()
    todo = [value]
    while todo:
        item = todo.pop()
        if isinstance(item, _MUTABLE):
            if id(item) in found:
                continue
            found.add(id(item))
        if isinstance(item, (list, tuple, set, frozenset)):
            todo.extend(item)
        elif isinstance(item, dict):
            todo += [*item.keys(), *item.values()]
    return found


def _checked(expression: Expression) -> Expression:
    """The same, unless its value is too large to be worked on."""

    def evaluate(evaluator: Evaluator) -> Any:
        value = expression(evaluator)
        bounds.check(value)
        return value

    return evaluate


def _is_singleton(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and (node.value is None or isinstance(node.value, bool))


def _no_output(index: int) -> Any:
    raise NotLiftable("a constant that calls the solution")


_NO_OUTPUTS = Evaluator(_no_output)
