"""From settings and problems to a number of tests each: predictions, the rule, the records of both."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from msgspec import Struct

from coderm_tasks.config import Config
from coderm_tasks.errors import ConfigError, did_you_mean
from coderm_tasks.model import Problem
from coderm_tasks.pipeline import ProblemRun
from difficulty import (
    ALLOCATIONS,
    BeliefModel,
    DifficultyError,
    DifficultyModel,
    Evidence,
    Prediction,
    budgets,
    load,
    load_default,
    predict,
)

__all__ = [
    "CAP",
    "SEQUENTIAL",
    "BudgetPlan",
    "BudgetRecord",
    "budget_records",
    "check_allocation",
    "choose_classifier",
    "plan_budgets",
]

SEQUENTIAL = "sequential"
CAP = 4
"""No problem gets more than this many times the average budget: a predicted pass rate is not that sure of itself."""
_BEFORE_SAMPLING = ("text", "ngrams")
_AFTER_SAMPLING = (*_BEFORE_SAMPLING, "samples")


class BudgetPlan(Struct, frozen=True):
    """Tests per problem, and the predictions they rest on."""

    tests: dict[str, int]
    """By task id; for ``sequential`` what would be equal shares: how many are drawn is found out in the run."""
    predictions: dict[str, Prediction]
    """By task id."""
    belief: BeliefModel = BeliefModel()
    """What ``sequential`` decides by."""


class BudgetRecord(Struct, frozen=True, kw_only=True):
    """One problem's budget, as in a run's ``budget.jsonl``."""

    task_id: str
    pass_rate: float
    """Predicted, in (0, 1)."""
    difficulty: str
    """``hard``, ``medium`` or ``easy``, by the predicted pass rate."""
    allocation: str
    budget: int
    """Tests the problem was granted; for ``sequential``, the tests that were drawn before it stopped."""
    tests: int
    """Tests there were."""
    tests_used: int
    """Tests that were executed and test something."""


def check_allocation(name: str) -> None:
    """Raise ConfigError, with a did-you-mean, unless there is such an allocation."""
    known = (*ALLOCATIONS, SEQUENTIAL)
    if name not in known:
        raise ConfigError(f"allocation is {name!r}{did_you_mean(name, known)}: expected one of {', '.join(known)}")


def choose_classifier(config: Config, dataset: str, *, sampled: bool) -> DifficultyModel:
    """Load the classifier that the settings name, or the one that ships for the data set.

    Args:
        config: ``classifier`` names a saved one.
        dataset: name of the data set, for the one that ships.
        sampled: solutions will have been sampled when it predicts.

    Raises:
        ConfigError: it cannot be loaded, needs evidence that will not be there, or lacks the curves ``gain`` needs.
    """
    name = config.classifier or f"the classifier that ships for {dataset}"
    try:
        model = load(Path(config.classifier)) if config.classifier else load_default(dataset, samples=sampled)
    except DifficultyError as error:
        raise ConfigError(f"classifier: {error}") from error
    there = _AFTER_SAMPLING if sampled else _BEFORE_SAMPLING
    if lacking := [block for block in model.blocks if block not in there]:
        when = (
            "once solutions are sampled" if sampled else "before anything is sampled, where self-written tests need it"
        )
        raise ConfigError(
            f"classifier {name}: needs the feature block {lacking[0]!r}; expected only {', '.join(there)} {when}; "
            "train one with 'coderm difficulty train --blocks', or leave classifier out"
        )
    if config.allocation == "gain" and model.curves is None:
        raise ConfigError(
            f"classifier {name}: has no gain curves, which allocation 'gain' needs; train one with "
            "'coderm difficulty train --matrix', or choose allocation 'coderm' or 'equal'"
        )
    return model


def plan_budgets(
    config: Config, problems: Sequence[Problem], samples: Mapping[str, Sequence[str]] | None = None
) -> BudgetPlan:
    """Predict each problem's pass rate and spread ``budget`` tests per problem, on average, by ``allocation``.

    Args:
        config: budget, allocation, classifier.
        problems: of one data set; may be none.
        samples: sampled solutions by task id, at least one each; None before anything is sampled.

    Raises:
        ConfigError: unknown allocation, an unusable classifier, or a budget that cannot be spent as asked.
    """
    check_allocation(config.allocation)
    if not problems:
        return BudgetPlan({}, {})
    model = choose_classifier(config, problems[0].dataset, sampled=samples is not None)
    evidence = [
        Evidence(
            task_id=problem.task_id,
            prompt=problem.prompt,
            entry_point=problem.entry_point,
            samples=tuple(samples[problem.task_id]) if samples is not None else (),
        )
        for problem in problems
    ]
    rule = "equal" if config.allocation == SEQUENTIAL else config.allocation
    try:
        found = predict(model, evidence)
        rates = np.array([prediction.pass_rate for prediction in found])
        counts = budgets(rule, rates, average=config.budget, cap=CAP * config.budget, curves=model.curves)
    except DifficultyError as error:
        raise ConfigError(str(error)) from error
    return BudgetPlan(
        {problem.task_id: int(count) for problem, count in zip(problems, counts, strict=True)},
        {prediction.task_id: prediction for prediction in found},
        model.belief,
    )


def budget_records(runs: Iterable[ProblemRun], planned: BudgetPlan, allocation: str) -> Iterator[BudgetRecord]:
    """Yield one record per problem of a run."""
    for run in runs:
        prediction = planned.predictions[run.problem.task_id]
        tests = len(run.tests)
        yield BudgetRecord(
            task_id=run.problem.task_id,
            pass_rate=prediction.pass_rate,
            difficulty=prediction.difficulty.value,
            allocation=allocation,
            budget=tests if allocation == SEQUENTIAL else planned.tests[run.problem.task_id],
            tests=tests,
            tests_used=run.selection.tests_used,
        )
