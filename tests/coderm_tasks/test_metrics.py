"""Metrics against textbook definitions written out case by case."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coderm_tasks.metrics import (
    Confusion,
    bootstrap_means,
    cells_confusion,
    cost_steps,
    judge_inputs,
    mean_interval,
    mean_pass_at_k,
    paired_difference,
    quality,
    rank_problem,
    redundancy,
    selected_confusion,
)
from executor import PassMatrix


def test_the_papers_rates_and_the_textbooks_are_told_apart() -> None:
    found = quality(Confusion(tp=30, fp=10, tn=40, fn=20))
    assert found.acc == pytest.approx(0.7)
    assert found.f1 == pytest.approx(2 * 0.75 * 0.6 / (0.75 + 0.6))  # precision 3/4, recall 3/5
    assert found.paper_far == pytest.approx(10 / 40)
    assert found.far == pytest.approx(10 / 50)
    assert found.paper_frr == pytest.approx(20 / 60)
    assert found.frr == pytest.approx(20 / 50)
    assert found.pairs == 100


def test_a_rate_without_a_denominator_is_none_and_not_zero() -> None:
    found = quality(Confusion())
    assert (found.acc, found.f1, found.paper_far, found.far, found.paper_frr, found.frr) == (None,) * 6


@given(st.lists(st.tuples(st.text("PFE-I", min_size=3, max_size=3), st.booleans()), min_size=1, max_size=6))
def test_individual_tests_are_counted_cell_by_cell(rows: list[tuple[str, bool]]) -> None:
    matrix = PassMatrix.from_rows("Mbpp/2", [row for row, _ in rows])
    counts = cells_confusion(matrix.passed, matrix.executed, np.array([correct for _, correct in rows]))
    cells = [(letter == "P", correct) for row, correct in rows for letter in row if letter not in "-I"]
    expected = [cells.count(pair) for pair in ((True, True), (True, False), (False, False), (False, True))]
    assert [counts.tp, counts.fp, counts.tn, counts.fn] == expected


def test_in_combination_the_tied_solutions_are_the_prediction() -> None:
    counts = selected_confusion((0, 2), np.array([True, True, False, False]))
    assert counts == Confusion(tp=1, fp=1, tn=1, fn=1)
    assert counts + counts == Confusion(tp=2, fp=2, tn=2, fn=2)


def naive_tau(a: list[float], b: list[float]) -> float:
    def sign(x: float) -> int:
        return (x > 0) - (x < 0)

    pairs = [(sign(a[i] - a[j]), sign(b[i] - b[j])) for i, j in itertools.combinations(range(len(a)), 2)]
    untied = [sum(x[side] != 0 for x in pairs) for side in (0, 1)]
    return sum(x * y for x, y in pairs) / math.sqrt(untied[0] * untied[1]) if all(untied) else 0.0


def naive_rho(a: list[float], b: list[float]) -> float:
    def ranks(x: list[float]) -> list[float]:
        return [sum(o < v for o in x) + (sum(o == v for o in x) + 1) / 2 for v in x]

    ra, rb = ranks(a), ranks(b)
    ma, mb = sum(ra) / len(ra), sum(rb) / len(rb)
    top = sum((x - ma) * (y - mb) for x, y in zip(ra, rb))
    bottom = math.sqrt(sum((x - ma) ** 2 for x in ra) * sum((y - mb) ** 2 for y in rb))
    return top / bottom if bottom else 0.0


@settings(deadline=None)  # the first call imports scipy
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 1)), min_size=1, max_size=8))
def test_rankings_follow_their_definitions(pairs: list[tuple[int, int]]) -> None:
    scores, truth = [score / 4 for score, _ in pairs], [float(right) for _, right in pairs]
    found = rank_problem(np.array(scores), np.array(truth))
    top = [i for i, score in enumerate(scores) if score == max(scores)]
    bottom = [i for i, score in enumerate(scores) if score == min(scores)]
    assert found.top_1 == (1 / len(top) if max(truth[i] for i in top) == max(truth) else 0.0)
    assert found.bottom_1 == (1 / len(bottom) if min(truth[i] for i in bottom) == min(truth) else 0.0)
    assert found.spearman == pytest.approx(naive_rho(scores, truth))
    assert found.kendall == pytest.approx(naive_tau(scores, truth))
    assert found.mae == pytest.approx(sum(abs(a - b) for a, b in zip(scores, truth)) / len(pairs))


def test_scores_and_truth_of_unequal_length_are_refused() -> None:
    with pytest.raises(ValueError, match="2 scores for 1 solutions"):
        rank_problem(np.zeros(2), np.zeros(1))


def test_an_attack_is_an_input_on_which_the_wrong_solution_answers_otherwise_than_the_reference() -> None:
    # Calls: 0 exposes the wrong solution, 1 does not, 2 stops the reference and exposes nobody.
    codes = np.array([[0, 0, 0], [1, 0, 0], [0, 0, 0]], dtype=np.int32)
    reference = np.array([0, 0, -1], dtype=np.int32)
    of_test = np.array([[True, False, False], [False, True, False], [False, False, True], [False, False, False]])
    accepts = np.array([False, True, False, True])
    found = judge_inputs(codes, reference, of_test, accepts, np.array([True, False, True]))
    assert (found.tests, found.pairs) == (3, 3)  # test 3 makes no known call
    assert found.attack_rate == pytest.approx(1 / 3)
    assert found.output_accuracy == pytest.approx(1 / 3)
    assert found.both == 0.0


def test_without_a_wrong_solution_there_is_no_attack_rate() -> None:
    one = np.zeros((1, 1), dtype=np.int32)
    found = judge_inputs(one, one[0], np.ones((1, 1), np.bool_), np.ones(1, np.bool_), np.ones(1, np.bool_))
    assert (found.attack_rate, found.both, found.output_accuracy) == (None, None, 1.0)


@pytest.mark.parametrize(
    ("rows", "distinct", "telling"),
    [
        (["PPF", "PPF"], 2, 0),  # all pass, all fail: distinct, and neither changes a vote
        (["PPF", "FFP"], 2, 2),
        (["PFI", "FE-"], 2, 1),  # what tests nothing is no test; fail and error are one verdict to a vote
        (["I-", "-I"], 0, 0),
        (["PP", "F-"], 2, 1),  # passed wherever it ran
    ],
)
def test_distinct_tests_are_unique_columns(rows: list[str], distinct: int, telling: int) -> None:
    matrix = PassMatrix.from_rows("Mbpp/2", rows)
    found = redundancy(matrix.letters, matrix.passed, matrix.executed)
    assert (found.tests, found.distinct, found.telling) == (len(rows[0]), distinct, telling)


def test_an_interval_covers_the_true_mean_about_as_often_as_it_says() -> None:
    random = np.random.default_rng(5)
    hits = 0
    for trial in range(200):
        found = mean_interval(random.random(60), seed=trial, draws=400)
        assert found.low is not None
        assert found.high is not None
        hits += found.low <= 0.5 <= found.high
    assert 178 <= hits <= 199  # 190 expected, three standard deviations either way


def test_a_paired_difference_is_free_of_what_both_share() -> None:
    hard = np.random.default_rng(0).random(80)
    found = paired_difference(hard + 0.1, hard)
    assert found.value == pytest.approx(0.1)
    assert found.low == pytest.approx(0.1)
    assert found.high == pytest.approx(0.1)


def test_the_same_seed_draws_the_same_problems() -> None:
    values = np.random.default_rng(1).random(30)
    assert mean_interval(values, seed=3) == mean_interval(values, seed=3)
    assert mean_interval(values, seed=3) != mean_interval(values, seed=4)


def test_a_single_problem_has_no_interval() -> None:
    assert mean_interval([0.5]).low is None


@pytest.mark.parametrize("values", [[], [float("nan")], [[1.0], [2.0]]])
def test_values_that_have_no_mean_are_refused(values: list[float]) -> None:
    with pytest.raises(ValueError, match="expected one finite value per problem"):
        mean_interval(values)


def test_a_difference_of_other_problems_is_refused() -> None:
    with pytest.raises(ValueError, match="difference of 1 and 2 values"):
        paired_difference([1.0], [1.0, 2.0])


def test_bootstrap_columns_share_their_draws() -> None:
    values = np.random.default_rng(2).random((20, 1))
    means = bootstrap_means(np.hstack([values, values + 1]), draws=50)
    assert means[:, 1] - means[:, 0] == pytest.approx(np.ones(50))


def test_pass_at_k_comes_with_an_interval_around_it() -> None:
    (found,) = mean_pass_at_k([10] * 20, list(range(0, 10)) * 2, ks=[1])
    assert found.low is not None
    assert found.high is not None
    assert 0 <= found.low < found.value < found.high <= 1


def test_the_price_of_a_point_counts_from_no_tests_and_from_the_last_budget() -> None:
    one, two, three = cost_steps([1, 5, 10], [0.42, 0.50, 0.50], 0.40)
    assert (one.tests_per_point, one.marginal) == (pytest.approx(0.5), pytest.approx(0.5))
    assert (two.tests_per_point, two.marginal) == (pytest.approx(0.5), pytest.approx(0.5))
    assert (three.tests_per_point, three.marginal) == (pytest.approx(1.0), None)


def test_budgets_that_do_not_ascend_are_refused() -> None:
    with pytest.raises(ValueError, match="budgets ascending"):
        cost_steps([5, 5], [0.1, 0.2], 0.0)
