"""From a row of verdicts to a reward (pure)."""

from __future__ import annotations

from enum import Enum
from typing import Literal

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from coderm_tasks.reward.lane import Found
from coderm_tasks.reward.unit_tests import Kind, ReadTests
from executor import Verdict

__all__ = ["SCHEMES", "Scheme", "Score", "Status", "score_rows"]

Scheme = Literal["share", "all"]
SCHEMES: tuple[Scheme, ...] = ("share", "all")
_SURE = 1e-9


class Status(str, Enum):
    """How a reward came about; only JUDGED and NO_CODE have one."""

    JUDGED = "judged"
    NO_CODE = "no_code"
    """The completion holds no definition of the entry point: it passes nothing."""
    NO_TESTS = "no_tests"
    """No test says anything about the solution."""
    NO_CONTEXT = "no_context"
    """The context does not run, and with it no test."""
    UNJUDGED = "unjudged"
    """The deadline came first."""


class Score(Struct, frozen=True, kw_only=True):
    """One completion's reward and what it stands on."""

    reward: float | None
    """From 0 to 1; None where there is none to be had (see ``status``)."""
    status: Status
    passed: int = 0
    """Tests passed, of those that count."""
    counted: int = 0
    """Tests that count for this reward."""
    shared: int = 0
    """Passes that the solution could have forged, because it shared a process with the test."""
    evaded: int = 0
    """Tests of which no assertion was reached, on this solution: not passed."""
    timeouts: int = 0
    """Tests that ended at a limit of time, memory or output."""
    verdicts: str = ""
    """A letter per test, as in a matrix file."""


def score_rows(found: Found, tests: ReadTests, *, scheme: Scheme = "share", count_shared: bool = True) -> list[Score]:
    """Reward each of the N solutions.

    ``share``: the weights of the tests passed over those of all tests that count; ``all``: 1 if every one passed, else
    0. Which tests count depends on the tests alone: a solution that keeps a test from reaching its assertion has not
    passed it, so it cannot choose what it is measured by.

    Args:
        found: verdicts of shape (N, M); a row of NOT_RUN was not judged.
        tests: M tests.
        count_shared: whether passes count that a solution could forge. False: they do not, and tests that always run
            in the solution's process are left out.
    """
    if found.broken_context:
        return [Score(reward=None, status=Status.NO_CONTEXT) for _ in found.has_code]
    worthless = {Kind.VACUOUS} if count_shared else {Kind.VACUOUS, Kind.SHARED}
    weights = np.array(tests.weights, dtype=np.float64)
    counts = np.array([kind not in worthless for kind in tests.kinds], dtype=np.bool_) & ~_void(found) & (weights > 0)
    return [
        _score(found.matrix.letters[row], found.matrix.shared[row], weights, counts, code, scheme, count_shared)
        for row, code in enumerate(found.has_code.tolist())
    ]


def _void(found: Found) -> NDArray[np.bool_]:
    """Shape (M,). A test that passed or failed some solution, in a process of its own, tests something after all: it
    skips what returns None, say, as the stub did."""
    letters = found.matrix.letters
    told = (_is(letters, Verdict.PASS) | _is(letters, Verdict.FAIL)) & ~found.matrix.shared
    return found.void & ~told.any(axis=0)


def _score(
    letters: NDArray[np.uint8],
    shared: NDArray[np.bool_],
    weights: NDArray[np.float64],
    counts: NDArray[np.bool_],
    code: bool,
    scheme: Scheme,
    count_shared: bool,
) -> Score:
    counted = int(counts.sum())
    if not counted:
        return Score(reward=None, status=Status.NO_TESTS)
    if _is(letters, Verdict.NOT_RUN).any():
        return Score(reward=None, status=Status.UNJUDGED, counted=counted)
    if not code:
        return Score(reward=0.0, status=Status.NO_CODE, counted=counted)
    clean = _is(letters, Verdict.PASS) & counts
    passed = clean if count_shared else clean & ~shared
    share = float(weights[passed].sum() / weights[counts].sum())
    return Score(
        reward=share if scheme == "share" else float(share > 1 - _SURE),
        status=Status.JUDGED,
        passed=int(passed.sum()),
        counted=counted,
        shared=int((clean & shared).sum()),
        evaded=int((_is(letters, Verdict.INVALID) & counts).sum()),
        timeouts=int(((_is(letters, Verdict.TIMEOUT) | _is(letters, Verdict.RESOURCE)) & counts).sum()),
        verdicts=bytes(letters).decode("ascii"),
    )


def _is(letters: NDArray[np.uint8], verdict: Verdict) -> NDArray[np.bool_]:
    return np.equal(letters, ord(verdict.value))
