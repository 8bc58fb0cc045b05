"""Pruned runs choose what whole runs choose."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from executor import CellJob, Executor, Limits, PassMatrix, Verdict, open_executor
from executor.ballot import Ballot
from executor.fake import FakeExecutor

LOOP = "def f(x):\n    while True:\n        pass\n"
UNLIFT = "\nfor _ in ():\n    pass\n"


def solution(passes: Sequence[bool]) -> str:
    """A solution that is right exactly where ``passes`` says so."""
    return f"def f(x):\n    return {list(map(int, passes))!r}[x]\n"


def job(rows: Sequence[Sequence[bool]], *, prune: bool, suffix: str = "") -> CellJob:
    tests = tuple(f"assert f({number}) == 1{suffix}" for number in range(len(rows[0]) if rows else 0))
    return CellJob(
        job_id="job", entry_point="f", solutions=tuple(map(solution, rows)), tests=tests, prune=prune
    )  # fmt: skip


def run(executor: Executor, rows: Sequence[Sequence[bool]], *, prune: bool, suffix: str = "") -> PassMatrix:
    (matrix,) = executor.run([job(rows, prune=prune, suffix=suffix)])
    return matrix


def winners(matrix: PassMatrix) -> dict[int, str]:
    """Solutions with the most votes, and their rows: all that CodeRM's vote and its tie-break look at."""
    votes = matrix.passed.sum(axis=1)
    return {int(i): matrix.rows()[i] for i in np.flatnonzero(votes == votes.max())} if len(votes) else {}


MATRICES = st.integers(1, 9).flatmap(
    lambda tests: st.lists(st.lists(st.booleans(), min_size=tests, max_size=tests), min_size=1, max_size=8)
)


@settings(max_examples=300, deadline=None)
@given(rows=MATRICES)
def test_the_winners_and_their_rows_are_those_of_the_whole_matrix(rows: list[list[bool]]) -> None:
    with FakeExecutor() as executor:
        assert winners(run(executor, rows, prune=True)) == winners(run(executor, rows, prune=False))


@settings(max_examples=300, deadline=None)
@given(rows=MATRICES)
def test_a_cell_that_was_run_has_the_verdict_of_the_whole_matrix(rows: list[list[bool]]) -> None:
    with FakeExecutor() as executor:
        pruned, whole = run(executor, rows, prune=True), run(executor, rows, prune=False)
    ran = pruned.letters != ord(Verdict.NOT_RUN.value)
    assert np.array_equal(pruned.letters[ran], whole.letters[ran])


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("suffix", ["", UNLIFT])
def test_the_sandbox_prunes_and_keeps_the_winners(workers: int, suffix: str) -> None:
    random = np.random.default_rng(7)
    rows = (random.random((40, 60 if not suffix else 8)) < random.random((40, 1))).tolist()
    rows += [rows[3]] * 5
    with open_executor(workers=workers) as executor:
        pruned, whole = run(executor, rows, prune=True, suffix=suffix), run(executor, rows, prune=False, suffix=suffix)
    assert winners(pruned) == winners(whole)
    assert pruned.stats.pruned > 0
    assert pruned.stats.run + pruned.stats.pruned == whole.stats.run


def test_a_test_counts_as_often_as_it_stands_in_the_job() -> None:
    tests = ("assert f(0) == 1",) * 5 + ("assert f(1) == 1", "assert f(2) == 1")
    solutions = (solution([False, True, True]), solution([True, False, False]))
    prune = CellJob(job_id="job", entry_point="f", solutions=solutions, tests=tests, prune=True)
    with open_executor(workers=1) as executor:
        (matrix,) = executor.run([prune])
    assert list(winners(matrix)) == [1]


def test_a_solution_that_cannot_win_gets_no_second_timeout() -> None:
    good = solution([True] * 6)
    tests = tuple(f"assert f({number}) == 1" for number in range(6))
    pruned = CellJob(job_id="job", entry_point="f", solutions=(good, good, LOOP), tests=tests, prune=True)
    with open_executor(workers=1, limits=Limits(cpu_s=0.2, max_timeouts=None)) as executor:
        (matrix,) = executor.run([pruned])
    assert matrix.rows() == ["PPPPPP", "PPPPPP", "T-----"]
    assert matrix.stats.pruned == 5


def test_a_later_whole_run_fills_the_gaps_from_the_cache_and_by_running(tmp_path: Path) -> None:
    rows = [[True] * 30, [False] * 30]
    with open_executor(workers=1, cache=tmp_path) as executor:
        pruned = run(executor, rows, prune=True)
        whole = run(executor, rows, prune=False)
    assert pruned.stats.pruned > 0
    assert whole.rows() == ["P" * 30, "F" * 30]
    assert whole.stats.cached == pruned.stats.run
    assert whole.stats.run == pruned.stats.pruned


def test_what_the_cache_knows_of_the_best_is_a_floor_from_the_start(tmp_path: Path) -> None:
    with open_executor(workers=1, cache=tmp_path) as executor:
        run(executor, [[True] * 60], prune=False)
        (matrix,) = executor.run([job([[False] * 59 + [True], [True] * 60], prune=True)])
    assert matrix.stats.cached == 60
    assert matrix.stats.pruned > 0


def test_a_ballot_without_a_floor_gives_nobody_up() -> None:
    ballot = Ballot(0, 3, None)
    for _ in range(3):
        ballot.count(1, passed=False)
    assert not ballot.hopeless


def test_a_ballot_that_can_only_draw_level_is_not_hopeless() -> None:
    ballot = Ballot(votes=1, open_tests=2, floor=2)
    ballot.count(1, passed=False)
    assert not ballot.hopeless
    ballot.count(1, passed=False)
    assert ballot.hopeless
