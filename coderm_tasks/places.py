"""Where things lie on this machine."""

from __future__ import annotations

from pathlib import Path

from platformdirs import user_cache_path

__all__ = ["cache_folder"]


def cache_folder() -> Path:
    """Return the folder of the cache of verdicts, whether or not it exists."""
    return user_cache_path("coderm-tasks")
