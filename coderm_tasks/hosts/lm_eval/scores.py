"""The four numbers of a problem, from the labels of its samples and the selection. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from coderm_tasks.model import DIFFICULTIES, Problem, Selection
from coderm_tasks.pipeline import expected_correctness

__all__ = ["METRIC", "PIPELINES", "Score", "by_difficulty", "process_results", "score_problem"]

METRIC = "pass@1"
PIPELINES = ("first", "mean", "reranked", "oracle")
"""Names of the filter pipelines, in the order of the table."""


class Score(Struct, frozen=True):
    """What one pipeline says of one problem."""

    value: float
    """Expected pass@1, in [0, 1]."""
    index: int
    """The sample it stands for, in sample order; -1 where it stands for none (the mean, or no sample is correct)."""


def score_problem(selection: Selection, correct: Sequence[bool]) -> dict[str, Score]:
    """Score one problem for each pipeline.

    ``first`` takes the first sample. ``mean`` is the expected pass@1 over the samples (the unbiased estimator of Chen
    et al. 2021 at k = 1). ``reranked`` is the expected correctness of a uniform pick among the samples that the
    strategy could not tell apart (CodeRM, arXiv 2501.01054). ``oracle`` is 1 if any sample is correct: the ceiling of
    reranking.

    Args:
        selection: the choice of the strategy.
        correct: length N >= 1, whether each sample passes the data set's own tests.
    """
    labels = list(correct)
    best = labels.index(True) if any(labels) else -1
    return {
        "first": Score(float(labels[0]), 0),
        "mean": Score(sum(labels) / len(labels), -1),
        "reranked": Score(expected_correctness(selection, labels), selection.index),
        "oracle": Score(float(any(labels)), best),
    }


def by_difficulty(
    problems: Mapping[str, Problem], scores: Mapping[str, Mapping[str, Score]]
) -> dict[str, dict[str, float]]:
    """Means by the data set's own difficulty label, in order of difficulty; empty where it has none.

    Args:
        scores: task id -> pipeline -> score.

    Returns:
        Difficulty -> ``problems``, their number, and each pipeline's mean over them.
    """
    groups: dict[str, list[Mapping[str, Score]]] = {}
    for task_id, of_problem in scores.items():
        groups.setdefault(problems[task_id].difficulty, []).append(of_problem)
    return {
        name: {
            "problems": len(groups[name]),
            **{
                pipeline: sum(one[pipeline].value for one in groups[name]) / len(groups[name]) for pipeline in PIPELINES
            },
        }
        for name in DIFFICULTIES
        if name in groups
    }


def process_results(doc: Mapping[str, Any], results: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """lm-eval's hook: the metrics of one problem under one pipeline.

    ``results`` holds what the ``coderm`` filter answered for each request of the problem; the first is the solutions'.
    """
    return {METRIC: float(results[0][METRIC])}
