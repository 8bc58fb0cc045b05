"""Metrics: pure functions of counts and arrays."""

from __future__ import annotations

from coderm_tasks.metrics.confusion import Confusion, Quality, cells_confusion, quality, selected_confusion
from coderm_tasks.metrics.cost import Step, cost_steps
from coderm_tasks.metrics.inputs import InputQuality, Redundancy, judge_inputs, redundancy
from coderm_tasks.metrics.intervals import Interval, bootstrap_means, mean_interval, paired_difference
from coderm_tasks.metrics.pass_at_k import PassAtK, mean_pass_at_k, pass_at_k
from coderm_tasks.metrics.ranking import Ranking, rank_problem

__all__ = [
    "Confusion",
    "InputQuality",
    "Interval",
    "PassAtK",
    "Quality",
    "Ranking",
    "Redundancy",
    "Step",
    "bootstrap_means",
    "cells_confusion",
    "cost_steps",
    "judge_inputs",
    "mean_interval",
    "mean_pass_at_k",
    "paired_difference",
    "pass_at_k",
    "quality",
    "rank_problem",
    "redundancy",
    "selected_confusion",
]
