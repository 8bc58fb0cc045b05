"""A batch of completions: read solutions and tests, have them judged together, reward each."""

from __future__ import annotations

import keyword
import warnings
from collections.abc import Sequence
from concurrent.futures import Future

from msgspec import Struct

from coderm_tasks.datasets.context import prompt_context
from coderm_tasks.errors import RewardError
from coderm_tasks.extract import extract_solution
from coderm_tasks.extract.source import parse
from coderm_tasks.model import GroundTruth, Problem
from coderm_tasks.reward.scheduler import Scheduler
from coderm_tasks.reward.scoring import Scheme, Score, score_rows
from coderm_tasks.reward.unit_tests import ReadTests, read_tests
from executor import CellJob, PassMatrix

__all__ = ["Batch", "Reading", "Sample", "check_entry_point", "start_batch"]


class Sample(Struct, frozen=True, kw_only=True):
    """One completion, and what it is to be rewarded by."""

    completion: str
    entry_point: str
    tests: tuple[str, ...]
    weights: tuple[float, ...] = ()
    """One per test; empty: all alike."""
    prompt: str = ""
    """What the completion continues or answers: its imports and helpers may be used by code and tests."""
    context: str | None = None
    """Trusted source whose definitions tests may use; None: those of the prompt, where it is Python."""
    chat: bool = False
    """The completion is an answer rather than a continuation of the prompt."""


class Reading(Struct, frozen=True):
    """How texts are read and verdicts become rewards."""

    scheme: Scheme = "share"
    count_shared: bool = True
    verbatim_tests: bool = False
    """Each test as it stands, instead of read as a model's answer."""
    verbatim_code: bool = False
    """Each completion as it stands is the solution."""


class _Group(Struct, frozen=True):
    """The samples with the same tests."""

    members: tuple[int, ...]
    codes: tuple[str, ...]
    tests: ReadTests


class Batch(Struct, frozen=True):
    """A batch under way."""

    groups: tuple[_Group, ...]
    future: Future[list[PassMatrix]]
    reading: Reading

    def scores(self, matrices: Sequence[PassMatrix]) -> list[Score]:
        """One score per sample, in their order, from the future's result."""
        found: dict[int, Score] = {}
        for group, matrix in zip(self.groups, matrices):
            rows = score_rows(
                matrix,
                group.tests,
                [bool(code.strip()) for code in group.codes],
                scheme=self.reading.scheme,
                count_shared=self.reading.count_shared,
            )
            found.update(zip(group.members, rows))
        return [found[number] for number in range(len(found))]

    def result(self) -> list[Score]:
        """Wait, and return one score per sample. Raises ExecutorError where the sandbox failed."""
        return self.scores(self.future.result())


def check_entry_point(name: object) -> str:
    """Return the name.

    Raises:
        RewardError: it cannot be the name of a function.
    """
    if not isinstance(name, str) or not name.isidentifier() or keyword.iskeyword(name):
        raise RewardError(f"entry_point is {name!r:.80}: expected the name of the function under test, such as 'add'")
    return name


def start_batch(scheduler: Scheduler, samples: Sequence[Sample], reading: Reading, *, deadline: float | None) -> Batch:
    """Read the samples and hand them to the scheduler: one job per distinct entry point, tests and context.

    ``deadline`` is one of :func:`time.monotonic`.

    Raises:
        RewardError: an entry point that is no name.
        SandboxError: the scheduler is closed.
    """
    members: dict[tuple[str, tuple[str, ...], tuple[float, ...], str], list[int]] = {}
    problems = [_problem(sample) for sample in samples]
    for number, (sample, problem) in enumerate(zip(samples, problems)):
        key = (problem.entry_point, sample.tests, sample.weights, problem.context)
        members.setdefault(key, []).append(number)
    groups, jobs = [], []
    for number, ((entry_point, texts, weights, context), same) in enumerate(members.items()):
        tests = read_tests(texts, entry_point, context, weights, verbatim=reading.verbatim_tests)
        codes = tuple(_code(samples[one], problems[one], reading) for one in same)
        groups.append(_Group(tuple(same), codes, tests))
        jobs.append(CellJob(job_id=f"group {number}", entry_point=entry_point, solutions=codes, tests=tests.tests,
                            context=context))  # fmt: skip
    return Batch(tuple(groups), scheduler.submit(jobs, deadline=deadline), reading)


def _problem(sample: Sample) -> Problem:
    entry_point = check_entry_point(sample.entry_point)
    context = _context(sample.prompt, entry_point) if sample.context is None else sample.context
    return Problem(
        task_id="", dataset="", prompt=sample.prompt, entry_point=entry_point, truth=GroundTruth(), context=context
    )


def _context(prompt: str, entry_point: str) -> str:
    """What the prompt defines, where it is Python; prompts are no more trusted to parse than answers are."""
    if parse(prompt) is None:
        return ""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return prompt_context(prompt, entry_point)
    except (RecursionError, MemoryError, OverflowError):
        return ""


def _code(sample: Sample, problem: Problem, reading: Reading) -> str:
    if reading.verbatim_code:
        return sample.completion
    return extract_solution(sample.completion, problem, chat=sample.chat)
