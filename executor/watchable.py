"""Static look at a solution: does what its loops go by lie in the variables of its functions, and nowhere else? (pure)

Only such a solution is watched for loops that never end (:mod:`executor.inside.endless`): there the same variables at
the same place have to mean the same future. A list of what may stand in a source, not of what may not: who uses
anything else is left to the clock.
"""

from __future__ import annotations

import ast
import builtins
import string
from collections.abc import Iterator

__all__ = ["is_watchable"]

_BUILTINS = frozenset(
    """
    abs all any ascii bin bool bytes chr complex dict divmod enumerate filter float format frozenset hex int isinstance
    iter len list map max min next oct ord pow print range repr reversed round set slice sorted str sum tuple zip
    Exception AssertionError IndexError KeyError TypeError ValueError ZeroDivisionError NotImplementedError
    """.split()
)
"""Those that keep no state and tell no address; ``Exception`` and the like, to be raised."""
_KINDS = (bool, bytes, complex, dict, float, frozenset, int, list, range, set, str, tuple)
_OF_KINDS = frozenset(name for kind in _KINDS for name in dir(kind) if not name.startswith("_"))
_MODULES: dict[str, frozenset[str]] = {
    module: frozenset(names.split())
    for module, names in {
        "__future__": "annotations division print_function",
        "bisect": "bisect bisect_left bisect_right insort insort_left insort_right",
        "cmath": "exp log phase pi polar rect sqrt",
        "collections": "Counter OrderedDict defaultdict deque",
        "copy": "copy deepcopy",
        "fractions": "Fraction",
        "functools": "cmp_to_key partial reduce",
        "heapq": "heapify heappop heappush heappushpop heapreplace merge nlargest nsmallest",
        "itertools": "accumulate chain combinations combinations_with_replacement compress count cycle dropwhile "
        "filterfalse groupby islice pairwise permutations product repeat starmap takewhile tee zip_longest "
        "from_iterable",
        "math": "acos asin atan atan2 ceil comb copysign cos degrees dist e exp fabs factorial floor fmod frexp fsum "
        "gcd hypot inf isclose isfinite isinf isnan isqrt lcm ldexp log log10 log2 modf perm pi pow prod "
        "radians sin sqrt tan tau trunc",
        "operator": "add and_ concat contains eq floordiv ge getitem gt itemgetter le lt mod mul ne neg not_ or_ "
        "pos pow sub truediv truth xor",
        "re": "compile escape findall finditer fullmatch match search split sub subn end group groups span start "
        "I IGNORECASE M MULTILINE S DOTALL",
        "string": " ".join(name for name in dir(string) if name.islower() and not name.startswith("_")),
        "typing": "Any Callable Deque DefaultDict Dict FrozenSet Generator Iterable Iterator List Mapping Optional "
        "Sequence Set Text Tuple Union",
    }.items()
}
"""What may be taken of which module, and of what that makes. Not for what it keeps: it stands in a variable, and what
is no plain data there is told from what is when the variable is looked at."""
_OF_MODULES = frozenset(name for names in _MODULES.values() for name in names)
_STATEMENTS = (
    ast.FunctionDef, ast.Return, ast.Delete, ast.Assign, ast.AugAssign, ast.AnnAssign, ast.For, ast.While, ast.If,
    ast.Raise, ast.Assert, ast.Import, ast.ImportFrom, ast.Nonlocal, ast.Expr, ast.Pass, ast.Break, ast.Continue,
)  # fmt: skip
"""Not ``try``, ``with`` and ``match``, which the interpreter's stack knows more of than the variables, nor classes,
whose instances are out of sight."""
_NEVER = (ast.Yield, ast.YieldFrom, ast.Await)


def is_watchable(nodes: list[ast.AST]) -> bool:
    """Tell whether a state that comes back at a ``while`` loop of this program shows that the loop never ends.

    ``nodes``: all of its tree.
    """
    if not any(isinstance(node, ast.While) for node in nodes):
        return False
    unknown = set(_unknown(nodes))
    return all(_is_open(node, unknown) for node in nodes)


def _unknown(nodes: list[ast.AST]) -> Iterator[str]:
    """Names that ``import *`` may have brought, beside those that may be taken."""
    if not any(isinstance(node, ast.alias) and node.name == "*" for node in nodes):
        return
    open_names = {name for names in _MODULES.values() for name in names} | _BUILTINS
    own = {node.name for node in nodes if isinstance(node, ast.FunctionDef)}
    own |= {node.arg for node in nodes if isinstance(node, ast.arg)}
    own |= {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    for node in nodes:
        if isinstance(node, ast.Name) and node.id not in open_names | own:
            yield node.id


def _is_open(node: ast.AST, unknown: set[str]) -> bool:
    """Whether a node, but for its parts, hides nothing."""
    if isinstance(node, ast.stmt):
        return isinstance(node, _STATEMENTS) and _is_open_statement(node)
    if isinstance(node, ast.Compare):
        identity = any(isinstance(operator, (ast.Is, ast.IsNot)) for operator in node.ops)
        none = any(isinstance(side, ast.Constant) and side.value is None for side in (node.left, *node.comparators))
        return not identity or (none and len(node.ops) == 1)
    if isinstance(node, ast.Name):
        # A name that nobody binds is an error, not a way to something.
        closed = hasattr(builtins, node.id) or node.id.startswith("__") or node.id in unknown
        return node.id in _BUILTINS or not closed
    if isinstance(node, ast.Attribute):
        return node.attr in _OF_KINDS or node.attr in _OF_MODULES
    if isinstance(node, ast.comprehension):
        return not node.is_async
    return not isinstance(node, _NEVER)


def _is_open_statement(node: ast.stmt) -> bool:
    if isinstance(node, ast.For):
        # The place of its iterator in the data is on the interpreter's stack.
        return not any(isinstance(part, ast.While) for part in ast.walk(node))
    if isinstance(node, ast.FunctionDef):
        return not node.decorator_list and not node.name.startswith("__")
    if isinstance(node, ast.Import):
        return all(alias.name in _MODULES for alias in node.names)
    if isinstance(node, ast.ImportFrom):
        names = _MODULES.get(node.module or "")
        return names is not None and all(alias.name in names or alias.name == "*" for alias in node.names)
    return True
