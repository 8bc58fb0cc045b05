"""What the budget study knows of each problem, and what is learned for a fold of problems from the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from labelled_data import sources
from msgspec import Struct
from numpy.typing import NDArray

from coderm_tasks.beside_samples import read_labels
from coderm_tasks.datasets import cli_dataset, load_problems_to_rerank
from coderm_tasks.difficulty_job import Sources, read_training_set
from coderm_tasks.files import read_samples
from difficulty import BeliefModel, Evidence, Features, FitOptions, GainCurves, extract_features, program_key
from difficulty.belief import class_weights
from difficulty.belief_fit import BeliefState, belief_state, fit_belief
from difficulty.classifier import cross_validate, fit, grouped_folds, predict_rates
from difficulty.gain import learn_gain_curves, sizes_up_to

__all__ = ["Case", "Fold", "belief_accuracy", "own_curve", "prepare", "vote_accuracy"]

FOLDS = 5


class Case(Struct, frozen=True, eq=False):
    """One problem of one policy: verdicts, labels, programs."""

    task_id: str
    passed: NDArray[np.bool_]
    """Shape (N, M): only tests that test something."""
    correct: NDArray[np.float64]
    """Shape (N,)."""
    programs: NDArray[np.int64]
    """First sample of each distinct program."""
    copies: NDArray[np.int64]
    """Samples that are this program."""


class Fold(Struct, frozen=True, eq=False):
    """One fold's problems, and what was learned for them from the others."""

    members: NDArray[np.int64]
    predicted: NDArray[np.float64]
    """Pass rates of the members by a classifier (block ``samples``) that saw none of them."""
    gold: NDArray[np.float64]
    curves: GainCurves
    belief: BeliefModel


def prepare(
    data: Path, dataset: str, policy: str, matrices: Path, sizes: Sequence[int], reach: int
) -> tuple[list[Case], list[Fold]]:
    """Read samples, labels and matrices of one policy, and learn for each fold from the others."""
    given = sources(data, dataset, (policy,), matrices)
    training = read_training_set(given)
    labels = _labels(given)
    kept = [row for row, problem in enumerate(training.problems) if problem.behaviour and problem.behaviour[0]]
    cases = [_case(training.problems[row], labels) for row in kept]
    rates = training.rates[kept]
    features = extract_features([training.problems[row] for row in kept], ["samples"])
    curves = np.stack([own_curve(one, reach) for one in cases])
    seen = [_states(one, sizes) for one in cases]
    names = [one.task_id for one in cases]
    folds = []
    for learn, members in grouped_folds(names, FOLDS, 0):
        part, groups = Features(features.names, features.values[learn]), [names[row] for row in learn]
        network = fit(part, rates[learn], groups, FitOptions())
        # The curves' bins are cut by rates that are predicted as honestly as those that will look a bin up.
        inner = cross_validate(part, rates[learn], groups, FitOptions())
        folds.append(
            Fold(
                members,
                predict_rates(network, features.values[members]),
                rates[members],
                learn_gain_curves(inner, curves[learn]),
                fit_belief([state for row in learn for state in seen[row]]),
            )
        )
    return cases, folds


def _labels(given: Sources) -> Mapping[str, tuple[bool, ...]]:
    problems = {one.task_id: one for one in load_problems_to_rerank(cli_dataset(given.dataset))}
    return read_labels(given.labels[0], read_samples(given.samples[0], problems))


def _case(problem: Evidence, labels: Mapping[str, tuple[bool, ...]]) -> Case:
    letters = np.array([list(row) for row in problem.behaviour])
    telling = ~np.isin(letters, ["-", "I"]).all(axis=0)
    keys: dict[str, int] = {}
    program = np.array([keys.setdefault(program_key(code), len(keys)) for code in problem.samples])
    return Case(
        problem.task_id,
        (letters == "P")[:, telling],
        np.array(labels[problem.task_id], dtype=np.float64),
        np.unique(program, return_index=True)[1],
        np.bincount(program),
    )


def vote_accuracy(one: Case, columns: NDArray[np.int64]) -> float:
    """Expected correctness of CodeRM's choice: most tests, then the commonest pass set, ties by their mean."""
    if not len(columns):
        return float(one.correct.mean())
    passed = one.passed[:, columns]
    votes = passed.sum(axis=1)
    groups: dict[bytes, list[int]] = {}
    for row in np.flatnonzero(votes == votes.max()):
        groups.setdefault(passed[row].tobytes(), []).append(int(row))
    most = max(map(len, groups.values()))
    return float(one.correct[[row for rows in groups.values() if len(rows) == most for row in rows]].mean())


def belief_accuracy(one: Case, columns: NDArray[np.int64], model: BeliefModel) -> float:
    """Expected correctness of the belief's choice (the strategy ``belief``), ties by their mean."""
    state = belief_state(one.passed[:, columns], one.correct)
    weights = class_weights(state.share, state.votes, state.tests, model)
    best = weights >= weights.max() - 1e-9
    return float(np.average(state.correct[best], weights=state.share[best]))


def own_curve(one: Case, reach: int, draws: int = 40) -> NDArray[np.float64]:
    """Accuracy of CodeRM's choice with 0..reach tests of the problem's own, shape (reach + 1,)."""
    rng = np.random.default_rng([1, *one.task_id.encode()])
    tests = one.passed.shape[1]
    means = [
        np.mean([vote_accuracy(one, rng.integers(tests, size=size)) for _ in range(draws if size else 1)])
        for size in sizes_up_to(reach)
    ]
    return np.interp(np.arange(reach + 1), sizes_up_to(reach), means)


def _states(one: Case, sizes: Sequence[int], draws: int = 4) -> list[BeliefState]:
    rng = np.random.default_rng([2, *one.task_id.encode()])
    tests = one.passed.shape[1]
    return [
        belief_state(one.passed[:, rng.integers(tests, size=size)], one.correct) for size in sizes for _ in range(draws)
    ]
