"""Accord: a strategy of our own, which pools four kinds of agreement. Derived and measured in docs/accord.md."""

from __future__ import annotations

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from coderm_tasks.rerank.base import StrategyInput, evidence_of, groups_of_rows
from coderm_tasks.rerank.outputs import agreeing

__all__ = ["COMPONENTS", "DEFAULT_WEIGHTS", "AccordWeights", "components", "score_accord"]

COMPONENTS = ("tests", "twins", "peers", "examples")
"""Columns of :func:`components`."""


class AccordWeights(Struct, frozen=True, kw_only=True):
    """How much each kind of agreement counts beside the tests, whose weight is 1 (only ratios matter)."""

    twins: float = 0.15
    peers: float = 16.0
    examples: float = 20.0

    def array(self) -> NDArray[np.float64]:
        """As a vector over :data:`COMPONENTS`."""
        return np.array([1.0, self.twins, self.peers, self.examples])


DEFAULT_WEIGHTS = AccordWeights()
"""Chosen by cross-validation over problems (``make results``, docs/results.md)."""


def score_accord(problem: StrategyInput, weights: AccordWeights = DEFAULT_WEIGHTS) -> NDArray[np.float64]:
    """Log score of a solution: a logarithmic opinion pool over four witnesses (docs/accord.md).

    ::

        sqrt(M) log((T_i + 1/2) / (M + 1/2))  +  twins log(S_i / N)  +  peers P_i  +  examples X_i

    T_i of M usable tests pass. S_i solutions pass the same tests and answer every call alike. P_i is the share of the
    example-consistent solutions that answer a call as i does, averaged over the calls. X_i is the share of the
    problem's examples that i passes. Where no call was recorded, verdicts stand in for outputs; where there are no
    tests, or no examples, that term is the same for all. Returns shape (N,). O(N (M + K) log N).
    """
    scores: NDArray[np.float64] = components(problem) @ weights.array()
    return scores


def components(problem: StrategyInput) -> NDArray[np.float64]:
    """The four terms before weighing, shape (N, 4), columns as :data:`COMPONENTS`."""
    passed = evidence_of(problem.matrix).passed
    n, tests = passed.shape
    examples = _examples(problem)
    behaviours = problem.behaviours
    codes = passed.astype(np.int32) if behaviours is None or not behaviours.codes.shape[1] else behaviours.codes
    share = (passed.sum(axis=1) + 0.5) / (tests + 0.5)
    consistent = (examples == examples.max(initial=0)).astype(np.float64)
    return np.column_stack(
        [np.sqrt(tests) * np.log(share), np.log(_twins(passed, codes) / n), _peers(codes, consistent), examples]
    )


def _examples(problem: StrategyInput) -> NDArray[np.float64]:
    """Share of the examples passed, shape (N,); 0 where there are none."""
    passed = np.zeros((len(problem.solutions), 0)) if problem.examples is None else evidence_of(problem.examples).passed
    shares: NDArray[np.float64] = passed.sum(axis=1) / max(passed.shape[1], 1)
    return shares


def _twins(passed: NDArray[np.bool_], codes: NDArray[np.int32]) -> NDArray[np.intp]:
    """Solutions with the same verdicts and the same outcomes, itself counted; shape (N,)."""
    both = np.hstack([passed.astype(np.int32), codes])
    if not both.shape[1]:
        return np.full(len(both), len(both))
    of, sizes, _ = groups_of_rows(both)
    return sizes[of]


def _peers(codes: NDArray[np.int32], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of the weight of the solutions with the same outcome, averaged over calls; shape (N,)."""
    if not codes.shape[1]:
        return np.zeros(len(codes))
    shares: NDArray[np.float64] = (agreeing(codes, weights) * (codes >= 0)).mean(axis=1) / weights.sum()
    return shares
