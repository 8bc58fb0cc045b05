"""Data sets -> :class:`coderm_tasks.model.Problem`.

Two sets of names are in use. Ours tell the data sets apart: ``humaneval`` (HumanEval, embedded), EvalPlus's
``humaneval_plus`` and ``mbpp_plus``, and ``livecodebench``. The command line follows ``evalplus.evaluate``, where
``humaneval`` and ``mbpp`` *are* the EvalPlus sets; :func:`cli_dataset` translates.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable

from coderm_tasks.datasets.context import prompt_context
from coderm_tasks.datasets.evalplus_sets import load_evalplus
from coderm_tasks.datasets.humaneval import load_humaneval
from coderm_tasks.datasets.livecodebench import Slice, load_livecodebench
from coderm_tasks.errors import ConfigError, DatasetError, did_you_mean
from coderm_tasks.hosts.evalplus import override_variable
from coderm_tasks.model import Problem

__all__ = [
    "CLI_DATASETS",
    "DATASETS",
    "Slice",
    "cli_dataset",
    "load_problems",
    "load_problems_to_rerank",
    "prompt_context",
]

logger = logging.getLogger(__name__)

_LOADERS: dict[str, Callable[[Slice | None], tuple[Problem, ...]]] = {
    "humaneval": lambda _: load_humaneval(),
    "humaneval_plus": lambda _: load_evalplus("humaneval"),
    "mbpp_plus": lambda _: load_evalplus("mbpp"),
    "livecodebench": load_livecodebench,
}
_FROM_CLI = {"humaneval": "humaneval_plus", "mbpp": "mbpp_plus", "livecodebench": "livecodebench"}

DATASETS = tuple(_LOADERS)
"""Names that :func:`load_problems` takes."""
CLI_DATASETS = tuple(_FROM_CLI)
"""Names that ``--dataset`` takes."""


def load_problems(name: str, chosen: Slice | None = None) -> tuple[Problem, ...]:
    """Return the problems of the data set ``name`` (one of :data:`DATASETS`) in its own order.

    Args:
        chosen: which of LiveCodeBench's problems, and from where; says nothing of other data sets.

    Raises:
        ConfigError: no such data set.
        DatasetError: the data set cannot be loaded.
    """
    if name not in _LOADERS:
        raise ConfigError(f"unknown data set {name!r}{_hint(name, DATASETS)}")
    return _LOADERS[name](chosen)


def cli_dataset(name: str) -> str:
    """Translate a value of ``--dataset`` to the name that :func:`load_problems` takes.

    Raises:
        ConfigError: the command line has no such data set.
    """
    if name not in _FROM_CLI:
        raise ConfigError(f"unknown --dataset {name!r}{_hint(name, CLI_DATASETS)}")
    return _FROM_CLI[name]


def load_problems_to_rerank(name: str, chosen: Slice | None = None) -> tuple[Problem, ...]:
    """Load for selection only, where ground truth plays no part.

    HumanEval+ has the task ids and entry points of HumanEval, so where EvalPlus's file cannot be had the embedded
    HumanEval stands in, with a warning. A file that ``HUMANEVAL_OVERRIDE_PATH`` names must be good: nothing stands in
    for that. Never use the result to grade.

    Raises:
        ConfigError, DatasetError: as :func:`load_problems`.
    """
    try:
        return load_problems(name, chosen)
    except DatasetError as error:
        if name != "humaneval_plus" or os.environ.get(override_variable("humaneval")):
            raise
        logger.warning("%s. Selecting with the embedded HumanEval instead: same problems, no extra inputs", error)
        return load_problems("humaneval")


def _hint(name: str, known: tuple[str, ...]) -> str:
    return f"{did_you_mean(name, known)}: expected one of {', '.join(known)}"
