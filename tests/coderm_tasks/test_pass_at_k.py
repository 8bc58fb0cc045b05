from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coderm_tasks.metrics import mean_pass_at_k, pass_at_k


@given(st.integers(1, 9).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n))))
def test_pass_at_k_is_the_share_of_draws_that_hold_a_correct_sample(case: tuple[int, int, int]) -> None:
    n, c, k = case
    samples = [True] * c + [False] * (n - c)
    draws = list(itertools.combinations(samples, k))
    assert pass_at_k(n, c, k) == pytest.approx(sum(map(any, draws)) / len(draws), abs=1e-15)


def test_pass_at_k_agrees_with_evalplus() -> None:
    from evalplus.eval import estimate_pass_at_k

    for n, c, k in [(100, 0, 1), (100, 37, 10), (100, 100, 100), (200, 3, 100), (10, 9, 2)]:
        assert pass_at_k(n, c, k) == pytest.approx(estimate_pass_at_k(n, [c], k)[0], abs=1e-12)


def test_pass_at_k_of_very_many_samples_is_finite() -> None:
    assert 0 < pass_at_k(100_000, 1, 50_000) < 1


@pytest.mark.parametrize(("n", "c", "k"), [(5, 6, 1), (5, -1, 1), (5, 2, 0), (5, 2, 6)])
def test_impossible_counts_are_refused(n: int, c: int, k: int) -> None:
    with pytest.raises(ValueError, match=f"n={n}, c={c}, k={k}"):
        pass_at_k(n, c, k)


def test_the_mean_has_the_standard_error_of_a_sample_of_problems() -> None:
    (one,) = mean_pass_at_k([4, 4, 4], [4, 2, 0], ks=[1])
    assert (one.k, one.problems, one.value) == (1, 3, 0.5)
    assert one.stderr == pytest.approx(np.std([1.0, 0.5, 0.0], ddof=1) / math.sqrt(3))


def test_a_k_that_some_problem_has_too_few_samples_for_is_left_out() -> None:
    assert [each.k for each in mean_pass_at_k([100, 9], [1, 1])] == [1]


def test_a_single_problem_has_no_standard_error() -> None:
    assert mean_pass_at_k([2], [1], ks=[1])[0].stderr is None


@pytest.mark.parametrize(("n", "c"), [([], []), ([1], [1, 1])])
def test_counts_that_do_not_fit_are_refused(n: list[int], c: list[int]) -> None:
    with pytest.raises(ValueError, match="equally many"):
        mean_pass_at_k(n, c)
