"""Ground truth: is a solution correct by the data set's own standard? Decides pass@1, never the selection."""

from __future__ import annotations

from coderm_tasks.groundtruth.book import Progress
from coderm_tasks.groundtruth.grading import GROUND_TRUTH_LIMITS, grade
from coderm_tasks.groundtruth.labels import Label, Labels, label_samples
from coderm_tasks.groundtruth.model import Grade

__all__ = ["GROUND_TRUTH_LIMITS", "Grade", "Label", "Labels", "Progress", "grade", "label_samples"]
