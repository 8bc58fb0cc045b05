"""The Ray engine: the boxes of many machines, one matrix.

Plans, the cache and the order of things are those of the local engine (:class:`executor.pool.ShardExecutor`); only
the workers stand on the nodes of a cluster, each beside a Ray actor. Ray is imported when an executor is opened.
"""

from __future__ import annotations

from pathlib import Path

from executor.model import Limits
from executor.pool import ShardExecutor, check_workers
from executor.ray_cluster import AUTO, Connection
from executor.ray_crew import RayCrew
from executor.ray_nodes import choose_nodes, facts_of_this_node, survey
from executor.ray_staff import Staff

__all__ = ["RayExecutor", "require_cluster"]


class RayExecutor(ShardExecutor):
    """Runs jobs in sandboxed worker processes on the nodes of a Ray cluster.

    The cache is this process's, and so is the only writer of it: nodes need no shared disk, what is known is never
    shipped, and whoever starts a killed run again finds all that had come back.
    """

    def __init__(
        self, *, address: str = AUTO, workers: int = 0, limits: Limits | None = None, cache: Path | None = None
    ) -> None:
        """Args:
        address: ``auto``, or HOST:PORT of the cluster's head.
        workers: workers over all nodes, each with boxes of its own; 0: one per CPU that Ray has, less those of
            other executors that this process has open.
        limits: limits of a cell.
        cache: folder of the cache of results, here; None keeps none.

        Raises:
            CacheError: the cache cannot be used.
            ClusterError: Ray is not installed, there is no cluster, a node has other versions, or all CPUs are with
                executors that this process has open.
            LimitsError: fewer than no workers.
            SandboxMissing: the sandbox runs on no node; names each and what mends it. Where it runs on some, the
                others get no work and are named in a warning.
        """
        check_workers(workers)
        limits = limits or Limits()
        self._connection = Connection(address)
        try:
            expected = facts_of_this_node(sandbox=False)
            nodes = choose_nodes(survey(self._connection.ray, expected), expected)
            staff = Staff(self._connection.ray, nodes, expected, limits, workers)
            try:
                super().__init__(RayCrew(staff), limits, cache)
            except BaseException:
                staff.close()
                raise
        except BaseException:
            self._connection.close()
            raise

    def close(self) -> None:
        """End the workers and their boxes on all nodes, and disconnect. Idempotent."""
        super().close()
        self._connection.close()


def require_cluster(address: str = AUTO) -> None:
    """Connect to a cluster, start a box on each of its nodes, and disconnect.

    Raises:
        ClusterError, SandboxMissing: as of :class:`RayExecutor`.
    """
    connection = Connection(address)
    try:
        expected = facts_of_this_node(sandbox=False)
        choose_nodes(survey(connection.ray, expected), expected)
    finally:
        connection.close()
