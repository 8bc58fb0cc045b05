"""Errors of the executor, as a tree.

::

    ExecutorError
    ├── SandboxError              the sandbox itself failed: never a verdict about a solution
    │   ├── SandboxMissing        bubblewrap, user namespaces or seccomp are not to be had here
    │   └── BoxDied               a box ended by itself and did not come back
    ├── ClusterError              a Ray cluster cannot be used: its address, its versions, Ray itself
    ├── LimitsError               a limit out of its range
    └── CacheError                the cache of verdicts cannot be read or written

A solution that crashes, hangs or eats memory raises none of these: it gets a verdict.
"""

from __future__ import annotations

__all__ = [
    "BoxDied",
    "CacheError",
    "ClusterError",
    "ExecutorError",
    "LimitsError",
    "SandboxError",
    "SandboxMissing",
]


class ExecutorError(Exception):
    """Base of all errors that :mod:`executor` raises on purpose."""


class SandboxError(ExecutorError):
    """The sandbox failed; the cells in flight have no verdict."""


class SandboxMissing(SandboxError):
    """This machine cannot run the sandbox. The message names the command or setting that mends it."""


class BoxDied(SandboxError):
    """A box ended on its own. Carries what its standard error said last."""


class ClusterError(ExecutorError):
    """The Ray cluster cannot be used. The message names the address or the node, and the remedy."""


class LimitsError(ExecutorError, ValueError):
    """A limit is out of its range.

    ``limit``: its name, as :class:`executor.Limits` or :func:`executor.open_executor` call it; empty where the message
    is about something else. For callers whose users know the limit by another name.
    """

    def __init__(self, message: str, limit: str = "") -> None:
        super().__init__(message)
        self.limit = limit


class CacheError(ExecutorError):
    """The cache of verdicts cannot be used. The message names the file and the remedy."""
