"""Cells of real solutions and real unit tests, from a folder laid out as ../shared/data (see its README.md)."""

from __future__ import annotations

import gzip
import json
import os
import random
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from executor import CellJob

__all__ = ["POLICIES", "SOURCES", "jobs_of", "some_of", "use_datasets"]

POLICIES = ("codegen-16b", "codex-davinci")
SOURCES = ("codegen-16b", "gpt-3.5-turbo-1106", "gpt-4-reflexion", "gpt-4-lats", "gpt-3.5-turbo-lats")


@contextmanager
def use_datasets(data: Path) -> Iterator[None]:
    """Have EvalPlus read its data sets from ``data``. To be entered before EvalPlus is imported."""
    with tempfile.TemporaryDirectory() as folder:
        for variable, name in (("HUMANEVAL_OVERRIDE_PATH", "HumanEvalPlus"), ("MBPP_OVERRIDE_PATH", "MbppPlus")):
            path = Path(folder) / f"{name}.jsonl"
            path.write_bytes(gzip.decompress((data / "evalplus" / f"{name}.jsonl.gz").read_bytes()))
            os.environ[variable] = str(path)
        yield


def jobs_of(data: Path, policy: str, sources: tuple[str, ...] = SOURCES, problems: int = 0) -> list[CellJob]:
    """One job per HumanEval problem: all samples of ``policy`` against the distinct tests of ``sources``.

    ``problems``: take so many, evenly spread; 0: all.
    """
    from coderm_tasks.datasets import load_problems_to_rerank

    solutions = _read(data / "humaneval" / "solutions" / f"{policy}.jsonl.gz", "solution")
    tests: dict[str, dict[str, None]] = {}
    for source in sources:
        for task_id, found in _read(data / "humaneval" / "tests" / f"{source}.jsonl.gz", "test").items():
            tests.setdefault(task_id, {}).update(dict.fromkeys(found))
    jobs = [
        CellJob(
            job_id=problem.task_id,
            entry_point=problem.entry_point,
            context=problem.context,
            solutions=tuple(solutions[problem.task_id]),
            tests=tuple(tests[problem.task_id]),
        )
        for problem in load_problems_to_rerank("humaneval_plus")
        if problem.task_id in solutions and problem.task_id in tests
    ]
    return jobs[:: max(1, len(jobs) // problems)][:problems] if problems else jobs


def some_of(job: CellJob, solutions: int, tests: int) -> CellJob:
    """A job of a few solutions and tests, drawn at random, the same in every run."""
    draw = random.Random(job.job_id)
    return msgspec.structs.replace(
        job,
        solutions=tuple(draw.sample(job.solutions, min(solutions, len(job.solutions)))),
        tests=tuple(draw.sample(job.tests, min(tests, len(job.tests)))),
    )


def _read(path: Path, field: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            record = json.loads(line)
            found.setdefault(record["task_id"], []).append(record[field])
    return found
