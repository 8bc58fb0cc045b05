"""Choose accord's weights by cross-validation over problems, and say what they are worth on those held out (pure).

A problem is in one fold with all policies, sizes and draws, so nothing of a held-out problem is seen while choosing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from coderm_tasks.rerank import StrategyInput, keep_tests
from coderm_tasks.rerank.accord import AccordWeights, components
from coderm_tasks.study.draws import draw_tests

__all__ = ["GRID", "CrossValidation", "cross_validate"]

GRID = tuple(
    AccordWeights(twins=twins, peers=peers, examples=examples)
    for twins, peers, examples in product((0.05, 0.15, 0.25, 0.35, 0.5), (0.0, 4.0, 8.0, 12.0, 16.0, 24.0), (20.0, 5.0))
)
_TOLERANCE = 1e-9


class CrossValidation(Struct, frozen=True):
    """Held-out accuracies, and which weights each fold chose."""

    held_out: Mapping[str, NDArray[np.float64]]
    """By policy: shape (problems, sizes); each problem scored by weights chosen without it."""
    chosen: tuple[AccordWeights, ...]
    """Per fold."""
    all_data: AccordWeights
    """Chosen on all problems: what ships."""


def cross_validate(
    policies: Mapping[str, Sequence[StrategyInput]],
    sizes: Sequence[int | None],
    *,
    draws: int = 10,
    folds: int = 10,
    seed: int = 0,
    grid: Sequence[AccordWeights] = GRID,
) -> CrossValidation:
    """Score every point of the grid on every problem, choose per fold, and read off the held-out scores.

    Folds are dealt by a seeded permutation of the sorted task ids. The objective is the mean accuracy over policies and
    sizes, problems counting alike within a policy; of equal points the first in the grid wins.
    O(problems sizes draws (features + grid N)).
    """
    scored = {name: _grid_accuracy(problems, sizes, draws, seed, grid) for name, problems in policies.items()}
    tasks = sorted({problem.task_id for problems in policies.values() for problem in problems})
    order = np.random.default_rng(seed).permutation(len(tasks))
    fold_of = {tasks[place]: number % folds for number, place in enumerate(order)}
    fold = {name: np.array([fold_of[problem.task_id] for problem in problems]) for name, problems in policies.items()}
    held_out = {name: np.empty(found.shape[:2]) for name, found in scored.items()}
    chosen = []
    for number in range(folds):
        best = _best(scored, {name: of != number for name, of in fold.items()})
        chosen.append(grid[best])
        for name, found in scored.items():
            held_out[name][fold[name] == number] = found[fold[name] == number][:, :, best]
    return CrossValidation(held_out, tuple(chosen), grid[_best(scored, {name: of >= 0 for name, of in fold.items()})])


def _best(scored: Mapping[str, NDArray[np.float64]], kept: Mapping[str, NDArray[np.bool_]]) -> int:
    """Index of the point with the highest mean accuracy over the kept problems."""
    means = [found[kept[name]].mean(axis=(0, 1)) for name, found in scored.items() if kept[name].any()]
    return int(np.argmax(np.round(np.mean(means, axis=0), 9)))


def _grid_accuracy(
    problems: Sequence[StrategyInput], sizes: Sequence[int | None], draws: int, seed: int, grid: Sequence[AccordWeights]
) -> NDArray[np.float64]:
    """Mean over draws, shape (problems, sizes, grid)."""
    weights = np.column_stack([point.array() for point in grid])
    found = np.empty((len(problems), len(sizes), len(grid)))
    for row, problem in enumerate(problems):
        tests = problem.matrix.letters.shape[1]
        labels = np.array(problem.labels, dtype=np.float64)
        for column, size in enumerate(sizes):
            kept = draw_tests(tests, tests if size is None else size, draws, seed=seed * 1_000_003 + row)
            parts = [keep_tests(problem, np.flatnonzero(mask)) for mask in kept]
            found[row, column] = np.mean([_accuracy(components(part) @ weights, labels) for part in parts], axis=0)
    return found


def _accuracy(scores: NDArray[np.float64], labels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Expected correctness over ties per column; ``scores``: shape (N, grid); returns shape (grid,)."""
    best = scores.max(axis=0)
    tied = scores >= best - _TOLERANCE * np.maximum(1.0, np.abs(best))
    accuracy: NDArray[np.float64] = labels @ tied / tied.sum(axis=0)
    return accuracy
