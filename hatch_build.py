"""Build hook: places the task definitions where lm-eval 0.4.13 looks for tasks.

lm-eval 0.4.13 has no entry point for tasks; it scans its own package. So the wheel, editable or not, also carries the
YAML files under ``lm_eval/tasks/coderm/``. They are files of this distribution: uninstalling it removes them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SOURCE = Path("coderm_tasks", "tasks")
TARGET = "lm_eval/tasks/coderm"


class TaskFilesHook(BuildHookInterface):  # type: ignore[type-arg]
    """Adds each task definition to the wheel a second time."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """``version`` is ``standard`` or ``editable``; hatchling keeps the files of the two apart."""
        key = "force_include_editable" if version == "editable" else "force_include"
        files = build_data.setdefault(key, {})
        for path in sorted((Path(self.root) / SOURCE).iterdir()):
            # Not the package's own .py: compiled copies of it would outlive an uninstall.
            if path.suffix == ".yaml" or path.name.endswith("_yaml"):
                files[str(path)] = f"{TARGET}/{path.name}"
