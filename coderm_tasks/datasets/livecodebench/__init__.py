"""LiveCodeBench's code generation problems (Jain et al. 2024, arXiv 2403.07974): files, problems, hidden tests."""

from __future__ import annotations

from coderm_tasks.datasets.livecodebench.cases import Case, Cases, read_cases
from coderm_tasks.datasets.livecodebench.loading import load_livecodebench
from coderm_tasks.datasets.livecodebench.slice import PATH_VARIABLE, Slice

__all__ = ["PATH_VARIABLE", "Case", "Cases", "Slice", "load_livecodebench", "read_cases"]
