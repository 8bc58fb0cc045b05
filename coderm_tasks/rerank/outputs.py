"""Strategies that compare what the solutions return, not whether tests accept it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from coderm_tasks.rerank.base import Behaviours, StrategyInput, evidence_of, groups_of_rows

__all__ = ["agreeing", "behaviours_of", "score_mbr_exec", "score_mbr_exec_soft", "score_srank"]


def score_mbr_exec(problem: StrategyInput) -> NDArray[np.float64]:
    """MBR-Exec, hard loss (Shi et al. 2022, arXiv 2204.11454): how many solutions do the same on every call.

    ``score_i = sum_j min_k 1[o_i(k) = o_j(k)]``, the solution itself counted. A solution that gave no answer to some
    call agrees with nobody and scores 0. Uses the inputs of the tests and none of their expectations.
    Returns shape (N,). O(N K log N).
    """
    codes = behaviours_of(problem).codes
    of, sizes, _ = groups_of_rows(codes)
    scores: NDArray[np.float64] = np.where((codes >= 0).all(axis=1), sizes[of], 0).astype(np.float64)
    return scores


def score_mbr_exec_soft(problem: StrategyInput) -> NDArray[np.float64]:
    """MBR-Exec, soft loss (Shi et al. 2022, arXiv 2204.11454): agreements counted call by call.

    ``score_i = sum_j sum_k 1[o_i(k) = o_j(k)]``, the solution itself counted. Returns shape (N,). O(N K).
    """
    codes = behaviours_of(problem).codes
    scores: NDArray[np.float64] = (agreeing(codes) * (codes >= 0)).sum(axis=1)
    return scores


def agreeing(codes: NDArray[np.int32], weights: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
    """Weight of the solutions that had the same outcome; each weighs 1 unless ``weights``, shape (N,), is given.

    Returns shape (N, K), meaningless where ``codes`` is -1. O(N K).
    """
    width = int(codes.max(initial=0)) + 2
    places = (codes + 1).astype(np.int64) + width * np.arange(codes.shape[1])
    each = np.ones(len(codes)) if weights is None else weights
    sums = np.bincount(places.ravel(), weights=np.repeat(each, codes.shape[1]), minlength=width * codes.shape[1])
    alike: NDArray[np.float64] = sums.astype(np.float64)[places]
    return alike


def score_srank(problem: StrategyInput) -> NDArray[np.float64]:
    """SRank (To et al. 2023, arXiv 2311.03366): clusters of equal outputs support the clusters they overlap with.

    ``score = I V``: V is the cluster's share of the solutions times its share of passed cells; ``I_ab`` is the share of
    calls on which clusters a and b returned the same value, and ``I_aa = 1``. Exceptions and missing answers set
    clusters apart and are no overlap. Returns shape (N,). O(N K log N + C^2 K) for C clusters.
    """
    behaviours, evidence = behaviours_of(problem), evidence_of(problem.matrix)
    of, sizes, first = groups_of_rows(behaviours.codes)
    passes = np.bincount(of, weights=evidence.passed.sum(axis=1), minlength=len(sizes))
    cells = np.bincount(of, weights=evidence.executed.sum(axis=1), minlength=len(sizes))
    value = sizes / len(of) * np.divide(passes, cells, out=np.zeros(len(sizes)), where=cells > 0)
    codes, returned = behaviours.codes[first], behaviours.returned[first]
    scores = np.empty(len(sizes))
    for cluster in range(len(sizes)):  # a row at a time: (C, C, K) at once would be 10^8 for many samples
        same = (codes == codes[cluster]) & returned & returned[cluster]
        overlap = same.mean(axis=1)
        overlap[cluster] = 1.0
        scores[cluster] = overlap @ value
    return scores[of]


def behaviours_of(problem: StrategyInput) -> Behaviours:
    """The problem's behaviours, which :func:`coderm_tasks.rerank.select` has made sure of."""
    if problem.behaviours is None:
        raise AssertionError(f"{problem.task_id}: a strategy that requires outputs was called without")
    return problem.behaviours
