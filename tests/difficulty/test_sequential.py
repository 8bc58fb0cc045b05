"""Rounds of sequential allocation: who is served, who is stopped, that no budget is overrun."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from difficulty import BeliefModel, BudgetError, SequentialOptions, believe, next_round

OPTIONS = SequentialOptions(delta=0.05, together=1.0)


def served(change, tests, left=1_000, cap=64, options=OPTIONS):
    """Extra tests of the next round, as a list."""
    return next_round(np.array(change, float), np.array(tests), left=left, cap=cap, options=options).tolist()


def test_a_settled_problem_gets_nothing():
    assert served([0.5, 0.01], [4, 4]) == [2, 0]


def test_a_problem_at_its_cap_gets_nothing():
    assert served([0.5, 0.5], [64, 4]) == [0, 2]


def test_a_step_grows_with_the_tests_a_problem_has():
    assert served([0.5, 0.5, 0.5], [0, 2, 20]) == [1, 1, 10]


def test_a_step_does_not_pass_the_cap():
    assert served([0.5], [20], cap=24) == [4]


def test_the_last_tests_go_where_one_test_is_most_likely_to_change_the_choice():
    assert served([0.2, 0.9, 0.6], [4, 4, 4], left=3) == [0, 2, 1]
    assert served([0.6, 0.6], [8, 4], left=1) == [0, 1]


def test_no_problem_gets_a_second_test_before_all_open_ones_have_their_first():
    assert served([0.9, 0.1, 0.2], [1, 0, 0], left=2) == [0, 1, 1]


def test_part_of_the_open_problems_is_served_at_a_time_if_so_wished():
    options = SequentialOptions(delta=0.05, together=0.5)
    assert served([0.2, 0.9, 0.6, 0.1], [4, 4, 4, 4], options=options) == [0, 2, 2, 0]


def test_without_budget_or_open_problems_nothing_is_asked_for():
    assert served([0.5], [4], left=0) == [0]
    assert served([0.01], [4]) == [0]
    assert served([], []) == []


def test_a_delta_of_nought_never_serves_what_cannot_change():
    assert served([0.0, 1e-12], [2, 2], options=SequentialOptions(delta=0)) == [0, 1]


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=20), st.integers(1, 300), st.integers(1, 30), st.integers(0, 99))
def test_rounds_end_within_budget_and_cap(change, total, cap, seed):
    rng = np.random.default_rng(seed)
    chance, tests = np.array(change), np.zeros(len(change), dtype=np.int64)
    for _ in range(2_000):
        extra = next_round(chance, tests, left=total - int(tests.sum()), cap=cap, options=SequentialOptions())
        if not extra.any():
            break
        tests += extra
        chance = chance * rng.random(len(chance))
    else:
        pytest.fail("the rounds do not end")
    assert tests.sum() <= total
    assert tests.max() <= cap


def world(seed, problems=40, tests=64, reliability=0.8):
    """Pass matrices of problems with one right program and four wrong ones, in rows of programs."""
    rng = np.random.default_rng(seed)
    right = rng.random((problems, 1, tests)) < reliability
    return np.concatenate([right, rng.random((problems, 4, tests)) < rng.random((problems, 4, 1)) * 0.6], axis=1)


def test_in_a_world_like_the_model_most_tests_are_saved_and_the_choice_is_kept():
    model, copies = BeliefModel(redundancy=0.05, odds=1.4), np.ones(5, dtype=np.int64)
    matrices = world(0)
    tests = np.zeros(len(matrices), dtype=np.int64)
    options = SequentialOptions(delta=0.05)
    while True:
        beliefs = [believe(rows[:, :count], copies, 0.2, model) for rows, count in zip(matrices, tests, strict=True)]
        extra = next_round(np.array([one.change for one in beliefs]), tests, left=64 * 40, cap=64, options=options)
        if not extra.any():
            break
        tests += extra
    right = np.mean([one.chosen.tolist() == [0] for one in beliefs])
    whole = np.mean([believe(rows, copies, 0.2, model).chosen.tolist() == [0] for rows in matrices])
    assert right >= whole - 0.05
    assert tests.mean() < 0.6 * 64


@pytest.mark.parametrize("delta", [-0.1, 1.0, float("nan")])
def test_a_delta_that_is_no_probability_is_refused(delta):
    with pytest.raises(BudgetError, match="delta is"):
        SequentialOptions(delta=delta)


@pytest.mark.parametrize("fields", [{"growth": 0}, {"together": 0}, {"together": 1.5}])
def test_steps_that_never_end_are_refused(fields):
    with pytest.raises(BudgetError, match="growth is"):
        SequentialOptions(**fields)


@pytest.mark.parametrize("change", [[1.5, 0], [np.nan, 0], [0.5]])
def test_probabilities_that_are_none_are_refused(change):
    with pytest.raises(BudgetError, match="probabilities from 0 to 1"):
        served(change, [1, 1])
