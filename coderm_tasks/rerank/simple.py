"""Strategies that look at no test: the baselines."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from coderm_tasks.rerank.base import StrategyInput

__all__ = ["score_first", "score_random"]


def score_first(problem: StrategyInput) -> NDArray[np.float64]:
    """The first sample: what a user without reranking gets. Shape (N,)."""
    scores = np.zeros(len(problem.solutions))
    scores[:1] = 1.0
    return scores


def score_random(problem: StrategyInput) -> NDArray[np.float64]:
    """All samples tied, so that the expected value is the mean pass rate. Shape (N,)."""
    return np.zeros(len(problem.solutions))
