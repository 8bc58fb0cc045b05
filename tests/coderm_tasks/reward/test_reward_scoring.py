"""From tests and verdicts to rewards: pure, no sandbox."""

from __future__ import annotations

import numpy as np
import pytest

from coderm_tasks.reward.lane import Found
from coderm_tasks.reward.scoring import Score, Status, score_rows
from coderm_tasks.reward.unit_tests import Kind, ReadTests, kind_of, read_tests
from executor import PassMatrix


def some_tests(count: int, *, weights: tuple[float, ...] = (), kinds: tuple[Kind, ...] = ()) -> ReadTests:
    return ReadTests(("t",) * count, weights or (1.0,) * count, kinds or (Kind.USABLE,) * count, count, 0)


def score(row: str, *, shared: str = "", code: bool = True, scheme: str = "share", count_shared: bool = True,
          void: str = "", **given: tuple) -> Score:  # fmt: skip
    matrix = PassMatrix.from_rows("job", [row], len(row))
    marks = np.array([[letter == "x" for letter in shared or "." * len(row)]], dtype=np.bool_)
    matrix = PassMatrix("job", matrix.letters, marks)
    judged = Found(matrix, np.array([code]), np.array([mark == "v" for mark in void or "." * len(row)], dtype=np.bool_))
    (found,) = score_rows(judged, some_tests(len(row), **given), scheme=scheme, count_shared=count_shared)  # type: ignore[arg-type]
    return found


@pytest.mark.parametrize(("row", "reward"), [("PPPP", 1.0), ("PFET", 0.25), ("FFFF", 0.0), ("RPPR", 0.5)])
def test_the_reward_is_the_share_of_tests_passed(row, reward):
    assert score(row).reward == reward


@pytest.mark.parametrize(("row", "reward"), [("PPPP", 1.0), ("PPPF", 0.0), ("PPPI", 0.0)])
def test_all_or_nothing_wants_every_test(row, reward):
    assert score(row, scheme="all").reward == reward


def test_weights_count_instead_of_numbers():
    assert score("PF", weights=(3.0, 1.0)).reward == 0.75
    assert score("PF", weights=(1.0, 0.0)).reward == 1.0
    assert score("PPPPPPPPPP", weights=(0.1,) * 10, scheme="all").reward == 1.0


def test_a_test_that_says_nothing_does_not_count():
    found = score("PI", kinds=(Kind.USABLE, Kind.VACUOUS))
    assert (found.reward, found.counted, found.evaded) == (1.0, 1, 0)


def test_a_test_that_turned_out_to_say_nothing_counts_for_nobody():
    assert (score("PI", void=".v").reward, score("FI", void=".v").reward) == (1.0, 0.0)
    assert score("PP", void=".v").counted == 2, "it told something of this one"
    assert score("II", void="vv").status is Status.NO_TESTS


def test_a_solution_that_keeps_a_test_from_asserting_has_not_passed_it():
    found = score("PI")
    assert (found.reward, found.counted, found.evaded) == (0.5, 2, 1)


@pytest.mark.parametrize("row", ["", "II"])
def test_without_a_test_that_counts_there_is_no_reward(row):
    found = score(row, kinds=(Kind.VACUOUS,) * len(row)) if row else score(row)
    assert (found.reward, found.status) == (None, Status.NO_TESTS)


def test_what_was_not_judged_has_no_reward():
    assert (score("--").reward, score("--").status) == (None, Status.UNJUDGED)


def test_a_completion_without_code_passes_nothing():
    assert (score("EE", code=False).reward, score("EE", code=False).status) == (0.0, Status.NO_CODE)


def test_a_completion_that_was_not_read_is_not_said_to_hold_no_code():
    assert score("--", code=False).status is Status.UNJUDGED


def test_passes_that_could_be_forged_are_counted_apart():
    found = score("PPF", shared="x..")
    assert (found.reward, found.shared) == (pytest.approx(2 / 3), 1)


def test_passes_that_could_be_forged_can_be_left_out():
    found = score("PPF", shared="x..", count_shared=False)
    assert (found.reward, found.passed, found.counted, found.shared) == (pytest.approx(1 / 3), 1, 3, 1)


def test_tests_that_always_share_the_solutions_process_can_be_left_out():
    found = score("PP", kinds=(Kind.SHARED, Kind.USABLE), shared="x.", count_shared=False)
    assert (found.reward, found.counted) == (1.0, 1)


@pytest.mark.parametrize(
    ("test", "kind"),
    [
        ("assert f(1) == 2", Kind.USABLE),
        ("for x in range(3):\n    assert f(x)", Kind.USABLE),
        ("assert True", Kind.VACUOUS),
        ("assert f(1", Kind.VACUOUS),
        ("assert eval('f(1)') or f(1)", Kind.SHARED),
        ("\ud800", Kind.VACUOUS),
    ],
)
def test_tests_are_told_apart_without_running_them(test, kind):
    assert kind_of(test, "f") is kind


def test_texts_in_any_manner_are_read_as_tests():
    found = read_tests(
        [
            "from solution import f\n\ndef test_one():\n    assert f(1) == 2\n\ndef test_two():\n    assert f(2) == 3\n",
            "Here are my tests:\n```python\nassert f(0) == 1\n```\n",
            "I would rather not.",
        ],
        "f",
    )
    assert found.tests == ("assert f(1) == 2", "assert f(2) == 3", "assert f(0) == 1\n") or len(found.tests) == 3
    assert (found.weights, found.given, found.unusable) == ((1.0, 1.0, 1.0), 3, 1)


def test_the_tests_of_one_text_share_its_weight():
    assert read_tests(["assert f(1)\nassert f(2)", "assert f(3)"], "f", weights=(1.0, 2.0)).weights == (0.5, 0.5, 2.0)


def test_verbatim_tests_stay_as_they_are():
    text = "assert f(1)\nassert f(2)"
    assert read_tests([text], "f", verbatim=True).tests == (text,)
