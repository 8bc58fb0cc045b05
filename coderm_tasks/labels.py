"""Labels of samples in a file: which samples are correct, by problem and sample index."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from coderm_tasks.errors import InputError, did_you_mean
from coderm_tasks.files import read_jsonl

__all__ = ["read_sample_labels"]


def read_sample_labels(
    path: Path, counts: Mapping[str, int], source: str, order: Sequence[str] | None = None
) -> dict[str, dict[int, bool]]:
    """Read ``{"task_id", "plus": "pass" | "fail"}``; ``base`` counts where there is no ``plus``.

    With an ``index`` (``coderm evaluate`` writes one) a label is of that sample of the problem, wherever it stands.
    Without, labels have to stand line by line beside the samples, so that labels of other samples do not pass for
    theirs; some may be missing at the end. Samples without a label are no error here.

    Args:
        counts: samples per task id.
        source: the file they come from, for messages.
        order: task ids of the samples, line by line. None where that file is not at hand: then the n-th label of a
            problem is of its n-th sample, and labels of other problems are left out.

    Returns, by task id, the labels by sample index.

    Raises:
        InputError: a label without a verdict, of an unknown problem, of another sample than its line's, of a sample
            that does not exist, or given twice.
    """
    found: dict[str, dict[int, bool]] = {}
    for number, (line, record) in enumerate(read_jsonl(path)):
        where = f"{path}:{line}"
        task_id = record.get("task_id")
        if not isinstance(task_id, str) or task_id not in counts:
            if order is None and isinstance(task_id, str):
                continue
            hint = did_you_mean(str(task_id), counts)
            raise InputError(
                f"{where}: got a label of {task_id!r}{hint}; expected one of {len(counts)} problems; correct it"
            )
        if order is not None and "index" not in record:
            _check_beside(where, task_id, order[number] if number < len(order) else None, source)
        of_problem = found.setdefault(task_id, {})
        index = record.get("index", len(of_problem))
        _check_index(where, task_id, index, counts[task_id], source)
        if index in of_problem:
            raise InputError(f"{where}: got a second label of sample {index} of {task_id}; expected one; delete one")
        of_problem[index] = _verdict(where, record.get("plus", record.get("base")))
    return found


def _check_beside(where: str, task_id: str, expected: str | None, source: str) -> None:
    if task_id != expected:
        beside = f"one of {expected!r}, as on that line of" if expected else "no more labels than there are samples in"
        raise InputError(
            f"{where}: got a label of {task_id!r} without an index; expected {beside} {source}; make the labels of "
            "these samples with coderm evaluate"
        )


def _check_index(where: str, task_id: str, index: object, count: int, source: str) -> None:
    if not isinstance(index, int) or isinstance(index, bool) or not 0 <= index < count:
        raise InputError(
            f"{where}: got a label of sample {index} of {task_id}, of which {source} has {count}; expected labels of "
            "these samples; make them again with coderm evaluate"
        )


def _verdict(where: str, value: object) -> bool:
    if isinstance(value, bool):
        return value
    if value not in ("pass", "fail"):
        raise InputError(f"{where}: got verdict {value!r}; expected plus (or base) to be 'pass' or 'fail'; mend it")
    return value == "pass"
