"""Where the records of a ``coderm rerank`` run lie, as its own record says."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from coderm_tasks.errors import InputError
from coderm_tasks.files import sha256_of
from coderm_tasks.run_record import FileFact, read_run_record, run_record_path

__all__ = ["RunFiles", "rerank_files"]


class RunFiles(Struct, frozen=True, kw_only=True):
    """The files of one run."""

    record: Path
    samples: Path
    tests: Path
    matrix: Path
    selection: Path
    labels: Path | None = None
    problems: Path | None = None
    """Where they are the user's own."""


def rerank_files(output: Path) -> RunFiles:
    """Find the files of the run that wrote ``output`` (or whose record ``output`` is), and check that they are its own.

    Raises:
        InputError: no record, no matrix, or a file that is missing or has changed since.
    """
    path = output if output.name.endswith(".run.json") else run_record_path(output)
    if not output.is_file() or not path.is_file():
        missing = output if not output.is_file() else path
        raise InputError(
            f"{missing}: no such file; expected the records folder of an lm-eval run, or the output of coderm rerank "
            "with its .run.json beside it; run coderm rerank again (verdicts are cached)"
        )
    record = read_run_record(path)
    if "samples" not in record.files or "tests" not in record.files or "selection" not in record.files:
        raise InputError(
            f"{path}: names not all of samples, tests and selection (read from a pipe?); expected files; run "
            "coderm rerank again on files"
        )
    if "matrix" not in record.files:
        raise InputError(
            f"{path}: the run kept no matrix, from which others could check it; expected one; run coderm rerank again "
            "with --matrix FILE (verdicts are cached)"
        )
    found = {name: _unchanged(path.parent / fact.path, fact) for name, fact in record.files.items()}
    return RunFiles(
        record=path,
        samples=found["samples"],
        tests=found["tests"],
        matrix=found["matrix"],
        selection=found["selection"],
        problems=found.get("problems"),
    )


def _unchanged(path: Path, fact: FileFact) -> Path:
    if not path.is_file():
        raise InputError(f"{path}: no such file, and the run record names it; expected it where it was; move it back")
    if sha256_of(path) != fact.sha256:
        raise InputError(
            f"{path}: has changed since the run (its SHA-256 is another); expected the file as the run used it; run "
            "coderm rerank again"
        )
    return path
