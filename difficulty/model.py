"""The records of the difficulty package. All frozen; arrays are numpy, float64 unless a docstring says otherwise."""

from __future__ import annotations

from enum import Enum

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

__all__ = [
    "EASY_FROM",
    "HARD_BELOW",
    "BeliefModel",
    "Card",
    "Difficulty",
    "DifficultyModel",
    "Evidence",
    "Features",
    "GainCurves",
    "Layer",
    "Network",
    "Prediction",
    "classify",
]

HARD_BELOW = 1 / 3
"""A problem whose pass rate is below this is hard."""
EASY_FROM = 2 / 3
"""A problem whose pass rate is at least this is easy."""


class Difficulty(str, Enum):
    """Class of a problem by its pass rate: thirds of the unit interval."""

    HARD = "hard"
    MEDIUM = "medium"
    EASY = "easy"


def classify(pass_rate: float) -> Difficulty:
    """Return the class of a pass rate: hard below :data:`HARD_BELOW`, easy from :data:`EASY_FROM` on."""
    if pass_rate < HARD_BELOW:
        return Difficulty.HARD
    return Difficulty.EASY if pass_rate >= EASY_FROM else Difficulty.MEDIUM


class Evidence(Struct, frozen=True, kw_only=True, eq=False):
    """What is known of one problem before its tests are drawn. Only the chosen blocks' fields need be there."""

    task_id: str
    prompt: str
    entry_point: str
    samples: tuple[str, ...] = ()
    """Sources of sampled solutions."""
    behaviour: tuple[str, ...] = ()
    """One string per sampled solution, one letter per test or call, ``P`` for a pass: a pass matrix as in its file."""
    outputs: tuple[tuple[str, ...], ...] = ()
    """Per sampled solution one text per input, equal where the outputs are; ``!`` begins one that is no output."""
    example_inputs: int = 0
    """How many of the inputs, the first ones, are those of the prompt's examples."""
    logprobs: tuple[float, ...] = ()
    """Per sampled solution its mean log-probability, in nats per token."""
    hidden: NDArray[np.float64] | None = None
    """Shape (d,): hidden state of a language model at the last token of the prompt."""


class Features(Struct, frozen=True, eq=False):
    """Feature matrix of some problems."""

    names: tuple[str, ...]
    """``block/feature``, length d."""
    values: NDArray[np.float64]
    """Shape (problems, d), all finite."""


class Layer(Struct, frozen=True, eq=False):
    """One affine layer: ``x @ weights + bias``."""

    weights: NDArray[np.float64]
    """Shape (inputs, outputs)."""
    bias: NDArray[np.float64]
    """Shape (outputs,)."""


class Network(Struct, frozen=True, kw_only=True, eq=False):
    """A fitted classifier: standardise, clip, layers with tanh between them, then calibrate the logit."""

    centre: NDArray[np.float64]
    """Shape (d,)."""
    scale: NDArray[np.float64]
    """Shape (d,), positive."""
    layers: tuple[Layer, ...]
    """One layer: logistic regression. Two: CodeRM's network."""
    slope: float = 1.0
    """Calibrated logit = slope * logit + offset; never negative, so that calibration keeps the order."""
    offset: float = 0.0


class GainCurves(Struct, frozen=True, eq=False):
    """Accuracy of the selection as a function of the number of tests, per bin of predicted pass rate."""

    edges: NDArray[np.float64]
    """Shape (bins - 1,), ascending: bin k holds the rates from edges[k-1] up to, not including, edges[k]."""
    accuracy: NDArray[np.float64]
    """Shape (bins, B + 1): ``accuracy[k, b]`` with b tests; b = 0 is a pick without any test."""


class BeliefModel(Struct, frozen=True, kw_only=True):
    """Parameters of :mod:`difficulty.belief`. The defaults are those learned for ``other`` tasks, rounded."""

    consensus: float = 1.1
    """Weight of a class's share of the samples, at least 0: 1 takes a random sample as likely to be right as any."""
    odds: float = 2.4
    """Log odds, in nats, that one independent test is right, above 0."""
    redundancy: float = 0.2
    """How much tests repeat each other, in (0, 1]: t of them are worth t / (1 + (t - 1) redundancy)."""


class Card(Struct, frozen=True, kw_only=True):
    """Where a classifier comes from; rendered beside it as Markdown."""

    title: str
    data: tuple[str, ...]
    """One line per data source: what it is, its size, its licence."""
    metrics: tuple[str, ...]
    """One line per figure, with how it was measured."""
    made: str = ""
    """ISO date of training."""
    licence: str = "Apache-2.0"


class DifficultyModel(Struct, frozen=True, kw_only=True, eq=False):
    """A classifier that can be saved: what it wants, its network, its gain curves, its belief."""

    blocks: tuple[str, ...]
    features: tuple[str, ...]
    network: Network
    card: Card
    curves: GainCurves | None = None
    belief: BeliefModel = BeliefModel()


class Prediction(Struct, frozen=True):
    """Predicted difficulty of one problem."""

    task_id: str
    pass_rate: float
    """In (0, 1)."""
    difficulty: Difficulty
