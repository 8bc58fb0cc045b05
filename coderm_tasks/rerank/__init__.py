"""Strategies that choose one solution of a problem from its pass matrix. Pure: values in, values out."""

from __future__ import annotations

from coderm_tasks.rerank.base import Behaviours, Evidence, Need, Strategy, StrategyInput, evidence_of, keep_tests
from coderm_tasks.rerank.registry import canonical_name, get_selector, get_strategy, strategies, strategy_names
from coderm_tasks.rerank.selecting import select

__all__ = [
    "Behaviours",
    "Evidence",
    "Need",
    "Strategy",
    "StrategyInput",
    "canonical_name",
    "evidence_of",
    "get_selector",
    "get_strategy",
    "keep_tests",
    "select",
    "strategies",
    "strategy_names",
]
