"""A call that can never end is ended early; one that only looks like it is left to run."""

from __future__ import annotations

import copy
import math
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import executor as executor_package
from executor import Call, CallJob, CellJob, Executor, Limits, Verdict, open_executor
from executor.inside.endless import _Untold, _Words
from executor.purity import look_at

LIMITS = Limits(cpu_s=600.0, wall_s=1200.0)
"""So large that a test which has to wait for them fails."""

ENDLESS = {
    "nothing changes": """
        def f(x):
            while x != 1:
                pass
        """,
    "no condition": """
        def f(x):
            while True:
                x = 3
        """,
    "a fixed point of a float": """
        def f(x):
            while x % 2 == 0:
                x /= 2
                x = x * 1.0 if x else 0.0
                x = 0.0
        """,
    "round and round": """
        def f(x):
            while x >= 0:
                x = (x + 1) % 7
        """,
    "lists made anew": """
        def f(x):
            rest = [3, 1, 2]
            while rest:
                found = []
                for i in range(len(rest)):
                    found.append(rest[i])
                rest = sorted(found)
        """,
    "loops in loops": """
        def f(x):
            i = 0
            while i < 3:
                j = 0
                while j < 3:
                    j += 1
                if j == 3:
                    i = 0
        """,
    "a helper in the loop": """
        def step(x):
            i = 0
            while i < 20:
                i += 1
            return i - 20
        def f(x):
            x = 0
            while x == 0:
                x = step(x)
        """,
    "a closure that changes nothing": """
        def f(x):
            data = {"a": [1, 2]}
            def peek():
                return data["a"][0]
            while peek():
                data["b"] = (x, None, True, 1j, b"x", range(3))
        """,
    "an inner function": """
        def f(x):
            def loop(y):
                while y:
                    y = y + 0
            return loop(x)
        """,
}
HONEST = {
    "an iterator around the loop": """
        def f(x):
            for _ in [1] * 2_000_000:
                i = 0
                while i < 3.0:
                    i += 1
            return "end"
        """,
    "an iterator in a variable": """
        def f(x):
            it = iter([1] * 8_000_000)
            while next(it, 0):
                y = 1
            return "end"
        """,
    "a generator": """
        def f(x):
            def count():
                i = 0
                while i < 3_000_000:
                    i += 1
                    yield 1
                yield 0
            numbers = count()
            while next(numbers):
                y = 1
            return "end"
        """,
    "a variable of a closure": """
        def f(x):
            count = 0
            def step():
                nonlocal count
                count += 1
                return count < 2_000_000
            def loop():
                while step():
                    pass
            loop()
            return "end"
        """,
    "the second of two closures": """
        def counter(n):
            def step():
                nonlocal n
                n -= 1
                return n
            return step
        def f(x):
            first = counter(10)
            second = counter(2_000_000)
            while second():
                y = 1
            return "end"
        """,
    "closures of one variable or of two": """
        def pair():
            n = 0
            def add(by):
                nonlocal n
                n += by
            def get():
                return n
            return add, get
        def shares(left, right):
            for k in range(len(left)):
                left[k](1)
                same = right[k]() == 1
                left[k](-1)
                if same:
                    right[k] = pair()[1]
                    return True
            return False
        def f(x):
            pairs = [pair() for _ in range(40)]
            left = [add for add, _ in pairs]
            right = [get for _, get in pairs]
            pairs = y = None
            while True:
                if not shares(left, right):
                    return "end"
                y = [0] * 4_000_000
                y = None
        """,
    "an instance of a class of modules": """
        import math
        def make():
            class Made(type(math)):
                left = [1] * 3_000_000
            return Made("made")
        def f(x):
            made = make()
            while made.left:
                made.left.pop()
            return "end"
        """,
    "an object that says it is a module": """
        import math
        def make():
            class Made(list):
                @property
                def __class__(self):
                    return type(math)
            return Made([1] * 3_000_000)
        def f(x):
            made = make()
            while made:
                made.pop()
            return "end"
        """,
    "a class that says it is Python's own": """
        def f(x):
            made = type("Made", (), {"__module__": "builtins", "left": [1] * 3_000_000})
            while made.left:
                made.left.pop()
            return "end"
        """,
    "a default that is shared": """
        def f(x):
            seen = [0]
            def step(seen=seen):
                seen[0] += 1
                return seen[0] < 2_000_000
            def loop(step):
                while step():
                    pass
            loop(step)
            return "end"
        """,
    "a method of a list": """
        def f(x):
            def loop(pop):
                while pop():
                    y = 1
            loop(([0] + [1] * 8_000_000).pop)
            return "end"
        """,
    "an object": """
        class Counter:
            def __init__(self, items):
                self.items = items
            def step(self):
                return self.items.pop()
        def f(x):
            counter = Counter([0] + [1] * 2_000_000)
            while counter.step():
                y = 1
            return "end"
        """,
    "a set": """
        def f(x):
            left = set(range(4_000_000))
            while left:
                left.pop()
            return "end"
        """,
    "a jump back out of an except": """
        def f(x):
            n = 0
            for x in [1] * 2_000_000:
                try:
                    {}["a"]
                except KeyError:
                    pass
                y = 1
            return "end"
        """,
    "a jump back in a long loop": "def f(x):\n    for x in [1] * 300_000:\n"
    + "".join(f"        a{i} = x\n" for i in range(200))
    + "    return 'end'\n",
    "a long loop of whom nothing is said": "def f(x):\n    while x:\n        for x in [1] * 300_000:\n"
    + "".join(f"            a{i} = x\n" for i in range(200))
    + "        return 'end'\n",
    "a comprehension": """
        def f(x):
            while x:
                x = [1 for _ in [1] * 9_000_000][0] - 1
            return "end"
        """,
    "one list or two": """
        def f(x):
            a, b, n = [0], [0], 0
            while n < 3_000_000:
                n += 1
            i = 0
            while a == b and i < 2:
                i += 1
                a = b
                b.append(1)
            return "end"
        """,
    "the same by value, not by identity": """
        def f(x):
            a = [1]
            b = a
            i = 0
            while i < 4_000_000:
                i += 1
            while b is a:
                b = [1]
            return "end"
        """,
    "a state that comes back in another call": """
        def g(x):
            i = 0
            while i < 2.0:
                i += 1
            return i
        def f(x):
            total = 0
            while total < 4_000_000:
                total += g(x)
            return "end"
        """,
    "a class in the making": """
        def f(x):
            class Made:
                i = 0
                while i < 2_000_000:
                    i += 1
            return "end" if Made.i == 2_000_000 else Made.i
        """,
    "deep recursion": """
        def g(n):
            return 0 if n == 0 else 1 + g(n - 1)
        def f(x):
            i = 0
            while i < 3_000:
                i += g(500) // 500
            return "end"
        """,
}
LEFT_TO_THE_HOST = "an iterator around the loop"
"""The watch by itself would err."""


def source_of(text: str) -> str:
    return textwrap.dedent(text)


@pytest.fixture(scope="module")
def executor() -> Iterator[Executor]:
    with open_executor(workers=1, limits=LIMITS) as opened:
        yield opened


@pytest.mark.parametrize("name", ENDLESS)
def test_an_endless_call_is_a_timeout_long_before_its_limit(executor: Executor, name: str) -> None:
    source = source_of(ENDLESS[name])
    assert look_at(source).watchable
    (outputs,) = executor.call([CallJob(job_id=name, entry_point="f", solutions=(source,), calls=(Call((4,)),))])
    ((outcome,),) = outputs.outcomes
    assert (outcome.kind, outcome.verdict) == ("stopped", Verdict.TIMEOUT)


@pytest.mark.parametrize("name", HONEST)
def test_a_call_that_ends_is_let_run_to_its_end(executor: Executor, name: str) -> None:
    source = source_of(HONEST[name])
    (outputs,) = executor.call([CallJob(job_id=name, entry_point="f", solutions=(source,), calls=(Call((4,)),))])
    ((outcome,),) = outputs.outcomes
    assert (outcome.kind, outcome.value) == ("value", "end")
    assert outcome.cpu_s >= 0.05, "too quick to have been looked at"


def test_calls_after_a_slow_one_are_looked_at_anew(executor: Executor) -> None:
    slow = source_of("""
        def f(x):
            i = 0
            while i < 1_500_000:
                i += 1
            return x
        """)
    calls = tuple(Call((number,)) for number in range(8))
    (outputs,) = executor.call([CallJob(job_id="slow", entry_point="f", solutions=(slow,), calls=calls)])
    assert [outcome.value for outcome in outputs.outcomes[0]] == list(range(8))


def test_a_test_that_is_a_program_ends_with_its_endless_call_too(executor: Executor) -> None:
    source = source_of(ENDLESS["round and round"])
    test = "import unittest\nclass T(unittest.TestCase):\n    def test(self):\n        for i in (1, 2):\n            f(i)\n"
    (matrix,) = executor.run([CellJob(job_id="p", entry_point="f", solutions=(source,), tests=(test,))])
    assert (matrix.rows(), matrix.stats.split) == (["T"], 1)


def test_what_a_look_finds_is_not_kept() -> None:
    """Neither by the copy of its variables that Python leaves with a function, nor by ours."""
    source = source_of("""
        def f(x):
            big, i = bytes(150 << 20), 0
            while i < 3_000_000:
                i += 1
            big = None
            return len(bytes(150 << 20))
        """)
    with open_executor(workers=1, limits=Limits(cpu_s=60.0, wall_s=600.0, memory_mb=300)) as executor:
        (outputs,) = executor.call([CallJob(job_id="m", entry_point="f", solutions=(source,), calls=(Call((1,)),))])
    assert look_at(source).watchable
    assert outputs.outcomes[0][0].value == 150 << 20


def test_a_function_that_was_looked_at_leaves_nothing_behind() -> None:
    source = source_of("""
        def g(x):
            big, i = bytes(150 << 20), 0
            while i < 3_000_000:
                i += 1
        def f(x):
            g(x)
            g(x)
            return len(bytes(150 << 20))
        """)
    with open_executor(workers=1, limits=Limits(cpu_s=60.0, wall_s=600.0, memory_mb=300)) as executor:
        (outputs,) = executor.call([CallJob(job_id="m", entry_point="f", solutions=(source,), calls=(Call((1,)),))])
    assert look_at(source).watchable
    assert outputs.outcomes[0][0].value == 150 << 20


def test_what_a_value_says_of_itself_counts_for_nothing() -> None:
    class Meta(type):
        def __eq__(cls, other: object) -> bool:
            return True

        def __hash__(cls) -> int:
            return 1

    class Function(list[int], metaclass=Meta):
        __closure__ = __code__ = __defaults__ = __kwdefaults__ = None

    class Module:
        __class__ = type(math)  # type: ignore[assignment]

    class ModuleToo(type(math)):  # type: ignore[misc]
        pass

    values: tuple[object, ...] = (Function([1]), Module(), ModuleToo("a"), type("Own", (), {"__module__": "builtins"}))
    for value in values:
        with pytest.raises(_Untold):
            described(value)


HIDING = {
    "try": "def f(x):\n    try:\n        pass\n    except E:\n        pass\n    while x: pass\n",
    "with": "def f(x):\n    with x:\n        pass\n    while x: pass\n",
    "for": "def f(x):\n    for _ in x:\n        while x: pass\n",
    "is": "def f(x):\n    while x is not y: pass\n",
    "id": "def f(x):\n    while id(x): pass\n",
    "locals": "def f(x):\n    d = locals()\n    while x: pass\n",
    "a dunder": "def f(x):\n    while x.__sizeof__(): pass\n",
    "state": "def f(x):\n    global n\n    while x: pass\n",
    "chance": "import random\ndef f(x):\n    while x: pass\n",
    "the clock": "import time\ndef f(x):\n    while x: pass\n",
    "match": "def f(x):\n    match x:\n        case 1:\n            pass\n    while x: pass\n",
    "a generator": "def f(x):\n    while x: yield 1\n",
    "a name of a name": "def f(x):\n    while getattr(f, x): pass\n",
    "an address": "def f(x):\n    while hash(x): pass\n",
    "identity by a function": "from operator import is_ as same\ndef f(x):\n    while same(x, 1): pass\n",
    "a name that is set by a function": "import functools\ndef f(x):\n    functools.update_wrapper(f, x)\n    while x: pass\n",
    "a registry": "from collections.abc import Sized\ndef f(x):\n    while Sized.register(x): pass\n",
    "a count of registrations": "import abc\ndef f(x):\n    while x: pass\n",
    "samples": "from statistics import NormalDist\ndef f(x):\n    while x: pass\n",
    "settings and the clock": "import numpy as np\ndef f(x):\n    while np.datetime64('now') < x: pass\n",
    "a list of a module": "from heapq import __all__ as seen\ndef f(x):\n    while x: pass\n",
    "a table of a module": "import copy\ndef f(x):\n    while copy.dispatch_table: pass\n",
    "a module of a module": "import re\ndef f(x):\n    while re.enum.sys: pass\n",
    "a finalizer": "def f(x):\n    class A:\n        def __del__(self): x.pop()\n    while x: pass\n",
    "a class that is called into being": "def f(x):\n    while type('A', (), {'__len__': x})(): pass\n",
    "a thing of the type of a thing": "def f(x):\n    g = type(f)(x, {})\n    while g(): pass\n",
    "what a star brings": "from functools import *\ndef f(x):\n    update_wrapper(f, x)\n    while x: pass\n",
    "the builtins themselves": "def f(x):\n    while __builtins__['id'](x): pass\n",
    "a class": "class A:\n    def f(self):\n        while self.x: pass\n",
    "code": "def f(x):\n    while compile(x, '', 'eval'): pass\n",
}


@pytest.mark.parametrize("name", HIDING)
def test_a_source_that_may_hide_state_is_not_watched(name: str) -> None:
    assert not look_at(HIDING[name]).watchable


@pytest.mark.parametrize(
    "source",
    [
        "from math import *\nfrom typing import List\ndef f(x: List[int]) -> int:\n    while sqrt(x) > e: pass\n",
        "import collections, re\ndef f(x):\n    while collections.deque(re.split('a', x)): pass\n",
        "def f(x):\n    g = lambda y: [str(z).upper() for z in y]\n    while g(x): pass\n",
        "def f(x):\n    while is_prime(x): pass\n",
    ],
)
def test_a_source_of_ordinary_functions_is_watched(source: str) -> None:
    assert look_at(source).watchable


def test_a_comparison_with_none_hides_nothing() -> None:
    assert look_at("def f(x):\n    while x is not None: pass\n").watchable
    assert not look_at("def f(x):\n    while None is x is y: pass\n").watchable


PLAIN = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=4), st.binary(max_size=4)
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(st.text(max_size=3), inner, max_size=4),
    ),
    max_leaves=12,
)


def described(*values: object) -> str:
    words = _Words()
    for value in values:
        words.describe(value)
    return "".join(words.all)


def same(a: object, b: object) -> bool:
    """Equal in content, types, order and the sign of zero."""
    if type(a) is not type(b):
        return False
    if isinstance(a, float) and isinstance(b, float):
        return a == b and math.copysign(1, a) == math.copysign(1, b)
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return same(list(a.items()), list(b.items()))
    return a == b


@settings(max_examples=500, deadline=None)
@given(PLAIN, PLAIN)
def test_descriptions_are_equal_for_equal_values_alone(a: object, b: object) -> None:
    assert described(a) == described(copy.deepcopy(a))
    assert (described(a) == described(b)) == same(a, b)


def test_a_description_tells_one_list_from_two() -> None:
    one: list[int] = []
    assert described([one, one]) != described([[], []])
    assert described(one, one) != described([], [])


def test_a_list_that_holds_itself_can_be_described() -> None:
    endless: list[object] = []
    endless.append(endless)
    assert described(endless) == "[1:&0;"


@pytest.mark.parametrize(
    "value",
    [
        math.nan,
        {1, 2},
        frozenset(),
        iter([]),
        (i for i in ()),
        object(),
        [].append,
        1 << 5000,
        [0] * 600,
        "x" * 6000,
        ["x" * 4000] * 6,
    ],
)
def test_what_cannot_be_told_is_not_described(value: object) -> None:
    with pytest.raises(_Untold):
        described(value)


PROBE = """
import signal
import sys
sys.path.insert(0, {root!r})
from inside.endless import Watch
namespace = {{}}
exec(compile({source!r}, "<solution>", "exec"), namespace)
watch = Watch("<solution>")
watch.calls = 1
watch.start()
print(namespace["f"](4))
signal.setitimer(signal.ITIMER_VIRTUAL, 0)  # as it ends, Python leaves signals to their defaults
"""


@pytest.mark.parametrize("name", [*ENDLESS, *(name for name in HONEST if name != LEFT_TO_THE_HOST)])
def test_the_watch_by_itself(name: str) -> None:
    """The same without a sandbox: with another interpreter on the path this is how it is tried there."""
    source = source_of((ENDLESS | HONEST)[name])
    code = PROBE.format(root=str(Path(executor_package.__file__).parent), source=source)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    if name in ENDLESS:
        assert done.returncode == -signal.SIGVTALRM
    else:
        assert (done.returncode, done.stdout) == (0, "end\n")
