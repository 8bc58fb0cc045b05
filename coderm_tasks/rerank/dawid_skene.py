"""Dawid-Skene: tests as annotators of unknown reliability."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from coderm_tasks.rerank.base import Evidence, StrategyInput, evidence_of

__all__ = ["score_dawid_skene"]

_ROUNDS = 200
_SMOOTHING = 1.0
"""Pseudo-passes and pseudo-failures per test and class (Laplace): no rate reaches 0 or 1."""
_EDGE = 1e-3
"""Vote shares start this far inside (0, 1): a unanimous start is certain of nothing."""


def score_dawid_skene(problem: StrategyInput) -> NDArray[np.float64]:
    """Dawid & Skene (1979), two classes: log odds that a solution is correct, by EM over solutions and tests.

    Each test has a rate of passing correct solutions and another of passing wrong ones; each solution is correct or
    wrong. EM starts from vote shares. Cells that were not executed drop out of the likelihood. Should the classes have
    changed places (the "correct" pass less than the "wrong"), the sign is turned. Returns shape (N,). O(rounds N M).
    """
    evidence = evidence_of(problem.matrix)
    odds, turned = _expectation_maximisation(evidence)
    return -odds if turned else odds


def _expectation_maximisation(evidence: Evidence) -> tuple[NDArray[np.float64], bool]:
    passed, executed = evidence.passed.astype(np.float64), evidence.executed.astype(np.float64)
    cells = executed.sum(axis=1)
    share = np.divide(passed.sum(axis=1), cells, out=np.full(len(cells), 0.5), where=cells > 0)
    correct = np.clip(share, _EDGE, 1 - _EDGE)
    odds, turned = np.zeros(len(correct)), False
    for _ in range(_ROUNDS):
        accept = _pass_rates(passed, executed, correct)
        deceive = _pass_rates(passed, executed, 1 - correct)
        prior = (correct.sum() + _SMOOTHING) / (len(correct) + 2 * _SMOOTHING)
        odds = (
            np.log(prior / (1 - prior))
            + passed @ np.log(accept / deceive)
            + (executed - passed) @ np.log((1 - accept) / (1 - deceive))
        )
        turned = bool(accept.sum() < deceive.sum())
        fresh = 1 / (1 + np.exp(-np.clip(odds, -500, 500)))
        if np.allclose(fresh, correct, rtol=0.0, atol=1e-9):
            break
        correct = fresh
    return odds, turned


def _pass_rates(
    passed: NDArray[np.float64], executed: NDArray[np.float64], weight: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Smoothed share of passes per test among solutions weighted by ``weight``; shape (M',)."""
    return (weight @ passed + _SMOOTHING) / (weight @ executed + 2 * _SMOOTHING)
