"""Why a strategy chose what it chose: clusters, ties, and the tests on which the chosen and its rival differ."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from coderm_tasks.errors import InputError, did_you_mean
from coderm_tasks.evidence import gather_for, run_cells, with_extras
from coderm_tasks.model import Selection
from coderm_tasks.pipeline import Work
from coderm_tasks.rerank import StrategyInput, evidence_of, get_selector, select
from coderm_tasks.rerank.accord import COMPONENTS, DEFAULT_WEIGHTS, components
from coderm_tasks.rerank.base import pass_sets
from executor import Executor

__all__ = ["Cluster", "Difference", "Explanation", "explain", "run_one"]

_CLUSTERS, _DIFFERENCES = 6, 6


class Cluster(Struct, frozen=True, kw_only=True):
    """Solutions that pass the same tests."""

    members: tuple[int, ...]
    """Indices, best score first."""
    votes: int
    examples: int | None
    """Most examples that a member passes; None where none were run."""
    behaviours: int | None
    """Different outcomes on the tests' calls within it; None where none were recorded."""
    score: float
    """Best of its members."""
    chosen: bool


class Difference(Struct, frozen=True):
    """A test on which the chosen solution and the rival differ."""

    code: str
    chosen: str
    rival: str
    passed: int
    """Solutions that pass it."""


class Explanation(Struct, frozen=True, kw_only=True):
    """One problem's selection, taken apart."""

    selection: Selection
    solutions: int
    tests: int
    clusters: tuple[Cluster, ...]
    """The best few, best first."""
    clusters_in_all: int
    rival: int
    """The best solution outside the ties; -1 where all are tied."""
    differences: tuple[Difference, ...]
    """For the chosen first, then against it; the fewer solutions pass a test, the earlier."""
    differences_in_all: int
    terms: tuple[tuple[str, float, float], ...]
    """Of accord: each term's name, and its value for the chosen and for the rival."""
    code: str
    """Of the chosen solution."""


def run_one(executor: Executor, work: Sequence[Work], task_id: str, strategy: str) -> tuple[StrategyInput, Work]:
    """Execute what the strategy looks at on one problem of ``work``.

    Raises:
        InputError: no such problem, or it has no samples.
        ConfigError, SandboxError: as :func:`coderm_tasks.pipeline.run_and_select`.
    """
    found = next((item for item in work if item.problem.task_id == task_id), None)
    if found is None:
        known = [item.problem.task_id for item in work]
        raise InputError(
            f"--explain {task_id}: no such problem{did_you_mean(task_id, known)}; expected one of {len(known)} task ids"
        )
    if not found.solutions:
        raise InputError(f"--explain {task_id}: the problem has no sample; expected at least one; add samples of it")
    matrix = run_cells(executor, {task_id: (found, found.tests)})[task_id]
    given = StrategyInput(task_id=task_id, solutions=found.solutions, matrix=matrix)
    return with_extras(given, gather_for(get_selector(strategy), executor, [found]).get(task_id)), found


def explain(problem: StrategyInput, tests: Sequence[str], strategy: str, seed: int = 0) -> Explanation:
    """Select, and say why. ``tests`` are the sources of the matrix's columns."""
    selection = select(strategy, problem, seed=seed)
    scores = np.array(selection.scores)
    outside = np.setdiff1d(np.arange(len(scores)), selection.ties)
    rival = int(outside[np.argmax(scores[outside])]) if len(outside) else -1
    clusters = _clusters(problem, selection, scores)
    differences = _differences(problem, tests, selection.index, rival) if rival >= 0 else []
    return Explanation(
        selection=selection,
        solutions=len(problem.solutions),
        tests=len(tests),
        clusters=tuple(clusters[:_CLUSTERS]),
        clusters_in_all=len(clusters),
        rival=rival,
        differences=tuple(differences[:_DIFFERENCES]),
        differences_in_all=len(differences),
        terms=_terms(problem, selection, rival),
        code=problem.solutions[selection.index],
    )


def _clusters(problem: StrategyInput, selection: Selection, scores: NDArray[np.float64]) -> list[Cluster]:
    passed = evidence_of(problem.matrix).passed
    of = pass_sets(passed).of if passed.shape[1] else np.zeros(len(passed), dtype=np.intp)
    examples = None if problem.examples is None else evidence_of(problem.examples).passed.sum(axis=1)
    codes = None if problem.behaviours is None else problem.behaviours.codes
    found = []
    for group in range(int(of.max()) + 1):
        members = np.flatnonzero(of == group)
        members = members[np.argsort(-scores[members], kind="stable")]
        found.append(
            Cluster(
                members=tuple(members.tolist()),
                votes=int(passed[members[0]].sum()),
                examples=None if examples is None else int(examples[members].max()),
                behaviours=None if codes is None else len({row.tobytes() for row in codes[members]}),
                score=float(scores[members[0]]),
                chosen=selection.index in members,
            )
        )
    return sorted(found, key=lambda cluster: (-cluster.score, -len(cluster.members)))


def _differences(problem: StrategyInput, tests: Sequence[str], chosen: int, rival: int) -> list[Difference]:
    matrix = problem.matrix
    passed = matrix.passed
    votes = passed.sum(axis=0)
    places = np.flatnonzero(passed[chosen] != passed[rival]).tolist()
    order = sorted(places, key=lambda test: (not passed[chosen, test], votes[test], test))
    letters = matrix.letters
    return [Difference(tests[t], chr(letters[chosen, t]), chr(letters[rival, t]), int(votes[t])) for t in order]


def _terms(problem: StrategyInput, selection: Selection, rival: int) -> tuple[tuple[str, float, float], ...]:
    if selection.strategy != "accord" or selection.note or rival < 0:
        return ()
    weighed = components(problem) * DEFAULT_WEIGHTS.array()
    return tuple(
        (name, float(weighed[selection.index, column]), float(weighed[rival, column]))
        for column, name in enumerate(COMPONENTS)
    )
