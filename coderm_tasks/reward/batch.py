"""A batch of completions: read their tests, have them judged together, reward each."""

from __future__ import annotations

import keyword
import warnings
from collections.abc import Sequence
from concurrent.futures import Future

import msgspec
from msgspec import Struct

from coderm_tasks.datasets.context import prompt_context
from coderm_tasks.errors import RewardError
from coderm_tasks.extract.source import parse
from coderm_tasks.reward.lane import Found, ReadAs, Work
from coderm_tasks.reward.scheduler import Scheduler
from coderm_tasks.reward.scoring import Scheme, Score, score_rows
from coderm_tasks.reward.unit_tests import ReadTests, read_tests
from executor import CellJob

__all__ = ["Batch", "Group", "Reading", "Sample", "check_entry_point", "read_batch"]


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


class Group(Struct, frozen=True):
    """The samples with the same tests, and the work on them."""

    members: tuple[int, ...]
    tests: ReadTests
    work: Work


class Batch(Struct, frozen=True):
    """A batch that was read."""

    groups: tuple[Group, ...]
    reading: Reading

    @property
    def cells(self) -> int:
        """Solutions times tests, summed over the groups."""
        return sum(len(group.members) * len(group.tests.tests) for group in self.groups)

    def submit(self, scheduler: Scheduler, *, deadline: float | None) -> Future[list[Found]]:
        """Have it judged by the deadline, which is one of :func:`time.monotonic`. Raises SandboxError."""
        return scheduler.submit([group.work for group in self.groups], deadline=deadline)

    def scores(self, results: Sequence[Found]) -> list[Score]:
        """One score per sample, in their order, from what the scheduler gave."""
        scores: dict[int, Score] = {}
        for group, found in zip(self.groups, results):
            rows = score_rows(found, group.tests, scheme=self.reading.scheme, count_shared=self.reading.count_shared)
            scores.update(zip(group.members, rows))
        return [scores[number] for number in range(len(scores))]


def check_entry_point(name: object) -> str:
    """Return the name.

    Raises:
        RewardError: it cannot be the name of a function.
    """
    if not isinstance(name, str) or not name.isidentifier() or keyword.iskeyword(name):
        raise RewardError(f"entry_point is {name!r:.80}: expected the name of the function under test, such as 'add'")
    return name


def read_batch(samples: Sequence[Sample], reading: Reading) -> Batch:
    """Read the tests and group the samples: one job per distinct entry point, tests and context.

    Solutions are read later, in the lanes.

    Raises:
        RewardError: an entry point that is no name.
    """
    members: dict[Sample, list[int]] = {}
    for number, sample in enumerate(samples):
        check_entry_point(sample.entry_point)
        members.setdefault(msgspec.structs.replace(sample, completion=""), []).append(number)
    groups = []
    for number, (alike, same) in enumerate(members.items()):
        context = _context(alike.prompt, alike.entry_point) if alike.context is None else alike.context
        tests = read_tests(alike.tests, alike.entry_point, context, alike.weights, verbatim=reading.verbatim_tests)
        job = CellJob(
            job_id=f"group {number}",
            entry_point=alike.entry_point,
            solutions=tuple(samples[one].completion for one in same),
            tests=tests.tests,
            context=context,
        )
        read_as = None if reading.verbatim_code else ReadAs(alike.prompt, alike.chat)
        groups.append(Group(tuple(same), tests, Work(job, read_as)))
    return Batch(tuple(groups), reading)


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
