"""The files -> problems, in the official runner's order."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

from coderm_tasks.datasets.livecodebench.places import data_files
from coderm_tasks.datasets.livecodebench.records import contest_time, decode_record, problem_of
from coderm_tasks.datasets.livecodebench.slice import Slice
from coderm_tasks.errors import DatasetError, InputError
from coderm_tasks.files import BOM, raw_lines
from coderm_tasks.model import HiddenTests, Problem

__all__ = ["load_livecodebench"]

logger = logging.getLogger(__name__)


def load_livecodebench(chosen: Slice | None = None) -> tuple[Problem, ...]:
    """Return the problems of a slice, sorted by question id as the official runner does. Hidden tests stay in the file.

    Raises:
        DatasetError: the files cannot be had or read, a record is damaged or stands in them twice, or the window holds
            no problem.
    """
    chosen = chosen or Slice()
    files = data_files(chosen)
    places: dict[str, str] = {}
    problems: list[Problem] = []
    span: list[str] = []
    for where, hidden, line in _lines(files):
        record = decode_record(line, where)
        first = places.setdefault(record.question_id, where)
        if first != where:
            raise DatasetError(f"{where}: got question_id {record.question_id!r} of {first} again: delete one of them")
        time = contest_time(record, where)
        span.append(time.date().isoformat())
        if chosen.holds(time):
            problems.append(problem_of(record, where, hidden))
    _check_found(chosen, files, problems, span)
    logger.info("LiveCodeBench: %d of %d problems, from %s", len(problems), len(span), ", ".join(map(str, files)))
    return tuple(sorted(problems, key=lambda problem: problem.task_id))


def _lines(files: tuple[Path, ...]) -> Iterator[tuple[str, HiddenTests, bytes]]:
    for path in files:
        offset = 0
        try:
            for number, raw in raw_lines(path):
                line = raw.removeprefix(BOM) if number == 1 else raw
                if line.strip():
                    yield f"{path}:{number}", HiddenTests(str(path), number, offset), line
                offset += len(raw)
        except InputError as error:
            raise DatasetError(f"LiveCodeBench: {error}") from error


def _check_found(chosen: Slice, files: tuple[Path, ...], problems: list[Problem], span: list[str]) -> None:
    if not span:
        raise DatasetError(f"LiveCodeBench: {files[0] if files else chosen.path} holds no problem: check the path")
    if not problems:
        raise DatasetError(
            f"LiveCodeBench: no contest {chosen.words}: the {len(span)} problems at hand are from {min(span)} to "
            f"{max(span)}; widen the window, or choose another release"
        )
