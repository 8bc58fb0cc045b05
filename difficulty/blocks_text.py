"""Feature blocks computed from the prompt alone: they are to be had before anything is sampled."""

from __future__ import annotations

import ast
import hashlib
import math
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from difficulty.model import Evidence
from difficulty.prompts import PromptView, view_prompt

__all__ = ["NGRAM_NAMES", "TEXT_NAMES", "ngram_values", "text_values"]

_KINDS = ("int", "float", "str", "bool", "none", "sequence", "nested", "mapping", "other")
_BUCKETS = 128

TEXT_NAMES = (
    "log_words",
    "mean_word_length",
    "log_sentences",
    "distinct_words",
    "numbers",
    "name_words",
    "helpers",
    "log_examples",
    "arguments",
    "log_argument_nodes",
    *(f"argument_{kind}" for kind in _KINDS),
)
NGRAM_NAMES = tuple(map(str, range(_BUCKETS)))


def text_values(evidence: Evidence) -> NDArray[np.float64]:
    """Shape (len(TEXT_NAMES),). Types come from the example calls, which HumanEval and MBPP+ both show."""
    view = view_prompt(evidence.prompt, evidence.entry_point)
    words = view.words
    kinds = _kind_shares(view)
    return np.array(
        [
            math.log1p(len(words)),
            sum(map(len, words)) / max(len(words), 1),
            math.log1p(sum(view.description.count(mark) for mark in ".!?;")),
            len(set(words)) / max(len(words), 1),
            math.log1p(sum(word.isdigit() for word in words)),
            len([part for part in evidence.entry_point.split("_") if part]),
            max(evidence.prompt.count("\ndef ") + evidence.prompt.startswith("def ") - 1, 0),
            math.log1p(len(view.examples)),
            max((len(call.args) + len(call.keywords) for call in view.examples), default=0),
            math.log1p(_mean_nodes(view)),
            *(kinds[kind] for kind in _KINDS),
        ],
        dtype=np.float64,
    )


def ngram_values(evidence: Evidence) -> NDArray[np.float64]:
    """Shape (128,): words and pairs of words hashed into signed buckets, scaled to length 1 (0 for no words)."""
    words = view_prompt(evidence.prompt, evidence.entry_point).words
    values = np.zeros(_BUCKETS)
    for gram in sorted({*words, *(f"{left} {right}" for left, right in pairwise(words))}):
        code = int.from_bytes(hashlib.blake2b(gram.encode("utf-8"), digest_size=8).digest(), "big")
        values[code % _BUCKETS] += 1 if (code >> 32) & 1 else -1
    length = float(np.linalg.norm(values))
    return values / length if length else values


def _kind_shares(view: PromptView) -> dict[str, float]:
    """Share of the examples' arguments that are of each kind; all zero where the prompt shows no example."""
    arguments = _arguments(view)
    shares = dict.fromkeys(_KINDS, 0.0)
    for argument in arguments:
        shares[_kind(argument)] += 1 / len(arguments)
    return shares


def _arguments(view: PromptView) -> list[ast.expr]:
    return [node for call in view.examples for node in (*call.args, *(word.value for word in call.keywords))]


def _mean_nodes(view: PromptView) -> float:
    arguments = _arguments(view)
    return sum(sum(1 for _ in ast.walk(node)) for node in arguments) / max(len(arguments), 1)


def _kind(node: ast.expr) -> str:
    if isinstance(node, ast.UnaryOp):
        node = node.operand
    if isinstance(node, ast.Constant):
        name = type(node.value).__name__
        return {"NoneType": "none"}.get(name, name if name in _KINDS else "other")
    if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
        holds = any(isinstance(item, (ast.List, ast.Tuple, ast.Set, ast.Dict)) for item in node.elts)
        return "nested" if holds else "sequence"
    return "mapping" if isinstance(node, ast.Dict) else "other"
