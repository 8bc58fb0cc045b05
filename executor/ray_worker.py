"""What runs on the nodes of a Ray cluster: an actor per processor, which has a worker process as the local engine's.

Loaded by name on the nodes, once their version is known to be ours.
"""

from __future__ import annotations

import os
import time

from executor.bwrap import box_plan
from executor.cgroup import group_homes, remove_leftovers
from executor.crew import Worker
from executor.model import Limits
from executor.worker import Setup

__all__ = ["ShardServer", "WorkerLost"]


class WorkerLost(Exception):
    """The worker process died under a shard. Ray tries the shard again, as often as the actor's options say."""


class ShardServer:
    """Serves shards, one after the other. The untrusted code is in the boxes of its worker process, not in here."""

    def __init__(self, limits: Limits) -> None:
        homes = group_homes()
        remove_leftovers(homes)
        self._worker = Worker(Setup(box_plan(), limits), homes)

    def ready(self) -> int:
        """Return the process id, to whoever waits for the actor to have its processor."""
        return os.getpid()

    def serve(self, shards: list[bytes]) -> tuple[list[bytes], float]:
        """Serve shards in turn; returns their answers and the seconds it took.

        Shards and answers are MessagePack of :mod:`executor.worker`'s requests and responses.

        Raises:
            WorkerLost: the worker process died under one of them; the next shard gets another.
        """
        started = time.monotonic()
        try:
            answers = [self._worker.exchange(shard) for shard in shards]
        except (OSError, EOFError, ValueError) as error:
            self._worker.kill()
            raise WorkerLost(str(error)) from error
        return answers, time.monotonic() - started
