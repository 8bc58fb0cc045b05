"""A call that can never end is ended early; one that only looks like it is left to run."""

from __future__ import annotations

import copy
import math
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from endless_programs import ENDLESS, HONEST, LEFT_TO_THE_HOST, source_of
from hypothesis import given, settings
from hypothesis import strategies as st

import executor as executor_package
from executor import Call, CallJob, CellJob, Executor, Limits, Verdict, open_executor
from executor.inside.endless import _Untold, _Words
from executor.purity import look_at

LIMITS = Limits(cpu_s=600.0, wall_s=1200.0)
"""So large that a test which has to wait for them fails."""


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


LEAVES_A_COPY = """
    def f(x):
        big, i = bytes(150 << 20), 0
        while i < 3_000_000:
            i += 1
        big = None
        return len(bytes(150 << 20))
    """
LEAVES_A_FRAME = """
    def g(x):
        big, i = bytes(150 << 20), 0
        while i < 3_000_000:
            i += 1
    def f(x):
        g(x)
        g(x)
        return len(bytes(150 << 20))
    """


@pytest.mark.parametrize("text", [LEAVES_A_COPY, LEAVES_A_FRAME])
def test_what_a_look_finds_is_not_kept(text: str) -> None:
    """Neither by the copy of its variables that Python leaves with a function, nor by ours."""
    source = source_of(text)
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
