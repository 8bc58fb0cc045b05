"""LiveCodeBench's ground truth, in the real sandbox."""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from livecodebench_files import cases, packed, record, write

from coderm_tasks.datasets.livecodebench import Case, Slice, load_livecodebench
from coderm_tasks.errors import DatasetError
from coderm_tasks.groundtruth import GROUND_TRUTH_LIMITS, Grade, grade
from coderm_tasks.groundtruth.hidden_tests import HIDDEN_TEST_LIMITS, _stops, check_hidden_tests, same_value
from coderm_tasks.model import Problem
from executor import CallJob, Limits, LocalExecutor, Outputs, open_executor
from executor.fake import FakeExecutor


@pytest.fixture(scope="module")
def executor() -> Iterator[LocalExecutor]:
    with open_executor(workers=1, limits=GROUND_TRUTH_LIMITS) as running:
        yield running


@pytest.fixture(scope="module")
def problems(livecodebench_folder: Path) -> dict[str, Problem]:
    return {one.task_id: one for one in load_livecodebench(Slice(path=str(livecodebench_folder)))}


def graded(executor: LocalExecutor, problem: Problem, *codes: str, **options: Any) -> list[Grade]:
    return grade(executor, [problem], [codes], **options)[0]


SUM = "input()\nprint(sum(map(int, input().split())))\n"
PAIRS = "class Solution:\n    def countPairs(self, nums, k):\n        return sum(a + b == k for a, b in combinations(nums, 2))\n"


def test_a_program_is_right_when_it_prints_what_every_test_expects(
    executor: LocalExecutor, problems: dict[str, Problem]
) -> None:
    found = graded(executor, problems["own_a"], SUM, "print(6)", "print(5)", "print(1 / 0)", "")
    assert found == [
        Grade(True, True),
        Grade(True, False, "private test 0: returned '6\\n', expected '-5\\n'"),
        Grade(False, False, "public test 0: returned '5\\n', expected '6\\n'"),
        Grade(False, False, "public test 0: raised ZeroDivisionError: division by zero"),
        Grade(False, False, "empty solution"),
    ]


def test_a_failure_in_a_later_round_is_named_by_its_number(
    executor: LocalExecutor, problems: dict[str, Problem]
) -> None:
    # The sixth private test is the only one whose numbers are 9 and 1; rounds have 1, 4 and 8 tests.
    code = "input()\na = list(map(int, input().split()))\nprint(0 if a == [9, 1] else sum(a))\n"
    assert graded(executor, problems["own_a"], code)[0].reason == "private test 5: returned '0\\n', expected '10'"


def test_a_method_is_right_when_it_returns_what_every_test_expects(
    executor: LocalExecutor, problems: dict[str, Problem]
) -> None:
    bare = "def countPairs(nums, k):\n    return 1\n"
    assert graded(executor, problems["own_2"], PAIRS, bare) == [
        Grade(True, True),
        Grade(True, False, "private test 0: returned 1, expected 0"),
    ]


def test_all_calls_of_a_method_go_to_one_instance_as_in_the_official_evaluator(
    executor: LocalExecutor, problems: dict[str, Problem]
) -> None:
    keeps = (
        "class Solution:\n    def __init__(self):\n        self.memo = {}\n"
        "    def countPairs(self, nums, k):\n        if k not in self.memo:\n"
        "            self.memo[k] = sum(a + b == k for a, b in combinations(nums, 2))\n        return self.memo[k]\n"
    )
    assert graded(executor, problems["own_2"], keeps)[0].reason == "private test 1: returned 1, expected 3"


def test_a_tuple_counts_as_a_list_at_the_top_only(executor: LocalExecutor, problems: dict[str, Problem]) -> None:
    half = "class Solution:\n    def splitInTwo(self, s):\n        m = (len(s) + 1) // 2\n        return {}\n"
    right, wrong = half.format("s[:m], s[m:]"), half.format("[s[:m]], s[m:]")
    assert [one.plus for one in graded(executor, problems["own_3"], right, wrong)] == [True, False]


@pytest.mark.parametrize(
    ("value", "expected", "right"),
    [
        ((1, 2), [1, 2], True),
        ([(1, 2)], [[1, 2]], False),
        (1.0, 1, True),
        (0.1 + 0.2, 0.3, False),
        (True, 1, True),
        ("1", 1, False),
        (None, None, True),
        ({"a": 1}, {"a": 1}, True),
        ({1}, [1], False),
    ],
)
def test_values_are_equal_as_python_has_it(value: object, expected: object, right: bool) -> None:
    assert same_value(value, expected) is right


def test_all_problems_are_graded_together_in_the_order_given(
    executor: LocalExecutor, problems: dict[str, Problem]
) -> None:
    names = ["own_c", "own_2", "own_a"]
    codes = [["print('3\\nodd')"], [PAIRS], [SUM, "print(6)"]]
    told: list[int] = []
    found = grade(executor, [problems[name] for name in names], codes, progress=told.append)
    assert [[one.plus for one in of_problem] for of_problem in found] == [[False], [True], [True, False]]
    assert sum(told) == 4


def test_a_method_runs_within_the_official_evaluators_limits(
    executor: LocalExecutor, problems: dict[str, Problem]
) -> None:
    code = PAIRS.replace("return", "assert len(str(10**9999)) == 10_000\n        return")
    assert graded(executor, problems["own_2"], code) == [Grade(True, True)]


FORGERIES = [
    "import sys\nsys.modules['solution'].coderm_run = lambda *a: Any\nprint('x')",
    "class Yes(str):\n    def __eq__(self, other): return True\n    __hash__ = str.__hash__\nimport sys\nsys.modules['solution'].run_program = lambda *a: Yes('x')\nprint('x')",
    'import os\nos.write(4, b\'\\x00\\x00\\x00\\x0a["v","-5"]\')\nprint(6)',
    "import gc\nprint([o for o in gc.get_objects() if isinstance(o, str) and o.startswith('-5')][:1])",
]


def test_a_program_does_not_find_or_forge_the_expected_output(
    executor: LocalExecutor, problems: dict[str, Problem]
) -> None:
    assert not any(one.plus for one in graded(executor, problems["own_a"], *FORGERIES))


def test_a_method_that_returns_an_object_equal_to_everything_is_wrong(
    executor: LocalExecutor, problems: dict[str, Problem]
) -> None:
    code = (
        "class Yes:\n    def __eq__(self, other): return True\n    __hash__ = None\n"
        "class Solution:\n    def countPairs(self, nums, k): return Yes()\n"
    )
    assert not graded(executor, problems["own_2"], code)[0].base


def test_a_test_may_take_six_cpu_seconds_unless_other_limits_are_given(
    executor: LocalExecutor, problems: dict[str, Problem]
) -> None:
    assert HIDDEN_TEST_LIMITS.cpu_s == 6
    busy = "import time\nwhile time.process_time() < 2:\n    pass\n" + SUM
    limits = Limits(cpu_s=0.5, wall_s=20, memory_mb=1024)
    assert graded(executor, problems["own_a"], busy, limits=limits)[0].reason == "public test 0: timed out"


def test_a_file_whose_tests_are_hostile_ends_the_grading_and_is_found_beforehand(
    executor: LocalExecutor, tmp_path: Path
) -> None:
    blob = packed(pickle.dumps(print))
    (problem,) = load_livecodebench(Slice(path=str(write(tmp_path / "x.jsonl", record(private_test_cases=blob)))))
    with pytest.raises(DatasetError, match="q_1: private_test_cases holds a pickle that is not just a text"):
        check_hidden_tests([problem])
    with pytest.raises(DatasetError, match="q_1: private_test_cases"):
        graded(executor, problem, "print(4)")


@pytest.mark.parametrize("public", ["[]", cases(("2\n", "4\n"), ("3\n", "6\n"))])
def test_a_problem_with_private_tests_alone_or_with_several_public_ones_is_graded(
    public: str, executor: LocalExecutor, tmp_path: Path
) -> None:
    file = write(tmp_path / "x.jsonl", record(public_test_cases=public))
    (problem,) = load_livecodebench(Slice(path=str(file)))
    found = graded(executor, problem, "print(2 * int(input()))", "print(10)")
    assert [one.plus for one in found] == [True, public == "[]"]


def test_rounds_cover_every_test_once_and_grow() -> None:
    every = [Case((str(number),), "") for number in range(40)]
    stops = list(_stops(every, 3))
    assert stops == [(0, 3), (3, 7), (7, 15), (15, 31), (31, 40)]
    large = [Case(("x" * 20_000_000,), "")] * 4
    assert [stop - start for start, stop in _stops(large, 0)] == [2, 2]


class Recording(FakeExecutor):
    """The shipped double, remembering under which limits calls are made."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[Limits | None] = set()

    def call(self, jobs: Iterable[CallJob]) -> Iterator[Outputs]:
        for job in jobs:
            self.seen.add(job.limits)
            yield from super().call([job])


@pytest.mark.parametrize(
    ("given", "used"),
    [
        (None, HIDDEN_TEST_LIMITS),
        (GROUND_TRUTH_LIMITS, msgspec.structs.replace(HIDDEN_TEST_LIMITS, cpu_s=1.0, wall_s=10.0)),
    ],
)
def test_limits_that_are_given_count_even_where_another_benchmark_has_them_by_default(
    given: Limits | None, used: Limits, problems: dict[str, Problem]
) -> None:
    executor = Recording()
    grade(executor, [problems["own_2"]], [[PAIRS]], limits=given)
    assert executor.seen == {used}
