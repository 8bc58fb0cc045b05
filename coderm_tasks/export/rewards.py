"""Rewards of a problem's solutions from its pass matrix (pure)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from coderm_tasks.evidence import Extras, with_extras
from coderm_tasks.export.model import Case, Rewards
from coderm_tasks.rerank import StrategyInput, evidence_of, select

__all__ = ["VOTES", "rewards_of", "vote_shares"]

VOTES = "votes"
"""The default: share of the usable tests that a solution passes."""
_SAME = 1e-12


def rewards_of(case: Case, strategy: str, extras: Extras | None = None) -> Rewards:
    """Reward each solution, in [0, 1].

    ``votes``: tests passed / usable tests, which orders solutions as CodeRM's vote does (arXiv 2501.01054, section
    3.1). A test is usable that was executed on some solution and tests something. Any other name: the strategy's
    scores, the lowest of the problem at 0 and the highest at 1; all of them 0.5 where the strategy tells none apart.

    Raises:
        ConfigError: no such strategy, or one that needs what ``extras`` do not hold.
    """
    used = evidence_of(case.matrix).passed.shape[1]
    if strategy == VOTES:
        return Rewards(vote_shares(case), used, "" if used else "no usable test")
    given = StrategyInput(task_id=case.problem.task_id, solutions=case.solutions, matrix=case.matrix)
    selection = select(strategy, with_extras(given, extras))
    return Rewards(_scaled(np.array(selection.scores)), selection.tests_used, selection.note)


def vote_shares(case: Case) -> NDArray[np.float64]:
    """Tests passed / usable tests, shape (N,); zeros where no test is usable."""
    passed = evidence_of(case.matrix).passed
    shares: NDArray[np.float64] = passed.sum(axis=1) / max(passed.shape[1], 1)
    return shares


def _scaled(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    spread = np.ptp(scores) if len(scores) else 0.0
    if spread <= _SAME * max(1.0, float(np.abs(scores).max(initial=0.0))):
        return np.full(len(scores), 0.5)
    scaled: NDArray[np.float64] = (scores - scores.min()) / spread
    return scaled
