"""Labels of samples in a file: which samples are correct, by problem and sample index."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from coderm_tasks.errors import InputError, did_you_mean
from coderm_tasks.files import read_jsonl

__all__ = ["read_sample_labels"]


def read_sample_labels(
    path: Path, counts: Mapping[str, int], source: str, *, ignore_unknown: bool = False
) -> dict[str, dict[int, bool]]:
    """Read ``{"task_id", "plus": "pass" | "fail"}``; ``base`` counts where there is no ``plus``.

    With an ``index`` (``coderm evaluate`` writes one) the label is of that sample of the problem; without, the n-th
    label of a problem is of its n-th sample. Samples without a label are no error here.

    Args:
        counts: samples per task id.
        source: the file they come from, for messages.
        ignore_unknown: leave out labels of other problems instead of refusing them.

    Returns, by task id, the labels by sample index.

    Raises:
        InputError: a label without a verdict, of an unknown problem, of a sample that does not exist, or given twice.
    """
    found: dict[str, dict[int, bool]] = {}
    for line, record in read_jsonl(path):
        where = f"{path}:{line}"
        task_id = record.get("task_id")
        if not isinstance(task_id, str) or task_id not in counts:
            if ignore_unknown and isinstance(task_id, str):
                continue
            hint = did_you_mean(str(task_id), counts)
            raise InputError(
                f"{where}: got a label of {task_id!r}{hint}; expected one of {len(counts)} problems; correct it"
            )
        of_problem = found.setdefault(task_id, {})
        index = record.get("index", len(of_problem))
        if not isinstance(index, int) or isinstance(index, bool) or not 0 <= index < counts[task_id]:
            raise InputError(
                f"{where}: got a label of sample {index} of {task_id}, of which {source} has {counts[task_id]}; "
                "expected labels of these samples; make them again with coderm evaluate"
            )
        if index in of_problem:
            raise InputError(f"{where}: got a second label of sample {index} of {task_id}; expected one; delete one")
        of_problem[index] = _verdict(where, record.get("plus", record.get("base")))
    return found


def _verdict(where: str, value: object) -> bool:
    if isinstance(value, bool):
        return value
    if value not in ("pass", "fail"):
        raise InputError(f"{where}: got verdict {value!r}; expected plus (or base) to be 'pass' or 'fail'; mend it")
    return value == "pass"
