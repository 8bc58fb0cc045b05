"""The classifier: right gradient, learns what there is to learn, honest where there is nothing, repeatable."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import check_grad

from difficulty import Features, FitOptions, TrainingDataError
from difficulty import classifier as subject
from difficulty.scores import spearman


def problems(count, *, signal, seed=0):
    """Features of width 6 and pass rates of 50 samples; the first two features tell the rate if ``signal``."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(count, 6))
    logits = 2 * values[:, 0] - 1.5 * values[:, 1] if signal else np.zeros(count)
    rates = rng.binomial(50, 1 / (1 + np.exp(-logits))) / 50
    return Features(tuple("abcdef"), values), rates, [f"p{number}" for number in range(count)]


@pytest.mark.parametrize("model", subject.MODELS)
def test_the_gradient_is_that_of_the_loss(model):
    features, rates, _ = problems(30, signal=True)
    shapes = subject._shapes(6, FitOptions(model=model, hidden_units=3))
    point = np.random.default_rng(1).normal(size=sum(rows * columns + columns for rows, columns in shapes))
    arguments = (shapes, features.values, rates, 0.1)
    error = check_grad(
        lambda flat: subject._loss(flat, *arguments)[0], lambda flat: subject._loss(flat, *arguments)[1], point
    )
    assert error < 1e-6


def test_the_loss_is_the_papers_cross_entropy():
    rates, chances = np.array([0.2, 0.9]), np.array([0.3, 0.6])
    written_out = -np.mean(rates * np.log(chances) + (1 - rates) * np.log(1 - chances))
    assert subject.soft_cross_entropy(np.log(chances / (1 - chances)), rates) == pytest.approx(written_out)


@pytest.mark.parametrize("model", subject.MODELS)
def test_held_out_problems_are_ranked_where_features_tell(model):
    features, rates, groups = problems(120, signal=True)
    predicted = subject.cross_validate(features, rates, groups, FitOptions(model=model))
    assert spearman(predicted, rates) > 0.85


def test_the_network_learns_what_a_line_cannot():
    rng = np.random.default_rng(0)
    values = rng.uniform(-1, 1, size=(200, 2))
    rates = np.where(values[:, 0] * values[:, 1] > 0, 0.9, 0.1)
    features, groups = Features(("a", "b"), values), list(range(200))
    line = subject.cross_validate(features, rates, groups, FitOptions(model="logistic"))
    network = subject.cross_validate(features, rates, groups, FitOptions(l2=0.001))
    assert spearman(network, rates) > spearman(line, rates) + 0.4


def test_features_that_tell_nothing_give_the_mean_rate():
    features, rates, groups = problems(300, signal=False)
    predicted = subject.cross_validate(features, rates, groups, FitOptions())
    assert np.abs(predicted - rates.mean()).max() < 0.06


def test_predictions_are_calibrated_on_problems_never_seen():
    features, rates, groups = problems(600, signal=True)
    half = Features(features.names, features.values[:300])
    network = subject.fit(half, rates[:300], groups[:300], FitOptions())
    predicted = subject.predict_rates(network, features.values[300:])
    for third in np.array_split(np.argsort(predicted), 3):
        assert predicted[third].mean() == pytest.approx(rates[300:][third].mean(), abs=0.06)


def test_the_same_seed_gives_the_same_weights():
    features, rates, groups = problems(40, signal=True)
    first, second = (subject.fit(features, rates, groups, FitOptions(seed=3)) for _ in range(2))
    assert all(
        np.array_equal(one.weights, other.weights) for one, other in zip(first.layers, second.layers, strict=True)
    )


def test_a_feature_far_outside_the_training_data_does_not_run_away():
    features, rates, groups = problems(60, signal=True)
    network = subject.fit(features, rates, groups, FitOptions())
    far, farther = np.full((1, 6), 1e3), np.full((1, 6), 1e9)
    assert subject.predict_rates(network, far) == subject.predict_rates(network, farther)


def test_predictions_lie_strictly_between_nought_and_one():
    features, _, groups = problems(60, signal=True)
    rates = (features.values[:, 0] > 0).astype(float)
    network = subject.fit(features, rates, groups, FitOptions(l2=1e-9))
    predicted = subject.predict_rates(network, features.values * 100)
    assert predicted.min() > 0
    assert predicted.max() < 1


def test_a_constant_feature_is_borne():
    features, rates, groups = problems(40, signal=True)
    features.values[:, 5] = 7.0
    assert np.isfinite(subject.cross_validate(features, rates, groups, FitOptions())).all()


@given(st.lists(st.integers(0, 12), min_size=1, max_size=60), st.integers(2, 6), st.integers(0, 5))
def test_no_group_stands_on_both_sides_of_a_fold(groups, folds, seed):
    for train, test in subject.grouped_folds(groups, folds, seed):
        assert not {groups[row] for row in train} & {groups[row] for row in test}


@given(st.lists(st.integers(0, 12), min_size=1, max_size=60), st.integers(2, 6), st.integers(0, 5))
def test_every_row_is_tested_once(groups, folds, seed):
    tested = np.concatenate([test for _, test in subject.grouped_folds(groups, folds, seed)])
    assert sorted(tested.tolist()) == list(range(len(groups)))


def test_fewer_than_twenty_problems_are_refused():
    features, rates, groups = problems(40, signal=True)
    with pytest.raises(TrainingDataError, match="19 problems, expected at least 20"):
        subject.fit(features, rates, [f"p{number % 19}" for number in range(len(groups))], FitOptions())


@pytest.mark.parametrize(("rate", "which"), [(0.0, "wrong"), (1.0, "correct")])
def test_one_class_only_is_refused(rate, which):
    features, rates, groups = problems(40, signal=True)
    with pytest.raises(TrainingDataError, match=f"every sample of every problem is {which}, one class only"):
        subject.fit(features, np.full_like(rates, rate), groups, FitOptions())


def test_rates_that_are_nan_are_refused():
    features, rates, groups = problems(40, signal=True)
    rates[3] = np.nan
    with pytest.raises(TrainingDataError, match="a pass rate is NaN or outside 0 to 1"):
        subject.fit(features, rates, groups, FitOptions())


def test_features_that_are_nan_are_refused():
    features, rates, groups = problems(40, signal=True)
    features.values[3, 2] = np.nan
    with pytest.raises(TrainingDataError, match="a feature is NaN"):
        subject.fit(features, rates, groups, FitOptions())


def test_rows_that_do_not_match_are_refused():
    features, rates, groups = problems(40, signal=True)
    with pytest.raises(TrainingDataError, match="40 rows of features, 39 pass rates, 40 groups"):
        subject.fit(features, rates[:-1], groups, FitOptions())


@pytest.mark.parametrize("wrong", [{"model": "forest"}, {"folds": 1}, {"l2": 0.0}, {"hidden_units": 0}])
def test_options_out_of_range_are_refused(wrong):
    with pytest.raises(TrainingDataError):
        FitOptions(**wrong)
