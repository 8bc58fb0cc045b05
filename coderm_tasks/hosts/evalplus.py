"""EvalPlus as a host: its data sets come in through its own loader, our selections go out as its samples.

Facts about EvalPlus 0.3.1 that this module answers:

- The override variables are read when ``evalplus`` is imported; here they count as they are set at the call.
- The loader prints to stdout and downloads without a time limit; here stdout stays clean and a dead network ends.
- ``evalplus.evaluate`` takes ``.jsonl`` only, wants every problem present, and silently reuses the result file of an
  earlier run on the same path.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import socket
import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import msgspec
from msgspec import Struct

from coderm_tasks.atomic import atomic_writer
from coderm_tasks.errors import DatasetError, InputError, StoreError
from coderm_tasks.model import Problem, Solution

__all__ = ["EvalPlusName", "EvalPlusRecord", "override_variable", "read_evalplus", "result_files", "write_samples"]

logger = logging.getLogger(__name__)

EvalPlusName = Literal["humaneval", "mbpp"]
"""EvalPlus's names of HumanEval+ and MBPP+."""

_DOWNLOAD_STALL_S = 30.0
_RELEASED_FILE = {"humaneval": "HumanEvalPlus.jsonl.gz", "mbpp": "MbppPlus.jsonl.gz"}


class EvalPlusRecord(Struct, frozen=True, kw_only=True):
    """The fields of one record of an EvalPlus data set that we use, inputs deserialised as EvalPlus does it."""

    task_id: str
    prompt: str
    entry_point: str
    canonical_solution: str
    base_input: list[Any]
    """One sequence of positional arguments per input."""
    plus_input: list[Any]
    atol: float


def override_variable(dataset: EvalPlusName) -> str:
    """Return the name of the environment variable that points EvalPlus to a file of the data set."""
    return f"{dataset.upper()}_OVERRIDE_PATH"


def read_evalplus(dataset: EvalPlusName) -> tuple[EvalPlusRecord, ...]:
    """Read HumanEval+ or MBPP+ with EvalPlus's loader, plain or gzip (by the name's ending), downloading it if need be.

    Raises:
        DatasetError: no file, no network, or a file that is not the data set.
    """
    module = _loader_module(dataset)
    loader = module.get_human_eval_plus if dataset == "humaneval" else module.get_mbpp_plus
    try:
        with _current_override(module, dataset), _quiet_download():
            rows = loader()
        records = tuple(_record(row) for row in rows.values())
    except (OSError, EOFError) as error:
        raise DatasetError(_complaint(dataset, "cannot be read or downloaded", error)) from error
    except (AssertionError, AttributeError, LookupError, TypeError, ValueError) as error:
        # What EvalPlus's reader lets through: not JSON, records of another shape, inputs it cannot deserialise.
        raise DatasetError(_complaint(dataset, "is damaged or of another format", error)) from error
    if not records:
        raise DatasetError(_complaint(dataset, "has no problems", None))
    return records


def _record(row: dict[str, Any]) -> EvalPlusRecord:
    if row.get("plus_input") == {}:  # how MBPP+ v0.2.0 writes "none" (Mbpp/793)
        row = {**row, "plus_input": []}
    return msgspec.convert(row, EvalPlusRecord)


def _loader_module(dataset: EvalPlusName) -> ModuleType:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what EvalPlus's dependencies deprecate is no news to our users
            from evalplus.data import humaneval, mbpp
    except ImportError as error:
        raise DatasetError(f"cannot import evalplus ({error}): run `pip install evalplus`") from error
    module: ModuleType = humaneval if dataset == "humaneval" else mbpp
    return module


def _complaint(dataset: EvalPlusName, what: str, error: BaseException | None) -> str:
    variable = override_variable(dataset)
    place = f"{variable}={os.environ[variable]}" if os.environ.get(variable) else f"EvalPlus data set {dataset!r}"
    cause = f" ({type(error).__name__}: {error})" if error is not None else ""
    remedy = f"set {variable} to a copy of EvalPlus's {_RELEASED_FILE[dataset]} (plain or gzip)"
    return f"{place}: {what}{cause}: {remedy}"


@contextlib.contextmanager
def _current_override(module: ModuleType, dataset: EvalPlusName) -> Iterator[None]:
    """Let the loader see the override variable as it is now, not as it was when evalplus was imported."""
    name = override_variable(dataset)
    at_import = getattr(module, name)
    setattr(module, name, os.environ.get(name) or None)
    try:
        yield
    finally:
        setattr(module, name, at_import)


@contextlib.contextmanager
def _quiet_download() -> Iterator[None]:
    """Send the loader's progress to stderr, and end its download where the network does not answer."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_DOWNLOAD_STALL_S)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        socket.setdefaulttimeout(before)


def result_files(path: Path) -> tuple[Path, ...]:
    """Return where ``evalplus.evaluate`` would look for results of the samples in ``path``.

    EvalPlus replaces every ``.jsonl`` in the path, folders included, so there can be two candidates.
    """
    as_given = Path(str(path).replace(".jsonl", "_eval_results.json"))
    beside = path.with_name(path.name.replace(".jsonl", "_eval_results.json"))
    return tuple(dict.fromkeys((as_given, beside)))


def write_samples(path: Path, problems: Sequence[Problem], solutions: Sequence[Solution]) -> None:
    """Write one sample per problem, in data set order, for ``evalplus.evaluate --samples PATH``.

    ``solutions`` holds exactly one solution per problem, in any order; one with empty code scores as wrong. The file
    appears whole or not at all. A result file that EvalPlus would reuse instead of evaluating is renamed to ``.bak``,
    and a warning says so.

    Raises:
        InputError: ``path`` does not end in ``.jsonl``, or the solutions are not one per problem.
        StoreError: the file cannot be written, or an old result file cannot be moved out of the way.
    """
    if path.suffix != ".jsonl":
        raise InputError(f"{path}: evalplus.evaluate takes .jsonl files only: name the output *.jsonl")
    lines = _sample_lines(path, problems, solutions)
    with atomic_writer(path) as stream:
        stream.writelines(lines)
        for stale in result_files(path):
            _move_away(stale)


def _sample_lines(path: Path, problems: Sequence[Problem], solutions: Sequence[Solution]) -> list[str]:
    by_id = {solution.task_id: solution for solution in solutions}
    expected = [problem.task_id for problem in problems]
    missing = [task_id for task_id in expected if task_id not in by_id]
    unknown = by_id.keys() - set(expected)
    if missing or unknown or len(by_id) != len(solutions):
        raise InputError(
            f"{path}: got {len(solutions)} solutions for {len(expected)} problems (missing: {_some(missing)}; "
            f"unknown: {_some(sorted(unknown))}): give exactly one per problem, with empty code where there is none"
        )
    # ASCII, because EvalPlus reads the file in the locale's encoding; it also carries lone surrogates.
    return [json.dumps({"task_id": task_id, "solution": by_id[task_id].code}) + "\n" for task_id in expected]


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:3]) or "none"
    return f"{shown} and {len(names) - 3} more" if len(names) > 3 else shown


def _move_away(stale: Path) -> None:
    if not stale.exists():
        return
    backup = stale.with_name(stale.name + ".bak")
    while backup.exists():
        backup = backup.with_name(backup.name + ".bak")
    try:
        stale.rename(backup)
    except OSError as error:
        raise StoreError(
            f"{stale}: results of earlier samples cannot be renamed ({error.strerror}), and evalplus would report them "
            "instead of evaluating: remove the file, or name another output"
        ) from error
    logger.warning("%s belongs to earlier samples and would be reused by evalplus: renamed to %s", stale, backup.name)
