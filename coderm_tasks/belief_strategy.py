"""The strategy ``belief``: choose the behaviour class that sequential allocation believes in.

Offered through the entry-point group that other packages use for theirs.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from coderm_tasks.rerank import Strategy, StrategyInput
from coderm_tasks.rerank.base import evidence_of, pass_sets
from difficulty import BeliefModel
from difficulty.belief import class_weights

__all__ = ["BELIEF", "score_belief"]


def score_belief(problem: StrategyInput) -> NDArray[np.float64]:
    """Log odds of each solution's behaviour class (:mod:`difficulty.belief`), shape (N,). O(N M log N).

    consensus * log(share of the samples) + odds * n_eff(M) * tests passed / M: a large class stands against few tests
    and falls to many. The parameters are the learned defaults.
    """
    passed = evidence_of(problem.matrix).passed
    groups = pass_sets(passed)
    votes = groups.patterns.sum(axis=1).astype(np.float64)
    weights = class_weights(groups.sizes / len(passed), votes, passed.shape[1], BeliefModel())
    return weights[groups.of]


BELIEF = Strategy(
    name="belief", score=score_belief, summary="share of the samples and correlated votes, as Bayesian log odds"
)
