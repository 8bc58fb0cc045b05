"""From scores to a selection: fallbacks, ties and the seeded pick, the same for every strategy."""

from __future__ import annotations

from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from coderm_tasks.errors import ConfigError, InputError
from coderm_tasks.model import Selection
from coderm_tasks.rerank.base import Strategy, StrategyInput, evidence_of
from coderm_tasks.rerank.registry import get_strategy, is_built_in

__all__ = ["NO_SAMPLES", "NO_TESTS", "NO_VALID_TESTS", "select"]

NO_SAMPLES = "no samples"
NO_TESTS = "no tests"
NO_VALID_TESTS = "no valid tests"
_TOLERANCE = 1e-9


def select(name: str, problem_input: StrategyInput, *, seed: int = 0) -> Selection:
    """Apply the strategy ``name`` to one problem.

    ``Selection.ties`` are the solutions that the strategy cannot tell apart; ``index`` is one of them, drawn uniformly
    by a hash of ``seed`` and the task id, so that every process and machine draws the same. Without a test that was
    executed and tests something, a strategy that needs tests falls back to the first sample, and ``note`` says so;
    without a sample, ``index`` is -1.

    Raises:
        ConfigError: unknown strategy, or a strategy of another package failed.
        InputError: the matrix has not one row per solution.
    """
    strategy = get_strategy(name)
    task_id, count = problem_input.task_id, len(problem_input.solutions)
    rows, columns = problem_input.matrix.letters.shape
    if rows != count:
        raise InputError(f"{task_id}: got a matrix of {rows} rows for {count} solutions; expected one row per solution")
    tests_used = evidence_of(problem_input.matrix).passed.shape[1] if strategy.needs_tests else 0
    if count == 0:
        return Selection(task_id=task_id, index=-1, ties=(), scores=(), strategy=name, note=NO_SAMPLES)
    if strategy.needs_tests and not tests_used:
        note = NO_VALID_TESTS if columns else NO_TESTS
        return Selection(task_id=task_id, index=0, ties=(0,), scores=(0.0,) * count, strategy=name, note=note)
    scores = _scores(strategy, problem_input)
    ties = np.flatnonzero(scores >= _threshold(float(scores.max())))
    return Selection(
        task_id=task_id,
        index=int(ties[_draw(seed, task_id, len(ties))]),
        ties=tuple(ties.tolist()),
        scores=tuple(scores.tolist()),
        strategy=name,
        tests_used=tests_used,
    )


def _threshold(best: float) -> float:
    return best - _TOLERANCE * max(1.0, abs(best))


def _draw(seed: int, task_id: str, count: int) -> int:
    """Uniform number below ``count``. Not numpy's generators: their streams may change with the version."""
    digest = blake2b(f"{seed}\0{task_id}".encode("utf-8", "surrogatepass"), digest_size=16).digest()
    return int.from_bytes(digest, "big") % count


def _scores(strategy: Strategy, problem: StrategyInput) -> NDArray[np.float64]:
    try:
        scores = np.asarray(strategy.score(problem), dtype=np.float64)
    except Exception as error:
        if is_built_in(strategy.name):
            raise
        raise ConfigError(
            f"strategy {strategy.name!r} failed on {problem.task_id} ({type(error).__name__}: {error}); "
            "mend the package that offers it or choose another --strategy"
        ) from error
    expected = (len(problem.solutions),)
    if scores.shape != expected or not np.isfinite(scores).all():
        raise ConfigError(
            f"strategy {strategy.name!r} on {problem.task_id}: got scores of shape {scores.shape}, "
            f"{np.count_nonzero(~np.isfinite(scores))} not finite; expected {expected[0]} finite scores"
        )
    return scores
