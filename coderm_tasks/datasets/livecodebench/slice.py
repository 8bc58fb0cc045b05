"""Which of LiveCodeBench's problems are asked for: a release, and a window of contest dates (pure)."""

from __future__ import annotations

import re
from datetime import datetime

from msgspec import Struct

from coderm_tasks.errors import ConfigError

__all__ = ["PATH_VARIABLE", "RELEASED_FILES", "Slice"]

PATH_VARIABLE = "LIVECODEBENCH_PATH"
"""Environment variable that names a copy of the data set, as EvalPlus's override variables do."""
RELEASED_FILES = tuple(f"test{number or ''}.jsonl" for number in (0, 2, 3, 4, 5, 6))
"""Files of the published data set, one for each release's new problems."""

_LATEST = "release_latest"
_WHOLE = re.compile(r"release_v(\d+)")
_PART = re.compile(r"v(\d+)(?:_v(\d+))?")


class Slice(Struct, frozen=True, kw_only=True):
    """A choice of problems. The default is everything that the path, or the published data set, holds."""

    path: str | None = None
    """JSONL file (gzip allowed), folder of them, or several with ``:`` between; None: what ``LIVECODEBENCH_PATH``
    names, else the published data set from the hub."""
    release: str | None = None
    """``release_v1`` to ``release_v6`` (everything up to it), ``v5`` (what it added), ``v4_v6`` (what these added) or
    ``release_latest``."""
    start: str | None = None
    """First contest date, ``YYYY-MM-DD``."""
    end: str | None = None
    """Last contest date. As in the official runner both ends are midnights, so that a contest later on that day is
    out."""

    def __post_init__(self) -> None:
        first, last = _date("from", self.start), _date("to", self.end)
        if first is not None and last is not None and first > last:
            raise ConfigError(
                f"livecodebench-from is {self.start} and livecodebench-to is {self.end}: expected a window that ends "
                "no earlier than it begins; swap them"
            )
        self.files()

    def holds(self, contest: datetime) -> bool:
        """Tell whether a contest of that time is within the window."""
        first, last = _date("from", self.start), _date("to", self.end)
        return (first is None or contest >= first) and (last is None or contest <= last)

    def files(self) -> tuple[str, ...]:
        """Names of the published files that make up the release; all of them where none is asked for.

        Raises:
            ConfigError: no such release.
        """
        name, newest = self.release or _LATEST, len(RELEASED_FILES)
        if name == _LATEST:
            return RELEASED_FILES
        if whole := _WHOLE.fullmatch(name):
            first, last = 1, int(whole[1])
        elif part := _PART.fullmatch(name):
            first, last = int(part[1]), int(part[2] or part[1])
        else:
            first, last = 0, 0
        if not 1 <= first <= last <= newest:
            raise ConfigError(
                f"livecodebench-release is {name!r}: expected {_LATEST}, release_v1 to release_v{newest}, or a part of "
                "them such as v6 or v5_v6"
            )
        return RELEASED_FILES[first - 1 : last]

    @property
    def is_part(self) -> bool:
        """Whether it may leave problems of the data set out, so that files about the whole of it speak of others."""
        return any(value is not None for value in (self.release, self.start, self.end))

    @property
    def words(self) -> str:
        """The window in words; empty where there is none."""
        return " ".join(f"{word} {date}" for word, date in (("from", self.start), ("to", self.end)) if date is not None)


def _date(name: str, text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        return datetime.strptime(text, "%Y-%m-%d")
    except (TypeError, ValueError):
        raise ConfigError(f"livecodebench-{name} is {text!r}: expected a date such as 2024-08-01") from None
