"""The contract of executor/model.py, held against the sandbox here and on a Ray cluster, and against the shipped fake."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from executor import Call, CallJob, CellJob, Executor, Limits, Outputs, PassMatrix, Verdict, open_executor
from executor.fake import FakeExecutor

ADD = "def f(x):\n    return x + 1\n"
SAME = "def f(x):\n    return x\n"
RAISES = "def f(x):\n    raise ValueError('no')\n"
BROKEN = "def f(x:\n"
PASSES, FAILS = "assert f(1) == 2", "assert f(1) == 3"
LIMITS = Limits(cpu_s=1.0, wall_s=10.0)
MAKERS: dict[str, Callable[[str | None], Executor]] = {
    "bubblewrap": lambda _: open_executor(workers=1, limits=LIMITS),
    "ray": lambda address: open_executor(engine="ray", ray_address=address, workers=1, limits=LIMITS),
    "fake": lambda _: FakeExecutor(LIMITS),
}


@pytest.fixture(scope="module", params=list(MAKERS))
def make(request: pytest.FixtureRequest) -> Callable[[], Executor]:
    address = request.getfixturevalue("two_nodes").address if request.param == "ray" else None
    return lambda: MAKERS[request.param](address)


@pytest.fixture(scope="module")
def executor(make: Callable[[], Executor]) -> Iterator[Executor]:
    with make() as opened:
        yield opened


def job(solutions: list[str], tests: list[str], name: str = "job", context: str = "") -> CellJob:
    return CellJob(job_id=name, entry_point="f", solutions=tuple(solutions), tests=tuple(tests), context=context)


def run(executor: Executor, solutions: list[str], tests: list[str], context: str = "") -> PassMatrix:
    (matrix,) = executor.run([job(solutions, tests, context=context)])
    return matrix


def call(executor: Executor, solutions: list[str], *calls: Call) -> Outputs:
    (outputs,) = executor.call([CallJob(job_id="job", entry_point="f", solutions=tuple(solutions), calls=calls)])
    return outputs


def case(body: str) -> str:
    return f"import unittest\nclass T(unittest.TestCase):\n    def test_one(self):\n        {body}\n"


def test_a_matrix_has_a_row_per_solution_and_a_column_per_test(executor: Executor) -> None:
    matrix = run(executor, [ADD, SAME, RAISES], [PASSES, FAILS])
    assert matrix.letters.shape == matrix.shared.shape == (3, 2)
    assert matrix.letters.dtype == np.uint8
    assert matrix.shared.dtype == np.bool_
    assert matrix.job_id == "job"


def test_only_a_pass_counts_as_passed(executor: Executor) -> None:
    matrix = run(executor, [ADD, SAME], [PASSES, FAILS])
    assert matrix.passed.tolist() == [[True, False], [False, False]]


@pytest.mark.parametrize(
    ("solution", "test", "letter"),
    [
        (ADD, PASSES, "P"),
        (SAME, PASSES, "F"),
        (RAISES, PASSES, "E"),
        (BROKEN, PASSES, "E"),
        ("", PASSES, "E"),
        ("raise MemoryError\n", PASSES, "R"),
        ("def f(x):\n    raise MemoryError\n", PASSES, "R"),
        ("def f(x):\n    raise AssertionError\n", PASSES, "F"),
        ("def f(x):\n    raise SystemExit(0)\n", PASSES, "E"),
        ("import sys\nsys.exit(0)\n", PASSES, "E"),
        (ADD, case("self.assertEqual(f(1), 2)"), "P"),
        (ADD, case("self.assertEqual(f(1), 3)"), "F"),
        (RAISES, case("self.assertEqual(f(1), 2)"), "E"),
        (RAISES, case("self.assertRaises(ValueError, f, 1)"), "P"),
        (ADD, case("self.assertRaises(ValueError, f, 1)"), "F"),
        (ADD, "for x in (1, 2):\n    assert f(x) == x + 1", "P"),
        # Python looks the name up first: the solution is never called.
        (ADD, "assert no_such_name(f(1))", "E"),
        (ADD, "assert f(1) == no_such_name", "E"),
    ],
)
def test_a_cell_gets_the_letter_of_what_happened(executor: Executor, solution: str, test: str, letter: str) -> None:
    assert run(executor, [solution], [test]).rows() == [letter]


@pytest.mark.parametrize(
    "test",
    [
        "",
        "x = 1",
        "assert True",
        "assert f is not None",
        "assert f(",
        "import unittest\nclass T(unittest.TestCase):\n    pass\n",
        "import unittest\nclass T(unittest.TestCase):\n    def check(self):\n        self.assertEqual(f(1), 2)\n",
        "import unittest\n@unittest.skip('x')\nclass T(unittest.TestCase):\n    def test_a(self):\n        assert f(1) == 2\n",
        "import unittest\nclass T(unittest.TestCase):\n    def test_a(self):\n        self.skipTest(str(f(1)))\n",
    ],
)
def test_a_test_that_tests_nothing_is_invalid_and_not_executed(executor: Executor, test: str) -> None:
    matrix = run(executor, [ADD, SAME], [test, PASSES])
    assert matrix.rows() == ["IP", "IF"]
    assert matrix.executed.tolist() == [[False, True], [False, True]]


def test_an_invalid_test_is_invalid_on_solutions_that_do_not_load_too(executor: Executor) -> None:
    assert run(executor, [BROKEN, RAISES], ["assert True"]).rows() == ["I", "I"]


def test_order_of_solutions_and_tests_does_not_change_a_verdict(executor: Executor) -> None:
    solutions, tests = [ADD, SAME, RAISES, BROKEN], [PASSES, FAILS, case("self.assertEqual(f(1), 2)"), "assert True"]
    straight = run(executor, solutions, tests).rows()
    turned = run(executor, solutions[::-1], tests[::-1]).rows()
    assert [row[::-1] for row in turned[::-1]] == straight


def test_duplicates_get_the_same_verdicts_and_are_counted_once(executor: Executor) -> None:
    matrix = run(executor, [ADD, SAME, ADD], [PASSES, FAILS, PASSES])
    assert matrix.rows() == ["PFP", "FFF", "PFP"]
    stats = matrix.stats
    assert (stats.cells, stats.unique_solutions, stats.unique_tests) == (9, 2, 2)
    assert stats.run + stats.cached == 4


def test_solutions_that_differ_in_comments_alone_are_one(executor: Executor) -> None:
    assert run(executor, [ADD, "# other\n" + ADD], [PASSES]).stats.unique_solutions == 1


def test_a_module_level_state_does_not_reach_the_next_cell(executor: Executor) -> None:
    counter = "N = []\ndef f(x):\n    N.append(x)\n    return len(N)\n"
    assert run(executor, [counter, counter], ["assert f(1) == 1", "assert f(2) == 1"]).rows() == ["PP", "PP"]


def test_tests_may_use_the_context_and_it_wins_over_the_solution(executor: Executor) -> None:
    forger = "def check(x):\n    return True\ndef f(x):\n    return 0\n"
    context = "def check(x):\n    return x == 2\n"
    assert run(executor, [ADD, forger], ["for x in (1,):\n    assert check(f(x))"], context).rows() == ["P", "F"]


@pytest.mark.parametrize(("solutions", "tests"), [(0, 0), (0, 2), (2, 0)])
def test_an_empty_job_has_an_empty_matrix(executor: Executor, solutions: int, tests: int) -> None:
    matrix = run(executor, [ADD] * solutions, [PASSES] * tests)
    assert matrix.letters.shape == (solutions, tests)
    assert matrix.rows() == [""] * solutions
    assert matrix.stats.cells == 0


def test_no_jobs_yield_nothing(executor: Executor) -> None:
    assert list(executor.run([])) == []
    assert list(executor.call([])) == []


def test_every_job_comes_back_once_under_its_own_name(executor: Executor) -> None:
    names = [f"job {number}" for number in range(12)]
    matrices = list(executor.run(job([ADD, SAME], [PASSES], name) for name in names))
    assert sorted(matrix.job_id for matrix in matrices) == sorted(names)
    assert all(matrix.rows() == ["P", "F"] for matrix in matrices)


def test_jobs_are_taken_as_they_are_needed(executor: Executor) -> None:
    taken: list[int] = []

    def jobs() -> Iterator[CellJob]:
        for number in range(200):
            taken.append(number)
            yield job([ADD], [f"assert f({number}) == {number + 1}"], str(number))

    matrices = executor.run(jobs())
    assert taken == []
    next(matrices)
    assert len(taken) < 50
    assert len(list(matrices)) == 199


def test_making_a_job_may_take_the_same_executor(executor: Executor) -> None:
    def jobs() -> Iterator[CallJob]:
        asked = (CallJob(job_id=str(n), entry_point="f", solutions=(ADD,), calls=(Call((n,)),)) for n in range(12))
        for outputs in executor.call(asked):
            ((outcome,),) = outputs.outcomes
            calls = (Call((outcome.value,)),)
            yield CallJob(job_id=outputs.job_id, entry_point="f", solutions=(ADD, SAME), calls=calls)

    got = {outputs.job_id: outputs.outcomes for outputs in executor.call(jobs())}
    assert {name: [row[0].value for row in rows] for name, rows in got.items()} == {
        str(n): [n + 2, n + 1] for n in range(12)
    }


def test_a_call_gives_what_it_returned_or_raised(executor: Executor) -> None:
    (row,) = call(executor, [ADD], Call((1,)), Call(("a",)), Call((1,), "g"), Call(())).outcomes
    assert [outcome.kind for outcome in row] == ["value", "raised", "raised", "raised"]
    assert row[0].value == 2
    assert [outcome.error for outcome in row[1:]] == ["TypeError", "NameError", "TypeError"]


def test_outputs_have_a_row_per_solution_and_an_outcome_per_call(executor: Executor) -> None:
    outputs = call(executor, [ADD, SAME, ADD], Call((1,)), Call((2,)))
    assert [[outcome.value for outcome in row] for row in outputs.outcomes] == [[2, 3], [1, 2], [2, 3]]
    assert call(executor, [], Call((1,))).outcomes == ()
    assert call(executor, [ADD, SAME]).outcomes == ((), ())


@pytest.mark.parametrize(
    ("source", "verdict"), [(BROKEN, Verdict.ERROR), ("raise MemoryError", Verdict.RESOURCE), ("1 / 0", Verdict.ERROR)]
)
def test_calls_of_a_solution_that_does_not_load_are_stopped(executor: Executor, source: str, verdict: Verdict) -> None:
    (row,) = call(executor, [source], Call((1,)), Call((2,))).outcomes
    assert [(outcome.kind, outcome.verdict) for outcome in row] == [("stopped", verdict)] * 2


@pytest.mark.parametrize(
    "value",
    [None, True, 0, -7, 1 << 80, 1.5, math.inf, "é\x00", b"\xff", (1, (2,)), [[], {}], {1: "a", (2,): [3]}, {1, 2},
     frozenset({3}), 2 + 3j],
)  # fmt: skip
def test_plain_data_crosses_unchanged_both_ways(executor: Executor, value: object) -> None:
    (row,) = call(executor, [SAME], Call((value,))).outcomes
    assert row[0].kind == "value"
    assert row[0].value == value
    assert type(row[0].value) is type(value)


def test_an_exception_of_its_own_arrives_as_the_nearest_builtin(executor: Executor) -> None:
    own = "class Own(KeyError):\n    pass\ndef f(x):\n    raise Own('gone')\n"
    (row,) = call(executor, [own], Call((1,))).outcomes
    assert (row[0].kind, row[0].error) == ("raised", "KeyError")
    assert "gone" in row[0].message


def test_an_argument_is_not_shared_between_calls(executor: Executor) -> None:
    grows = "def f(x):\n    x.append(1)\n    return x\n"
    argument = [0]
    (row,) = call(executor, [grows], Call((argument,)), Call((argument,))).outcomes
    assert [outcome.value for outcome in row] == [[0, 1], [0, 1]]
    assert argument == [0]


def test_closing_twice_is_closing_once(make: Callable[[], Executor]) -> None:
    opened = make()
    assert run(opened, [ADD], [PASSES]).rows() == ["P"]
    opened.close()
    opened.close()


def test_arguments_by_name_reach_the_function(executor: Executor) -> None:
    outputs = call(executor, ["def f(x, y=0):\n    return (x, y)\n"], Call((1,), kwargs={"y": [2]}), Call((1,)))
    assert [outcome.value for outcome in outputs.outcomes[0]] == [(1, [2]), (1, 0)]


def test_pruning_keeps_the_rows_of_the_winners_whole(executor: Executor) -> None:
    tests = tuple(f"assert f({number}) == {number + 1}" for number in range(30))
    (matrix,) = executor.run(
        [CellJob(job_id="job", entry_point="f", solutions=(ADD, ADD, SAME), tests=tests, prune=True)]
    )
    assert matrix.rows()[:2] == ["P" * 30] * 2
    assert set(matrix.rows()[2]) == {"F", "-"}
    assert matrix.stats.pruned == matrix.rows()[2].count("-")


def expecting(
    executor: Executor, solution: str, calls: list[int], expected: list[object], **more: object
) -> list[object]:
    """What became of each call: a value, or the verdict of one that gave none."""
    job = CallJob(
        job_id="job", entry_point="f", solutions=(solution,), calls=tuple(Call((x,)) for x in calls),
        expected=tuple(expected), **more,
    )  # fmt: skip
    (outputs,) = executor.call([job])
    return [one.value if one.kind == "value" else one.error or one.verdict for one in outputs.outcomes[0]]


def test_a_solution_is_stopped_after_the_first_answer_that_is_not_expected(executor: Executor) -> None:
    calls, expected = list(range(50)), [x + 1 for x in range(50)]
    assert expecting(executor, ADD, calls, expected) == expected
    for wrong in (0, 1, 7, 49):
        source = f"def f(x):\n    return x + 1 if x != {wrong} else None\n"
        assert expecting(executor, source, calls, expected) == [
            *expected[:wrong], None, *[Verdict.NOT_RUN] * (49 - wrong)
        ]  # fmt: skip


@pytest.mark.parametrize(("got", "wanted"), [("True", 1), ("1.0", 1), ("[1]", (1,)), ("-0.0", 0.0)])
def test_an_answer_of_another_type_is_not_the_expected_one(executor: Executor, got: str, wanted: object) -> None:
    assert expecting(executor, f"def f(x):\n    return {got}\n", [0, 0], [wanted] * 2)[1] is Verdict.NOT_RUN


def test_what_raises_or_does_not_load_is_not_as_expected(executor: Executor) -> None:
    assert expecting(executor, RAISES, [1, 2], [1, 2]) == ["ValueError", Verdict.NOT_RUN]
    assert expecting(executor, BROKEN, [1, 2], [1, 2]) == [Verdict.ERROR, Verdict.NOT_RUN]


def test_state_lasts_through_a_part_and_no_longer(executor: Executor) -> None:
    counts = "SEEN = []\ndef f(x):\n    SEEN.append(x)\n    return len(SEEN)\n"
    calls = [0] * 5
    assert expecting(executor, counts, calls, [], in_order=True) == [1, 2, 3, 4, 5]
    assert expecting(executor, counts, calls, [], in_order=True, parts=(2,)) == [1, 2, 1, 2, 3]
    assert expecting(executor, counts, calls, [1, 2, 1, 2, 3], in_order=True, parts=(2,)) == [1, 2, 1, 2, 3]
    assert expecting(executor, counts, calls, []) == [1] * 5
