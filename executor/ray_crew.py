"""The work in flight on a Ray cluster: the Ray engine's counterpart of :mod:`executor.crew`.

Ray restarts an actor whose process died and gives it its shard again, once. What Ray cannot mend is a node that is
gone: actors are bound to nodes that were found fit, so the shards of a lost node go to others from here, where they
were made.
"""

from __future__ import annotations

import logging
import queue
import time
from collections import deque
from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Struct

from executor.errors import SandboxError
from executor.ray_nodes import Node
from executor.ray_staff import Hand, Staff
from executor.shards import CellShard
from executor.worker import Failure, Request, Response

__all__ = ["RayCrew"]

_log = logging.getLogger(__name__)
_RESPONSES = msgspec.msgpack.Decoder(Response)
_DEPTH = 2
"""Parcels an actor has at a time: the next one is there when it has served one, and a slow node hoards no more."""
_PARCEL_S = 0.25
_LARGEST_PARCEL = 16
_SHOWN = 300
_PATIENCE_S = 30.0
"""After so long without a processor we say what we wait for."""


class RayCrew:
    """Actors on the nodes, started at once and warm until :meth:`close`."""

    def __init__(self, staff: Staff) -> None:
        self._staff = staff
        self._closed = False

    def map(self, tickets: Iterator[tuple[Any, Request | None]]) -> Iterator[tuple[Any, Response | None]]:
        """See :class:`executor.pool.Workforce`. At most two parcels per actor are taken ahead of their answers."""
        if self._closed:
            raise SandboxError("this executor is closed; open another")
        yield from _Run(self._staff).pump(tickets)

    def close(self) -> None:
        """Kill all actors, with their workers and boxes. Idempotent."""
        self._closed = True
        self._staff.close()


class _Shard(Struct, frozen=True):
    """A shard until its answer is here. Its ticket comes back once, however often the shard has to be sent."""

    ticket: Any
    packed: bytes


class _Parcel:
    """Shards on their way to one hand, in one call: a call costs the driver more than a small shard is worth."""

    def __init__(self, hand: Hand, shards: list[_Shard]) -> None:
        self.hand = hand
        self.shards = shards


class _Pace:
    """How many shards make a parcel: as many as take a hand about a quarter of a second."""

    def __init__(self) -> None:
        self._seconds = 0.0
        self.one_by_one = False
        """Of shards that are pruned, each should know what came of those before it."""

    def note(self, shards: int, seconds: float) -> None:
        each = seconds / shards
        self._seconds = 0.8 * self._seconds + 0.2 * each if self._seconds else each

    @property
    def most(self) -> int:
        if self.one_by_one or not self._seconds:
            return 1
        return max(1, min(_LARGEST_PARCEL, round(_PARCEL_S / self._seconds)))


class _Hands:
    """Actors by what they have to do: those with least get the next shard."""

    def __init__(self) -> None:
        self._levels: list[dict[Hand, None]] = [{} for _ in range(_DEPTH + 1)]
        self._load: dict[Hand, int] = {}

    def __len__(self) -> int:
        return len(self._load)

    def add(self, hand: Hand) -> None:
        self._load[hand] = 0
        self._levels[0][hand] = None

    def remove_gone(self) -> None:
        for hand in [hand for hand in self._load if hand.gone]:
            del self._levels[self._load.pop(hand)][hand]

    def take(self) -> Hand | None:
        """Return a hand for one more shard; None where all have enough."""
        for level in self._levels[:_DEPTH]:
            if level:
                hand = next(iter(level))
                self._move(hand, +1)
                return hand
        return None

    def give_back(self, hand: Hand) -> None:
        """One shard of this hand's is done."""
        if hand in self._load:
            self._move(hand, -1)

    def _move(self, hand: Hand, change: int) -> None:
        load = self._load[hand]
        del self._levels[load][hand]
        self._load[hand] = load + change
        self._levels[load + change][hand] = None


class _Run:
    """One pass over tickets. Others may be under way on the same staff: any of them may hire, or write off."""

    def __init__(self, staff: Staff) -> None:
        self._staff = staff
        self._hands = _Hands()
        self._met: set[Hand] = set()
        self._pace = _Pace()
        self._events: queue.SimpleQueue[tuple[Hand | Node | _Parcel, Any]] = queue.SimpleQueue()
        """What has happened, with its future: an actor is ready or never will be, a node that joined has been looked
        at, a parcel has its answers or never will have."""
        self._backlog: deque[_Shard] = deque()
        self._in_flight = 0
        """Shards."""
        self._more = True
        """There may be tickets that were not taken yet."""
        self._warn_at = time.monotonic() + _PATIENCE_S

    def pump(self, tickets: Iterator[tuple[Any, Request | None]]) -> Iterator[tuple[Any, Response | None]]:
        while True:
            self._meet()
            while self._more and len(self._backlog) + self._in_flight < self._ahead:
                try:
                    ticket, shard = next(tickets)
                except StopIteration:
                    self._more = False
                    break
                if shard is None:
                    yield ticket, None
                else:
                    self._pace.one_by_one = isinstance(shard, CellShard) and shard.floor is not None
                    self._backlog.append(_Shard(ticket, msgspec.msgpack.encode(shard)))
            self._send()
            if not self._backlog and not self._in_flight:
                return
            what, future = self._next_event()
            if isinstance(what, _Parcel):
                yield from self._answers(what, future)
            else:
                self._news(what, future)

    def _meet(self) -> None:
        """Wait for hands that are new, whoever hired them."""
        for hand in self._staff.hands:
            if hand not in self._met:
                self._met.add(hand)
                self._watch(hand, hand.ready)

    @property
    def _ahead(self) -> int:
        return _DEPTH * max(1, len(self._staff.hands)) * self._pace.most

    def _watch(self, what: Hand | Node | _Parcel, future: Any) -> None:
        events = self._events
        future.add_done_callback(lambda done: events.put((what, done)))

    def _send(self) -> None:
        while self._backlog and (hand := self._hands.take()) is not None:
            size = min(self._pace.most, len(self._backlog))
            if not self._more:
                # The last are shared out, so that nobody has a parcel of many while others have none.
                size = min(size, -(-len(self._backlog) // (_DEPTH * len(self._hands))))
            parcel = _Parcel(hand, [self._backlog.popleft() for _ in range(size)])
            self._in_flight += len(parcel.shards)
            self._watch(parcel, self._staff.send(hand, [shard.packed for shard in parcel.shards]))

    def _next_event(self) -> tuple[Hand | Node | _Parcel, Any]:
        while True:
            for node, future in self._staff.newcomers():
                self._watch(node, future)
            self._meet()
            if not self._staff.hands:
                raise SandboxError("every node of the Ray cluster that had work is gone; run: ray status")
            try:
                return self._events.get(timeout=1.0)
            except queue.Empty:
                self._complain()

    def _complain(self) -> None:
        if not self._hands and time.monotonic() > self._warn_at:
            self._warn_at = float("inf")
            _log.warning(
                "waiting for one of %d workers: the cluster gives them no CPU yet; see who has them: ray status",
                len(self._staff.hands),
            )

    def _news(self, what: Hand | Node, future: Any) -> None:
        if isinstance(what, Node):
            self._staff.welcome(what, future)
        elif (error := future.exception()) is None:
            if not what.gone:
                self._hands.add(what)
        else:
            self._lost(what, error, "it cannot start a worker")

    def _answers(self, parcel: _Parcel, future: Any) -> Iterator[tuple[Any, Response]]:
        """Tickets and answers of a parcel; none where its node is gone and the shards have to be sent again."""
        self._in_flight -= len(parcel.shards)
        self._hands.give_back(parcel.hand)
        if (error := future.exception()) is not None:
            self._lost(parcel.hand, error, "worker processes die under the same work")
            self._backlog.extendleft(reversed(parcel.shards))
            return
        answers, seconds = future.result()
        self._pace.note(len(answers), seconds)
        for shard, packed in zip(parcel.shards, answers, strict=True):
            answer: Response = _RESPONSES.decode(packed)
            if isinstance(answer, Failure):
                raise SandboxError(f"node {parcel.hand.node.name}: {answer.message}")
            yield shard.ticket, answer

    def _lost(self, hand: Hand, error: BaseException, what: str) -> None:
        """Write off a hand whose node is gone. Where the node lives, Ray has tried again in vain: an error."""
        if not self._staff.write_off(hand):
            said = next((line for line in reversed(str(error).splitlines()) if line.strip()), type(error).__name__)
            raise SandboxError(
                f"node {hand.node.name}: {what} ({said.strip()[:_SHOWN]}); see its Ray logs; run there: coderm doctor"
            ) from error
        self._hands.remove_gone()
