"""Which tests become call tables, and what their verdicts are."""

from __future__ import annotations

from typing import Any

import pytest

from executor.expressions import Raised, Stopped
from executor.lift import Lifted, Program, Vacuous, plan_test, verdict_letter


def judged(test: str, *values: Any) -> str:
    """Verdict of a lifted test whose k-th call returns, or raises, the k-th value."""
    plan = plan_test(test, "f")
    assert isinstance(plan, Lifted), plan

    def value_of(index: int) -> Any:
        value = values[index]
        if isinstance(value, (Raised, Stopped)):
            raise value
        return value

    return verdict_letter(plan, value_of)


def case(*lines: str) -> str:
    body = "\n".join(f"        {line}" for line in lines)
    return f"import unittest\n\nclass T(unittest.TestCase):\n    def test_it(self):\n{body}\n"


@pytest.mark.parametrize(
    ("test", "value", "letter"),
    [
        ("assert f(1) == 2", 2, "P"),
        ("assert f(1) == 2", 3, "F"),
        ("assert f(1) == 2, 'message'", 3, "F"),
        ("assert 2 == f(1)", 2, "P"),
        ("assert f(1) != 2", 3, "P"),
        ("assert not f(1)", [], "P"),
        ("assert f(1)", 0, "F"),
        ("assert f(1) is None", None, "P"),
        ("assert f(1) is True", 1, "F"),
        ("assert f([1, 2], k=(3,)) == {'a': [1]}", {"a": [1]}, "P"),
        ("assert abs(f(1) - 0.3) < 1e-6", 0.1 + 0.2, "P"),
        ("assert sorted(f(1)) == [1, 2]", [2, 1], "P"),
        ("assert set(f(1)) == {1, 2}", [2, 1, 1], "P"),
        ("assert len(f(1)) > 1 and f(1)[0] == 'a'", "ab", "P"),
        ("assert isinstance(f(1), (int, float))", 1.5, "P"),
        ("assert f(1) > 3", None, "E"),
        ("assert 1 < f(1) < 3", 2, "P"),
        ("assert f(1) in [1, 2]", 2, "P"),
        ("assert math.isclose(f(1), 0.3)", 0.1 + 0.2, "P"),
        ("assert f(float('inf')) == math.inf", float("inf"), "P"),
        ("r = f(1)\nassert r == 2\nassert r < 3", 2, "P"),
        ("x = [1]\nassert f(x) == 2", 2, "P"),
        ("assert f(2 ** 10) == 10 * 2", 20, "P"),
        ("f(1)", 2, "P"),
    ],
)
def test_a_bare_assert_is_judged_by_the_outcome_of_its_call(test: str, value: Any, letter: str) -> None:
    calls = len(plan_test(test, "f").calls)  # type: ignore[union-attr]
    assert judged(test, *[value] * calls) == letter


@pytest.mark.parametrize(
    ("line", "value", "letter"),
    [
        ("self.assertEqual(f(1), 2)", 2, "P"),
        ("self.assertEqual(f(1), 2, 'message')", 3, "F"),
        ("self.assertEqual(f(1), 2, msg='message')", 3, "F"),
        ("self.assertTrue(f(1))", "x", "P"),
        ("self.assertFalse(f(1))", "x", "F"),
        ("self.assertIsNone(f(1))", None, "P"),
        ("self.assertAlmostEqual(f(1), 0.3)", 0.1 + 0.2, "P"),
        ("self.assertAlmostEqual(f(1), 0.3, places=2)", 0.3049, "P"),
        ("self.assertAlmostEqual(f(1), 0.3, delta=0.5)", 0.9, "F"),
        ("self.assertAlmostEqual(f(1), 0.3)", "x", "E"),
        ("self.assertCountEqual(f(1), [2, 1, [3]])", [[3], 1, 2], "P"),
        ("self.assertListEqual(f(1), [1])", (1,), "F"),
        ("self.assertSequenceEqual(f(1), [1])", (1,), "P"),
        ("self.assertIn(2, f(1))", [1, 2], "P"),
        ("self.assertIsInstance(f(1), list)", [1], "P"),
        ("self.assertGreater(f(1), 1)", 1, "F"),
        ("self.assertRaises(ValueError, f, 1)", Raised(ValueError), "P"),
        ("self.assertRaises(ValueError, f, 1)", Raised(TypeError), "E"),
        ("self.assertRaises((ValueError, TypeError), f, 1)", 1, "F"),
        ("with self.assertRaises(Exception):\n            f(1)", Raised(KeyError), "P"),
        ("self.assertEqual(f(1), 2)", Raised(AssertionError), "F"),
        ("self.assertEqual(f(1), 2)", Raised(MemoryError), "R"),
        ("self.assertEqual(f(1), 2)", Raised(SystemExit), "E"),
        ("self.assertEqual(f(1), 2)", Stopped("T"), "T"),
    ],
)
def test_an_assert_method_is_judged_as_unittest_does(line: str, value: Any, letter: str) -> None:
    assert judged(case(line), value) == letter


def test_every_method_of_a_class_counts_and_failures_come_before_errors() -> None:
    test = (
        "import unittest\nclass T(unittest.TestCase):\n"
        "    def test_a(self):\n        self.assertEqual(f(1), 1)\n"
        "    def test_b(self):\n        self.assertEqual(f(2), 2)\n"
    )
    assert judged(test, 1, 2) == "P"
    assert judged(test, Raised(ValueError), 3) == "F"
    assert judged(test, Raised(ValueError), 2) == "E"


def test_a_script_ends_at_its_first_failure() -> None:
    assert judged("assert f(1) == 1\nassert f(2) == 2", 5, Raised(ValueError)) == "F"


def test_a_call_that_is_never_reached_decides_nothing() -> None:
    assert judged("assert f(1) == 1 and f(2) == 2", 5, Stopped("T")) == "F"
    assert judged("assert True or f(1)", 5) == "I"


def test_equal_calls_have_equal_requests() -> None:
    plan = plan_test("assert f([1, 2], k=1) == 3\nassert f([1, 2], k=1) != 4", "f")
    assert isinstance(plan, Lifted)
    assert plan.calls[0] == plan.calls[1]


def test_a_name_only_the_solution_could_define_is_an_error_for_the_others() -> None:
    plan = plan_test("assert helper(3) == f(1)", "f")
    assert isinstance(plan, Lifted)
    assert plan.unbound == {"helper"}
    assert judged("assert helper(3) == f(1)", 3) == "E"


@pytest.mark.parametrize(
    "test",
    [
        "for i in range(3):\n    assert f(i) == i",
        "x = [3, 1]\nf(x)\nassert x == [1, 3]",
        "assert f(f(1)) == 3",
        "assert f(lambda x: x) == 3",
        "assert f(1).bit_length() == 3",
        "import os\nassert f(1) == 3",
        "def helper():\n    return 3\nassert f(1) == helper()",
        "assert f(10 ** 9 ** 9) == 1",
        "assert f(1) == 'a' * 10 ** 9",
        "assert f(*[1]) == 1",
        "assert f(1) is 'abc'",
        "assert f([[0] * 99999] * 99999) == 1",
        "x = [0] * 50000\nx = x + x\nx = x + x\nassert f(x) == 1",
        "x = [0] * 99999\nassert f([x, x, x]) == 1",
        "assert f('%1000000000d' % 5) == 1",
        case("with self.subTest(1):", "    self.assertEqual(f(1), 2)"),
        "import unittest\nclass T(unittest.TestCase):\n    def setUp(self):\n        self.x = 1\n"
        "    def test_a(self):\n        self.assertEqual(f(self.x), 2)\n",
        "int = str\nassert f(1) == int(1)",
    ],
)
def test_what_the_language_does_not_say_stays_a_program(test: str) -> None:
    assert isinstance(plan_test(test, "f"), Program)


@pytest.mark.parametrize(
    "test",
    [
        "assert True",
        "",
        "assert g(1) == 2",
        "assert f(1) ==",
        "# f(1)",
        "import unittest\nclass T(unittest.TestCase):\n    pass",
    ],
)
def test_a_test_that_never_calls_the_entry_point_tests_nothing(test: str) -> None:
    plan = plan_test(test, "f")
    assert isinstance(plan, Vacuous)


@pytest.mark.parametrize(
    "test", ["(" * 5000 + "f(1)" + ")" * 5000, "-" * 100_000 + "f(1)", "f(1)" + "+1" * 50_000, "f(1)\0", "f" * 10**6]
)
def test_hostile_source_is_planned_without_a_crash(test: str) -> None:
    assert isinstance(plan_test(test, "f"), (Program, Vacuous))


@pytest.mark.parametrize("name", ["patch", "redirect_stdout", "mock"])
def test_a_test_that_reaches_into_the_process_shares_it(name: str) -> None:
    plan = plan_test(f"with {name}('x'):\n    assert f(1) == 2", "f")
    assert isinstance(plan, Program)
    assert plan.same_process
