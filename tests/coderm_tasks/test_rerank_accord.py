"""Accord against a naive implementation written from the formula in docs/accord.md, and what it promises."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coderm_tasks.rerank import Behaviours, StrategyInput, get_strategy, keep_tests, select
from coderm_tasks.rerank.accord import DEFAULT_WEIGHTS, AccordWeights, components, score_accord
from executor import PassMatrix


@st.composite
def problems(draw: st.DrawFn) -> StrategyInput:
    """1..7 solutions with 0..4 tests, 0..3 calls (or none recorded) and 0..3 examples (or none run)."""
    tests, calls, examples = draw(st.integers(0, 4)), draw(st.integers(0, 3)), draw(st.integers(0, 3))
    row = st.tuples(
        st.text("PPFE-I", min_size=tests, max_size=tests),
        st.lists(st.integers(-1, 2), min_size=calls, max_size=calls),
        st.text("PF-", min_size=examples, max_size=examples),
    )
    rows = draw(st.lists(row, min_size=1, max_size=5))
    rows += draw(st.lists(st.sampled_from(rows), max_size=2))
    codes = np.array([r[1] for r in rows], dtype=np.int32).reshape(len(rows), calls)
    behaviours = Behaviours(codes, codes > 0, np.ones((tests, calls), dtype=np.bool_))
    return StrategyInput(
        task_id="Mbpp/2",
        solutions=tuple(map(str, range(len(rows)))),
        matrix=PassMatrix.from_rows("Mbpp/2", [r[0] for r in rows], tests),
        behaviours=draw(st.sampled_from([behaviours, None])),
        examples=draw(st.sampled_from([PassMatrix.from_rows("Mbpp/2", [r[2] for r in rows], examples), None])),
    )


def naive(problem: StrategyInput, twins: float, peers: float, examples: float) -> list[float]:
    rows = problem.matrix.rows()
    n = len(rows)
    columns = [j for j in range(len(rows[0])) if any(row[j] not in "-I" for row in rows)]
    verdicts = [[int(row[j] == "P") for j in columns] for row in rows]
    recorded = problem.behaviours is not None and problem.behaviours.codes.shape[1] > 0
    outcomes = problem.behaviours.codes.tolist() if recorded and problem.behaviours else verdicts
    shares = [0.0] * n
    if problem.examples is not None:
        stated = problem.examples.rows()
        usable = [j for j in range(len(stated[0])) if any(row[j] not in "-I" for row in stated)]
        shares = [sum(row[j] == "P" for j in usable) / len(usable) if usable else 0.0 for row in stated]
    consistent = [i for i in range(n) if shares[i] == max(shares)]
    scores = []
    for i in range(n):
        share = (sum(verdicts[i]) + 0.5) / (len(columns) + 0.5)
        alike = sum(verdicts[k] == verdicts[i] and outcomes[k] == outcomes[i] for k in range(n))
        calls = range(len(outcomes[i]))
        agreement = [sum(outcomes[k][c] == outcomes[i][c] >= 0 for k in consistent) / len(consistent) for c in calls]
        scores.append(
            math.sqrt(len(columns)) * math.log(share)
            + twins * math.log(alike / n)
            + peers * (sum(agreement) / len(agreement) if agreement else 0.0)
            + examples * shares[i]
        )
    return scores


@settings(deadline=None)
@given(problems(), st.floats(0, 2), st.floats(0, 8), st.floats(0, 30))
def test_accord_is_the_sum_of_its_four_terms(
    problem: StrategyInput, twins: float, peers: float, examples: float
) -> None:
    weights = AccordWeights(twins=twins, peers=peers, examples=examples)
    assert score_accord(problem, weights) == pytest.approx(naive(problem, twins, peers, examples), abs=1e-9)


@settings(deadline=None)
@given(problems())
def test_accord_selects_by_its_default_weights(problem: StrategyInput) -> None:
    weights = DEFAULT_WEIGHTS
    expected = naive(problem, weights.twins, weights.peers, weights.examples)
    selection = select("accord", problem)
    assert list(selection.scores) == pytest.approx(expected, abs=1e-9)
    assert expected[selection.index] == pytest.approx(max(expected), abs=1e-6)


def matrix(*rows: str) -> PassMatrix:
    return PassMatrix.from_rows("Mbpp/2", rows)


def problem_of(rows: list[str], examples: list[str] | None = None) -> StrategyInput:
    return StrategyInput(
        task_id="Mbpp/2",
        solutions=tuple(map(str, range(len(rows)))),
        matrix=matrix(*rows),
        examples=None if examples is None else matrix(*examples),
    )


def test_a_solution_that_fails_an_example_loses_to_one_that_passes_it_whatever_the_tests_say() -> None:
    rows = ["P" * 50, "F" * 25 + "P" * 25]
    assert select("accord", problem_of(rows)).ties == (0,)
    assert select("accord", problem_of(rows, ["F", "P"])).ties == (1,)


def test_many_twins_outweigh_one_more_test() -> None:
    rows = ["P" * 30 + "F" * 10] * 20 + ["P" * 31 + "F" * 9]
    assert select("accord", problem_of(rows)).ties == tuple(range(20))
    assert select("coderm", problem_of(rows)).ties == (20,)


def test_without_tests_it_still_selects_by_the_examples() -> None:
    problem = problem_of(["", "", ""], ["F", "P", "P"])
    selection = select("accord", problem)
    assert (selection.ties, selection.note, selection.tests_used) == ((1, 2), "", 0)


def test_without_any_evidence_all_samples_are_tied() -> None:
    assert select("accord", problem_of(["", ""])).ties == (0, 1)


def test_the_number_of_tests_it_used_is_reported() -> None:
    assert select("accord", problem_of(["PI", "FI"])).tests_used == 1


def test_auto_means_accord_and_the_selection_says_so() -> None:
    assert get_strategy("auto").name == "accord"
    assert select("auto", problem_of(["P", "F"])).strategy == "accord"


def test_more_of_the_same_tests_never_turn_the_order_of_votes_and_twins_of_equal_size() -> None:
    problem = problem_of(["PPF", "PFF"])
    doubled = keep_tests(problem, np.array([0, 0, 1, 1, 2, 2]))
    assert (np.diff(score_accord(problem)) < 0).all()
    assert (np.diff(score_accord(doubled)) < 0).all()


def test_peers_are_counted_among_the_example_consistent_alone() -> None:
    codes = np.array([[0], [1], [1], [1]], dtype=np.int32)
    behaviours = Behaviours(codes, codes >= 0, np.ones((1, 1), dtype=np.bool_))
    problem = msgspec.structs.replace(problem_of(["P"] * 4, ["P", "P", "F", "F"]), behaviours=behaviours)
    assert components(problem)[:, 2] == pytest.approx([0.5, 0.5, 0.5, 0.5])
