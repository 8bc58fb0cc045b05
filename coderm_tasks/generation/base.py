"""What every source of unit tests offers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from coderm_tasks.model import Problem

__all__ = ["Generated", "Progress", "ProgressCallback", "TestGenerator"]


class Progress(Struct, frozen=True, kw_only=True):
    """How far generation has come, over all problems."""

    tests: int
    """Usable, distinct tests so far, at most ``wanted``."""
    wanted: int
    """The budget."""
    completions: int
    """Answers received."""
    usable: int
    """Answers that held a usable test."""
    tokens: int
    """Tokens generated, where the endpoint counts them."""


ProgressCallback = Callable[[Progress], None]


class Generated(Struct, frozen=True, kw_only=True):
    """Unit tests for some problems, and how they came about."""

    tests: dict[str, tuple[str, ...]]
    """By task id, every problem that was asked for; at most its budget, possibly fewer."""
    dropped: dict[str, int]
    """What answers held besides, by reason (:class:`coderm_tasks.extract.Drop`)."""
    finish_reasons: dict[str, int]
    """Answers by the reason why they ended (``stop``, ``length``, ...)."""
    failed: dict[str, str]
    """Problems that the endpoint refused (a prompt too long for the model, say), with its words."""
    completions: int = 0
    requests: int = 0
    """Requests made now; answers stored by an earlier run are not asked for again."""
    tokens: int = 0


class TestGenerator(Protocol):
    """Writes unit tests for problems."""

    def check(self) -> None:
        """Find out before anything is sampled whether tests can be had. Raises ConfigError or GenerationError."""
        ...

    def generate(
        self,
        problems: Sequence[Problem],
        candidates: Mapping[str, Sequence[str]],
        budget: Mapping[str, int],
        *,
        progress: ProgressCallback | None = None,
    ) -> Generated:
        """Up to ``budget[task_id]`` distinct tests per problem; ``candidates`` are its sampled solutions.

        Raises:
            GenerationError: the generator failed; what it had written by then is kept where it stores answers.
        """
        ...
