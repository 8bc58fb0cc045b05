"""Feature blocks computed from sampled solutions: their text, and how they behave. No ground truth enters."""

from __future__ import annotations

import ast
import math
from collections import Counter
from collections.abc import Hashable, Iterable

import numpy as np
from numpy.typing import NDArray

from difficulty.errors import FeatureError
from difficulty.model import Evidence
from difficulty.sources import parse, tree_key

__all__ = ["BEHAVIOUR_NAMES", "SAMPLE_NAMES", "behaviour_values", "clusters", "sample_values"]

SAMPLE_NAMES = (
    "parses",
    "defines",
    "distinct",
    "largest_cluster",
    "entropy",
    "log_length",
    "length_spread",
    "log_nodes",
    "loops",
    "branches",
)
BEHAVIOUR_NAMES = (
    "distinct",
    "largest_cluster",
    "entropy",
    "pass_share",
    "best_pass_share",
    "agreement",
    "never_passed_tests",
    "always_passed_tests",
)
_LOOPS = (ast.For, ast.While, ast.comprehension)
_BRANCHES = (ast.If, ast.IfExp, ast.Match, ast.Try)
_PASS = ord("P")


def sample_values(evidence: Evidence) -> NDArray[np.float64]:
    """Shape (len(SAMPLE_NAMES),). A sample that does not parse is a cluster of its own text."""
    texts = evidence.samples
    trees = [parse(text) for text in texts]
    good = [tree for tree in trees if tree is not None]
    # Counted before the keys are taken: taking a key strips docstrings from the tree.
    defined = sum(_defines(tree, evidence.entry_point) for tree in good)
    nodes = [Counter(map(type, ast.walk(tree))) for tree in good]
    keys: list[Hashable] = [
        (tree_key(tree) if tree is not None else None) or text for tree, text in zip(trees, texts, strict=True)
    ]
    lengths = np.log1p([len(text) for text in texts])
    return np.array(
        [
            len(good) / len(texts),
            defined / len(texts),
            *clusters(keys),
            float(lengths.mean()),
            float(lengths.std()),
            math.log1p(sum(map(Counter.total, nodes)) / max(len(good), 1)),
            _mean_count(nodes, _LOOPS),
            _mean_count(nodes, _BRANCHES),
        ],
        dtype=np.float64,
    )


def behaviour_values(evidence: Evidence) -> NDArray[np.float64]:
    """Shape (len(BEHAVIOUR_NAMES),). ``agreement``: chance that two solutions get the same letter on the same test."""
    rows = evidence.behaviour
    if len({len(row) for row in rows}) > 1:
        raise FeatureError(f"{evidence.task_id}: block 'behaviour' got rows of unequal length; pass a whole matrix")
    letters = np.array([[ord(letter) for letter in row] for row in rows], dtype=np.int64).reshape(len(rows), -1)
    if not letters.shape[1]:
        return np.array([*clusters(rows), 0.0, 0.0, 1.0, 0.0, 0.0], dtype=np.float64)
    passed = letters == _PASS
    same = sum(((letters == letter).mean(axis=0) ** 2) for letter in np.unique(letters))
    return np.array(
        [
            *clusters(rows),
            float(passed.mean()),
            float(passed.mean(axis=1).max()),
            float(np.mean(same)),
            float((~passed).all(axis=0).mean()),
            float(passed.all(axis=0).mean()),
        ],
        dtype=np.float64,
    )


def clusters(keys: Iterable[Hashable]) -> list[float]:
    """Share of distinct keys, share of the largest cluster, entropy of the clusters over that of N singletons."""
    sizes = np.array(list(Counter(keys).values()), dtype=np.float64)
    count = sizes.sum()
    shares = sizes / count
    entropy = float(-(shares * np.log(shares)).sum()) / math.log(count) if count > 1 else 0.0
    return [len(sizes) / count, float(shares.max()), abs(entropy)]


def _defines(tree: ast.Module, entry_point: str) -> bool:
    return any(getattr(node, "name", None) == entry_point for node in tree.body)


def _mean_count(nodes: list[Counter[type[ast.AST]]], kinds: tuple[type[ast.AST], ...]) -> float:
    return sum(counts[kind] for counts in nodes for kind in kinds) / max(len(nodes), 1)
