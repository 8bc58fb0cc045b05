"""A lifted test has the time of a test, not of each of its calls, and gets the verdict that it gets as a program."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from one_box import ask, load, opened_box

from executor import CellJob, Executor, Limits, PassMatrix, open_executor

LIMIT_S = 0.5
LIMITS = Limits(cpu_s=LIMIT_S, wall_s=10.0, max_timeouts=None, patience=1.0)
AS_A_PROGRAM = "\nfor _ in ():\n    pass\n"
SLOW = """
def f(x):
    count = 0
    while count < {} * 10 ** 6:
        count += 1
    return {}
"""
"""Some 20 ms for each million on a fast machine, 100 on a slow one."""
STATEFUL = "SEEN = []\n"


@pytest.fixture(scope="module")
def executor() -> Iterator[Executor]:
    with open_executor(workers=1, limits=LIMITS) as opened:
        yield opened


@pytest.fixture(scope="module")
def slow() -> str:
    """The body of a function that takes about a third of the limit."""
    each = min(_a_million() for _ in range(5))
    return SLOW.replace("{}", f"{LIMIT_S / 3 / each:.3f}", 1).replace("10 ** 6:", "10 ** 6 and x >= 0:")


def _a_million() -> float:
    count, began = 0, time.process_time()
    while count < 10**6:
        count += 1
    return time.process_time() - began


def run(executor: Executor, source: str, *tests: str) -> PassMatrix:
    job = CellJob(job_id="job", entry_point="f", solutions=(source,), tests=tests)
    (matrix,) = executor.run([job])
    return matrix


def asserts(*numbers: int) -> str:
    return "\n".join(f"assert f({number}) == {number}" for number in numbers)


def both(executor: Executor, source: str, test: str) -> str:
    """Letters of a test that can be lifted, and of the same as a program."""
    return run(executor, source, test, test + AS_A_PROGRAM).rows()[0]


@pytest.mark.parametrize("start", ["", STATEFUL])
def test_calls_that_take_too_long_together_are_a_timeout(executor: Executor, slow: str, start: str) -> None:
    assert both(executor, start + slow.replace("{}", "x"), asserts(*range(12))) == "TT"


@pytest.mark.parametrize("start", ["", STATEFUL])
def test_a_test_that_fails_before_its_time_is_used_up_fails(executor: Executor, slow: str, start: str) -> None:
    assert both(executor, start + slow.replace("{}", "x if x else 1"), asserts(*range(12))) == "FF"


def test_methods_after_a_failure_have_what_is_left(executor: Executor, slow: str) -> None:
    """Of the first method only one call is made, so there is time for the second."""
    lines = "\n        ".join(f"self.assertEqual(f({number}), {number})" for number in range(12))
    test = f"""
import unittest

class TestF(unittest.TestCase):
    def test_a(self):
        {lines}

    def test_b(self):
        self.assertEqual(f(-1), -1)
"""
    assert both(executor, slow.replace("{}", "x if x else 1"), test) == "FF"
    assert both(executor, slow.replace("{}", "x"), test) == "TT"


def test_tests_that_get_by_on_their_time_pass_however_long_all_of_them_take(executor: Executor, slow: str) -> None:
    tests = [asserts(number) for number in range(8)]
    assert run(executor, slow.replace("{}", "x"), *tests).rows() == ["PPPPPPPP"]


def test_a_verdict_does_not_wait_for_calls_that_change_nothing(executor: Executor, slow: str) -> None:
    began = time.monotonic()
    assert run(executor, slow.replace("{}", "x"), asserts(*range(100))).rows() == ["T"]
    assert time.monotonic() - began < 20 * LIMIT_S  # 33 of them, if all calls were made


def test_tests_that_take_too_long_count_as_timeouts(slow: str) -> None:
    limits = Limits(cpu_s=LIMIT_S, wall_s=10.0, max_timeouts=2, patience=1.0)
    tests = [asserts(*range(12 * number, 12 * number + 12)) for number in range(5)]
    with open_executor(workers=1, limits=limits) as executor:
        matrix = run(executor, slow.replace("{}", "x"), *tests)
    assert matrix.rows() == ["TTTTT"]
    assert matrix.stats.assumed == 3


def test_a_slow_call_costs_no_fast_one_its_verdict(executor: Executor, slow: str) -> None:
    """Answers that are read together share their time, so that it does not decide."""
    source = slow.replace("{}", "x").replace("x >= 0", "x != 200")
    repeated = "\n".join(["assert f(200) == 200"] * 12)
    assert run(executor, source, asserts(100), repeated, asserts(300), asserts(400)).rows() == ["PPPP"]


@pytest.mark.parametrize("start", ["", STATEFUL])
def test_a_test_with_many_calls_that_loop_waits_for_one_and_counts_once(start: str) -> None:
    source = f"{start}def f(x):\n    count = 0\n    while x > 10:\n        count += 1\n    return x\n"
    limits = Limits(cpu_s=LIMIT_S, wall_s=10.0, max_timeouts=2, patience=1.0)
    with open_executor(workers=1, limits=limits) as executor:
        began = time.monotonic()
        matrix = run(executor, source, asserts(11, 12, 13, 14, 15, 16, 17, 18), asserts(1, 2, 3))
    assert matrix.rows() == ["TP"]
    assert matrix.stats.lifted == 2
    assert time.monotonic() - began < 6 * LIMIT_S


@pytest.mark.parametrize(
    ("test", "letter"),
    [
        ("assert f(1) == 1 or f(11) == 11\nassert f(3) == 3", "P"),
        ("assert f(12) if f(1) == 2 else True\nassert f(4) == 4", "P"),
        ("assert f(1) == 2 and f(13) == 1\nassert f(5) == 5", "F"),
        ("assert f(1) == 1 and f(14) == 1\nassert f(6) == 6", "T"),
        ("assert f(1) == 1 or f(15) == 15\nassert f(7) == 8", "F"),
    ],
)
def test_a_call_that_loops_and_is_not_reached_decides_nothing(executor: Executor, test: str, letter: str) -> None:
    source = "def f(x):\n    count = 0\n    while x > 10:\n        count += 1\n    return x\n"
    assert both(executor, source, test) == 2 * letter


def test_methods_end_at_a_call_that_loops(executor: Executor) -> None:
    source = "def f(x):\n    count = 0\n    while x > 10:\n        count += 1\n    return x\n"
    calls = "\n        ".join(f"self.assertEqual(f({number}), {number})" for number in range(9, 13))
    test = f"import unittest\n\nclass TestF(unittest.TestCase):\n    def test_a(self):\n        {calls}\n"
    test += f"\n    def test_b(self):\n        {calls}\n"
    assert both(executor, source, test) == "TT"


def test_a_script_that_failed_before_a_call_that_loops_has_failed(executor: Executor) -> None:
    source = "def f(x):\n    count = 0\n    while x > 10:\n        count += 1\n    return x\n"
    assert both(executor, source, "assert f(1) == 2\n" + asserts(11, 12, 13)) == "FF"
    assert both(executor, source, "assert f(11) == 11\nassert f(1) == 2") == "TT"


def test_loading_costs_no_call_its_verdict(executor: Executor, slow: str) -> None:
    source = slow.replace("{}", "x").replace("x >= 0", "x >= 100") + "\nf(100)\n"
    tests = [asserts(*range(1, 41)), asserts(*range(100, 112)), asserts(*range(41, 81))]
    assert run(executor, source, *tests).rows() == ["PTP"]


def test_a_timeout_of_loading_under_less_time_is_not_remembered_for_other_tests(tmp_path: Path, slow: str) -> None:
    loops = slow.replace("{}", "x").replace("x >= 0", "x >= 100 or x == 5")
    source = loops + "\nf(100)\n"  # about half of the limit, of which a quarter is left after a timeout
    tests = [asserts(number) for number in (5, *range(10, 16))]
    limits = Limits(cpu_s=LIMIT_S, wall_s=10.0, patience=0.25)
    with open_executor(workers=1, limits=limits, cache=tmp_path) as executor:
        assert run(executor, source, *tests).rows() == ["TTTTTTT"]
        assert run(executor, source, *tests[1:]).rows() == ["PPPPPP"]


def test_a_box_ends_a_child_whose_answers_come_in_time_and_too_late_together(slow: str) -> None:
    with opened_box(LIMITS) as box:
        replies = load(box, slow.replace("{}", "x"), *range(8), most_cpu_s=LIMIT_S)
        assert replies.end == "slow"
        assert 1 <= len(replies.frames) < 9
        replies = load(box, slow.replace("{}", "x"), -1)
        assert replies.end == "alive"
        assert ask(box, -2, -3, most_cpu_s=LIMIT_S).end == "alive"
        assert ask(box, *range(8), most_cpu_s=LIMIT_S).end == "slow"


def test_a_call_that_takes_all_of_its_own_time_is_to_blame_for_that() -> None:
    with opened_box(LIMITS) as box:
        replies = load(box, "def f(x):\n    while x:\n        pass\n", 0, 1, most_cpu_s=LIMIT_S)
        assert (replies.end, len(replies.frames)) == ("cpu", 2)


def test_a_call_that_loops_is_to_blame_also_after_others(executor: Executor) -> None:
    """It is waited for once: it is not taken for one of many that are too slow together, and made again."""
    loops = """
def f(x):
    count = 0
    while count < 10 ** 5 or x == 5:
        count += 1
    return x
"""
    run(executor, loops, "assert f(0) == 0")  # the box is warm
    seconds = []
    for _ in range(3):
        began = time.monotonic()
        matrix = run(executor, loops, *[asserts(number) for number in range(10)])
        seconds.append(time.monotonic() - began)
        assert matrix.rows() == ["PPPPPTPPPP"]
    assert min(seconds) < 1.8 * LIMIT_S
