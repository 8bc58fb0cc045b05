"""Predicting with a classifier at hand, or with the one that ships for a data set; and on to a plan of tests."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from difficulty.allocation import ALLOCATIONS, budgets
from difficulty.artifact import load
from difficulty.classifier import predict_rates
from difficulty.errors import BudgetError, FeatureError
from difficulty.features import extract_features
from difficulty.model import DifficultyModel, Evidence, Prediction, classify

__all__ = ["default_name", "load_default", "plan_tests", "predict", "predict_default"]

_FAMILIES = ("humaneval", "mbpp")


def predict(model: DifficultyModel, problems: Sequence[Evidence]) -> list[Prediction]:
    """Predict each problem's pass rate and class, in the order given.

    Raises:
        FeatureError: a problem lacks what the classifier's blocks need, or its hidden states are of another width.
    """
    if not problems:
        return []
    features = extract_features(problems, model.blocks)
    if features.names != model.features:
        raise FeatureError(
            f"the classifier wants {len(model.features)} features, the problems give {len(features.names)}: expected "
            "hidden states of the model and layer it was trained on"
        )
    rates = predict_rates(model.network, features.values)
    return [
        Prediction(problem.task_id, float(rate), classify(float(rate)))
        for problem, rate in zip(problems, rates, strict=True)
    ]


def default_name(dataset: str, *, samples: bool = False) -> str:
    """Name the shipped artifact for a data set: ``humaneval*`` and ``mbpp*`` have their own, all else shares one.

    The one for HumanEval learned from MBPP's problems alone, and the other way round; the third learned from both.
    """
    family = next((name for name in _FAMILIES if dataset.startswith(name)), "other")
    return f"{family}-{'samples' if samples else 'text'}.skops"


@lru_cache(maxsize=8)
def load_default(dataset: str, *, samples: bool = False) -> DifficultyModel:
    """Load the classifier that ships for a data set; ``samples``: the one that also looks at sampled solutions.

    Raises:
        ArtifactError: the installation is damaged.
    """
    shipped = resources.files("difficulty") / "data" / default_name(dataset, samples=samples)
    with resources.as_file(shipped) as path:
        return load(path)


def predict_default(
    dataset: str,
    prompts: Sequence[str],
    entry_points: Sequence[str],
    samples: Sequence[Sequence[str]] | None = None,
) -> NDArray[np.float64]:
    """Predict pass rates with the shipped classifier, shape (n,), each in (0, 1).

    Args:
        dataset: name of the data set or task, such as ``humaneval_plus``.
        prompts: one per problem, as the policy model gets them.
        entry_points: names of the functions under test, aligned with ``prompts``.
        samples: sampled solutions of each problem, at least one each; None before anything is sampled.

    Raises:
        FeatureError: lengths that differ, or a problem without samples where samples are given.
    """
    problems = _problems(prompts, entry_points, samples)
    model = load_default(dataset, samples=samples is not None)
    return np.array([prediction.pass_rate for prediction in predict(model, problems)], dtype=np.float64)


def plan_tests(
    prompts: Sequence[str],
    entry_points: Sequence[str],
    *,
    dataset: str,
    average: int,
    allocation: str,
    cap: int | None = None,
    samples: Sequence[Sequence[str]] | None = None,
    model: DifficultyModel | None = None,
) -> list[int]:
    """Return how many tests each problem gets, at least 1 each, ``average * n`` in all.

    Args:
        prompts, entry_points, dataset, samples: as :func:`predict_default`.
        average: tests per problem, on average.
        allocation: ``equal``, ``coderm`` or ``gain``.
        cap: most tests of one problem; None: no limit.
        model: a classifier of your own instead of the shipped one; ``gain`` needs one with gain curves.

    Raises:
        BudgetError: unknown allocation, impossible demands, or ``gain`` with a classifier without curves.
        FeatureError: as :func:`predict_default`.
    """
    if allocation not in ALLOCATIONS:
        raise BudgetError(f"allocation {allocation!r} is unknown: expected one of {', '.join(ALLOCATIONS)}")
    problems = _problems(prompts, entry_points, samples)
    rates, curves = np.zeros(len(problems)), None
    if allocation != "equal":  # which needs no prediction, hence no artifact
        model = model or load_default(dataset, samples=samples is not None)
        rates = np.array([prediction.pass_rate for prediction in predict(model, problems)], dtype=np.float64)
        curves = model.curves
    counts = budgets(allocation, rates, average=average, cap=cap, curves=curves)
    return [int(count) for count in counts]


def _problems(
    prompts: Sequence[str], entry_points: Sequence[str], samples: Sequence[Sequence[str]] | None
) -> list[Evidence]:
    given = [()] * len(prompts) if samples is None else [tuple(of_one) for of_one in samples]
    if not len(prompts) == len(entry_points) == len(given):
        raise FeatureError(
            f"{len(prompts)} prompts, {len(entry_points)} entry points, {len(given)} lists of samples: expected as "
            "many of each; align them"
        )
    return [
        Evidence(task_id=f"problem {number}", prompt=prompt, entry_point=name, samples=of_one)
        for number, (prompt, name, of_one) in enumerate(zip(prompts, entry_points, given, strict=True))
    ]
