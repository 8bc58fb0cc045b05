"""Every strategy against a naive implementation written from the formula, cell by cell."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coderm_tasks.rerank import StrategyInput, evidence_of, get_strategy, select
from coderm_tasks.rerank.b4 import ALPHA_XY, BETA_0
from coderm_tasks.rerank.weighted import agreement, weights_of
from executor import PassMatrix

LETTERS = "PPPPFFFETRI-"


@st.composite
def row_lists(draw: st.DrawFn) -> list[str]:
    """Matrices of 1..9 solutions x 1..7 tests; some rows repeated, as equal solutions repeat them."""
    tests = draw(st.integers(1, 7))
    rows = draw(st.lists(st.text(LETTERS, min_size=tests, max_size=tests), min_size=1, max_size=6))
    return rows + draw(st.lists(st.sampled_from(rows), max_size=3))


def problem_of(rows: list[str]) -> StrategyInput:
    matrix = PassMatrix.from_rows("HumanEval/0", rows)
    return StrategyInput(task_id="HumanEval/0", solutions=tuple(f"s{i}" for i in range(len(rows))), matrix=matrix)


def usable_columns(rows: list[str]) -> list[int]:
    return [j for j in range(len(rows[0])) if any(row[j] not in "-I" for row in rows)]


def ties_of(rows: list[str], strategy: str) -> tuple[int, ...]:
    return select(strategy, problem_of(rows)).ties


def pass_set(row: str) -> frozenset[int]:
    return frozenset(j for j, letter in enumerate(row) if letter == "P")


def best(scores: list[float]) -> tuple[int, ...]:
    top = max(scores)
    return tuple(i for i, score in enumerate(scores) if math.isclose(score, top, rel_tol=1e-9, abs_tol=1e-9))


@given(row_lists().filter(usable_columns))
def test_coderm_takes_most_votes_then_the_commonest_pass_set_among_the_tied(rows: list[str]) -> None:
    votes = [len(pass_set(row)) for row in rows]
    tied = [i for i, vote in enumerate(votes) if vote == max(votes)]
    agreeing = {i: sum(pass_set(rows[i]) == pass_set(rows[k]) for k in tied) for i in tied}
    expected = tuple(i for i in tied if agreeing[i] == max(agreeing.values()))
    assert ties_of(rows, "coderm") == expected


@given(row_lists().filter(usable_columns))
def test_the_whole_part_of_a_coderm_score_is_the_number_of_votes(rows: list[str]) -> None:
    scores = select("coderm", problem_of(rows)).scores
    assert [math.floor(score) for score in scores] == [len(pass_set(row)) for row in rows]


@given(row_lists().filter(usable_columns))
def test_codet_multiplies_tests_with_the_root_of_the_group_size(rows: list[str]) -> None:
    scores = [len(pass_set(row)) * math.sqrt(sum(pass_set(row) == pass_set(other) for other in rows)) for row in rows]
    assert select("codet", problem_of(rows)).scores == pytest.approx(scores)
    assert ties_of(rows, "codet") == best(scores)


def test_codet_merges_groups_of_equal_score_to_the_last_bit() -> None:
    # 1 test x 18 members and 3 tests x 2 members: sqrt(18) = 3 sqrt(2).
    rows = ["PFFF"] * 18 + ["FPPP"] * 2
    assert len(ties_of(rows, "codet")) == 20


@given(row_lists().filter(usable_columns))
def test_majority_is_the_largest_group_of_one_pass_set(rows: list[str]) -> None:
    scores = [float(sum(pass_set(row) == pass_set(other) for other in rows)) for row in rows]
    assert select("majority", problem_of(rows)).scores == pytest.approx(scores)


def log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


def naive_b4(rows: list[str]) -> list[float]:
    columns = usable_columns(rows)
    scores = []
    for row in rows:
        x = {i for i, other in enumerate(rows) if pass_set(other) == pass_set(row)}
        y = pass_set(row)
        counts = {True: [0, 0], False: [0, 0]}
        for i, other in enumerate(rows):
            for j in columns:
                if i not in x and other[j] not in "-I":
                    counts[j in y][0] += other[j] == "P"
                    counts[j in y][1] += 1
        (s1, n1), (s0, n0) = counts[True], counts[False]
        scores.append(
            log_beta(len(y) + ALPHA_XY, len(columns) - len(y) + 1)
            + log_beta(len(x) + ALPHA_XY, len(rows) - len(x) + 1)
            + log_beta(s1 + 1, n1 - s1 + 1)
            + log_beta(s0 + 1, n0 - s0 + BETA_0)
        )
    return scores


@given(row_lists().filter(usable_columns))
def test_b4_is_the_sum_of_four_log_betas(rows: list[str]) -> None:
    # lgamma near 1e5 carries an absolute error of about 1e-9, and the naive sum takes differences of such terms.
    assert select("b4", problem_of(rows)).scores == pytest.approx(naive_b4(rows), rel=1e-6)


def naive_auc(rows: list[str], columns: list[int], weights: list[float], at: int) -> float:
    j = columns[at]
    others = {
        i: round(sum(w for w, k in zip(weights, columns, strict=True) if k != j and row[k] == "P"), 9)
        for i, row in enumerate(rows)
        if row[j] not in "-I"
    }
    wins = [
        1.0 if others[i] > others[k] else 0.5 if others[i] == others[k] else 0.0
        for i in others
        for k in others
        if rows[i][j] == "P" and rows[k][j] != "P"
    ]
    return sum(wins) / len(wins) if wins else 0.5


@given(row_lists().filter(usable_columns), st.integers(0, 2**32 - 1))
def test_agreement_is_the_share_of_pairs_that_the_other_tests_order_alike(rows: list[str], seed: int) -> None:
    columns = usable_columns(rows)
    # Quarters add up exactly, so that both ways of summing see the same ties.
    weights = np.random.default_rng(seed).integers(0, 5, len(columns)) / 4
    expected = [naive_auc(rows, columns, weights.tolist(), at) for at in range(len(columns))]
    assert agreement(evidence_of(problem_of(rows).matrix), weights) == pytest.approx(expected)


@given(row_lists().filter(usable_columns))
def test_weights_are_a_share_of_the_largest_and_never_all_zero(rows: list[str]) -> None:
    weights = weights_of(evidence_of(problem_of(rows).matrix))
    assert weights.max() == 1.0
    assert weights.min() >= 0.0


def test_a_test_against_all_others_weighs_nothing() -> None:
    rows = ["PPPF"] * 3 + ["FFFP"] * 4
    assert weights_of(evidence_of(problem_of(rows).matrix))[3] == 0.0
    assert ties_of(rows, "weighted") == (0, 1, 2)


def test_one_test_alone_makes_weighted_a_plain_vote() -> None:
    assert select("weighted", problem_of(["P", "F", "P"])).scores == (1.0, 0.0, 1.0)


@settings(deadline=None)
@given(row_lists().filter(usable_columns))
def test_weighted_scores_are_the_weights_of_the_tests_passed(rows: list[str]) -> None:
    weights = weights_of(evidence_of(problem_of(rows).matrix))
    columns = usable_columns(rows)
    expected = [sum(w for w, j in zip(weights, columns, strict=True) if row[j] == "P") for row in rows]
    assert select("weighted", problem_of(rows)).scores == pytest.approx(expected)


def naive_dawid_skene(rows: list[str]) -> list[float]:
    cells = [[(j, row[j] == "P") for j in range(len(row)) if row[j] not in "-I"] for row in rows]
    columns = usable_columns(rows)
    share = [sum(ok for _, ok in row) / len(row) if row else 0.5 for row in cells]
    correct = [min(max(p, 1e-3), 1 - 1e-3) for p in share]
    for _ in range(200):
        rates = {}
        for j in columns:
            seen = [(correct[i], ok) for i, row in enumerate(cells) for k, ok in row if k == j]
            accept = (sum(p for p, ok in seen if ok) + 1) / (sum(p for p, _ in seen) + 2)
            deceive = (sum(1 - p for p, ok in seen if ok) + 1) / (sum(1 - p for p, _ in seen) + 2)
            rates[j] = (accept, deceive)
        prior = (sum(correct) + 1) / (len(rows) + 2)
        odds = [
            math.log(prior / (1 - prior))
            + sum(
                math.log(rates[j][0] / rates[j][1]) if ok else math.log((1 - rates[j][0]) / (1 - rates[j][1]))
                for j, ok in row
            )
            for row in cells
        ]
        fresh = [1 / (1 + math.exp(-value)) for value in odds]
        settled = max(abs(a - b) for a, b in zip(fresh, correct, strict=True)) <= 1e-9
        correct = fresh
        if settled:
            break
    turned = sum(a for a, _ in rates.values()) < sum(b for _, b in rates.values())
    return [-value for value in odds] if turned else odds


@settings(deadline=None)
@given(row_lists().filter(usable_columns))
def test_dawid_skene_follows_the_textbook_loops(rows: list[str]) -> None:
    assert select("dawid-skene", problem_of(rows)).scores == pytest.approx(naive_dawid_skene(rows), rel=1e-4, abs=1e-5)


def test_dawid_skene_prefers_the_solutions_of_consistent_tests_over_a_bare_majority() -> None:
    # Four tests agree on two solutions; five unrelated tests spread over the rest, giving solution 2 as many votes.
    rows = ["PPPPFFFFF", "PPPPFFFFF", "FFFFPPPPF", "FFFFPFFFP", "FFFFFPFFF", "FFFFFFPFF"]
    assert ties_of(rows, "dawid-skene") == (0, 1)


@given(
    row_lists().filter(usable_columns),
    st.sampled_from(["coderm", "codet", "b4", "majority", "weighted", "dawid-skene"]),
)
@settings(deadline=None)
def test_solutions_with_the_same_verdicts_get_the_same_score(rows: list[str], name: str) -> None:
    scores = get_strategy(name).score(problem_of(rows))
    for i, row in enumerate(rows):
        assert scores[i] == pytest.approx(scores[rows.index(row)])


@given(
    row_lists().filter(usable_columns),
    st.sampled_from(["coderm", "codet", "b4", "majority", "weighted", "dawid-skene"]),
    st.sampled_from("-I"),
)
@settings(deadline=None)
def test_a_test_that_was_not_executed_or_tests_nothing_changes_nothing(rows: list[str], name: str, letter: str) -> None:
    with_column = [row + letter for row in rows]
    assert select(name, problem_of(with_column)) == select(name, problem_of(rows))
