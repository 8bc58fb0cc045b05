"""What travels between the engine and its workers: shards of work and their answers."""

from __future__ import annotations

from msgspec import Struct

from executor.model import Limits
from executor.weights import OUTPUTS_MB

__all__ = ["AS_EXPECTED", "CallShard", "CellShard", "ShardCells", "ShardReplies", "Source"]

AS_EXPECTED = "="
"""Letter of an answer whose frame is the expected one, which is then left out."""


class Source(Struct, frozen=True, array_like=True):
    """A distinct solution."""

    text: str
    stateless: bool
    watchable: bool = False
    """See :class:`executor.purity.SolutionFacts`."""


class CellShard(Struct, frozen=True, tag="cells"):
    """Work for one worker: solutions against the tests they still lack. Sequences are aligned with ``solutions``."""

    entry_point: str
    context: str
    solutions: tuple[Source, ...]
    tests: tuple[str, ...]
    wanted: tuple[tuple[int, ...], ...]
    """Indices of the tests to run."""
    audited: tuple[tuple[int, ...], ...]
    """Indices of the tests to be run as programs as well, where they are lifted."""
    weights: tuple[int, ...]
    """How often each test stands in the job."""
    votes: tuple[int, ...]
    """Votes that each solution has from tests run before."""
    floor: int | None = None
    """Votes that a solution of the job is known to have: who cannot reach them need not be run to the end. None: run
    everything."""


class ShardCells(Struct, frozen=True, tag="cells"):
    """Per solution one letter and one mode per wanted test, and one letter per audited one.

    Modes: ``l`` lifted, ``s`` split, ``x`` shared, ``v`` vacuous, ``a`` assumed: without a run, because the solution
    had used up its timeouts (:attr:`Limits.max_timeouts`), ``-`` not run. A capital: the cell might come out otherwise
    in another row, with the whole of its limits (:attr:`Answer.sure`). An audited test that is not lifted is ``-``.
    """

    letters: tuple[str, ...]
    modes: tuple[str, ...]
    audits: tuple[str, ...]


class CallShard(Struct, frozen=True, tag="calls"):
    """Work for one worker: calls of every solution, to be recorded, not judged."""

    entry_point: str
    solutions: tuple[Source, ...]
    calls: tuple[str, ...]
    """Requests' JSON texts."""
    limits: Limits | None = None
    cpu_s: tuple[float, ...] = ()
    in_order: bool = False
    parts: tuple[int, ...] = ()
    expected: tuple[bytes, ...] = ()
    """Frames of the answers that are expected: a solution is stopped after the first that is another."""
    outputs_mb: int = OUTPUTS_MB
    short_first: bool = False


class ShardReplies(Struct, frozen=True, tag="calls"):
    """Per solution one answer per call: frame, letter, CPU seconds. The frames are untrusted. The letter ``=`` stands
    for the expected frame. A solution that was stopped for another has no answers after it."""

    answers: tuple[tuple[tuple[bytes, str, float], ...], ...]
    sure: tuple[bool, ...]
    """Per solution, whether making the calls again would give the same."""
