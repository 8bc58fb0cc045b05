"""Where the run that is calling us keeps its results.

A task never sees ``--output_path``: lm-eval holds it in an ``EvaluationTracker`` that stays inside
``simple_evaluate``. The records of a run belong beside lm-eval's own files, so this module looks that object up in the
call stack, which serves the command line and the Python interface alike (the arguments of the process would serve only
the first). Where it finds nothing it says so, and the caller falls back.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import FrameType
from typing import Any

__all__ = ["output_folder"]


def output_folder() -> Path | None:
    """Return the folder in which the calling ``lm_eval.simple_evaluate`` writes its samples; None if it writes none."""
    tracker = _tracker_of(sys._getframe())
    output_path = getattr(tracker, "output_path", None)
    if not output_path:
        return None
    path = Path(output_path)
    if path.suffix == ".json":
        return path.parent
    model = getattr(getattr(tracker, "general_config_tracker", None), "model_name_sanitized", None)
    return path / str(model) if model else path


def _tracker_of(frame: FrameType | None) -> Any:
    while frame is not None:
        code = frame.f_code
        if code.co_name == "simple_evaluate" and frame.f_globals.get("__name__") == "lm_eval.evaluator":
            return frame.f_locals.get("evaluation_tracker")
        frame = frame.f_back
    return None
