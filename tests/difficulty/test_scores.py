"""Scores against scipy, and on cases worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from difficulty import scores


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=3, max_size=40))
def test_spearman_is_scipys(pairs):
    left, right = np.array(pairs, dtype=float).T
    assume(np.ptp(left) > 0)
    assume(np.ptp(right) > 0)
    assert scores.spearman(left, right) == pytest.approx(stats.spearmanr(left, right).statistic)


def test_spearman_of_a_constant_is_nought():
    assert scores.spearman(np.ones(4), np.arange(4.0)) == 0


def test_the_brier_score_of_the_mean_is_the_variance():
    found = scores.score(np.full(4, 0.5), np.array([0.0, 1.0, 0.0, 1.0]))
    assert found.brier == found.brier_of_mean == 0.25


def test_reliability_bins_hold_equal_shares_lowest_first():
    bins = scores.reliability(np.array([0.9, 0.1, 0.8, 0.2]), np.array([1.0, 0.0, 0.5, 0.5]), bins=2)
    assert [(part.rows, part.predicted, part.observed) for part in bins] == [
        (2, pytest.approx(0.15), 0.25),
        (2, pytest.approx(0.85), 0.75),
    ]


def test_bins_without_rows_are_left_out():
    assert len(scores.reliability(np.array([0.5]), np.array([1.0]), bins=5)) == 1
