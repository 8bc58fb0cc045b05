"""From scores to a selection: fallbacks, ties and the seeded pick, the same for every strategy."""

from __future__ import annotations

from hashlib import blake2b

import msgspec
import numpy as np
from numpy.typing import NDArray

from coderm_tasks.errors import ConfigError, InputError
from coderm_tasks.model import Selection
from coderm_tasks.rerank.base import Need, Strategy, StrategyInput, evidence_of
from coderm_tasks.rerank.registry import get_strategy, is_built_in

__all__ = ["NO_EXAMPLES", "NO_OUTPUTS", "NO_SAMPLES", "NO_TESTS", "NO_VALID_TESTS", "select"]

NO_SAMPLES = "no samples"
NO_TESTS = "no tests"
NO_VALID_TESTS = "no valid tests"
NO_OUTPUTS = "no comparable outputs"
"""No test could be taken apart into calls."""
NO_EXAMPLES = "no examples"
"""The problem's text states none that could be read."""
_TOLERANCE = 1e-9


def select(name: str, problem_input: StrategyInput, *, seed: int = 0) -> Selection:
    """Apply the strategy ``name`` to one problem.

    ``Selection.ties`` are the solutions that the strategy cannot tell apart; ``index`` is one of them, drawn uniformly
    by a hash of ``seed`` and the task id, so that every process and machine draws the same. Without a test that was
    executed and tests something, a strategy that needs tests falls back to the first sample, and ``note`` says so;
    without a sample, ``index`` is -1.

    Raises:
        ConfigError: unknown strategy, one that needs labels, outputs or examples that the input does not carry, or a
            strategy of another package failed.
        InputError: the matrix, or one of the other arrays, has not one row per solution.
    """
    strategy = get_strategy(name)
    count = len(problem_input.solutions)
    _check_rows(problem_input)
    _check_given(strategy, problem_input)
    if not strategy.needs_labels:
        problem_input = msgspec.structs.replace(problem_input, labels=None)
    if count == 0:
        return _fallback(strategy, problem_input, NO_SAMPLES, index=-1)
    if note := _lacking(strategy, problem_input):
        return _fallback(strategy, problem_input, note)
    scores = _scores(strategy, problem_input)
    ties = np.flatnonzero(scores >= _threshold(float(scores.max())))
    return Selection(
        task_id=problem_input.task_id,
        index=int(ties[_draw(seed, problem_input.task_id, len(ties))]),
        ties=tuple(ties.tolist()),
        scores=tuple(scores.tolist()),
        strategy=strategy.name,
        tests_used=_tests_used(strategy, problem_input),
    )


def _tests_used(strategy: Strategy, problem: StrategyInput) -> int:
    looks = strategy.needs_tests or strategy.outputs is not Need.NO
    return evidence_of(problem.matrix).passed.shape[1] if looks else 0


def _fallback(strategy: Strategy, problem: StrategyInput, note: str, index: int = 0) -> Selection:
    scores = (0.0,) * len(problem.solutions)
    ties = (index,) if index >= 0 else ()
    return Selection(task_id=problem.task_id, index=index, ties=ties, scores=scores, strategy=strategy.name, note=note)


def _check_rows(problem: StrategyInput) -> None:
    count = len(problem.solutions)
    rows = {"a matrix": len(problem.matrix.letters)}
    if problem.behaviours is not None:
        rows["outputs"] = len(problem.behaviours.codes)
    if problem.examples is not None:
        rows["a matrix of examples"] = len(problem.examples.letters)
    if problem.labels is not None:
        rows["labels"] = len(problem.labels)
    for what, found in rows.items():
        if found != count:
            raise InputError(
                f"{problem.task_id}: got {what} of {found} rows for {count} solutions; expected one row per solution"
            )


def _check_given(strategy: Strategy, problem: StrategyInput) -> None:
    lacking = {
        "ground truth, which selection does not have; use it in coderm study": strategy.needs_labels
        and problem.labels is None,
        "the outputs of the tests' calls, which were not recorded here": strategy.outputs is Need.REQUIRED
        and problem.behaviours is None,
        "the verdicts on the problem's examples, which were not run here": strategy.examples is Need.REQUIRED
        and problem.examples is None,
    }
    for what, is_lacking in lacking.items():
        if is_lacking:
            raise ConfigError(f"strategy {strategy.name!r} needs {what}; or choose another strategy")


def _lacking(strategy: Strategy, problem: StrategyInput) -> str:
    """Why the strategy has nothing to go by; empty where it has."""
    if strategy.needs_tests and not evidence_of(problem.matrix).passed.shape[1]:
        return NO_VALID_TESTS if problem.matrix.letters.shape[1] else NO_TESTS
    if strategy.outputs is Need.REQUIRED and problem.behaviours is not None and not problem.behaviours.codes.shape[1]:
        return NO_OUTPUTS
    if strategy.examples is Need.REQUIRED and problem.examples is not None:
        return "" if evidence_of(problem.examples).passed.shape[1] else NO_EXAMPLES
    return ""


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
