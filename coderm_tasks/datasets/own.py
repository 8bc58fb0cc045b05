"""Problems of the user's own, from a file: what ``--problems`` reads."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from coderm_tasks.datasets import cli_dataset, load_problems_to_rerank
from coderm_tasks.errors import ConfigError, InputError
from coderm_tasks.extract.source import parse
from coderm_tasks.files import read_jsonl
from coderm_tasks.model import GroundTruth, Problem

__all__ = ["OWN", "last_function", "load_own_or_dataset", "read_problems", "source_name"]

OWN = "own"
"""What :attr:`coderm_tasks.model.Problem.dataset` says of such problems."""


def read_problems(path: Path) -> tuple[Problem, ...]:
    """Read ``{"task_id", "question", "code_ground_truth", "entry_point"}`` a line, CodeRM-UnitTest's names.

    ``entry_point`` may be left out: then it is the last function that the code defines at its top level. Whether a
    problem is fit for unit tests is not looked at here.

    Raises:
        InputError: an unreadable file, a record without these texts, a task id given twice, or no record at all.
    """
    found: dict[str, Problem] = {}
    for number, record in read_jsonl(path):
        problem = _problem(f"{path}:{number}", record)
        if problem.task_id in found:
            raise InputError(
                f"{path}:{number}: got task_id {problem.task_id!r} twice; expected each problem once; delete one"
            )
        found[problem.task_id] = problem
    if not found:
        raise InputError(
            f'{path}: got no problem; expected lines such as {{"task_id": ..., "question": ..., "code_ground_truth": '
            "...}; check the path"
        )
    return tuple(found.values())


def load_own_or_dataset(
    dataset: str | None,
    problems: Path | None,
    load: Callable[[str], tuple[Problem, ...]] = load_problems_to_rerank,
) -> tuple[Problem, ...]:
    """The problems of a file of the user's own, or of a data set by the name that ``--dataset`` takes.

    Raises:
        ConfigError: both or neither, or no such data set.
        InputError, DatasetError: they cannot be loaded.
    """
    name = source_name(dataset, problems)
    return load(name) if problems is None else read_problems(problems)


def source_name(dataset: str | None, problems: Path | None) -> str:
    """What records call the problems: :data:`OWN`, or the data set as :func:`coderm_tasks.datasets.load_problems` does.

    Raises:
        ConfigError: both or neither, or no such data set.
    """
    if (dataset is None) == (problems is None):
        both = "both --dataset and --problems" if dataset is not None else "neither --dataset nor --problems"
        raise ConfigError(
            f"got {both}: expected one of them; --dataset humaneval, mbpp or livecodebench, or --problems FILE"
        )
    return OWN if dataset is None else cli_dataset(dataset)


def last_function(code: str) -> str:
    """Name of the last function at the top level of a source; empty where there is none."""
    tree = parse(code)
    functions = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)] if tree is not None else []
    return functions[-1] if functions else ""


def _problem(where: str, record: Mapping[str, Any]) -> Problem:
    task_id = record.get("task_id")
    # CodeRM-UnitTest numbers its problems.
    task_id = str(task_id) if isinstance(task_id, int) and not isinstance(task_id, bool) else task_id
    code = _text(where, record, "code_ground_truth")
    entry_point = record.get("entry_point") or last_function(code)
    if not isinstance(task_id, str) or not task_id:
        raise InputError(f"{where}: got task_id {task_id!r}; expected the text of a task id; add it")
    if not isinstance(entry_point, str):
        raise InputError(f"{where}: got entry_point {entry_point!r}; expected the name of a function; mend it")
    return Problem(
        task_id=task_id,
        dataset=OWN,
        prompt=_text(where, record, "question"),
        entry_point=entry_point,
        truth=GroundTruth(reference=code),
    )


def _text(where: str, record: Mapping[str, Any], name: str) -> str:
    value = record.get(name)
    if not isinstance(value, str):
        got = "none" if value is None else f"a {type(value).__name__}"
        raise InputError(f"{where}: got {got} for {name}; expected text; add it")
    return value
