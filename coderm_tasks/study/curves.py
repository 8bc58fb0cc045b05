"""Accuracy against a budget of tests, or of solutions, for each problem (pure)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from coderm_tasks.metrics import Interval, mean_interval, paired_difference
from coderm_tasks.model import Selection
from coderm_tasks.pipeline import expected_correctness
from coderm_tasks.rerank import Behaviours, StrategyInput, keep_tests, select
from coderm_tasks.study.draws import BY_VOTES, draw_tests, expected_accuracy
from coderm_tasks.study.record import Curve, CurvePoint, Grid, Quintile
from executor import PassMatrix

__all__ = [
    "SOLUTION_SIZES",
    "TEST_SIZES",
    "accuracies",
    "accuracy_by_solutions",
    "accuracy_by_tests",
    "correctness",
    "curve",
    "grid",
    "quintiles",
]

TEST_SIZES: tuple[int | None, ...] = (1, 2, 5, 10, 20, 50, 100, None)
SOLUTION_SIZES: tuple[int | None, ...] = (1, 5, 10, 25, 50, 100)
_QUINTILES = 5


def accuracies(strategy: str, problems: Sequence[StrategyInput]) -> NDArray[np.float64]:
    """Expected correctness of the selection, shape (problems,). The inputs carry labels.

    Raises:
        ConfigError: the strategy lacks evidence, or is of another package and failed.
    """
    return correctness([select(strategy, problem) for problem in problems], problems)


def correctness(selections: Sequence[Selection], problems: Sequence[StrategyInput]) -> NDArray[np.float64]:
    """Expected correctness of selections that were made before, shape (problems,)."""
    pairs = zip(selections, problems, strict=True)
    return np.array([expected_correctness(one, _labels(problem).tolist()) for one, problem in pairs], dtype=np.float64)


def _accuracy(strategy: str, problem: StrategyInput) -> float:
    return float(accuracies(strategy, [problem])[0])


def _labels(problem: StrategyInput) -> NDArray[np.bool_]:
    if problem.labels is None:
        raise AssertionError(f"{problem.task_id}: a study needs labels")
    return np.array(problem.labels, dtype=np.bool_)


def accuracy_by_tests(
    strategy: str,
    problems: Sequence[StrategyInput],
    sizes: Sequence[int | None],
    *,
    draws: int,
    seed: int = 0,
    advance: Callable[[int], None] = lambda steps: None,
) -> NDArray[np.float64]:
    """Mean accuracy over random draws of tests, shape (problems, sizes).

    Tests are drawn without replacement, the same for every strategy; ``None`` (and any size beyond what a problem has)
    is all of them. Strategies that look at votes alone go through :mod:`coderm_tasks.study.draws`, all draws at once.
    """
    found = np.empty((len(problems), len(sizes)))
    for row, problem in enumerate(problems):
        tests = problem.matrix.letters.shape[1]
        for column, size in enumerate(sizes):
            kept = draw_tests(tests, tests if size is None else size, draws, seed=seed * 1_000_003 + row)
            found[row, column] = _mean_over(strategy, problem, kept)
        advance(1)
    return found


def _mean_over(strategy: str, problem: StrategyInput, kept: NDArray[np.bool_]) -> float:
    if strategy in BY_VOTES:
        return float(expected_accuracy(BY_VOTES[strategy], problem.matrix, _labels(problem), kept).mean())
    parts = (keep_tests(problem, np.flatnonzero(row)) for row in kept)
    return float(np.mean([_accuracy(strategy, part) for part in parts]))


def accuracy_by_solutions(
    strategy: str, problems: Sequence[StrategyInput], sizes: Sequence[int | None]
) -> NDArray[np.float64]:
    """Accuracy among the first n solutions (CodeRM's rule) with all tests, shape (problems, sizes)."""
    rows = [[_accuracy(strategy, _first(problem, size)) for size in sizes] for problem in problems]
    return np.array(rows, dtype=np.float64).reshape(len(problems), len(sizes))


def _first(problem: StrategyInput, size: int | None) -> StrategyInput:
    if size is None or size >= len(problem.solutions):
        return problem
    behaviours, examples = problem.behaviours, problem.examples
    if behaviours is not None:
        behaviours = Behaviours(
            behaviours.codes[:size], behaviours.returned[:size], behaviours.of_test, behaviours.calls
        )
    return msgspec.structs.replace(
        problem,
        solutions=problem.solutions[:size],
        matrix=_rows(problem.matrix, size),
        behaviours=behaviours,
        examples=None if examples is None else _rows(examples, size),
        labels=None if problem.labels is None else problem.labels[:size],
    )


def _rows(matrix: PassMatrix, size: int) -> PassMatrix:
    return PassMatrix(matrix.job_id, matrix.letters[:size], matrix.shared[:size])


def curve(
    strategy: str,
    found: NDArray[np.float64],
    sizes: Sequence[int | None],
    available: Sequence[int],
    draws: int,
    seed: int,
) -> Curve:
    """Average over problems. ``found``: shape (problems, sizes); ``available``: tests or solutions of each problem."""
    points = []
    for column, size in enumerate(sizes):
        used = [count if size is None else min(size, count) for count in available]
        points.append(
            CurvePoint(size=size, mean_size=float(np.mean(used)), accuracy=mean_interval(found[:, column], seed=seed))
        )
    return Curve(strategy=strategy, points=tuple(points), draws=draws)


def grid(
    strategy: str,
    problems: Sequence[StrategyInput],
    solutions: Sequence[int | None],
    tests: Sequence[int | None],
    *,
    draws: int,
    seed: int = 0,
    advance: Callable[[int], None] = lambda steps: None,
) -> Grid:
    """Accuracy for each budget of the first solutions and of randomly drawn tests."""
    rows = []
    for size in solutions:
        part = [_first(problem, size) for problem in problems]
        found = accuracy_by_tests(strategy, part, tests, draws=draws, seed=seed, advance=advance)
        rows.append(tuple(found.mean(axis=0).tolist()))
    return Grid(solutions=tuple(solutions), tests=tuple(tests), accuracy=tuple(rows), draws=draws)


def quintiles(
    strategy: str,
    rates: NDArray[np.float64],
    found: NDArray[np.float64],
    sizes: Sequence[int | None],
    available: Sequence[int],
    draws: int,
    seed: int,
) -> tuple[Quintile, ...]:
    """Split the curve by difficulty: fifths of the problems by the policy's pass rate, hardest first (CodeRM, Fig. 2).

    ``rates``: shape (problems,). Fewer problems than five make fewer fifths.
    """
    order = np.argsort(rates, kind="stable")
    parts = [part for part in np.array_split(order, _QUINTILES) if len(part)]
    return tuple(
        Quintile(
            number=number,
            low=float(rates[part].min()),
            high=float(rates[part].max()),
            problems=len(part),
            solvable=int((rates[part] > 0).sum()),
            curve=curve(strategy, found[part], sizes, [available[index] for index in part], draws, seed),
            gain=_gain(found[part], seed),
        )
        for number, part in enumerate(parts, 1)
    )


def _gain(found: NDArray[np.float64], seed: int) -> Interval:
    return paired_difference(found[:, -1], found[:, 0], seed=seed)
