"""Accuracy under random draws of tests: all at once, against one selection after the other."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coderm_tasks.pipeline import expected_correctness
from coderm_tasks.rerank import StrategyInput, keep_tests, select
from coderm_tasks.study.draws import BY_VOTES, draw_tests, expected_accuracy
from executor import PassMatrix


@st.composite
def labelled(draw: st.DrawFn) -> tuple[list[str], list[bool]]:
    tests = draw(st.integers(0, 6))
    rows = draw(st.lists(st.text("PPFFEI-", min_size=tests, max_size=tests), min_size=1, max_size=6))
    rows += draw(st.lists(st.sampled_from(rows), max_size=3))
    return rows, draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows)))


@settings(deadline=None)
@given(labelled(), st.sampled_from(sorted(BY_VOTES)), st.integers(1, 7), st.integers(0, 99))
def test_all_draws_at_once_are_as_good_as_one_selection_each(
    case: tuple[list[str], list[bool]], strategy: str, size: int, seed: int
) -> None:
    rows, labels = case
    matrix = PassMatrix.from_rows("Mbpp/2", rows, len(rows[0]))
    problem = StrategyInput(task_id="Mbpp/2", solutions=tuple(map(str, range(len(rows)))), matrix=matrix)
    kept = draw_tests(len(rows[0]), size, draws=5, seed=seed)
    expected = [
        expected_correctness(select(strategy, keep_tests(problem, np.flatnonzero(row))), labels) for row in kept
    ]
    found = expected_accuracy(BY_VOTES[strategy], matrix, np.array(labels), kept)
    assert found == pytest.approx(expected)


def test_a_draw_keeps_as_many_tests_as_it_should_and_each_equally_often() -> None:
    kept = draw_tests(10, 3, draws=4000, seed=1)
    assert (kept.sum(axis=1) == 3).all()
    assert kept.mean(axis=0) == pytest.approx(np.full(10, 0.3), abs=0.03)


@pytest.mark.parametrize("size", [10, 11])
def test_a_draw_of_all_tests_is_made_once(size: int) -> None:
    assert draw_tests(10, size, draws=100, seed=0).tolist() == [[True] * 10]


def test_a_hundred_draws_of_164_problems_at_100_by_100_take_less_than_thirty_seconds() -> None:
    from threadpoolctl import threadpool_limits

    random = np.random.default_rng(0)
    letters = np.where(random.random((100, 100)) < random.random((1, 100)), ord("P"), ord("F")).astype(np.uint8)
    matrix = PassMatrix("Mbpp/2", letters, np.zeros(letters.shape, dtype=np.bool_))
    labels = random.random(100) < 0.4
    start = time.process_time()  # of this process alone: a busy machine is no failure
    with threadpool_limits(1):
        for problem in range(164):
            for size in (1, 2, 5, 10, 20, 50, 100):
                expected_accuracy(BY_VOTES["coderm"], matrix, labels, draw_tests(100, size, 100, seed=problem))
    assert time.process_time() - start < 30
