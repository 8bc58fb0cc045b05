"""MPSC: scores that solutions and tests lend each other over the graph of their agreements."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from coderm_tasks.rerank.base import StrategyInput, evidence_of, groups_of_rows

__all__ = ["score_mpsc"]

ALPHA_DENSE, ALPHA_SPARSE = 0.95, 0.01
DENSE_FROM = 0.16
"""Mean edge weight from which the graph is trusted."""
_TOLERANCE = 1e-6
_ROUNDS = 5000


def score_mpsc(problem: StrategyInput) -> NDArray[np.float64]:
    """MPSC (Huang et al. 2023, arXiv 2309.17272), with solutions and test cases only: no specifications are sampled.

    A bipartite graph, one edge of weight 1 per passed cell. ``f <- a T f + (1 - a) s`` from ``f = s`` until it moves by
    less than 1e-6 (Euclidean), ``T = D^-1/2 W D^-1/2``; a is 0.95 where the mean edge weight is at least 0.16 and 0.01
    elsewhere. The start ``s`` is the paper's semantic one, its weighted cardinality: of a solution, the solutions with
    its exact pass set times the share of tests in it; of a test, the tests with its exact column times the share of
    solutions in it; either side sums to 1. A solution that passes nothing scores 0. Cells not executed are no edges.
    Returns shape (N,). O(rounds N M).
    """
    weights = evidence_of(problem.matrix).passed.astype(np.float64)
    of_solution, of_test = weights.sum(axis=1), weights.sum(axis=0)
    transition = _inverse_root(of_solution)[:, None] * weights * _inverse_root(of_test)
    solutions, tests = start_s, start_t = _cardinality(weights), _cardinality(weights.T)
    alpha = ALPHA_DENSE if weights.mean() >= DENSE_FROM else ALPHA_SPARSE
    for _ in range(_ROUNDS):
        fresh = alpha * (transition @ tests) + (1 - alpha) * start_s
        fresh_tests = alpha * (transition.T @ solutions) + (1 - alpha) * start_t
        moved = np.hypot(np.linalg.norm(fresh - solutions), np.linalg.norm(fresh_tests - tests))
        solutions, tests = fresh, fresh_tests
        if moved <= _TOLERANCE:
            break
    scores: NDArray[np.float64] = np.where(of_solution > 0, solutions, 0.0)
    # One value per pass set: equal rows must tie to the last bit, whatever order the sums were taken in.
    of, _, first = groups_of_rows(np.packbits(weights > 0, axis=1))
    return scores[first][of]


def _inverse_root(degrees: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.divide(1.0, np.sqrt(degrees), out=np.zeros(len(degrees)), where=degrees > 0)


def _cardinality(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    of, sizes, _ = groups_of_rows(np.packbits(weights > 0, axis=1))
    raw: NDArray[np.float64] = sizes[of] * weights.mean(axis=1)
    total = raw.sum()
    return raw / total if total > 0 else raw
