"""Strategies that choose one solution of a problem from its pass matrix. Pure: values in, values out."""

from __future__ import annotations

from coderm_tasks.rerank.base import Evidence, Strategy, StrategyInput, evidence_of
from coderm_tasks.rerank.registry import get_strategy, strategies, strategy_names
from coderm_tasks.rerank.selecting import select

__all__ = [
    "Evidence",
    "Strategy",
    "StrategyInput",
    "evidence_of",
    "get_strategy",
    "select",
    "strategies",
    "strategy_names",
]
