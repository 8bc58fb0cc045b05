"""The problems that a run was about: which part of a data set, and this machine's copy of it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from coderm_tasks.datasets import Slice, load_problems, load_problems_to_rerank
from coderm_tasks.datasets.livecodebench.slice import PATH_VARIABLE, RELEASED_FILES
from coderm_tasks.datasets.own import OWN, read_problems
from coderm_tasks.errors import CoderMError, InputError
from coderm_tasks.model import Problem
from coderm_tasks.run_record import RunRecord

__all__ = [
    "BIGCODEBENCH",
    "LIVECODEBENCH",
    "Part",
    "ProblemSets",
    "data_files_of",
    "foreign_ids",
    "part_of",
    "recorded_path",
]

LIVECODEBENCH = "livecodebench"
BIGCODEBENCH = "bigcodebench"
_NOT_OURS = (OWN, BIGCODEBENCH)
"""Names of problems that only a file of the user's holds."""
_BIGCODEBENCH_ID = re.compile(r"BigCodeBench/\d+")
_Known = Mapping[str, Problem]


class Part(Struct, frozen=True, kw_only=True):
    """Which of LiveCodeBench's problems. None is no limit."""

    release: str | None = None
    """As ``--livecodebench-release`` takes it."""
    start: str | None = None
    """First contest date, ``YYYY-MM-DD``."""
    end: str | None = None
    """Last contest date, a midnight."""

    def chosen(self, path: str | None) -> Slice:
        """The choice, from the copy at ``path``. Raises ConfigError where it is none."""
        return Slice(path=path, release=self.release, start=self.start, end=self.end)

    @property
    def is_whole(self) -> bool:
        """Whether nothing is left out."""
        return self == Part()

    @property
    def evaluator_flags(self) -> str:
        """What LiveCodeBench's own evaluator has to be told to ask for the same problems."""
        flags = (("--release_version", self.release), ("--start_date", self.start), ("--end_date", self.end))
        return " ".join(f"{flag} {value}" for flag, value in flags if value is not None) or "its default"

    @property
    def words(self) -> str:
        """``release_v2, contests from 2024-03-01 to 2024-06-01``."""
        release = self.release or "every release that was at hand"
        window = [f"{word} {date}" for word, date in (("from", self.start), ("to", self.end)) if date is not None]
        return f"{release}, contests " + (" ".join(window) or "of any date")


def part_of(records: Sequence[RunRecord]) -> Part | None:
    """The part of LiveCodeBench that a run was about, as its records say; None for other data sets.

    Where no release was asked for, the names of the data set's files tell it.

    Raises:
        InputError: the records hold no dates or release where they should.
        ConfigError: what they hold is no date or no release.
    """
    if records[0].dataset != LIVECODEBENCH:
        return None
    settings = records[0].settings
    names = {"release": "livecodebench_release", "start": "livecodebench_from", "end": "livecodebench_to"}
    try:
        part = msgspec.convert({name: settings.get(key) for name, key in names.items()}, Part)
    except msgspec.ValidationError as error:
        raise InputError(
            f"the run record's window of LiveCodeBench cannot be read ({error}); expected dates such as 2024-08-01; "
            "use the record as the run wrote it"
        ) from error
    part = msgspec.structs.replace(part, release=part.release or _release_of(records))
    part.chosen(None)
    return part


def _release_of(records: Sequence[RunRecord]) -> str | None:
    """The release that the published files of a run make up; None where they are others, or have gaps."""
    files = {Path(place).name.removesuffix(".gz") for record in records for place in _places(record)}
    numbers = sorted(RELEASED_FILES.index(name) + 1 for name in files if name in RELEASED_FILES)
    if not numbers or len(numbers) != len(files) or numbers[-1] - numbers[0] + 1 != len(numbers):
        return None
    first, last = numbers[0], numbers[-1]
    return f"release_v{last}" if first == 1 else f"v{first}" if first == last else f"v{first}_v{last}"


def _places(record: RunRecord) -> list[str]:
    return [one if isinstance(one, str) else one.path for one in record.data_files]


def data_files_of(records: Sequence[RunRecord]) -> dict[str, str]:
    """SHA-256 of the data set's files by name, as far as the records have them."""
    facts = [one for record in records for one in record.data_files if not isinstance(one, str)]
    return {Path(one.path).name: one.sha256 for one in facts}


def foreign_ids(dataset: str, task_ids: Iterable[str]) -> list[str]:
    """Task ids that are not of a data set which is known by its ids alone: BigCodeBench."""
    if dataset != BIGCODEBENCH:
        return []
    return [task_id for task_id in task_ids if not _BIGCODEBENCH_ID.fullmatch(task_id)]


def recorded_path(record: RunRecord) -> str | None:
    """Where the run found LiveCodeBench, if it is still there and nothing else names a copy."""
    places = _places(record)
    if os.environ.get(PATH_VARIABLE) or not places or not all(Path(place).is_file() for place in places):
        return None
    return os.pathsep.join(places)


class ProblemSets:
    """Loads problems as they are asked for, each set once. An error is kept as well: a dead network fails slowly.

    Args:
        livecodebench: where LiveCodeBench is; None: as ``LIVECODEBENCH_PATH`` says, or the hub.
        own: the user's file of problems that are not ours; None: they are not at hand.
    """

    def __init__(self, livecodebench: str | None = None, own: Path | None = None) -> None:
        self._path = livecodebench
        self._own = own
        self._found: dict[object, _Known | CoderMError] = {}

    def to_rerank(self, dataset: str, part: Part | None, own: Path | None = None, path: str | None = None) -> _Known:
        """The problems by task id; empty where they are not ours and no file of them is at hand.

        ``own`` and ``path`` stand in where no other place was named.

        Raises:
            ConfigError, DatasetError, InputError: the data set is unknown, or cannot be loaded.
        """
        file = self._own or own
        if dataset in _NOT_OURS:
            return self._once((dataset, file), lambda: read_problems(file) if file is not None else ())
        chosen = _slice(part, self._path or path)
        return self._once((dataset, chosen), lambda: load_problems_to_rerank(dataset, chosen))

    def to_grade(self, dataset: str, part: Part | None) -> _Known:
        """As :meth:`to_rerank`, with ground truth that may be graded by; empty where there is none."""
        if dataset in _NOT_OURS:
            return {}
        if dataset == LIVECODEBENCH:  # whose problems carry their truth, and take long to load
            return self.to_rerank(dataset, part)
        return self._once(("graded", dataset), lambda: load_problems(dataset))

    def _once(self, key: object, load: Callable[[], Sequence[Problem]]) -> _Known:
        if key not in self._found:
            try:
                self._found[key] = {problem.task_id: problem for problem in load()}
            except CoderMError as error:
                self._found[key] = error
        found = self._found[key]
        if isinstance(found, CoderMError):
            raise found
        return found


def _slice(part: Part | None, path: str | None) -> Slice:
    return (part or Part()).chosen(path)
