"""Features of a problem, in named blocks of which any subset can be chosen. None of them knows the ground truth.

- ``text``: size of the description, examples, number and types of the arguments the examples show.
- ``ngrams``: hashed words and pairs of words of the description.
- ``samples``: how the sampled solutions look: share that parses, that is distinct, largest cluster of equal trees.
- ``behaviour``: how they fare on tests: clusters of equal rows, their entropy, share of passes.
- ``outputs``: what they return on the prompt's examples and on inputs lifted from tests: agreement, clusters, entropy.
- ``logprob``: how sure the policy model was of them: mean log-probability.
- ``hidden``: hidden state of a language model at the prompt's last token (the features of CodeRM, arXiv 2501.01054).

A feature's name is ``block/name``; its meaning never changes within :data:`difficulty.artifact.VERSION`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from difficulty import blocks_outputs, blocks_samples, blocks_text
from difficulty.errors import FeatureError
from difficulty.model import Evidence, Features

__all__ = ["BLOCKS", "Block", "extract_features"]


class Block(Struct, frozen=True):
    """One named block: what it needs of the evidence, and how its values come about."""

    name: str
    names: tuple[str, ...]
    """Names of its features, without the block's; empty for ``hidden``, whose width is the language model's."""
    compute: Callable[[Evidence], NDArray[np.float64]]
    """Evidence -> shape (len(names),)."""
    missing: Callable[[Evidence], str]
    """What the evidence lacks, with the remedy; empty when nothing."""


def _hidden(evidence: Evidence) -> NDArray[np.float64]:
    return np.asarray(evidence.hidden, dtype=np.float64).ravel()


def _nothing_missing(evidence: Evidence) -> str:
    return ""


def _no_samples(evidence: Evidence) -> str:
    return "" if evidence.samples else "no sampled solutions; pass samples for every problem"


def _no_behaviour(evidence: Evidence) -> str:
    return "" if evidence.behaviour else "no pass matrix; pass a matrix that covers every problem"


def _no_outputs(evidence: Evidence) -> str:
    return "" if evidence.outputs else "no outputs of sampled solutions; run them on some inputs"


def _no_logprobs(evidence: Evidence) -> str:
    if not evidence.logprobs:
        return "no log-probabilities; sample with a backend that gives them"
    if len(evidence.logprobs) != len(evidence.samples):
        return f"{len(evidence.logprobs)} log-probabilities for {len(evidence.samples)} samples; pass one each"
    return ""


def _no_hidden(evidence: Evidence) -> str:
    return "no hidden state; compute them with difficulty.hidden" if evidence.hidden is None else ""


BLOCKS: dict[str, Block] = {
    block.name: block
    for block in (
        Block("text", blocks_text.TEXT_NAMES, blocks_text.text_values, _nothing_missing),
        Block("ngrams", blocks_text.NGRAM_NAMES, blocks_text.ngram_values, _nothing_missing),
        Block("samples", blocks_samples.SAMPLE_NAMES, blocks_samples.sample_values, _no_samples),
        Block("behaviour", blocks_samples.BEHAVIOUR_NAMES, blocks_samples.behaviour_values, _no_behaviour),
        Block("outputs", blocks_outputs.OUTPUT_NAMES, blocks_outputs.output_values, _no_outputs),
        Block("logprob", blocks_outputs.LOGPROB_NAMES, blocks_outputs.logprob_values, _no_logprobs),
        Block("hidden", (), _hidden, _no_hidden),
    )
}


def extract_features(problems: Sequence[Evidence], blocks: Sequence[str]) -> Features:
    """Compute the chosen blocks, in the order given, for each problem.

    Raises:
        FeatureError: no block, an unknown or repeated block, a problem that lacks what a block needs, hidden states of
            unequal width, or a value that is not finite.
    """
    chosen = _chosen(blocks)
    parts: list[NDArray[np.float64]] = []
    names: list[str] = []
    for block in chosen:
        rows = [_row(block, evidence) for evidence in problems]
        width = len(block.names) or (len(rows[0]) if rows else 0)
        for evidence, row in zip(problems, rows, strict=True):
            if len(row) != width:
                raise FeatureError(
                    f"{evidence.task_id}: block {block.name!r} has {len(row)} values, expected {width}; "
                    "take all hidden states from one model"
                )
        parts.append(np.array(rows, dtype=np.float64).reshape(len(rows), width))
        names.extend(f"{block.name}/{name}" for name in block.names or map(str, range(width)))
    return Features(tuple(names), np.hstack(parts))


def _chosen(blocks: Sequence[str]) -> list[Block]:
    if not blocks or len(set(blocks)) != len(blocks):
        raise FeatureError(f"feature blocks are {', '.join(blocks) or 'none'}: expected distinct ones of {_known()}")
    for name in blocks:
        if name not in BLOCKS:
            raise FeatureError(f"feature block {name!r} is unknown: expected some of {_known()}")
    return [BLOCKS[name] for name in blocks]


def _known() -> str:
    return ", ".join(BLOCKS)


def _row(block: Block, evidence: Evidence) -> NDArray[np.float64]:
    if lack := block.missing(evidence):
        raise FeatureError(f"{evidence.task_id}: block {block.name!r} got {lack}, or leave the block out")
    row = block.compute(evidence)
    if not np.isfinite(row).all():
        name = (block.names or tuple(map(str, range(len(row)))))[int(np.flatnonzero(~np.isfinite(row))[0])]
        raise FeatureError(
            f"{evidence.task_id}: feature {block.name}/{name} is no finite number; mend it or leave the block out"
        )
    return row
