"""Hidden states of a language model at the last token of each prompt: the features of CodeRM's own classifier.

The paper takes them from the policy model, which has computed them while decoding (arXiv 2501.01054). Needs torch and
transformers (extra ``hf``), imported when the first state is computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from difficulty.errors import FeatureError

__all__ = ["Probe", "hidden_states", "layer_states"]


class Probe(Struct, frozen=True, kw_only=True):
    """Which states of which model."""

    model: str
    """Name or folder of a transformers model."""
    gguf_file: str | None = None
    """File name within ``model`` where the weights are GGUF."""
    layer: int = -1
    """Index into transformers' ``hidden_states``: 0 is the embedding, -1 the last layer."""
    device: str = "cpu"
    batch: int = 8


def hidden_states(prompts: Sequence[str], probe: Probe) -> NDArray[np.float64]:
    """Return one state per prompt, shape (n, width of the model), float64. Raises as :func:`layer_states`."""
    return np.asarray(layer_states(prompts, probe, (probe.layer,))[0], dtype=np.float64)


def layer_states(prompts: Sequence[str], probe: Probe, layers: Sequence[int]) -> NDArray[np.float64]:
    """Return the states of several layers in one pass, shape (layers, n, width of the model), float64.

    A prompt longer than the model's context keeps its end. ``probe.layer`` is not looked at.

    Raises:
        FeatureError: torch or transformers is missing, the model cannot be loaded, a layer does not exist, or a
            prompt is empty.
    """
    tokenizer, model = _load(probe)
    length = int(getattr(model.config, "max_position_embeddings", 0)) or None
    tokens = [tokenizer(prompt)["input_ids"][-length if length else None :] for prompt in prompts]
    for number, ids in enumerate(tokens):
        if not ids:
            raise FeatureError(f"prompt {number} has no tokens: expected text; leave the problem out")
    states = np.zeros((len(layers), len(tokens), int(model.config.hidden_size)))
    order = sorted(range(len(tokens)), key=lambda number: len(tokens[number]))  # alike lengths waste less padding
    for start in range(0, len(order), probe.batch):
        chosen = order[start : start + probe.batch]
        states[:, chosen] = _batch([tokens[number] for number in chosen], model, probe, layers)
    return states


def _batch(tokens: Sequence[Sequence[int]], model: Any, probe: Probe, layers: Sequence[int]) -> NDArray[np.float64]:
    """States of one batch, padded on the right: a causal model's last real token never sees the padding."""
    import torch

    width = max(map(len, tokens))
    ids = torch.zeros((len(tokens), width), dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, of_one in enumerate(tokens):
        ids[row, : len(of_one)] = torch.tensor(of_one)
        mask[row, : len(of_one)] = 1
    with torch.inference_mode():
        states = model(
            input_ids=ids.to(probe.device),
            attention_mask=mask.to(probe.device),
            output_hidden_states=True,
            use_cache=False,
        ).hidden_states
    for layer in layers:
        if not -len(states) <= layer < len(states):
            raise FeatureError(
                f"layer {layer} of {probe.model}: expected {-len(states)}..{len(states) - 1} (0 is the embedding)"
            )
    rows, last = torch.arange(len(tokens)), mask.sum(dim=1) - 1
    chosen = torch.stack([states[layer].cpu()[rows, last] for layer in layers])
    return np.asarray(chosen.to(torch.float64).numpy(), dtype=np.float64)


def _load(probe: Probe) -> tuple[Any, Any]:
    try:
        import torch
        from transformers import AutoModel, AutoTokenizer
    except ImportError as error:
        raise FeatureError(
            f"hidden states need torch and transformers ({error}); run: pip install 'coderm-tasks[hf]'"
        ) from error
    extra = {"gguf_file": probe.gguf_file} if probe.gguf_file else {}
    try:
        tokenizer = AutoTokenizer.from_pretrained(probe.model, **extra)
        model = AutoModel.from_pretrained(probe.model, dtype=torch.float32, **extra)
    except (OSError, ValueError, ImportError, KeyError) as error:
        reason = " ".join(str(error).split())[:200]
        raise FeatureError(
            f"{probe.model}: cannot be loaded ({reason}); name a transformers model or folder"
        ) from error
    return tokenizer, model.to(probe.device).eval()
