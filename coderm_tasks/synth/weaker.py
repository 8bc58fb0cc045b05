"""Hold tests against a weaker model's solutions: a test that accepts wrong ones teaches little."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from coderm_tasks.evidence import run_cells
from coderm_tasks.export.rows import test_rates
from coderm_tasks.metrics import Quality
from coderm_tasks.model import Problem
from coderm_tasks.pipeline import Work
from coderm_tasks.synth.model import Draft, WeakerSolutions
from executor import Executor, PassMatrix

__all__ = ["Rated", "rate"]


class Rated(Struct, frozen=True):
    """One problem's tests with their rates; ``rates`` has one entry per test."""

    drafts: tuple[Draft, ...]
    rates: tuple[Quality, ...]
    weak: int
    """Tests that were dropped as they accept too many wrong solutions."""
    wrong: int
    """Wrong solutions that the tests were held against."""


def rate(
    executor: Executor,
    accepted: Mapping[str, tuple[Problem, Sequence[Draft]]],
    solutions: Mapping[str, WeakerSolutions],
    most: float,
) -> dict[str, Rated]:
    """Run the weaker solutions under the accepted tests; drop tests that accept more of the wrong ones than ``most``.

    Args:
        accepted: by task id, the problem and the tests that its reference passes.
        solutions: by task id; a problem without any keeps all its tests.
        most: highest share of the wrong solutions, in [0, 1], that a test may accept.

    Raises:
        SandboxError: the sandbox failed.
    """
    jobs = {}
    for task_id, (problem, drafts) in accepted.items():
        tests = tuple(draft.code for draft in drafts)
        codes = solutions[task_id].codes if task_id in solutions else ()
        jobs[task_id] = (Work(problem, codes, tests), tests)
    matrices = run_cells(executor, jobs)
    nothing = WeakerSolutions(())
    return {
        task_id: _rated(tuple(drafts), matrices[task_id], solutions.get(task_id, nothing), most)
        for task_id, (_, drafts) in accepted.items()
    }


def _rated(drafts: tuple[Draft, ...], matrix: PassMatrix, solutions: WeakerSolutions, most: float) -> Rated:
    passed, executed = matrix.passed, matrix.executed
    correct = _correct(solutions, passed, executed)
    rates = test_rates(passed, executed, correct)
    kept = [number for number, one in enumerate(rates) if one.far is None or one.far <= most]
    return Rated(
        drafts=tuple(drafts[number] for number in kept),
        rates=tuple(rates[number] for number in kept),
        weak=len(drafts) - len(kept),
        wrong=int((~correct).sum()),
    )


def _correct(solutions: WeakerSolutions, passed: NDArray[np.bool_], executed: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Shape (N,): the labels; without, a solution is wrong that fails a test which the reference passes."""
    if solutions.correct is not None:
        return np.array(solutions.correct, dtype=np.bool_)
    found: NDArray[np.bool_] = np.all(passed | ~executed, axis=1)
    return found
