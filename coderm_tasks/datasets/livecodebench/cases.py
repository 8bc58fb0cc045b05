"""The tests by which the data set judges: public ones, then private ones, read from the file when they are needed."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from coderm_tasks.datasets.livecodebench.blob import LARGEST, BlobError, unpack
from coderm_tasks.datasets.livecodebench.records import (
    RawCase,
    Record,
    call_of,
    decode_record,
    function_of,
    public_cases,
)
from coderm_tasks.errors import DatasetError
from coderm_tasks.files import BOM, open_unpacked
from coderm_tasks.model import Problem

__all__ = ["Case", "Cases", "read_cases"]


class Case(Struct, frozen=True):
    """One test."""

    args: tuple[Any, ...]
    """Arguments of the call; of a whole program its standard input."""
    expected: Any
    """What the call is to return; of a whole program its standard output."""


class Cases(Struct, frozen=True):
    """All tests of one problem; there is at least one."""

    public: tuple[Case, ...]
    private: tuple[Case, ...]


def read_cases(problem: Problem, largest: int = LARGEST) -> Cases:
    """Read the tests of a problem that has :attr:`coderm_tasks.model.GroundTruth.hidden` ones.

    Args:
        largest: bytes that the private tests may unpack to.

    Raises:
        DatasetError: the file is gone or was changed, or its tests are not what they claim to be.
    """
    record, where = _record(problem)
    function = function_of(record, where)
    private = _private(record, where, largest)
    public = public_cases(record, where)
    if not public and not private:
        raise DatasetError(f"{where}: {problem.task_id} has no test: expected one at least; leave the problem out")
    place = f"{where}: {problem.task_id}"
    return Cases(_cases(public, function, place), _cases(private, function, place))


def _cases(raw: Sequence[RawCase], function: str, place: str) -> tuple[Case, ...]:
    return tuple(Case(*call_of(case, function, place)) for case in raw)


def _record(problem: Problem) -> tuple[Record, str]:
    hidden = problem.truth.hidden
    if hidden is None:
        raise AssertionError(f"{problem.task_id} has no hidden tests")
    where = f"{hidden.path}:{hidden.line}"
    try:
        with open_unpacked(Path(hidden.path)) as stream:
            stream.seek(hidden.offset)
            line = stream.readline()
    except (OSError, EOFError, zlib.error) as error:
        raise DatasetError(f"{where}: cannot be read any more ({error}): leave the file where it is") from error
    record = decode_record(line.removeprefix(BOM), where)
    if record.question_id != problem.task_id:
        raise DatasetError(f"{where}: held {problem.task_id} and now holds {record.question_id}: the file was changed")
    return record, where


def _private(record: Record, where: str, largest: int) -> tuple[RawCase, ...]:
    """The first data set holds its private tests as JSON text; the one that is published now packs that text."""
    place = f"{where}: {record.question_id}: private_test_cases"
    try:
        text = msgspec.json.decode(record.private_test_cases, type=str)
    except (msgspec.DecodeError, RecursionError) as error:
        raise DatasetError(f"{place} is no text ({error}): expected packed or plain JSON; get the file anew") from error
    try:
        if not text.lstrip().startswith("["):
            text = unpack(text, largest)
        return msgspec.json.decode(text, type=tuple[RawCase, ...])
    except BlobError as error:
        raise DatasetError(
            f"{place} {error}: expected base64 of zlib of a pickled JSON text; do not trust this file, get it anew"
        ) from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise DatasetError(
            f"{place} cannot be read ({error}): expected a JSON list of tests with input and output; get the file anew"
        ) from error
