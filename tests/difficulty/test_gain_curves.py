"""Gain curves: measured on draws, averaged in bins, refused where nothing can be measured."""

from __future__ import annotations

import numpy as np
import pytest

from difficulty import TrainingDataError, budgets
from difficulty.gain import accuracy_curve, learn_gain_curves, shrinkage, sizes_up_to


def test_sizes_double_and_end_at_the_reach():
    assert sizes_up_to(20) == (0, 1, 2, 4, 8, 16, 20)
    assert sizes_up_to(16) == (0, 1, 2, 4, 8, 16)
    assert sizes_up_to(1) == (0, 1)


def test_a_curve_rises_as_draws_meet_the_one_good_test_more_often():
    rng = np.random.default_rng(0)
    curve = accuracy_curve(lambda columns: float((columns == 0).any()), 4, reach=16, draws=2_000, rng=rng)
    expected = 1 - 0.75 ** np.array(sizes_up_to(16))
    assert curve[list(sizes_up_to(16))] == pytest.approx(expected, abs=0.04)


def test_sizes_between_are_interpolated():
    curve = accuracy_curve(len, 4, reach=8, draws=1, rng=np.random.default_rng(0))
    assert curve.tolist() == list(range(9))


def test_a_problem_without_tests_has_a_flat_curve():
    curve = accuracy_curve(lambda columns: 0.25, 0, reach=4, draws=3, rng=np.random.default_rng(0))
    assert curve.tolist() == [0.25] * 5


def test_curves_are_averaged_within_bins_of_predicted_rate():
    curves = learn_gain_curves(
        np.array([0.1, 0.2, 0.8, 0.9]), np.array([[0.0, 0.2], [0.0, 0.4], [0.5, 0.5], [1.0, 1.0]]), bins=2, shrink=False
    )
    assert curves.accuracy.tolist() == [[0.0, pytest.approx(0.3)], [0.75, 0.75]]
    assert 0.2 < curves.edges[0] <= 0.8


def test_bins_that_differ_by_chance_alone_get_one_rise_so_that_gain_is_equal():
    rng = np.random.default_rng(0)
    rises = np.cumsum(rng.random((400, 8)) < 0.05, axis=1) * 1.0
    rates = np.linspace(0.1, 0.9, 400)
    noise = [shrinkage(rng.permutation(rises), np.repeat(np.arange(4), 100)) for _ in range(40)]
    assert np.mean([kept == 0 for kept in noise]) > 0.4
    curves = learn_gain_curves(rates, np.tile([0.0, 0.5, 0.6], (400, 1)))
    assert budgets("gain", rates, average=2, curves=curves).tolist() == [2] * 400


def test_bins_that_differ_by_far_keep_their_rises():
    rates = np.repeat([0.2, 0.8], 50)
    flat, steep = np.zeros((50, 3)), np.tile([0.0, 0.5, 1.0], (50, 1))
    curves = learn_gain_curves(rates, np.vstack([flat, steep]), bins=2)
    assert curves.accuracy.tolist() == [[0, 0, 0], [0, 0.5, 1.0]]


def test_shrinking_leaves_the_level_of_each_bin():
    rng = np.random.default_rng(1)
    accuracy = rng.random((40, 5))
    rates = np.linspace(0, 1, 40)
    shrunk, plain = learn_gain_curves(rates, accuracy), learn_gain_curves(rates, accuracy, shrink=False)
    assert shrunk.accuracy[:, 0] == pytest.approx(plain.accuracy[:, 0])
    assert np.ptp(np.diff(shrunk.accuracy), axis=0).sum() < np.ptp(np.diff(plain.accuracy), axis=0).sum()


def test_equal_rates_share_one_bin():
    curves = learn_gain_curves(np.full(6, 0.5), np.tile([0.0, 1.0], (6, 1)), bins=4)
    assert (len(curves.edges), curves.accuracy.tolist()) == (0, [[0.0, 1.0]])


@pytest.mark.parametrize(
    ("rates", "accuracy"),
    [
        (np.array([0.5]), np.zeros((2, 3))),
        (np.array([]), np.zeros((0, 3))),
        (np.array([np.nan]), np.zeros((1, 3))),
        (np.array([0.5]), np.full((1, 3), np.nan)),
    ],
)
def test_curves_that_cannot_be_learned_are_refused(rates, accuracy):
    with pytest.raises(TrainingDataError, match="gain curves"):
        learn_gain_curves(rates, accuracy)


def test_a_reach_of_nothing_is_refused():
    with pytest.raises(TrainingDataError, match="reach 0"):
        accuracy_curve(len, 4, reach=0, draws=1, rng=np.random.default_rng(0))
