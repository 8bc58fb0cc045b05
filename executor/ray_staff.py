"""The actors of the Ray engine: hired on nodes that were found fit, written off with a node that is gone."""

from __future__ import annotations

import contextlib
import logging
import time
import weakref
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import structs

from executor.errors import ClusterError, ExecutorError
from executor.model import Limits
from executor.ray_nodes import Node, NodeFacts, ask, choose_nodes, living_nodes, on_node, with_facts
from executor.ray_pulse import Pulse, listens

__all__ = ["Hand", "Staff"]

_log = logging.getLogger(__name__)
_RETRIES = 1
"""Times Ray tries a shard again when its actor, or the worker process in it, dies under it: as the local engine."""
_RESTARTS = 16
"""Times Ray starts an actor anew: for the mishaps of a long run, not for a node on which none stays alive."""
_NOTICE_S = 90.0
"""Ray declares a node dead that has not answered for about half a minute."""
_LOOK_EVERY_S = 10.0
_open: weakref.WeakSet[Staff] = weakref.WeakSet()
"""Of this process. Their actors hold their processors until they are closed, also while they have nothing to do."""


class Hand:
    """One actor."""

    def __init__(self, node: Node, actor: Any, ready: Any) -> None:
        self.node = node
        self.actor = actor
        self.ready = ready
        """A future: done once the actor has its processor and its worker can make boxes."""
        self.gone = False


class Staff:
    """All actors of one executor."""

    def __init__(self, ray: Any, nodes: Sequence[Node], expected: NodeFacts, limits: Limits, workers: int) -> None:
        """Args:
        ray: the module, connected.
        nodes: those that can work.
        expected: what nodes that come later must have.
        workers: actors over all nodes; 0: one per processor that no other executor of this process has.

        Raises:
            ClusterError: other executors of this process have all of them, so that we would wait for ourselves.
        """
        from executor.ray_worker import ShardServer, WorkerLost

        self._ray = ray
        self._expected = expected
        self._limits = limits
        self._workers = workers
        self._pulse = Pulse(ray.get_runtime_context().gcs_address)
        self._retry = [WorkerLost]
        self._actor = ray.remote(ShardServer)
        self._known = {node.node_id for node in living_nodes(ray)}
        self._looked = time.monotonic()
        places = _places(_left_over(nodes, _hands_of_this_process()), workers)
        if not places:
            raise ClusterError(
                f"all {sum(node.cpus for node in nodes)} CPUs of the Ray cluster are with executors that this process "
                "has open; expected one that is free; close them, or open each with a number of workers"
            )
        self.hands: list[Hand] = [self._hire(node) for node in places]
        _open.add(self)

    def _hire(self, node: Node) -> Hand:
        actor = self._actor.options(
            num_cpus=1,
            max_restarts=_RESTARTS,
            max_task_retries=_RETRIES,
            scheduling_strategy=on_node(node),
        ).remote(self._limits)
        return Hand(node, actor, actor.ready.remote().future())

    def send(self, hand: Hand, shards: list[bytes]) -> Any:
        """Give shards to an actor; returns the future of their answers, see :meth:`ShardServer.serve`."""
        return hand.actor.serve.options(retry_exceptions=self._retry).remote(shards).future()

    def write_off(self, hand: Hand) -> bool:
        """Tell whether the node of a hand is gone; if so, all its hands are written off."""
        if not hand.gone and self._is_gone(hand.node):
            for one in self.hands:
                one.gone = one.gone or one.node.node_id == hand.node.node_id
            self.hands = [one for one in self.hands if not one.gone]
            left = len(self.hands)
            _log.warning("node %s is gone; %d worker%s left to do its work", hand.node.name, left, _are(left))
        return hand.gone

    def _is_gone(self, node: Node) -> bool:
        """A node may be dead before Ray knows, so it is asked for a sign of life."""
        self._await_head()
        sign = self._ray.remote(lambda: None).options(num_cpus=0, max_retries=0, scheduling_strategy=on_node(node))
        asked = [sign.remote()]
        deadline = time.monotonic() + _NOTICE_S
        while time.monotonic() < deadline:
            self._await_head()
            if node.node_id not in {one.node_id for one in living_nodes(self._ray)}:
                return True
            if asked and self._ray.wait(asked, timeout=0.5)[0]:
                if asked.pop().future().exception() is None:
                    return False
            elif not asked:
                time.sleep(0.5)
        return False

    def _await_head(self) -> None:
        """Return at once where the head answers. Raises ClusterError if it does not come back."""
        while not self._pulse.beats(now=True):
            time.sleep(0.5)

    def newcomers(self) -> list[tuple[Node, Any]]:
        """Nodes that joined the cluster, each once, with the future of what is found there. Looks now and then.

        Raises:
            ClusterError: the head of the cluster is gone.
        """
        if not self._pulse.beats() or self._workers or time.monotonic() - self._looked < _LOOK_EVERY_S:
            return []
        if not self._pulse.beats(now=True):  # the calls below would wait for it
            return []
        self._looked = time.monotonic()
        found = [node for node in living_nodes(self._ray) if node.node_id not in self._known]
        self._known |= {node.node_id for node in found}
        return [(node, ask(self._ray, node, self._expected.package).future()) for node in found]

    def welcome(self, node: Node, answer: Any) -> None:
        """Hire on a node that joined, if it can work; otherwise warn."""
        looked_at = with_facts(self._ray, node, answer)
        try:
            fit = choose_nodes([looked_at], self._expected)
        except ExecutorError as error:
            _log.warning("a node that joined gets no work: %s", error)
            return
        hands = [self._hire(place) for place in _places(fit, 0)]
        self.hands += hands
        _log.info("node %s joined with %d workers", node.name, len(hands))

    def close(self) -> None:
        """Kill all actors, with their workers and boxes. Idempotent."""
        _open.discard(self)
        hands, self.hands = self.hands, []
        for hand in hands:
            hand.gone = True
        if not listens(self._pulse.address):
            return  # Ray would wait a minute for the head, and end the process; the nodes end what runs there
        for hand in hands:
            with contextlib.suppress(self._ray.exceptions.RayError):
                self._ray.kill(hand.actor)


def _are(count: int) -> str:
    return " is" if count == 1 else "s are"


def _hands_of_this_process() -> list[Hand]:
    return [hand for staff in _open for hand in staff.hands]


def _left_over(nodes: Iterable[Node], hands: Iterable[Hand]) -> list[Node]:
    """The nodes with the processors that these hands leave."""
    taken = Counter(hand.node.node_id for hand in hands)
    return [structs.replace(node, cpus=max(0, node.cpus - taken[node.node_id])) for node in nodes]


def _places(nodes: Sequence[Node], workers: int) -> list[Node]:
    """The node of each actor: round and round, so that few actors are spread over all nodes."""
    most = max((node.cpus for node in nodes), default=0)
    places = [node for turn in range(most) for node in nodes if node.cpus > turn]
    return places[: workers or len(places)]
