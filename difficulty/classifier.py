"""From features to a pass rate: CodeRM's two-layer network, and logistic regression as its baseline.

Both are fitted with the paper's soft-label cross-entropy -[lambda log p + (1 - lambda) log(1 - p)] (arXiv 2501.01054;
printed there without the minus sign), where lambda is the pass rate of the policy's samples. The training sets are
small (a few hundred problems), so the fit is full-batch L-BFGS in float64: same data and seed, same weights,
and no torch.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from difficulty.errors import TrainingDataError
from difficulty.model import Features, Layer, Network

__all__ = ["MODELS", "FitOptions", "cross_validate", "fit", "grouped_folds", "predict_rates", "soft_cross_entropy"]

MODELS = ("network", "logistic")
FEWEST_PROBLEMS = 20
_CLIP = 4.0
"""Standard deviations: what lies further out than training ever saw counts as this far."""
_EDGE = 1e-6
"""A prediction keeps this distance from 0 and 1."""

Array = NDArray[np.float64]


class FitOptions(Struct, frozen=True, kw_only=True):
    """How a classifier is fitted. The defaults were set before any figure in docs/difficulty.md was seen."""

    model: str = "network"
    """``network`` (two layers, tanh between) or ``logistic`` (one layer)."""
    hidden_units: int = 8
    l2: float = 0.03
    """Weight of half the squared norm of the weights (biases apart) against the mean cross-entropy."""
    folds: int = 5
    seed: int = 0
    iterations: int = 300

    def __post_init__(self) -> None:
        if self.model not in MODELS:
            raise TrainingDataError(f"model {self.model!r} is unknown: expected one of {', '.join(MODELS)}")
        if self.hidden_units < 1 or self.folds < 2 or self.iterations < 1 or self.l2 <= 0:
            raise TrainingDataError(
                f"hidden_units={self.hidden_units}, folds={self.folds}, iterations={self.iterations}, l2={self.l2}: "
                "expected at least 1, 2, 1 and above 0"
            )


def fit(features: Features, rates: Array, groups: Sequence[Hashable], options: FitOptions) -> Network:
    """Fit a calibrated network.

    Args:
        features: rows are problems, or problems times policies.
        rates: shape (rows,), pass rates in [0, 1].
        groups: length rows; rows of one group (one problem) never part between folds.
        options: see :class:`FitOptions`.

    The calibration is Platt's, with soft labels, on logits of grouped cross-validation: a classifier that does not
    generalise is shrunk towards the mean rate.

    Raises:
        TrainingDataError: fewer than 20 problems, lengths that differ, rates outside [0, 1], or all rates 0 or all 1.
    """
    check_training_data(features, rates, groups)
    return _fit_calibrated(features.values, rates, groups, options)


def _fit_calibrated(values: Array, rates: Array, groups: Sequence[Hashable], options: FitOptions) -> Network:
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # it has no stubs

    raw = np.empty(len(rates))
    # The matrices are tiny: on a busy machine, threads that wait for each other cost a hundred times the arithmetic.
    with threadpool_limits(limits=1, user_api="blas"):
        for train, test in grouped_folds(groups, options.folds, options.seed):
            raw[test] = _logits(_fit_raw(values[train], rates[train], options), values[test])
        slope, offset = _platt(raw, rates)
        network = _fit_raw(values, rates, options)
    return Network(centre=network.centre, scale=network.scale, layers=network.layers, slope=slope, offset=offset)


def cross_validate(features: Features, rates: Array, groups: Sequence[Hashable], options: FitOptions) -> Array:
    """Predict each row by a classifier that saw no row of its group, shape (rows,). Raises as :func:`fit`.

    The calibration is fitted inside each training side too, so the predictions are honest in level as well as in order.
    """
    check_training_data(features, rates, groups)
    result = np.empty(len(rates))
    names = list(groups)
    for train, test in grouped_folds(groups, options.folds, options.seed):
        network = _fit_calibrated(features.values[train], rates[train], [names[row] for row in train], options)
        result[test] = predict_rates(network, features.values[test])
    return result


def predict_rates(network: Network, values: Array) -> Array:
    """Return pass rates in the open interval (0, 1), shape (rows,), for a feature matrix of shape (rows, d)."""
    logits = network.slope * _logits(network, values) + network.offset
    return np.clip(_sigmoid(logits), _EDGE, 1 - _EDGE)


def grouped_folds(
    groups: Sequence[Hashable], folds: int, seed: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Yield (training rows, test rows), each shape (k,): every row is tested once, every group stays whole."""
    distinct = list(dict.fromkeys(groups))
    order = np.random.default_rng(seed).permutation(len(distinct))
    fold_of = {distinct[group]: place % folds for place, group in enumerate(order)}
    fold = np.array([fold_of[group] for group in groups], dtype=np.int64)
    for number in range(min(folds, len(distinct))):
        yield np.flatnonzero(fold != number), np.flatnonzero(fold == number)


def soft_cross_entropy(logits: Array, rates: Array) -> float:
    """Mean of -[lambda log p + (1 - lambda) log(1 - p)] with p = sigmoid(logit), in nats."""
    return float(np.mean(np.logaddexp(0, logits) - rates * logits))


def check_training_data(features: Features, rates: Array, groups: Sequence[Hashable]) -> None:
    """Raise :class:`TrainingDataError` unless something can be learned from these rows."""
    if not len(rates) == len(groups) == len(features.values):
        raise TrainingDataError(
            f"training data: {len(features.values)} rows of features, {len(rates)} pass rates, {len(groups)} groups: "
            "expected as many of each; align them"
        )
    problems = len(set(groups))
    if problems < FEWEST_PROBLEMS:
        raise TrainingDataError(
            f"training data: {problems} problems, expected at least {FEWEST_PROBLEMS}; add samples and labels of more"
        )
    if not ((rates >= 0) & (rates <= 1)).all():
        raise TrainingDataError("training data: a pass rate is NaN or outside 0 to 1; compute the rates again")
    if not np.isfinite(features.values).all():
        raise TrainingDataError("training data: a feature is NaN or infinite; leave its block out or mend its source")
    if rates.max() == 0 or rates.min() == 1:
        which = "wrong" if rates.max() == 0 else "correct"
        raise TrainingDataError(
            f"training data: every sample of every problem is {which}, one class only; "
            "add a policy or problems that differ"
        )


def _fit_raw(values: Array, rates: Array, options: FitOptions) -> Network:
    from scipy.optimize import minimize  # costs a second to import, and predicting does without

    centre = values.mean(axis=0)
    deviation = values.std(axis=0)
    scale = np.where(deviation > 1e-9, deviation, 1.0)
    inputs = np.clip((values - centre) / scale, -_CLIP, _CLIP)
    shapes = _shapes(values.shape[1], options)
    rng = np.random.default_rng(options.seed)
    start = np.concatenate([part for rows, columns in shapes for part in _first_weights(rows, columns, rng)])
    found = minimize(
        _loss,
        start,
        args=(shapes, inputs, rates, options.l2),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": options.iterations},
    )
    return Network(centre=centre, scale=scale, layers=_unpack(found.x, shapes))


def _shapes(inputs: int, options: FitOptions) -> tuple[tuple[int, int], ...]:
    if options.model == "logistic":
        return ((inputs, 1),)
    return ((inputs, options.hidden_units), (options.hidden_units, 1))


def _first_weights(rows: int, columns: int, rng: np.random.Generator) -> tuple[Array, Array]:
    return rng.normal(0, 1 / np.sqrt(rows), rows * columns), np.zeros(columns)


def _unpack(flat: Array, shapes: tuple[tuple[int, int], ...]) -> tuple[Layer, ...]:
    layers, place = [], 0
    for rows, columns in shapes:
        weights = flat[place : place + rows * columns].reshape(rows, columns)
        place += rows * columns
        layers.append(Layer(weights.copy(), flat[place : place + columns].copy()))
        place += columns
    return tuple(layers)


def _loss(
    flat: Array, shapes: tuple[tuple[int, int], ...], inputs: Array, rates: Array, l2: float
) -> tuple[float, Array]:
    """Penalised loss and its gradient, shape of ``flat``."""
    layers = _unpack(flat, shapes)
    activations = _forward(layers, inputs)
    logits = activations[-1][:, 0]
    penalty = sum(float((layer.weights**2).sum()) for layer in layers)
    back = ((_sigmoid(logits) - rates) / len(rates))[:, None]
    parts: list[Array] = []
    for layer, below in zip(reversed(layers), reversed(activations[:-1]), strict=True):
        parts = [(below.T @ back + l2 * layer.weights).ravel(), back.sum(axis=0), *parts]
        back = (back @ layer.weights.T) * (1 - below**2)  # below is tanh's output, but for the inputs: unused there
    return soft_cross_entropy(logits, rates) + l2 / 2 * penalty, np.concatenate(parts)


def _forward(layers: tuple[Layer, ...], inputs: Array) -> list[Array]:
    """Return the inputs, each hidden layer's tanh, and the last layer's affine output, shape (rows, 1)."""
    activations = [inputs]
    for number, layer in enumerate(layers):
        affine = activations[-1] @ layer.weights + layer.bias
        activations.append(np.tanh(affine) if number < len(layers) - 1 else affine)
    return activations


def _logits(network: Network, values: Array) -> Array:
    inputs = np.clip((values - network.centre) / network.scale, -_CLIP, _CLIP)
    return _forward(network.layers, inputs)[-1][:, 0]


def _sigmoid(logits: Array) -> Array:
    return np.asarray(np.exp(-np.logaddexp(0, -logits)))


def _platt(logits: Array, rates: Array) -> tuple[float, float]:
    """Return slope >= 0 and offset that minimise the cross-entropy of ``slope * logits + offset``."""
    from scipy.optimize import minimize

    def loss(parameters: Array) -> tuple[float, Array]:
        mapped = parameters[0] * logits + parameters[1]
        error = (_sigmoid(mapped) - rates) / len(rates)
        return soft_cross_entropy(mapped, rates), np.array([error @ logits, error.sum()])

    found = minimize(loss, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B", bounds=[(0, None), (-20, 20)])
    return float(found.x[0]), float(found.x[1])
