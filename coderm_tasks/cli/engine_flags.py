"""The flags that say where the sandbox runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from coderm_tasks.config import Config

__all__ = ["ENGINE_HELP", "RAY_ADDRESS_HELP", "engine_of"]

ENGINE_HELP = "Where the sandbox runs: local, or ray for the nodes of a Ray cluster.  [default: local]"
RAY_ADDRESS_HELP = "HOST:PORT of the Ray cluster's head.  [default: auto, RAY_ADDRESS or the cluster that runs here]"


def engine_of(engine: str | None, ray_address: str | None, config: Config | None = None) -> tuple[str, str | None]:
    """Engine and address: the flags where they were given, else the configuration's, if there is one.

    Raises:
        ConfigError: no such engine, or an address for the local one.
    """
    from coderm_tasks.config import check_engine

    chosen = engine or (config.engine if config is not None else "local")
    # An address of the configuration file is for the engine of that file.
    known = config.ray_address if config is not None and chosen == "ray" else None
    check_engine(chosen, ray_address or known)
    return chosen, ray_address or known
