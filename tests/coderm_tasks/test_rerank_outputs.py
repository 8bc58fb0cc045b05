"""Strategies on outputs and graphs, each against a naive implementation written from the formula."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coderm_tasks.rerank import Behaviours, StrategyInput, keep_tests, select
from executor import PassMatrix

Rows = tuple[list[str], list[list[int]], list[list[bool]]]


@st.composite
def problems(draw: st.DrawFn) -> Rows:
    """Verdicts, outcome codes and which outcomes are values: 1..8 solutions x 1..4 tests x 1..4 calls."""
    tests, calls = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    row = st.tuples(
        st.text("PPFE-I", min_size=tests, max_size=tests),
        st.lists(st.integers(-1, 2), min_size=calls, max_size=calls),
        st.lists(st.booleans(), min_size=calls, max_size=calls),
    )
    rows = draw(st.lists(row, min_size=1, max_size=6))
    rows += draw(st.lists(st.sampled_from(rows), max_size=2))
    # Code 0 is an exception everywhere, so that equal codes are of one kind.
    return [r[0] for r in rows], [r[1] for r in rows], [[code > 0 for code in r[1]] for r in rows]


def usable(rows: list[str]) -> bool:
    return any(letter not in "-I" for row in rows for letter in row)


def problem_of(case: Rows) -> StrategyInput:
    rows, codes, returned = case
    behaviours = Behaviours(
        np.array(codes, dtype=np.int32),
        np.array(returned, dtype=np.bool_),
        np.ones((len(rows[0]), len(codes[0])), dtype=np.bool_),
    )
    matrix = PassMatrix.from_rows("Mbpp/2", rows)
    solutions = tuple(f"s{i}" for i in range(len(rows)))
    return StrategyInput(task_id="Mbpp/2", solutions=solutions, matrix=matrix, behaviours=behaviours)


def scores_of(name: str, case: Rows) -> tuple[float, ...]:
    return select(name, problem_of(case)).scores


PROBLEMS = problems().filter(lambda case: usable(case[0]))


@given(PROBLEMS)
def test_mbr_exec_counts_the_solutions_that_answer_every_call_alike(case: Rows) -> None:
    _, codes, _ = case
    expected = [float(sum(all(a == b >= 0 for a, b in zip(mine, other)) for other in codes)) for mine in codes]
    assert list(scores_of("mbr-exec", case)) == expected


@given(PROBLEMS)
def test_soft_mbr_exec_counts_agreements_call_by_call(case: Rows) -> None:
    _, codes, _ = case
    expected = [float(sum(a == b >= 0 for other in codes for a, b in zip(mine, other))) for mine in codes]
    assert list(scores_of("mbr-exec-soft", case)) == expected


def test_a_solution_that_never_answers_has_no_behaviour_to_agree_on() -> None:
    case = (["P", "P", "F"], [[-1], [-1], [1]], [[False], [False], [True]])
    assert scores_of("mbr-exec", case) == (0.0, 0.0, 1.0)
    assert select("mbr-exec-soft", problem_of(case)).ties == (2,)


def naive_srank(case: Rows) -> list[float]:
    rows, codes, returned = case
    clusters: dict[tuple[int, ...], list[int]] = {}
    for i, code in enumerate(codes):
        clusters.setdefault(tuple(code), []).append(i)

    def value(members: list[int]) -> float:
        cells = [letter for i in members for j, letter in enumerate(rows[i]) if letter not in "-I"]
        rate = sum(letter == "P" for letter in cells) / len(cells) if cells else 0.0
        return len(members) / len(rows) * rate

    def overlap(a: list[int], b: list[int]) -> float:
        if a is b:
            return 1.0
        i, j = a[0], b[0]
        shared = [returned[i][k] and returned[j][k] and codes[i][k] == codes[j][k] for k in range(len(codes[0]))]
        return sum(shared) / len(shared)

    scores = {
        key: sum(overlap(mine, other) * value(other) for other in clusters.values()) for key, mine in clusters.items()
    }
    return [scores[tuple(code)] for code in codes]


@given(PROBLEMS)
def test_srank_lets_clusters_support_those_they_overlap_with(case: Rows) -> None:
    assert scores_of("srank", case) == pytest.approx(naive_srank(case))


def test_srank_does_not_take_equal_exceptions_for_overlap() -> None:
    # Both clusters raise on call 0; they differ on call 1, so they share no value.
    case = (["PF", "FF"], [[0, 1], [0, 2]], [[False, True], [False, True]])
    assert scores_of("srank", case) == pytest.approx((0.25, 0.0))


def naive_mpsc(rows: list[str]) -> list[float]:
    columns = [j for j in range(len(rows[0])) if any(row[j] not in "-I" for row in rows)]
    n, m = len(rows), len(columns)
    size = n + m
    weight = [[0.0] * size for _ in range(size)]
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            weight[i][n + j] = weight[n + j][i] = float(row[column] == "P")
    degree = [sum(row) for row in weight]

    def side(members: range, other: int) -> list[float]:
        raw = [sum(weight[a] == weight[b] for b in members) * degree[a] / other for a in members]
        return [x / sum(raw) for x in raw] if sum(raw) else raw

    start = side(range(n), m) + side(range(n, size), n)
    alpha = 0.95 if sum(degree) / 2 / (n * m) >= 0.16 else 0.01
    f = start
    for _ in range(5000):
        fresh = [
            alpha * sum(weight[a][b] / math.sqrt(degree[a] * degree[b]) * f[b] for b in range(size) if weight[a][b])
            + (1 - alpha) * start[a]
            for a in range(size)
        ]
        moved = math.sqrt(sum((a - b) ** 2 for a, b in zip(fresh, f)))
        f = fresh
        if moved <= 1e-6:
            break
    return [f[i] if degree[i] else 0.0 for i in range(n)]


@settings(deadline=None)
@given(PROBLEMS)
def test_mpsc_walks_the_graph_of_passed_cells_until_it_settles(case: Rows) -> None:
    assert scores_of("mpsc", case) == pytest.approx(naive_mpsc(case[0]), abs=1e-9)


@given(PROBLEMS)
def test_the_flat_codet_multiplies_tests_with_the_twentieth_root_of_the_group(case: Rows) -> None:
    sets = [frozenset(j for j, letter in enumerate(row) if letter == "P") for row in case[0]]
    assert scores_of("codet-0.05", case) == pytest.approx([len(one) * sets.count(one) ** 0.05 for one in sets])


@given(PROBLEMS, st.sampled_from(["mbr-exec", "mbr-exec-soft", "srank", "mpsc", "codet-0.05"]))
def test_solutions_that_are_alike_in_everything_tie_to_the_last_bit(case: Rows, name: str) -> None:
    rows, codes, _ = case
    scores = scores_of(name, case)
    for i in range(len(rows)):
        first = next(k for k in range(len(rows)) if (rows[k], codes[k]) == (rows[i], codes[i]))
        assert scores[i] == scores[first]


def test_keeping_some_tests_keeps_the_calls_that_they_make_and_no_others() -> None:
    behaviours = Behaviours(
        np.array([[0, 1, 2]], dtype=np.int32),
        np.ones((1, 3), dtype=np.bool_),
        np.array([[True, False, False], [True, True, False], [False, False, True]]),
        ("f(0)", "f(1)", "f(2)"),
    )
    matrix = PassMatrix.from_rows("Mbpp/2", ["PFE"])
    problem = StrategyInput(task_id="Mbpp/2", solutions=("s",), matrix=matrix, behaviours=behaviours)
    kept = keep_tests(problem, np.array([2, 0]))
    assert kept.matrix.rows() == ["EP"]
    assert kept.behaviours is not None
    assert kept.behaviours.calls == ("f(0)", "f(2)")
    assert kept.behaviours.codes.tolist() == [[0, 2]]
    assert kept.behaviours.of_test.tolist() == [[False, True], [True, False]]
