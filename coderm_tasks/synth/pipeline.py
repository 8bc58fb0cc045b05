"""Problems with sampled tests in, problems with tests that can be trusted out; a batch at a time."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence

from msgspec import Struct

from coderm_tasks.extract import fingerprint
from coderm_tasks.generation.asking import Asker
from coderm_tasks.model import Problem
from coderm_tasks.synth.feedback import reports_of
from coderm_tasks.synth.judging import judge
from coderm_tasks.synth.model import Draft, Judged, WeakerSolutions
from coderm_tasks.synth.repair import Broken, mend_all
from coderm_tasks.synth.report import (
    ACCEPTED,
    CAME,
    KEPT,
    SAMPLED,
    STAYED,
    VACUOUS,
    WEAK,
    WITH_TESTS,
    WRONG,
    repair_count,
)
from coderm_tasks.synth.weaker import Rated, rate
from coderm_tasks.synth.weaker_source import WeakerSource
from executor import Executor

__all__ = ["Finished", "Tools", "process"]


class Tools(Struct, frozen=True):
    """What the steps work with."""

    executor: Executor
    asker: Asker
    weaker: WeakerSource
    chat: bool
    rounds: int
    """Repairs that a test may take, at most."""
    most: float
    """Share of the wrong solutions that a test may accept."""


class Finished(Struct, frozen=True):
    """One problem at the end of the pipeline."""

    problem: Problem
    rated: Rated
    weaker: WeakerSolutions
    counts: dict[str, int]
    """What each step did, by the names of :mod:`coderm_tasks.synth.report`."""


async def process(batch: Mapping[str, tuple[Problem, Sequence[str]]], tools: Tools) -> list[Finished]:
    """Label, repair and filter the sampled tests of a few problems, given by task id.

    Raises:
        ConfigError, GenerationError, StoreError: the model cannot be asked, or an answer not be stored.
        SandboxError, DatasetError: nothing can be executed.
    """
    counts: dict[str, Counter[str]] = {task_id: Counter() for task_id in batch}
    passed = await _accepted(batch, tools, counts)
    problems = [problem for problem, _ in batch.values()]
    solutions = await asyncio.to_thread(tools.weaker.of, tools.executor, problems)
    rated = await asyncio.to_thread(rate, tools.executor, passed, solutions, tools.most)
    for task_id, one in rated.items():
        counts[task_id].update(
            {WEAK: one.weak, WRONG: one.wrong, KEPT: len(one.drafts), WITH_TESTS: int(bool(one.drafts))}
        )
    nothing = WeakerSolutions(())
    return [
        Finished(problem, rated[task_id], solutions.get(task_id, nothing), dict(counts[task_id]))
        for task_id, (problem, _) in batch.items()
    ]


async def _accepted(
    batch: Mapping[str, tuple[Problem, Sequence[str]]], tools: Tools, counts: Mapping[str, Counter[str]]
) -> dict[str, tuple[Problem, list[Draft]]]:
    """The tests of each problem that its reference passes, at once or after repair."""
    drafts = {task_id: (problem, [Draft(test) for test in tests]) for task_id, (problem, tests) in batch.items()}
    known = {task_id: {fingerprint(test) for test in tests} for task_id, (_, tests) in batch.items()}
    judged = await asyncio.to_thread(judge, tools.executor, drafts)
    passed = {task_id: (one.problem, list(one.passed)) for task_id, one in judged.items()}
    for task_id, one in judged.items():
        counts[task_id].update({SAMPLED: len(drafts[task_id][1]), VACUOUS: one.vacuous, **one.errors})
        counts[task_id][ACCEPTED] += len(one.passed)
    for turn in range(1, tools.rounds + 1):
        broken = await asyncio.to_thread(_broken, tools.executor, judged)
        if not broken:
            break
        mended = await mend_all(tools.asker, broken, known, turn, chat=tools.chat)
        judged = await asyncio.to_thread(
            judge, tools.executor, {task: (passed[task][0], one.drafts) for task, one in mended.items()}
        )
        came = Counter(one.problem.task_id for one in broken)
        for task_id, one in judged.items():
            passed[task_id][1].extend(one.passed)
            lost = {repair_count(turn, reason): count for reason, count in mended[task_id].lost.items()}
            counts[task_id].update(lost)
            counts[task_id].update(_of_round(turn, came[task_id], one))
            counts[task_id][ACCEPTED] += len(one.passed)
    return passed


def _broken(executor: Executor, judged: Mapping[str, Judged]) -> list[Broken]:
    """Every failed test with what Python says of it."""
    failed = {task_id: (one.problem, [draft.code for draft in one.failed]) for task_id, one in judged.items()}
    reports = reports_of(executor, {task_id: one for task_id, one in failed.items() if one[1]})
    return [
        Broken(one.problem, draft, report)
        for task_id, one in judged.items()
        if one.failed
        for draft, report in zip(one.failed, reports[task_id], strict=True)
    ]


def _of_round(turn: int, came: int, judged: Judged) -> dict[str, int]:
    return {
        repair_count(turn, CAME): came,
        repair_count(turn, STAYED): len(judged.passed),
        repair_count(turn, "fails again"): len(judged.failed),
        repair_count(turn, "tests nothing"): judged.vacuous,
    }
