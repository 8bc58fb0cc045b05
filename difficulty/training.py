"""From labelled problems to a classifier with its card, and to figures of how good it would be. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from difficulty.belief_fit import BeliefState, fit_belief
from difficulty.classifier import FitOptions, cross_validate, fit
from difficulty.errors import TrainingDataError
from difficulty.features import extract_features
from difficulty.gain import learn_gain_curves
from difficulty.model import BeliefModel, Card, DifficultyModel, Evidence
from difficulty.scores import ReliabilityBin, Scores, reliability, score

__all__ = ["BlockScores", "Evaluation", "TrainingSet", "cross_validated", "evaluate", "train"]


class TrainingSet(Struct, frozen=True, kw_only=True, eq=False):
    """Labelled problems: one row per problem and policy. Rows of one task id are one group in every split."""

    problems: tuple[Evidence, ...]
    rates: NDArray[np.float64]
    """Shape (rows,), pass rates of the policies' samples."""
    accuracy: NDArray[np.float64] | None = None
    """Shape (rows, B + 1), accuracy of the selection with 0..B tests (see :mod:`difficulty.gain`)."""
    states: tuple[BeliefState, ...] = ()
    """Problems after some tests, with what is right in them (see :mod:`difficulty.belief_fit`)."""

    @property
    def groups(self) -> list[str]:
        """Task id of each row."""
        return [problem.task_id for problem in self.problems]


class BlockScores(Struct, frozen=True):
    """Scores of one subset of the feature blocks."""

    blocks: tuple[str, ...]
    scores: Scores


class Evaluation(Struct, frozen=True, kw_only=True):
    """Grouped cross-validation of one choice of blocks, and its ablation."""

    scores: Scores
    reliability: tuple[ReliabilityBin, ...]
    ablation: tuple[BlockScores, ...]
    """Each block alone, then all but each, where more than one block was chosen."""


def train(
    data: TrainingSet,
    *,
    blocks: Sequence[str],
    options: FitOptions | None = None,
    title: str = "Difficulty classifier",
    sources: Sequence[str] = (),
    made: str = "",
    licence: str = "Apache-2.0",
) -> DifficultyModel:
    """Fit a classifier; learn gain curves where ``data.accuracy`` is given, on cross-validated rates, and a belief.

    Where ``data.states`` are none or tell nothing, the belief keeps its defaults, and the card says so.

    Raises:
        FeatureError, TrainingDataError: as :func:`difficulty.features.extract_features` and
            :func:`difficulty.classifier.fit`.
    """
    options = options or FitOptions()
    features = extract_features(data.problems, blocks)
    network = fit(features, data.rates, data.groups, options)
    held_out = cross_validate(features, data.rates, data.groups, options)
    curves = None if data.accuracy is None else learn_gain_curves(held_out, data.accuracy)
    found = score(held_out, data.rates)
    belief, told = _belief(data.states)
    metrics = (
        f"{options.folds}-fold cross-validation by problem: {found.rows} rows, {len(set(data.groups))} problems",
        f"Spearman {found.spearman:.3f}, Brier {found.brier:.4f} (best constant {found.brier_of_mean:.4f})",
        f"belief: {told}",
    )
    return DifficultyModel(
        blocks=tuple(blocks),
        features=features.names,
        network=network,
        card=Card(title=title, data=tuple(sources), metrics=metrics, made=made, licence=licence),
        curves=curves,
        belief=belief,
    )


def _belief(states: Sequence[BeliefState]) -> tuple[BeliefModel, str]:
    try:
        belief = fit_belief(states)
    except TrainingDataError:
        return BeliefModel(), "defaults, no matrix to learn from"
    return belief, (
        f"consensus {belief.consensus:.2f}, odds {belief.odds:.2f}, redundancy {belief.redundancy:.3f}, from "
        f"{len(states)} states"
    )


def evaluate(data: TrainingSet, *, blocks: Sequence[str], options: FitOptions | None = None) -> Evaluation:
    """Cross-validate ``blocks``, each block alone, and all but each. Raises as :func:`train`."""
    options = options or FitOptions()
    held_out = _held_out(data, blocks, options)
    subsets: dict[tuple[str, ...], None] = {}
    if len(blocks) > 1:
        subsets = dict.fromkeys((block,) for block in blocks)
        subsets |= dict.fromkeys(tuple(other for other in blocks if other != block) for block in blocks)
    return Evaluation(
        scores=score(held_out, data.rates),
        reliability=tuple(reliability(held_out, data.rates)),
        ablation=tuple(
            BlockScores(subset, cross_validated(data, blocks=subset, options=options)) for subset in subsets
        ),
    )


def cross_validated(data: TrainingSet, *, blocks: Sequence[str], options: FitOptions | None = None) -> Scores:
    """Score one choice of blocks by grouped cross-validation. Raises as :func:`train`."""
    return score(_held_out(data, blocks, options or FitOptions()), data.rates)


def _held_out(data: TrainingSet, blocks: Sequence[str], options: FitOptions) -> NDArray[np.float64]:
    if len(data.problems) != len(data.rates):
        raise TrainingDataError(
            f"training data: {len(data.problems)} problems, {len(data.rates)} pass rates: expected as many; align them"
        )
    return cross_validate(extract_features(data.problems, blocks), data.rates, data.groups, options)
