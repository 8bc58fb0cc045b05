"""A bank: unit tests that were written before, in a file."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

from coderm_tasks.errors import InputError, did_you_mean
from coderm_tasks.files import read_jsonl
from coderm_tasks.model import UnitTest

__all__ = ["iterate_bank", "load_bank"]


def load_bank(
    path: Path | str, known_task_ids: Collection[str], *, ignore_unknown: bool = False
) -> dict[str, tuple[str, ...]]:
    """Unit tests by problem, in the order of the file: JSONL, gzip allowed, ``{"task_id": ..., "test": ...}`` a line.

    Args:
        known_task_ids: the problems of the data set.
        ignore_unknown: leave out tests of other problems instead of refusing the file.

    Raises:
        InputError: an unreadable file, a line that is not such a record, an unknown task id, or no test at all.
    """
    found: dict[str, list[str]] = {}
    for test in iterate_bank(path, known_task_ids, ignore_unknown=ignore_unknown):
        found.setdefault(test.task_id, []).append(test.code)
    return {task_id: tuple(tests) for task_id, tests in found.items()}


def iterate_bank(
    path: Path | str, known_task_ids: Collection[str], *, ignore_unknown: bool = False
) -> Iterator[UnitTest]:
    """Yield the tests of a bank in the order of the file, one at a time. Arguments and errors as :func:`load_bank`."""
    known = frozenset(known_task_ids)
    lines = found = 0
    for number, record in read_jsonl(path):
        lines += 1
        where = f"{path}:{number}"
        task_id, test = record.get("task_id"), record.get("test")
        if not isinstance(task_id, str):
            raise InputError(f"{where}: task_id is {_shown(task_id)}: expected the text of a task id; add it")
        if not isinstance(test, str) or not test.strip():
            raise InputError(
                f"{where}: test of {task_id} is {_shown(test)}: expected Python source; add it or delete the line"
            )
        if task_id in known:
            found += 1
            yield UnitTest(task_id, test)
        elif not ignore_unknown:
            hint = did_you_mean(task_id, known)
            raise InputError(
                f"{where}: unknown task_id {task_id!r}{hint}: expected one of {len(known)} problems of the data set; "
                "correct it, or choose the data set that the bank was written for"
            )
    if not found:
        what = "no test of any problem of the data set" if lines else "no test"
        raise InputError(
            f'{path}: holds {what}: expected lines such as {{"task_id": ..., "test": ...}}; check the path'
        )


def _shown(value: object) -> str:
    text = "missing" if value is None else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
