"""Lift unit tests into call tables: the calls they make of the solution, and what they expect (pure).

A lifted test never runs as a program. Its calls are made once per distinct solution and its expectations are judged
on the host, out of the solution's reach. What does not fit the language of :mod:`executor.expressions` stays a program
and runs in a judge process.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Callable, Sequence
from typing import Any, Final

from msgspec import Struct

from executor.assertions import ASSERTIONS
from executor.expressions import Call, Evaluator, Expression, NotLiftable, Raised, Scope, Stopped
from executor.inside.unit import PRELUDE, is_unittest_main
from executor.purity import parse

__all__ = ["Lifted", "Program", "TestPlan", "Vacuous", "plan_test", "verdict_letter"]

Step = Callable[[Evaluator], None]

_HARMLESS_IMPORTS: Final = frozenset({"unittest", "math", "typing", "__future__"})
_SAME_PROCESS_WORDS: Final = frozenset(
    """
    stdout stderr stdin redirect_stdout redirect_stderr mock patch eval exec compile pickle marshal shelve __import__
    """.split()
)
"""Names in a test that reach into the solution's process, which a proxy cannot serve, or that run what it returns."""
_LONGEST_LIFTED: Final = 100_000


class Failed(Exception):
    """An assertion of a lifted test does not hold."""


class Method(Struct, frozen=True):
    """A test method, or a whole script of bare asserts: steps to be taken in order."""

    steps: tuple[Step, ...]


class Program(Struct, frozen=True):
    """A test that has to run as a program."""

    names: tuple[str, ...]
    """Names it uses and does not define: functions, modules or classes of the solution or the context, if any."""
    same_process: bool
    """It reaches into the solution's process (captures its output, patches it)."""


class Lifted(Struct, frozen=True):
    """A test as calls and expectations."""

    calls: tuple[Call, ...]
    methods: tuple[Method, ...]
    is_case: bool
    """Methods of ``TestCase`` classes (all run) rather than one script (ends at the first failure)."""
    straight: bool
    """Every call that it makes is made whatever the calls before it gave, as long as the test goes on: a table of its
    calls keeps a stateful solution in step."""
    unbound: frozenset[str]
    """Names that only the solution could define. It runs as a program on solutions that do."""
    program: Program


class Vacuous(Struct, frozen=True):
    """A test that tests nothing."""

    reason: str


TestPlan = Lifted | Program | Vacuous


def plan_test(source: str, entry_point: str, foreign: frozenset[str] = frozenset()) -> TestPlan:
    """Decide how to run one test.

    Args:
        foreign: names the problem's context defines, which are not the builtins they may be called like.
    """
    tree = parse(source)
    if tree is None:
        return _unparsed(source, entry_point)
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    if entry_point not in used and entry_point not in {n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute)}:
        return Vacuous("never calls the entry point")
    program = _program(tree, used, entry_point)
    try:
        lifted = _lift_module(tree, Scope(entry_point, foreign), program)
    except (NotLiftable, RecursionError):
        return program
    # Without calls a test may still fail before it gets to one, at a name that nothing defines.
    return lifted if lifted.calls or lifted.unbound else Vacuous("never calls the entry point")


def _unparsed(source: str, entry_point: str) -> TestPlan:
    try:
        compile(source[:_LONGEST_LIFTED], "<unit test>", "exec", ast.PyCF_ONLY_AST) if len(
            source
        ) <= _LONGEST_LIFTED else None
    except (SyntaxError, ValueError):
        return Vacuous("does not parse")
    except (RecursionError, MemoryError, OverflowError):
        pass
    return Program((), False) if entry_point in source else Vacuous("never calls the entry point")


def _program(tree: ast.Module, used: set[str], entry_point: str) -> Program:
    defined = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)}
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            defined.add(node.name)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            defined |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
        elif isinstance(node, ast.arg):
            defined.add(node.arg)
    names = used - defined - set(dir(builtins)) - set(PRELUDE) - {entry_point}
    attributes = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    imported = {part for node in ast.walk(tree) if isinstance(node, ast.alias) for part in node.name.split(".")}
    same_process = bool((used | attributes | imported) & _SAME_PROCESS_WORDS)
    return Program(tuple(sorted(names)), same_process)


def _lift_module(tree: ast.Module, scope: Scope, program: Program) -> Lifted:
    steps: list[Step] = []
    methods: list[Method] = []
    classes: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            if node.name in classes:
                raise NotLiftable("a class defined twice")
            classes.add(node.name)
            methods += _lift_class(node, scope)
        elif not (_is_main_block(node) or _is_main_call(node)):
            steps += _lift_statement(node, scope)
    if methods and steps:
        raise NotLiftable("statements beside classes")
    straight = len(methods) < 2 and not any(map(_branches, ast.walk(tree)))
    return Lifted(
        calls=tuple(scope.calls),
        methods=tuple(methods) or (Method(tuple(steps)),),
        is_case=bool(methods),
        straight=straight,
        unbound=frozenset(scope.unbound),
        program=program,
    )


def _branches(node: ast.AST) -> bool:
    return isinstance(node, ast.BoolOp) or (isinstance(node, ast.Compare) and len(node.ops) > 1)


def _is_main_block(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.If)
        and isinstance(node.test, ast.Compare)
        and isinstance(node.test.left, ast.Name)
        and node.test.left.id == "__name__"
        and not node.orelse
        and len(node.test.ops) == 1
        and isinstance(node.test.ops[0], ast.Eq)
        and isinstance(node.test.comparators[0], ast.Constant)
        and node.test.comparators[0].value == "__main__"
    )


def _is_main_call(node: ast.stmt) -> bool:
    """``unittest.main()``, which would end a judge's process and is no part of the test."""
    return isinstance(node, ast.Expr) and is_unittest_main(node.value)


def _lift_class(node: ast.ClassDef, scope: Scope) -> list[Method]:
    bases = [ast.unparse(base) for base in node.bases]
    if node.decorator_list or node.keywords or bases not in (["unittest.TestCase"], ["TestCase"]):
        raise NotLiftable("a class that is no plain TestCase")
    methods: dict[str, Method] = {}
    names = [item.name for item in node.body if isinstance(item, ast.FunctionDef)]
    if len(names) != len(set(names)):
        raise NotLiftable("a method defined twice")
    for item in node.body:
        if isinstance(item, ast.Pass) or _is_text(item):
            continue
        if not isinstance(item, ast.FunctionDef) or not item.name.startswith("test") or item.decorator_list:
            raise NotLiftable("a class with more than test methods")
        if [argument.arg for argument in item.args.args] != ["self"] or item.args.vararg or item.args.kwarg:
            raise NotLiftable("a test method with arguments")
        inner = scope.method()
        methods[item.name] = Method(tuple(step for line in item.body for step in _lift_statement(line, inner)))
    return [methods[name] for name in sorted(methods)]


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _lift_statement(node: ast.stmt, scope: Scope) -> list[Step]:
    if isinstance(node, ast.Pass) or _is_text(node):
        return []
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        _check_import(node)
        return []
    if isinstance(node, ast.Assert):
        return [_lift_assert(node, scope)]
    if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
        return [scope.bind(node.targets[0].id, node.value)]
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        return [_lift_call(node.value, scope)]
    if isinstance(node, ast.With):
        return [_lift_with(node, scope)]
    raise NotLiftable(type(node).__name__)


def _check_import(node: ast.Import | ast.ImportFrom) -> None:
    names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
    renamed = any(alias.asname for alias in node.names)
    if renamed or any(name not in _HARMLESS_IMPORTS for name in names):
        raise NotLiftable("an import")
    if isinstance(node, ast.ImportFrom) and node.module == "math":
        raise NotLiftable("names from math")


def _lift_assert(node: ast.Assert, scope: Scope) -> Step:
    if node.msg is not None and any(isinstance(part, (ast.Call, ast.NamedExpr)) for part in ast.walk(node.msg)):
        raise NotLiftable("a message that calls")
    condition = scope.lift(node.test)

    def check(evaluator: Evaluator) -> None:
        if not condition(evaluator):
            raise Failed

    return check


def _self_method(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self":
        return node.attr
    return ""


def _lift_call(node: ast.Call, scope: Scope) -> Step:
    name = _self_method(node.func)
    if not name:
        return scope.lift(node)
    if name == "assertRaises":
        return _lift_raises_call(node, scope)
    assertion = ASSERTIONS.get(name)
    if assertion is None:
        raise NotLiftable(name)
    if name in ("assertIs", "assertIsNot") and not any(_is_singleton(item) for item in node.args):
        raise NotLiftable("identity of values")
    arity = {"assertTrue": 1, "assertFalse": 1, "assertIsNone": 1, "assertIsNotNone": 1}.get(name, 2)
    positional, keywords = _without_message(node, arity, name)
    arguments = [scope.lift(item) for item in positional]
    named = {key: scope.lift(value) for key, value in keywords.items()}

    def check(evaluator: Evaluator) -> None:
        values = [argument(evaluator) for argument in arguments]
        if not assertion(*values, **{key: value(evaluator) for key, value in named.items()}):
            raise Failed

    return check


def _without_message(node: ast.Call, arity: int, name: str) -> tuple[list[ast.expr], dict[str, ast.expr]]:
    """Split off the message, which must not call anything."""
    almost = name.endswith("AlmostEqual")
    keywords = {keyword.arg or "**": keyword.value for keyword in node.keywords}
    message = keywords.pop("msg", None)
    positional = list(node.args)
    if not almost and len(positional) == arity + 1:
        message = positional.pop()
    allowed = {"places", "delta"} if almost else set()
    if len(positional) < arity or len(positional) > arity + almost or set(keywords) - allowed:
        raise NotLiftable(f"arguments of {name}")
    if message is not None and any(isinstance(part, ast.Call) for part in ast.walk(message)):
        raise NotLiftable("a message that calls")
    return positional, keywords


def _is_singleton(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and (node.value is None or isinstance(node.value, bool))


def _exception_types(node: ast.expr) -> tuple[type[BaseException], ...]:
    nodes = node.elts if isinstance(node, ast.Tuple) else [node]
    kinds = [getattr(builtins, item.id, None) if isinstance(item, ast.Name) else None for item in nodes]
    if not kinds or not all(isinstance(kind, type) and issubclass(kind, BaseException) for kind in kinds):
        raise NotLiftable("an exception of its own")
    return tuple(kind for kind in kinds if kind is not None)


def _expects(kinds: tuple[type[BaseException], ...], action: Expression) -> Step:
    def check(evaluator: Evaluator) -> None:
        try:
            action(evaluator)
        except Raised as raised:
            if issubclass(raised.kind, kinds):
                return
            raise
        raise Failed

    return check


def _lift_raises_call(node: ast.Call, scope: Scope) -> Step:
    if len(node.args) < 2 or not (isinstance(node.args[1], ast.Name) and node.args[1].id == scope.entry_point):
        raise NotLiftable("assertRaises of something else")
    kinds = _exception_types(node.args[0])
    index = scope.call(node.args[2:], node.keywords)
    return _expects(kinds, lambda evaluator: evaluator.value_of(index))


def _lift_with(node: ast.With, scope: Scope) -> Step:
    if len(node.items) != 1 or node.items[0].optional_vars is not None or len(node.body) != 1:
        raise NotLiftable("with")
    manager, statement = node.items[0].context_expr, node.body[0]
    if not isinstance(manager, ast.Call) or _self_method(manager.func) != "assertRaises":
        raise NotLiftable("with")
    if len(manager.args) != 1 or manager.keywords or not isinstance(statement, (ast.Expr, ast.Assign)):
        raise NotLiftable("with")
    if isinstance(statement, ast.Assign) and not all(isinstance(target, ast.Name) for target in statement.targets):
        raise NotLiftable("unpacking")
    call = statement.value
    if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == scope.entry_point):
        raise NotLiftable("an exception of something else")
    return _expects(_exception_types(manager.args[0]), scope.lift(call))


def verdict_letter(lifted: Lifted, value_of: Callable[[int], Any]) -> str:
    """Judge one lifted test by the outcomes of its calls.

    Args:
        value_of: gives call k's value; raises :class:`Raised` or :class:`Stopped`. Only calls that the test reaches
            are asked for: ``f(1) == 2 and f(2) == 3`` stops at the first that does not hold.
    """
    letters: list[str] = []
    reached: set[int] = set()

    def noted(index: int) -> Any:
        reached.add(index)
        return value_of(index)

    try:
        for method in lifted.methods:
            letters.append(_run(method.steps, Evaluator(noted)))
            if not lifted.is_case:
                break
    except Stopped as stopped:
        return stopped.letter
    return next((letter for letter in "FRE" if letter in letters), "P" if reached else "I")


def _run(steps: Sequence[Step], evaluator: Evaluator) -> str:
    try:
        for step in steps:
            step(evaluator)
    except Failed:
        return "F"
    except Raised as raised:
        if issubclass(raised.kind, AssertionError):
            return "F"
        return "R" if issubclass(raised.kind, MemoryError) else "E"
    except Stopped:
        raise
    except MemoryError:
        return "R"
    except Exception:  # noqa: BLE001 - an expectation that cannot be computed on this output is an error of the test
        return "E"
    return "P"
