"""What stands beside the code of samples: their labels, and how sure the model was of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

from coderm_tasks.errors import InputError
from coderm_tasks.files import Samples, read_jsonl

__all__ = ["read_labels", "read_logprobs"]


def read_labels(path: Path, samples: Samples) -> dict[str, tuple[bool, ...]]:
    """Read labels that stand line by line beside the samples: ``{"task_id", "plus": "pass" | "fail"}``.

    ``base`` is used where a record has no ``plus``. Returns, per problem, one bool per sample in sample order.

    Raises:
        InputError: another number of records, another task id on a line, or a record without a verdict.
    """
    again = f"make them with 'coderm evaluate --samples {samples.path}'"
    found: dict[str, list[bool]] = {}
    records = list(read_jsonl(path))
    for (line, record), sample in zip(records, samples.order, strict=False):
        if record.get("task_id") != sample.task_id:
            raise InputError(
                f"{path}:{line}: got a label of {record.get('task_id')!r}; expected one of {sample.task_id!r}, as on "
                f"line {sample.line} of {samples.path}; {again}"
            )
        found.setdefault(sample.task_id, []).append(_verdict(path, line, record))
    if len(records) != len(samples.order):
        raise InputError(
            f"{path}: got {len(records)} labels for {len(samples.order)} samples; expected as many; {again}"
        )
    return {task_id: tuple(labels) for task_id, labels in found.items()}


def _verdict(path: Path, line: int, record: Mapping[str, object]) -> bool:
    value = record.get("plus", record.get("base"))
    if isinstance(value, bool):
        return value
    if value not in ("pass", "fail"):
        raise InputError(
            f"{path}:{line}: got verdict {value!r}; expected plus (or base) to be 'pass' or 'fail'; mend it"
        )
    return value == "pass"


def read_logprobs(samples: Samples) -> dict[str, tuple[float, ...]]:
    """Read the optional field ``mean_logprob`` of a samples file: nats per token; empty where no record has one.

    Raises:
        InputError: only some records have it, or a value is no finite number of at most 0.
    """
    found: dict[str, list[float]] = {}
    lacking = 0
    for (line, record), sample in zip(read_jsonl(samples.path), samples.order, strict=True):
        value = record.get("mean_logprob")
        if value is None:
            lacking = lacking or line
        elif isinstance(value, bool) or not isinstance(value, (int, float)) or not -math.inf < value <= 0:
            raise InputError(
                f"{samples.path}:{line}: got mean_logprob {value!r}; expected a finite number of at most 0 (nats per "
                "token); mend it or leave the field out of all records"
            )
        else:
            found.setdefault(sample.task_id, []).append(float(value))
    if found and lacking:
        raise InputError(
            f"{samples.path}:{lacking}: got a sample without mean_logprob, which others have; expected it in all "
            "records or in none"
        )
    return {task_id: tuple(values) for task_id, values in found.items()}
