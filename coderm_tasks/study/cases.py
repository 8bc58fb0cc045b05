"""Problems on which selection made the difference, with the tests that decided (pure)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from coderm_tasks.pipeline import expected_correctness
from coderm_tasks.rerank import StrategyInput, select
from coderm_tasks.study.record import Case, DecidingTest

__all__ = ["Candidate", "find_cases"]

RESCUED, LOST = "rescued", "lost"
_DECIDING = 4
_LONGEST = 2000
"""Characters of a test or solution that are shown."""


class Candidate(Struct, frozen=True, eq=False):
    """A problem and its tests' sources, aligned with the matrix."""

    problem: StrategyInput
    tests: tuple[str, ...]


def find_cases(strategy: str, candidates: Sequence[Candidate], count: int = 3) -> tuple[Case, ...]:
    """Return up to ``count`` rescued and ``count`` lost problems, the most striking first.

    Rescued: the selection is right where fewest samples are. Lost: it is wrong where most samples are right.
    """
    found = [case for one in candidates if (case := _case(strategy, one)) is not None]
    rescued = sorted((case for case in found if case.kind == RESCUED), key=lambda case: case.pass_rate)
    lost = sorted((case for case in found if case.kind == LOST), key=lambda case: -case.pass_rate)
    return (*rescued[:count], *lost[:count])


def _case(strategy: str, candidate: Candidate) -> Case | None:
    problem = candidate.problem
    labels = np.array(problem.labels, dtype=np.bool_)
    selection = select(strategy, problem)
    accuracy = expected_correctness(selection, labels.tolist())
    kind = RESCUED if accuracy == 1 else LOST
    if labels.all() or not labels.any() or 0 < accuracy < 1 or selection.note:
        return None
    rivals = np.flatnonzero(labels != (kind == RESCUED))
    scores = np.array(selection.scores)
    rival = int(rivals[np.argmax(scores[rivals])])
    votes = problem.matrix.passed.sum(axis=1)
    return Case(
        task_id=problem.task_id,
        kind=kind,
        pass_rate=float(labels.mean()),
        accuracy=accuracy,
        chosen=_short(problem.solutions[selection.index]),
        rival=_short(problem.solutions[rival]),
        chosen_votes=int(votes[selection.index]),
        rival_votes=int(votes[rival]),
        tests=len(candidate.tests),
        deciding=_deciding(candidate, selection.index, rival),
    )


def _deciding(candidate: Candidate, chosen: int, rival: int) -> tuple[DecidingTest, ...]:
    """Tests on which the two differ: those for the chosen first, the rarer passed the earlier."""
    matrix = candidate.problem.matrix
    passed: NDArray[np.bool_] = matrix.passed
    share = passed.mean(axis=0)
    both = matrix.executed[chosen] & matrix.executed[rival]
    places = np.flatnonzero((passed[chosen] != passed[rival]) & both)
    order = sorted(places.tolist(), key=lambda test: (not passed[chosen, test], share[test], test))
    return tuple(
        DecidingTest(
            code=_short(candidate.tests[test]),
            chosen=chr(matrix.letters[chosen, test]),
            rival=chr(matrix.letters[rival, test]),
            passed_share=float(share[test]),
        )
        for test in order[:_DECIDING]
    )


def _short(code: str) -> str:
    return code if len(code) <= _LONGEST else code[:_LONGEST] + "\n# ... cut here"
