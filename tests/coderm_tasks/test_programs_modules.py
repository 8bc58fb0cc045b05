"""Methods of class Solution as functions, and the names that solutions may use without importing them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from coderm_tasks.model import GroundTruth, Problem
from coderm_tasks.programs import call_job, cell_job, judge_context, module_of
from coderm_tasks.programs.outputs import same_output
from executor import Call, CallJob, Limits, LocalExecutor, open_executor
from executor.purity import look_at

PROBLEM = Problem(
    task_id="own/2",
    dataset="livecodebench",
    prompt="Double it.",
    entry_point="double",
    truth=GroundTruth(),
    context=judge_context("method", "double"),
    form="method",
)
METHOD = "class Solution:\n    def double(self, x):\n        return 2 * x\n"


@pytest.fixture(scope="module")
def executor() -> Iterator[LocalExecutor]:
    with open_executor(workers=1, limits=Limits(wall_s=30)) as running:
        yield running


def values(executor: LocalExecutor, code: str, *args: Any) -> list[Any]:
    (outputs,) = executor.call([call_job(PROBLEM, [code], [Call((one,)) for one in args])])
    return [outcome.value if outcome.kind == "value" else outcome.error for outcome in outputs.outcomes[0]]


def verdicts(executor: LocalExecutor, code: str, tests: Sequence[str]) -> str:
    (matrix,) = executor.run([cell_job(PROBLEM, [code], tests)])
    assert not matrix.shared.any()
    return matrix.rows()[0]


@pytest.mark.parametrize(
    "code",
    [
        METHOD,
        "def double(x):\n    return 2 * x\n",
        "class Solution(object):\n    def twice(self, x):\n        return x + x\n    def double(self, x):\n        return self.twice(x)",
        "def double(x):\n    return 2 * x\n\nclass Solution:\n    def double(self, x):\n        return double(x)\n",
        "from __future__ import annotations\n" + METHOD.replace("self, x", "self, x: List[int]"),
        '"""Doubles."""\n' + METHOD.replace("2 * x", "reduce(add, [x, x])"),
        "class Solution:\n    @staticmethod\n    def double(x):\n        return 2 * x\n",
    ],
)
def test_a_method_or_a_bare_function_is_called_by_its_name(code: str, executor: LocalExecutor) -> None:
    assert values(executor, code, 3, 4) == [6, 8]


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("class Solution:\n    def other(self, x):\n        return x", "AttributeError"),
        ("def other(x):\n    return x", "NameError"),
        (
            "class Solution:\n    def __init__(self, n):\n        pass\n    def double(self, x):\n        return x",
            "TypeError",
        ),
    ],
)
def test_a_solution_without_the_method_fails_by_an_error_of_its_own(
    code: str, error: str, executor: LocalExecutor
) -> None:
    assert values(executor, code, 1) == [error]


def test_each_call_of_a_unit_test_gets_an_instance_of_its_own(executor: LocalExecutor) -> None:
    counting = "class Solution:\n    def __init__(self):\n        self.n = 0\n    def double(self, x):\n        self.n += 1\n        return self.n * x"
    assert verdicts(executor, counting, ["assert double(1) == 1 and double(1) == 1"]) == "P"
    shared = module_of(PROBLEM, counting, one_instance=True)
    twice = CallJob(job_id="q", entry_point="double", solutions=(shared,), calls=(Call((1,)),) * 2, in_order=True)
    (outputs,) = executor.call([twice])
    assert [outcome.value for outcome in outputs.outcomes[0]] == [1, 2]


@pytest.mark.parametrize(
    "test",
    [
        "assert double(2) == 4",
        "assert Solution().double(2) == 4",
        "s = Solution()\nassert s.double(2) == 4",
        "class T(unittest.TestCase):\n    def setUp(self):\n        self.s = Solution()\n    def test_a(self):\n        self.assertEqual(self.s.double(2), 4)",
    ],
)
def test_tests_may_call_the_function_or_make_a_solution(test: str, executor: LocalExecutor) -> None:
    assert verdicts(executor, METHOD, [test]) == "P"
    assert verdicts(executor, METHOD.replace("2 * x", "x"), [test]) == "F"


def test_a_method_without_state_is_lifted_in_one_process() -> None:
    assert look_at(module_of(PROBLEM, METHOD)).stateless
    assert not look_at(module_of(PROBLEM, METHOD.replace("return 2 * x", "self.x = x\n        return 2 * x"))).stateless


def test_solutions_that_differ_in_comments_are_one() -> None:
    other = module_of(PROBLEM, "# Doubles.\n" + METHOD)
    assert look_at(other).key == look_at(module_of(PROBLEM, METHOD)).key


def test_recursion_goes_as_deep_as_in_the_evaluator(executor: LocalExecutor) -> None:
    deep = "class Solution:\n    def double(self, x):\n        return 0 if x == 0 else 2 + self.double(x - 1)\n"
    assert values(executor, deep, 5000) == [10_000]


@pytest.mark.parametrize(
    ("code", "line"),
    [
        ("def double(x: List[int]): return x", "from typing import List"),
        ("def double(x): return gcd(x, 2)", "from math import gcd"),
        ("def double(x): return pow(x, 2)", ""),
        ("def double(x): return datetime.date(x)", "import datetime"),
        ("def double(x): return copy.copy(x)", "import copy"),
        ("def double(path): return path", ""),
        ("from heapq import heappush\ndef double(x): return heappush([], x)", ""),
        ("def double(x): return [index for index in x]", ""),
        ("gcd = 3\ndef double(x): return gcd", ""),
        ("def double(x):\n    def inner(): return x\n    return inner", ""),
        ("def double(x): return unknown(x)", ""),
    ],
)
def test_only_names_that_are_used_and_not_bound_are_imported(code: str, line: str) -> None:
    made = module_of(PROBLEM, code)
    assert made == (f"{line}\n{code}" if line else code)


def test_imports_stand_below_a_docstring_and_future_imports() -> None:
    code = '"""Doubles."""\nfrom __future__ import annotations\n\ndef double(x):\n    return gcd(x, x)'
    assert module_of(PROBLEM, code).split("\n")[:3] == [
        '"""Doubles."""',
        "from __future__ import annotations",
        "from math import gcd",
    ]


@pytest.mark.parametrize("code", ["", "  \n", "def f(:", "\0", "class Solution", "(" * 300])
def test_any_text_is_made_a_module_of_without_a_complaint(code: str) -> None:
    assert module_of(PROBLEM, code) == code


def test_solutions_of_other_data_sets_stay_as_they_are() -> None:
    plain = Problem(task_id="H/0", dataset="humaneval", prompt="", entry_point="f", truth=GroundTruth())
    code = "class Solution:\n    def f(self): return gcd\n"
    assert module_of(plain, code) == code
    assert cell_job(plain, [code], ["assert f() == 1"]).tests == ("assert f() == 1",)


@pytest.mark.parametrize(
    ("printed", "expected", "right"),
    [
        ("6\n", "6", True),
        ("6", "6\n", True),
        ("  1 2 \n3\n\n", "1 2\n3", True),
        ("", "\n", True),
        ("1\n\n2", "1\n2", False),
        ("1\n\n2", "1\n\n2", True),
        ("0.5", "0.50", True),
        ("1e3 2", "1000 2.0", True),
        ("0.1", "0.10000000001", False),
        ("50000000000000001", "50000000000000000", False),
        ("1  2", "1 2", True),
        ("1 2", "1 2 3", False),
        ("1 2 3", "1 2", False),
        ("yes", "Yes", False),
        ("a  b", "a b", False),
        ("nan", "nan", True),
        ("nan 1", "nan  1", False),
        ("sNaN", "1", False),
        ("1 x", "1.0 x", False),
        ("1" * 5000, "1" * 5000 + ".0", True),
        ("1E+999999999", "1", False),
        (6, "6", False),
        (None, "", False),
        (True, "True", False),
    ],
)
def test_outputs_are_compared_line_by_line_and_then_as_decimal_numbers(
    printed: object, expected: str, right: bool
) -> None:
    assert same_output(printed, expected) is right


def test_a_flood_of_numbers_is_told_apart_without_reading_it_all() -> None:
    assert not same_output("1 " * 5_000_000 + "2", "1 1")
    assert not same_output("1\n" * 5_000_000 + "2", "1\n1")
