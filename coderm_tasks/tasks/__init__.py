"""The task definitions. The wheel also places the YAML files under ``lm_eval/tasks/coderm``: see ``hatch_build.py``."""

from __future__ import annotations

from pathlib import Path

__all__ = ["task_path"]


def task_path() -> Path:
    """Return the folder of the task definitions, for ``lm_eval --include_path``."""
    return Path(__path__[0])
