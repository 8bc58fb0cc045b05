"""Errors of the plugin, as a tree.

::

    CoderMError
    ├── InputError        a file or record the user gave is wrong: names file, line, remedy
    ├── ConfigError       a setting is wrong or unknown: names the key, with a did-you-mean
    ├── DatasetError      a data set cannot be loaded
    ├── GenerationError   the test generator failed: names the endpoint or model
    ├── RewardError       a batch cannot be rewarded: names the sample and the column
    └── StoreError        results cannot be written or read back

The command line prints the message of any of these, and of :class:`executor.ExecutorError`, as one line and
exits with code 2.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = [
    "CoderMError",
    "ConfigError",
    "DatasetError",
    "GenerationError",
    "InputError",
    "RewardError",
    "StoreError",
    "did_you_mean",
]


class CoderMError(Exception):
    """Base of all errors that :mod:`coderm_tasks` raises on purpose."""


class InputError(CoderMError):
    """A file or record from the user is wrong.

    The message reads ``FILE:LINE: what was found: what was expected; what to do``.
    """


class ConfigError(CoderMError, ValueError):
    """A setting has a value that cannot be used, or a name that does not exist."""


class DatasetError(CoderMError):
    """A data set cannot be loaded. The message says where it was looked for and how to provide it."""


class GenerationError(CoderMError):
    """Unit tests could not be generated."""


class RewardError(CoderMError, ValueError):
    """A batch of completions cannot be rewarded: columns are missing or do not fit together."""


class StoreError(CoderMError):
    """Results cannot be stored or read back. The message names the file and the remedy."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return `` (did you mean 'x'?)`` for the closest known name, or an empty string."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""
