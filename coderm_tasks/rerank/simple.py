"""Strategies that look at no generated test: the floor, the ceiling, and the problem's own examples."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from coderm_tasks.rerank.base import StrategyInput, evidence_of

__all__ = ["score_examples", "score_first", "score_oracle", "score_random"]


def score_first(problem: StrategyInput) -> NDArray[np.float64]:
    """The first sample: what a user without reranking gets. Shape (N,)."""
    scores = np.zeros(len(problem.solutions))
    scores[:1] = 1.0
    return scores


def score_random(problem: StrategyInput) -> NDArray[np.float64]:
    """All samples tied, so that the expected value is the mean pass rate. Shape (N,)."""
    return np.zeros(len(problem.solutions))


def score_examples(problem: StrategyInput) -> NDArray[np.float64]:
    """How many of the examples in the problem's own text a solution passes, and nothing else. Shape (N,). O(N E).

    The first step of S* (Li et al. 2025, arXiv 2502.14382) and of AlphaCode's filter (arXiv 2203.07814), softened from
    "all" to "most", so that an example whose text could not be read does no harm.
    """
    if problem.examples is None:
        raise AssertionError(f"{problem.task_id}: a strategy that requires examples was called without")
    passes: NDArray[np.float64] = evidence_of(problem.examples).passed.sum(axis=1).astype(np.float64)
    return passes


def score_oracle(problem: StrategyInput) -> NDArray[np.float64]:
    """Ground truth itself: the ceiling, pass@N. Shape (N,)."""
    if problem.labels is None:
        raise AssertionError(f"{problem.task_id}: a strategy that requires labels was called without")
    return np.array(problem.labels, dtype=np.float64)
