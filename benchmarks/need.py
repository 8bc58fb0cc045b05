"""What a benchmark cannot do without, said on one line before it measures anything."""

from __future__ import annotations

import meter  # noqa: F401 - first: it mends the path

from executor import ExecutorError
from executor.ray_cluster import AUTO
from executor.ray_engine import require_cluster

__all__ = ["need_cluster"]


def need_cluster(address: str | None) -> None:
    """Return if there is a cluster on which boxes start; else end the process, with why and what to do."""
    try:
        require_cluster(address or AUTO)
    except ExecutorError as error:
        raise SystemExit(f"this needs a running Ray cluster: {error}") from None
