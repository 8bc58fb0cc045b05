"""How good the unit tests are, one by one and together (pure)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from coderm_tasks.metrics import (
    Confusion,
    InputQuality,
    cells_confusion,
    judge_inputs,
    quality,
    rank_problem,
    redundancy,
    selected_confusion,
)
from coderm_tasks.rerank import StrategyInput, evidence_of, select
from coderm_tasks.study.record import RankingQuality, TestQuality

__all__ = ["ReferenceRun", "test_quality"]


class ReferenceRun(Struct, frozen=True, eq=False):
    """What the reference solution did on one problem's tests and calls."""

    accepts: NDArray[np.bool_]
    """Shape (M,): tests that it passes."""
    codes: NDArray[np.int32]
    """Shape (K,): outcomes of the calls, in the numbers of the problem's behaviours."""


def test_quality(problems: Sequence[StrategyInput], references: Mapping[str, ReferenceRun]) -> TestQuality:
    """Pool the tests of all problems. The inputs carry labels; problems without a usable test count in nothing."""
    usable = [problem for problem in problems if evidence_of(problem.matrix).passed.shape[1]]
    single, combined = Confusion(), Confusion()
    for problem in usable:
        labels = np.array(problem.labels, dtype=np.bool_)
        single += cells_confusion(problem.matrix.passed, problem.matrix.executed, labels)
        combined += selected_confusion(select("coderm", problem).ties, labels)
    repeats = [redundancy(one.matrix.letters, one.matrix.passed, one.matrix.executed) for one in problems]
    return TestQuality(
        individual=quality(single),
        combined=quality(combined),
        ranking=_ranking(usable),
        inputs=_inputs(usable, references),
        tests=sum(one.tests for one in repeats),
        distinct=sum(one.distinct for one in repeats),
        telling=sum(one.telling for one in repeats),
    )


test_quality.__test__ = False  # type: ignore[attr-defined]  # no test, whatever its name says to pytest


def _ranking(problems: Sequence[StrategyInput]) -> RankingQuality:
    found = [rank_problem(_vote_shares(one), np.array(one.labels, dtype=np.float64)) for one in problems]

    def mean(values: list[float]) -> float:
        return float(np.mean(values)) if values else 0.0

    solutions = [one.solutions for one in found]
    return RankingQuality(
        top_1=mean([one.top_1 for one in found]),
        bottom_1=mean([one.bottom_1 for one in found]),
        spearman=mean([one.spearman for one in found]),
        kendall=mean([one.kendall for one in found]),
        mae=float(np.average([one.mae for one in found], weights=solutions)) if found else 0.0,
        problems=len(found),
    )


def _vote_shares(problem: StrategyInput) -> NDArray[np.float64]:
    evidence = evidence_of(problem.matrix)
    shares: NDArray[np.float64] = evidence.passed.sum(axis=1) / np.maximum(evidence.executed.sum(axis=1), 1)
    return shares


def _inputs(problems: Sequence[StrategyInput], references: Mapping[str, ReferenceRun]) -> InputQuality | None:
    """Average the rates over problems, weighted by what each counts: a pooled rate."""
    found = []
    for problem in problems:
        reference = references.get(problem.task_id)
        if reference is not None and problem.behaviours is not None:
            behaviours, labels = problem.behaviours, np.array(problem.labels, dtype=np.bool_)
            found.append(judge_inputs(behaviours.codes, reference.codes, behaviours.of_test, reference.accepts, labels))
    if not found:
        return None
    return InputQuality(
        attack_rate=_pooled([(one.attack_rate, one.pairs) for one in found]),
        output_accuracy=_pooled([(one.output_accuracy, one.tests) for one in found]),
        both=_pooled([(one.both, one.pairs) for one in found]),
        tests=sum(one.tests for one in found),
        pairs=sum(one.pairs for one in found),
    )


def _pooled(rates: Sequence[tuple[float | None, int]]) -> float | None:
    weight = sum(count for rate, count in rates if rate is not None)
    return sum(rate * count for rate, count in rates if rate is not None) / weight if weight else None
