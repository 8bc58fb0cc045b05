"""Metrics: pure functions of counts and arrays."""

from __future__ import annotations

from coderm_tasks.metrics.pass_at_k import PassAtK, mean_pass_at_k, pass_at_k

__all__ = ["PassAtK", "mean_pass_at_k", "pass_at_k"]
