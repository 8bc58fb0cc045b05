"""What backends and sources of unit tests offer, and the records between them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from coderm_tasks.errors import GenerationError
from coderm_tasks.model import Problem

__all__ = [
    "Backend",
    "Completions",
    "Generated",
    "Progress",
    "ProgressCallback",
    "PromptRefusedError",
    "Request",
    "TestGenerator",
]


class PromptRefusedError(GenerationError):
    """The model cannot answer one prompt (too long, refused, failing time and again): the others may still work."""


class Request(Struct, frozen=True, kw_only=True):
    """One prompt, to be answered ``n`` times."""

    text: str
    n: int
    seed: int
    stop: tuple[str, ...]
    temperature: float
    top_p: float
    max_tokens: int
    """Per answer."""
    logprobs: bool = False
    """Whether the log-probabilities of the answers are wanted, too."""


class Completions(Struct, frozen=True):
    """What came back for one request; a backend may give fewer answers than were asked for, never none."""

    texts: tuple[str, ...]
    finish_reasons: tuple[str, ...]
    """One per text: ``stop``, ``length``, ..."""
    tokens: int
    """Of all texts together; 0 where the backend does not count."""
    mean_logprobs: tuple[float, ...] = ()
    """Per text the mean log-probability of its tokens under the model, nats; empty where they were not asked for, or
    the backend does not give them."""


class Backend(Protocol):
    """A model that completes prompts. ``complete`` may be called many times at once, from one event loop."""

    async def open(self) -> None:
        """Connect, or load the model. Raises ConfigError or GenerationError."""
        ...

    async def check(self, longest: Sequence[str]) -> None:
        """Make sure that prompts can be answered, before tokens are spent.

        Args:
            longest: the longest prompts that are known by now, longest first; may be empty.

        Raises:
            ConfigError: a wrong model, a wrong key, or a context too short for a prompt and its answer.
            GenerationError: no model answers.
        """
        ...

    async def complete(self, request: Request) -> Completions:
        """Answers to one prompt.

        Raises:
            PromptRefusedError: this prompt cannot be answered.
            ConfigError, GenerationError: no prompt can be.
        """
        ...

    async def close(self) -> None:
        """Give everything back. Idempotent; works on a backend that did not open."""
        ...


class Progress(Struct, frozen=True, kw_only=True):
    """How far a run has come, over all problems."""

    done: int
    """Usable, distinct unit tests so far, at most ``total``; or solutions."""
    total: int
    """The budget, less what problems that were given up lack."""
    completions: int
    """Answers so far, stored ones included."""
    usable: int
    """Answers that held a usable test, or code."""
    new_tokens: int
    """Tokens that were generated in this run, where the backend counts them."""


ProgressCallback = Callable[[Progress], None]


class Generated(Struct, frozen=True, kw_only=True):
    """How unit tests or solutions came about."""

    tests: dict[str, tuple[str, ...]]
    """By task id, every problem that was asked for; at most its budget, possibly fewer. Empty where they were handed
    over one problem at a time."""
    dropped: dict[str, int]
    """What answers held besides, by reason (:class:`coderm_tasks.extract.Drop`)."""
    finish_reasons: dict[str, int]
    """Answers by the reason why they ended (``stop``, ``length``, ...)."""
    failed: dict[str, str]
    """Problems that the model refused (a prompt too long for it, say), with its words."""
    short: dict[str, int]
    """Problems with fewer tests than their budget that were not refused, with the number they have."""
    completions: int = 0
    usable: int = 0
    requests: int = 0
    """Requests made now."""
    reused: int = 0
    """Requests that an earlier run had answered: not made again."""
    tokens: int = 0
    """Of all answers."""


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
