"""The records of a run as they lie in a bundle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from coderm_tasks.hosts.bundles.run import Run

__all__ = ["RECORDS", "records_of"]

RECORDS = "records"
"""The folder."""


def records_of(run: Run) -> dict[str, bytes]:
    """The run's records by path, as lm-eval's runs write them, without what tells of the machine."""
    encoder = msgspec.json.Encoder()

    def lines(records: Sequence[object]) -> bytes:
        return b"".join(encoder.encode(record) + b"\n" for record in records)

    files = {
        "samples.jsonl": lines(_lines_of(run.samples, "solution")),
        "tests.jsonl": lines(_lines_of(run.tests, "test")),
        "matrix.jsonl": lines([run.matrices[task_id] for task_id in run.selections]),
        "selection.jsonl": lines(list(run.selections.values())),
    }
    if run.labels is not None:
        words = [
            {"task_id": task_id, "index": index, "plus": "pass" if correct else "fail"}
            for task_id, labels in run.labels.items()
            for index, correct in enumerate(labels)
        ]
        files["labels.jsonl"] = lines(words)
    return {f"{RECORDS}/{name}": data for name, data in files.items()}


def _lines_of(codes: Mapping[str, Sequence[str]], key: str) -> list[dict[str, str]]:
    return [{"task_id": task_id, key: code} for task_id, of_problem in codes.items() for code in of_problem]
