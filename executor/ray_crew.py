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

from executor.errors import SandboxError
from executor.ray_nodes import Node
from executor.ray_staff import Hand, Staff
from executor.worker import Failure, Request, Response

__all__ = ["RayCrew"]

_log = logging.getLogger(__name__)
_RESPONSES = msgspec.msgpack.Decoder(Response)
_DEPTH = 2
"""Shards an actor has at a time: the next one is there when it has served one, and a slow node hoards no more."""
_SHOWN = 300
_PATIENCE_S = 30.0
"""After so long without a processor we say what we wait for."""


class RayCrew:
    """Actors on the nodes, started at once and warm until :meth:`close`."""

    def __init__(self, staff: Staff) -> None:
        self._staff = staff
        self._closed = False

    def map(self, tickets: Iterator[tuple[Any, Request | None]]) -> Iterator[tuple[Any, Response | None]]:
        """See :class:`executor.pool.Workforce`. At most two shards per actor are taken ahead of their answers."""
        if self._closed:
            raise SandboxError("this executor is closed; open another")
        yield from _Run(self._staff).pump(tickets)

    def close(self) -> None:
        """Kill all actors, with their workers and boxes. Idempotent."""
        self._closed = True
        self._staff.close()


class _Sent:
    """A shard on its way. Its ticket comes back once, however often the shard has to be sent."""

    def __init__(self, ticket: Any, shard: bytes) -> None:
        self.ticket = ticket
        self.shard = shard
        self.hand: Hand | None = None


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
    """One pass over tickets."""

    def __init__(self, staff: Staff) -> None:
        self._staff = staff
        self._hands = _Hands()
        self._events: queue.SimpleQueue[tuple[Hand | Node | _Sent, Any]] = queue.SimpleQueue()
        """What has happened, with its future: an actor is ready or never will be, a node that joined has been looked
        at, a shard has its answer or never will have."""
        self._backlog: deque[_Sent] = deque()
        self._in_flight = 0
        self._warn_at = time.monotonic() + _PATIENCE_S

    def pump(self, tickets: Iterator[tuple[Any, Request | None]]) -> Iterator[tuple[Any, Response | None]]:
        for hand in self._staff.hands:
            self._watch(hand, hand.ready)
        more = True
        while True:
            while more and len(self._backlog) + self._in_flight < _DEPTH * max(1, len(self._staff.hands)):
                try:
                    ticket, shard = next(tickets)
                except StopIteration:
                    more = False
                    break
                if shard is None:
                    yield ticket, None
                else:
                    self._backlog.append(_Sent(ticket, msgspec.msgpack.encode(shard)))
            self._send()
            if not self._backlog and not self._in_flight:
                return
            what, future = self._next_event()
            if isinstance(what, _Sent):
                if (answer := self._answer(what, future)) is not None:
                    yield what.ticket, answer
            else:
                self._news(what, future)

    def _watch(self, what: Hand | Node | _Sent, future: Any) -> None:
        events = self._events
        future.add_done_callback(lambda done: events.put((what, done)))

    def _send(self) -> None:
        while self._backlog and (hand := self._hands.take()) is not None:
            sent = self._backlog.popleft()
            sent.hand = hand
            self._in_flight += 1
            self._watch(sent, self._staff.send(hand, sent.shard))

    def _next_event(self) -> tuple[Hand | Node | _Sent, Any]:
        while True:
            for node, future in self._staff.newcomers():
                self._watch(node, future)
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
            for hand in self._staff.welcome(what, future):
                self._watch(hand, hand.ready)
        elif (error := future.exception()) is None:
            self._hands.add(what)
        else:
            self._lost(what, error, "it cannot start a worker")

    def _answer(self, sent: _Sent, future: Any) -> Response | None:
        """The answer to a shard; None where its node is gone and the shard has to be sent again."""
        self._in_flight -= 1
        hand, sent.hand = sent.hand, None
        assert hand is not None
        self._hands.give_back(hand)
        if (error := future.exception()) is not None:
            self._lost(hand, error, "worker processes die under the same work")
            self._backlog.appendleft(sent)
            return None
        answer: Response = _RESPONSES.decode(future.result())
        if isinstance(answer, Failure):
            raise SandboxError(f"node {hand.node.name}: {answer.message}")
        return answer

    def _lost(self, hand: Hand, error: BaseException, what: str) -> None:
        """Write off a hand whose node is gone. Where the node lives, Ray has tried again in vain: an error."""
        if not self._staff.write_off(hand):
            said = next((line for line in reversed(str(error).splitlines()) if line.strip()), type(error).__name__)
            raise SandboxError(
                f"node {hand.node.name}: {what} ({said.strip()[:_SHOWN]}); see its Ray logs; run there: coderm doctor"
            ) from error
        self._hands.remove_gone()
