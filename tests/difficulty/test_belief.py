"""The belief over behaviour classes: what moves it, what it chooses, when it thinks the choice may change."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from difficulty import BeliefModel, BudgetError, TrainingDataError, believe
from difficulty.belief import class_weights, effective_tests
from difficulty.belief_fit import belief_state, fit_belief

MODEL = BeliefModel()


def belief(rows, copies=None, rate=0.5, model=MODEL):
    """Belief after tests whose rows are written as text, ``P`` for a pass."""
    passed = np.array([[letter == "P" for letter in row] for row in rows], dtype=np.bool_).reshape(len(rows), -1)
    return believe(passed, np.array(copies or [1] * len(rows)), rate, model)


def test_programs_that_pass_the_same_tests_are_one_class():
    assert belief(["PF", "FP", "PF"]).classes.tolist() == [0, 1, 0]


def test_without_tests_all_programs_are_one_class_and_chosen():
    found = belief(["", "", ""])
    assert (found.classes.tolist(), found.chosen.tolist()) == ([0, 0, 0], [0, 1, 2])


def test_the_class_that_passes_more_tests_is_more_probable():
    found = belief(["PPPP", "PFFF"])
    assert found.probability[0] > 0.8
    assert found.chosen.tolist() == [0]


def test_the_weight_is_the_formula_written_out():
    weights = class_weights(
        np.array([0.25, 0.75]), np.array([3.0, 1.0]), 4, BeliefModel(consensus=0.5, odds=2, redundancy=0.5)
    )
    worth = 4 / (1 + 3 * 0.5)
    assert weights == pytest.approx([0.5 * np.log(0.25) + 2 * worth * 3 / 4, 0.5 * np.log(0.75) + 2 * worth * 1 / 4])


def test_a_large_class_stands_against_one_test_but_not_against_many():
    copies = [30, 1]
    assert belief(["P" * 1 + "F", "PP"], copies).chosen.tolist() == [0]
    assert belief(["F" * 20, "P" * 20], copies).chosen.tolist() == [1]


def test_repeated_tests_are_worth_less_than_independent_ones():
    assert effective_tests(10, 0.0) == 10
    assert effective_tests(10, 1.0) == 1
    assert effective_tests(1, 0.3) == 1
    assert effective_tests(0, 0.3) == 0
    assert effective_tests(10_000, 0.25) == pytest.approx(4, rel=0.01)


def test_nothing_can_change_where_all_samples_are_one_program():
    assert belief(["PF"], copies=[5]).change == 0
    assert belief([""], copies=[5]).change == 0


def test_a_choice_that_leads_on_every_test_is_less_likely_to_change_than_a_close_one():
    assert belief(["PPPPPPPP", "FFFFFFFF"]).change < belief(["PFPFPFPP", "FPFPFPFF"]).change


def test_more_tests_of_the_same_kind_settle_a_choice():
    changes = [belief(["P" * count, "F" * count]).change for count in (1, 2, 4, 8, 16)]
    assert changes == sorted(changes, reverse=True)
    assert changes[-1] < 0.01


def test_programs_that_agree_on_many_tests_are_taken_for_alike():
    changes = [belief(["P" * count] * 3).change for count in (0, 1, 4, 16, 64)]
    assert changes == sorted(changes, reverse=True)
    assert changes[0] > 0.2
    assert changes[-1] < 0.05


def test_the_classifier_is_believed_about_how_alike_programs_are():
    assert belief(["PP", "PP"], rate=0.9).change < belief(["PP", "PP"], rate=0.1).change


@settings(deadline=None)
@given(st.integers(1, 8), st.integers(0, 12), st.integers(0, 2**32 - 1), st.floats(0.01, 0.99))
def test_a_belief_is_a_probability_whatever_was_seen(programs, tests, seed, rate):
    rng = np.random.default_rng(seed)
    found = believe(rng.random((programs, tests)) < 0.5, rng.integers(1, 50, programs), rate, MODEL)
    assert found.probability.sum() == pytest.approx(1)
    assert 0 <= found.change <= 1
    assert set(found.chosen) <= set(range(programs))
    assert len(found.chosen) >= 1


@settings(deadline=None)
@given(st.integers(2, 8), st.integers(1, 12), st.integers(0, 2**32 - 1))
def test_the_order_of_programs_and_tests_does_not_matter(programs, tests, seed):
    rng = np.random.default_rng(seed)
    passed, copies = rng.random((programs, tests)) < 0.5, rng.integers(1, 50, programs)
    rows, columns = rng.permutation(programs), rng.permutation(tests)
    one = believe(passed, copies, 0.4, MODEL)
    other = believe(passed[rows][:, columns], copies[rows], 0.4, MODEL)
    assert sorted(rows[other.chosen]) == sorted(one.chosen)
    if len(np.unique(one.classes[one.chosen])) == 1:  # else which of the equals leads is a matter of order
        assert other.change == pytest.approx(one.change)


@pytest.mark.parametrize(
    ("passed", "copies"), [(np.zeros((0, 2), bool), []), (np.zeros((2, 2), bool), [1]), (np.zeros((1, 2), bool), [0])]
)
def test_programs_without_rows_or_copies_are_refused(passed, copies):
    with pytest.raises(BudgetError, match="one row and one count of at least 1 per program"):
        believe(passed, np.array(copies, dtype=np.int64), 0.5, MODEL)


@pytest.mark.parametrize("rate", [0, 1, np.nan])
def test_a_rate_that_rules_everything_out_is_refused(rate):
    with pytest.raises(BudgetError, match="predicted pass rate is"):
        belief(["P"], rate=rate)


def worlds(reliability, seed, problems=60, tests=12):
    """States of problems with three classes, the right one passing a test with probability ``reliability``."""
    rng = np.random.default_rng(seed)
    states = []
    for _ in range(problems):
        right = rng.random(tests) < reliability
        wrong = rng.random((2, tests)) < 0.5
        rows = np.vstack([np.tile(right, (4, 1)), np.tile(wrong[0], (3, 1)), np.tile(wrong[1], (3, 1))])
        states.append(belief_state(rows, np.array([1.0] * 4 + [0.0] * 6)))
    return states


def test_better_tests_are_learned_to_be_worth_more():
    assert fit_belief(worlds(0.95, 0)).odds > fit_belief(worlds(0.65, 0)).odds


def test_what_is_learned_chooses_better_than_the_most_samples():
    model = fit_belief(worlds(0.9, 1))
    states = worlds(0.9, 2)
    right = [
        state.correct[int(np.argmax(class_weights(state.share, state.votes, state.tests, model)))] for state in states
    ]
    assert np.mean(right) > 0.9


def test_a_state_holds_share_votes_and_correctness_of_each_class():
    rows = np.array([[True, False], [True, True], [True, False], [True, False]])
    state = belief_state(rows, np.array([1.0, 1.0, 0.0, 1.0]))
    assert (state.tests, state.share.tolist(), state.votes.tolist()) == (2, [0.75, 0.25], [1, 2])
    assert state.correct.tolist() == pytest.approx([2 / 3, 1])


def test_states_without_a_choice_to_learn_are_refused():
    hopeless = belief_state(np.array([[True], [False]]), np.zeros(2))
    with pytest.raises(TrainingDataError, match="1 states, none with right and wrong classes"):
        fit_belief([hopeless])
