"""Files that users give us. Errors name file, line and remedy.

Reading is tolerant where nothing can be misunderstood (gzip told by content, byte-order mark, blank lines, Windows
newlines) and strict everywhere else. Writing is :mod:`coderm_tasks.atomic`, offered here too.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

from msgspec import Struct

from coderm_tasks.atomic import atomic_writer, check_writable
from coderm_tasks.errors import InputError, did_you_mean
from coderm_tasks.model import Problem, Solution

__all__ = [
    "BOM",
    "SampleRef",
    "Samples",
    "atomic_writer",
    "check_writable",
    "iterate_samples",
    "open_unpacked",
    "raw_lines",
    "read_jsonl",
    "read_samples",
    "sha256_of",
]

_GZIP_MAGIC = b"\x1f\x8b"
BOM = b"\xef\xbb\xbf"
_HASHED_AT_ONCE = 1 << 20


class SampleRef(Struct, frozen=True):
    """Where one line of a samples file went."""

    task_id: str
    index: int
    """Number of the sample among the samples of its problem, from 0."""
    line: int
    """Line number in the file, from 1."""


class Samples(Struct, frozen=True):
    """A samples file: by problem, and in the order of the file."""

    path: str
    solutions: dict[str, tuple[Solution, ...]]
    """Samples in sample order; a problem without samples has no entry."""
    order: tuple[SampleRef, ...]
    """One entry per record, in the order of the file."""

    def of(self, task_id: str) -> tuple[Solution, ...]:
        """Samples of one problem; empty if there are none."""
        return self.solutions.get(task_id, ())

    def codes(self, task_id: str) -> tuple[str, ...]:
        """Sources of the samples of one problem; empty if there are none."""
        return tuple(solution.code for solution in self.of(task_id))


def sha256_of(path: Path) -> str:
    """Hash a file, a block at a time. Raises InputError where it cannot be read."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            while block := stream.read(_HASHED_AT_ONCE):
                digest.update(block)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); expected a readable file; check it") from error
    return digest.hexdigest()


def read_jsonl(path: Path | str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield ``(line number from 1, record)`` for each line of a JSONL file, plain or gzip.

    Raises:
        InputError: the file cannot be read, or a line is not UTF-8, not JSON or not an object.
    """
    path = Path(path)
    for number, raw in raw_lines(path):
        line = (raw.removeprefix(BOM) if number == 1 else raw).strip()
        if line:
            yield number, _record(path, number, line)


def raw_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield ``(line number from 1, line)`` of a file, plain or gzip, line ends included.

    Raises:
        InputError: the file cannot be read.
    """
    number = 0
    try:
        with open_unpacked(path) as stream:
            for raw in stream:
                number += 1
                yield number, raw
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(
            f"{path}:{number + 1}: got damaged gzip data ({error}); expected a whole gzip file; copy it again"
        ) from error
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file; expected a JSONL file (gzip allowed); check the path") from error
    except IsADirectoryError as error:
        raise InputError(f"{path}: is a folder; expected a JSONL file (gzip allowed); name the file inside") from error
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror or error}); expected a readable JSONL file"
        ) from error


@contextmanager
def open_unpacked(path: Path) -> Iterator[BinaryIO]:
    """Open a file to be read, unpacked where it is gzip. Raises what the system and :mod:`gzip` raise."""
    with path.open("rb") as raw:
        # The name is no evidence: samples get renamed. peek() keeps pipes readable, where seek() would not.
        if raw.peek(2)[:2] == _GZIP_MAGIC:
            with gzip.GzipFile(fileobj=raw, mode="rb") as unpacked:
                yield cast(BinaryIO, unpacked)
        else:
            yield raw


def _record(path: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        value = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}:{number}: got bytes that are not UTF-8 (byte {error.start}); expected UTF-8 JSONL; convert it"
        ) from error
    except json.JSONDecodeError as error:
        raise InputError(
            f"{path}:{number}: got a line that is not JSON ({error.msg} at column {error.colno}); "
            "expected one JSON object a line; mend or delete the line"
        ) from error
    except (RecursionError, ValueError) as error:
        raise InputError(
            f"{path}:{number}: got JSON that is nested too deeply or holds too long a number; "
            "expected one flat JSON object a line; mend or delete the line"
        ) from error
    if not isinstance(value, dict):
        raise InputError(
            f'{path}:{number}: got a JSON {_kind(value)}; expected an object such as {{"task_id": ...}}; mend the line'
        )
    return value


def _kind(value: object) -> str:
    names = {list: "array", str: "string", bool: "boolean", int: "number", float: "number", type(None): "null"}
    return names.get(type(value), type(value).__name__)


def read_samples(path: Path | str, problems: Mapping[str, Problem], *, ignore_unknown: bool = False) -> Samples:
    """Read EvalPlus samples: ``{"task_id", "solution"}``, or ``completion``, which is appended to the prompt.

    Samples of one problem may stand anywhere in the file; their order is kept. ``solution`` wins where both are
    given, as in EvalPlus.

    Args:
        ignore_unknown: leave out samples of other problems instead of refusing the file: ``problems`` are a part of
            those that it was made for.

    Raises:
        InputError: an unreadable file, an unknown task id, a record without text, or no record at all.
    """
    path = Path(path)
    found: dict[str, list[Solution]] = {}
    order: list[SampleRef] = []
    for number, solution in iterate_samples(path, problems, ignore_unknown=ignore_unknown):
        of_problem = found.setdefault(solution.task_id, [])
        order.append(SampleRef(solution.task_id, len(of_problem), number))
        of_problem.append(solution)
    return Samples(str(path), {task: tuple(samples) for task, samples in found.items()}, tuple(order))


def iterate_samples(
    path: Path | str, problems: Mapping[str, Problem], *, ignore_unknown: bool = False
) -> Iterator[tuple[int, Solution]]:
    """Yield ``(line number from 1, sample)`` in the order of the file. Raises as :func:`read_samples`."""
    path = Path(path)
    empty = True
    for number, record in read_jsonl(path):
        if ignore_unknown and isinstance(task_id := record.get("task_id"), str) and task_id not in problems:
            continue
        problem = _problem(path, number, record, problems)
        empty = False
        yield number, Solution(problem.task_id, _code(path, number, record, problem))
    if empty:
        raise InputError(
            f'{path}: got no sample; expected lines such as {{"task_id": ..., "solution": ...}}; check the path'
        )


def _problem(path: Path, number: int, record: Mapping[str, Any], problems: Mapping[str, Problem]) -> Problem:
    task_id = record.get("task_id")
    if not isinstance(task_id, str):
        got = "no task_id" if task_id is None else f"task_id {task_id!r}"
        raise InputError(f"{path}:{number}: got {got}; expected the text of a task id; add it or delete the line")
    problem = problems.get(task_id)
    if problem is None:
        example = next(iter(problems), "")
        hint = did_you_mean(task_id, problems)
        raise InputError(
            f"{path}:{number}: got unknown task_id {task_id!r}{hint}; expected one of {len(problems)} problems such as "
            f"{example!r}; correct it, or choose the other --dataset"
        )
    return problem


def _code(path: Path, number: int, record: Mapping[str, Any], problem: Problem) -> str:
    key = "solution" if "solution" in record else "completion"
    if key not in record:
        keys = ", ".join(sorted(map(str, record)))
        raise InputError(
            f"{path}:{number}: got a sample of {problem.task_id} with only {keys}; expected the key 'solution' "
            "(whole code) or 'completion' (continues the prompt); add one"
        )
    text = record[key]
    if not isinstance(text, str):
        raise InputError(
            f"{path}:{number}: got {key} as a JSON {_kind(text)}; expected text; "
            "write one sample a line and repeat its task_id"
        )
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError(
            f"{path}:{number}: got {key} with half a surrogate pair (character {error.start}); expected text that "
            "UTF-8 can hold; write the sample again from its tokens"
        ) from error
    # A question in prose is not what code continues.
    return text if key == "solution" or problem.form != "function" else problem.prompt + text
