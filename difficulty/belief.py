"""Which behaviour is the right one, and would more tests change the answer? A Bayesian model of tests and solutions.

Programs that passed exactly the same tests are one class. One class is right; a priori each in proportion to its share
of the samples (a random sample is as likely to be right as any other), raised to ``consensus``. A test is right with
odds exp(``odds``), and a right test passes the right class, so each test passed multiplies a class's odds. But tests of
one generator repeat each other's mistakes: t of them count as t / (1 + (t - 1) ``redundancy``) independent ones
(Kish's design effect), without which the model would be sure of itself after ten tests.

    log w_k = consensus * log share_k + odds * n_eff(t) * v_k / t

Three numbers, learned from recorded matrices (:mod:`difficulty.belief_fit`). The prior of the classifier says how
likely two programs that have agreed so far are to agree for ever: the predicted pass rate. Pure, and numpy alone.
"""

from __future__ import annotations

from math import erfc, exp, lgamma, sqrt

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from difficulty.errors import BudgetError
from difficulty.model import BeliefModel

__all__ = ["Belief", "believe", "change_probability", "class_weights", "effective_tests"]

_CERTAIN = 1e-9
_AGREE = (1.5, 1.0)
"""Beta prior of the share of tests on which two programs agree that behave differently: Beta(1.5, 1), mean 0.6."""

Array = NDArray[np.float64]


class Belief(Struct, frozen=True, kw_only=True, eq=False):
    """What is believed of one problem after some tests."""

    classes: NDArray[np.int64]
    """Shape (programs,): class of each program, numbered from 0 in order of first appearance."""
    probability: Array
    """Shape (classes,): probability that the class is the right one, given that one is; sums to 1."""
    chosen: NDArray[np.int64]
    """Programs of the most probable class (of all such classes, where several are), ascending."""
    change: float
    """Probability that some number of further tests would change the choice, in [0, 1]."""


def effective_tests(tests: int, redundancy: float) -> float:
    """Return how many independent tests so many correlated ones are worth: t / (1 + (t - 1) r)."""
    return tests / (1 + (tests - 1) * redundancy) if tests else 0.0


def class_weights(share: Array, votes: Array, tests: int, model: BeliefModel) -> Array:
    """Return log w_k of each class, shape (classes,), from shares of the samples in (0, 1] and tests passed."""
    evidence = model.odds * effective_tests(tests, model.redundancy) / max(tests, 1)
    return np.asarray(model.consensus * np.log(share) + evidence * votes, dtype=np.float64)


def believe(passed: NDArray[np.bool_], copies: NDArray[np.int64], rate: float, model: BeliefModel) -> Belief:
    """Update the belief of one problem to the tests seen so far.

    Args:
        passed: shape (programs, t), rows of distinct programs; t may be 0.
        copies: shape (programs,), samples that are this program, at least 1 each.
        rate: predicted pass rate of the problem, in (0, 1).
        model: learned parameters.

    Raises:
        BudgetError: no program, shapes that differ, or a rate outside (0, 1).
    """
    if passed.ndim != 2 or not len(passed) or copies.shape != passed.shape[:1] or (copies < 1).any():
        raise BudgetError(
            f"belief: rows of shape {passed.shape}, copies of shape {copies.shape}: expected one row and one count of "
            "at least 1 per program"
        )
    if not 0 < rate < 1:
        raise BudgetError(f"belief: predicted pass rate is {rate}: expected a number between 0 and 1")
    tests = passed.shape[1]
    number: dict[bytes, int] = {}
    classes = np.array([number.setdefault(row.tobytes(), len(number)) for row in passed], dtype=np.int64)
    first = np.unique(classes, return_index=True)[1]
    size = np.bincount(classes, weights=copies).astype(np.float64)
    rows = passed[first]
    weights = class_weights(size / size.sum(), rows.sum(axis=1), tests, model)
    best = weights >= weights.max() - _CERTAIN
    leader = int(np.flatnonzero(best)[0])
    relative = np.exp(weights - weights.max())
    split = _split_probability(copies[classes == leader], tests, rate)
    overtaken = _overtake_probability(rows, size, leader, model)
    return Belief(
        classes=classes,
        probability=relative / relative.sum(),
        chosen=np.flatnonzero(best[classes]),
        change=change_probability(split, overtaken),
    )


def change_probability(split: float, overtaken: float) -> float:
    """Return the chance of either: the chosen class falls apart, or another class overtakes it."""
    return 1 - (1 - split) * (1 - overtaken)


def _split_probability(copies: NDArray[np.int64], tests: int, rate: float) -> float:
    """Chance that two samples of the chosen class are different programs that a further test will tell apart.

    Two programs behave alike with the prior ``rate``; if they do not, agreeing on t tests had the probability
    B(a + t, b) / B(a, b). Bayes' rule does the rest.
    """
    shares = copies / copies.sum()
    different = 1 - float(shares @ shares)
    a, b = _AGREE
    agreed = exp(lgamma(a + tests) + lgamma(a + b) - lgamma(a + b + tests) - lgamma(a))
    return different * (1 - rate) * agreed / (rate + (1 - rate) * agreed)


def _overtake_probability(rows: NDArray[np.bool_], size: Array, leader: int, model: BeliefModel) -> float:
    """Largest chance, over the other classes, of having the larger weight after unlimited further tests.

    Of t tests d passed the leader alone and u the rival alone. The true shares of such tests have the posterior
    Dirichlet(d + 1/2, u + 1/2, rest + 1), whose difference is taken as normal.
    """
    if len(rows) < 2:
        return 0.0
    ahead = (rows[leader] & ~rows).sum(axis=1) + 0.5
    behind = (rows & ~rows[leader]).sum(axis=1) + 0.5
    total = rows.shape[1] + 2.0
    mean = (ahead - behind) / total
    spread = np.sqrt(((ahead + behind) / total - mean**2) / (total + 1))
    scale = model.odds / model.redundancy
    lead = model.consensus * np.log(size[leader] / size) + scale * mean
    standing = lead / (scale * spread)
    standing[leader] = np.inf
    return _normal_tail(float(standing.min()))


def _normal_tail(value: float) -> float:
    """P(Z > value) of a standard normal Z."""
    return 0.5 * erfc(value / sqrt(2))
