"""Learning the parameters of :mod:`difficulty.belief` from recorded matrices with labels. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from difficulty.belief import effective_tests
from difficulty.errors import TrainingDataError
from difficulty.model import BeliefModel

__all__ = ["BeliefState", "belief_state", "fit_belief"]

_PULL = 1e-3
"""Weight of the squared distance from the starting point: keeps the fit finite where the data are silent."""
_LOWEST = 1e-6
_START = (1.0, float(np.log(2.3)), float(np.log(0.25 / 0.75)))

Array = NDArray[np.float64]


class BeliefState(Struct, frozen=True, kw_only=True, eq=False):
    """One problem after some tests: its behaviour classes and which of their samples are right."""

    tests: int
    share: Array
    """Shape (classes,): share of the samples, sums to 1."""
    votes: Array
    """Shape (classes,): tests passed."""
    correct: Array
    """Shape (classes,): share of the class's samples that are right."""


def belief_state(passed: NDArray[np.bool_], correct: Array) -> BeliefState:
    """Build a state from rows of samples, shape (N, t), and whether each sample is right, shape (N,)."""
    number: dict[bytes, int] = {}
    classes = np.array([number.setdefault(row.tobytes(), len(number)) for row in passed], dtype=np.int64)
    first = np.unique(classes, return_index=True)[1]
    size = np.bincount(classes)
    return BeliefState(
        tests=passed.shape[1],
        share=size / len(passed),
        votes=passed[first].sum(axis=1).astype(np.float64),
        correct=np.bincount(classes, weights=correct) / size,
    )


def fit_belief(states: Sequence[BeliefState]) -> BeliefModel:
    """Choose the parameters under which the right classes are most likely.

    The loss is the mean of -log sum_k p_k c_k, with p_k the probability of class k and c_k the share of its samples
    that are right: the negative log probability that a sample drawn by the belief is right. States in which nothing
    is right, or everything, say nothing of how to choose and are left out.

    Raises:
        TrainingDataError: no state from which a choice can be learned.
    """
    from scipy.optimize import minimize

    useful = [state for state in states if state.tests and state.correct.max() > 0 and state.correct.min() < 1]
    if not useful:
        raise TrainingDataError(
            f"belief: {len(states)} states, none with right and wrong classes told apart by tests: expected some; add "
            "problems that the policy solves now and then, with their matrices"
        )
    table = _Table(useful)
    found = minimize(table.loss, np.array(_START), method="L-BFGS-B", bounds=[(0, 5), (-4, 3), (-6, 6)])
    return _model(found.x)


def _model(parameters: Array) -> BeliefModel:
    consensus, log_odds, logit_redundancy = (float(value) for value in parameters)
    return BeliefModel(
        consensus=consensus, odds=float(np.exp(log_odds)), redundancy=1 / (1 + float(np.exp(-logit_redundancy)))
    )


class _Table:
    """All states' classes one after the other, so that the loss is a few array operations."""

    def __init__(self, states: Sequence[BeliefState]) -> None:
        lengths = [len(state.share) for state in states]
        self._of = np.repeat(np.arange(len(states)), lengths)
        self._starts = np.cumsum([0, *lengths[:-1]])
        self._tests = np.array([state.tests for state in states])
        self._log_share = np.log(np.concatenate([state.share for state in states]))
        self._votes = np.concatenate([state.votes / state.tests for state in states])
        self._correct = np.concatenate([state.correct for state in states])

    def loss(self, parameters: Array) -> float:
        """Mean negative log likelihood and the pull towards the start."""
        model = _model(parameters)
        worth = np.array([effective_tests(int(tests), model.redundancy) for tests in self._tests])
        weights = model.consensus * self._log_share + model.odds * worth[self._of] * self._votes
        relative = np.exp(weights - np.maximum.reduceat(weights, self._starts)[self._of])
        right = np.add.reduceat(relative * self._correct, self._starts) / np.add.reduceat(relative, self._starts)
        pull = _PULL * float(((parameters - np.array(_START)) ** 2).sum())
        return float(-np.log(np.maximum(right, _LOWEST)).mean()) + pull
