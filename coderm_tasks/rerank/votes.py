"""Strategies that count tests and group solutions by the exact set of tests they pass."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from coderm_tasks.rerank.base import StrategyInput, evidence_of, pass_sets

__all__ = ["score_coderm", "score_codet", "score_codet_flat", "score_majority"]

FLAT_EXPONENT = 0.05


def score_coderm(problem: StrategyInput) -> NDArray[np.float64]:
    """CodeRM's vote (arXiv 2501.01054, section 3.1): most tests passed; among those the most common exact pass set.

    Returns shape (N,): votes, plus (members of the pass set) / (N + 1). The fraction is below one, so it orders only
    solutions with equal votes. Solutions with equal pass sets have equal votes, hence counting members over all
    solutions and over the tied ones is the same. O(N M log N).
    """
    passed = evidence_of(problem.matrix).passed
    groups = pass_sets(passed)
    scores: NDArray[np.float64] = passed.sum(axis=1) + groups.sizes[groups.of] / (len(passed) + 1)
    return scores


def score_codet(problem: StrategyInput) -> NDArray[np.float64]:
    """CodeT's dual execution agreement (Chen et al. 2022, arXiv 2207.10397): tests passed * sqrt(solutions that agree).

    A group is the solutions with one exact pass set, duplicates counted; groups of equal score merge; a solution that
    passes nothing scores 0. CodeT also keeps only the first five asserts per test sample: that is a choice of tests,
    made where they are generated. Returns shape (N,). O(N M log N).
    """
    groups = pass_sets(evidence_of(problem.matrix).passed)
    tests = groups.patterns.sum(axis=1)
    # The root of the integer tests^2 * members: equal scores are equal to the last bit, whatever their factors.
    scores: NDArray[np.float64] = np.sqrt((tests * tests * groups.sizes).astype(np.float64))
    return scores[groups.of]


def score_codet_flat(problem: StrategyInput) -> NDArray[np.float64]:
    """CodeT's product with a nearly flat exponent: tests passed * solutions that agree ^ 0.05.

    Not published: the mark that strategies of our own are measured against. So small an exponent lets agreement break
    ties and little more. Returns shape (N,). O(N M log N).
    """
    groups = pass_sets(evidence_of(problem.matrix).passed)
    tests = groups.patterns.sum(axis=1)
    # tests^20 * members orders alike and is a whole number, but needs 140 bits; the root is exact enough.
    scores: NDArray[np.float64] = tests * groups.sizes**FLAT_EXPONENT
    return scores[groups.of]


def score_majority(problem: StrategyInput) -> NDArray[np.float64]:
    """Size of the exact-pass-set group: MBR-Exec's hard loss (Shi et al. 2022, arXiv 2204.11454), on verdicts.

    MBR-Exec compares outputs; here two solutions agree when the same tests accept them, so differently wrong solutions
    count as one. Returns shape (N,). O(N M log N).
    """
    groups = pass_sets(evidence_of(problem.matrix).passed)
    return groups.sizes[groups.of].astype(np.float64)
