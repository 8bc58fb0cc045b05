"""Hidden states through the real transformers, on a tiny random model made here."""

from __future__ import annotations

import numpy as np
import pytest

from difficulty import FeatureError
from difficulty.hidden import Probe, hidden_states, layer_states

pytest.importorskip("torch", reason="torch is missing: pip install 'coderm-tasks[hf]'")
pytest.importorskip("transformers", reason="transformers is missing: pip install 'coderm-tasks[hf]'")

PROMPTS = ["a b c", "b", "c c c c b a", "a"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A two-layer Llama of width 8 with a vocabulary of four words, as a transformers folder."""
    import torch
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from transformers import LlamaConfig, LlamaModel, PreTrainedTokenizerFast

    path = tmp_path_factory.mktemp("tiny")
    words = Tokenizer(WordLevel({"a": 0, "b": 1, "c": 2, "?": 3}, unk_token="?"))
    words.pre_tokenizer = Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=words, unk_token="?").save_pretrained(path)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=4, hidden_size=8, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=2, max_position_embeddings=16,
    )  # fmt: skip
    LlamaModel(config).save_pretrained(path)
    return str(path)


def test_each_prompt_gets_one_state_of_the_models_width(folder):
    states = hidden_states(PROMPTS, Probe(model=folder))
    assert states.shape == (4, 8)
    assert states.dtype == np.float64
    assert np.isfinite(states).all()


def test_a_state_does_not_depend_on_its_batch(folder):
    together = hidden_states(PROMPTS, Probe(model=folder, batch=4))
    alone = hidden_states(PROMPTS, Probe(model=folder, batch=1))
    assert together == pytest.approx(alone, abs=1e-5)


def test_the_state_is_that_of_the_last_token(folder):
    states = hidden_states(["a b", "c b"], Probe(model=folder, layer=0))
    assert states[0] == pytest.approx(states[1])  # the embedding layer sees the last token alone


def test_deeper_layers_see_the_whole_prompt(folder):
    states = hidden_states(["a b", "c b"], Probe(model=folder, layer=-1))
    assert np.abs(states[0] - states[1]).max() > 1e-3


def test_several_layers_in_one_pass_are_those_of_passes_of_their_own(folder):
    together = layer_states(PROMPTS, Probe(model=folder), (0, 1, -1))
    assert together.shape == (3, 4, 8)
    for states, layer in zip(together, (0, 1, -1), strict=True):
        assert states == pytest.approx(hidden_states(PROMPTS, Probe(model=folder, layer=layer)), abs=1e-6)


def test_a_prompt_longer_than_the_context_keeps_its_end(folder):
    long, end = " ".join(["a"] * 30 + ["b"] * 16), " ".join(["b"] * 16)
    states = hidden_states([long, end], Probe(model=folder))
    assert states[0] == pytest.approx(states[1], abs=1e-5)


def test_a_layer_that_does_not_exist_is_refused_with_the_range(folder):
    with pytest.raises(FeatureError, match=r"layer 3 of .*expected -3\.\.2"):
        hidden_states(["a"], Probe(model=folder, layer=3))


def test_an_empty_prompt_is_refused(folder):
    with pytest.raises(FeatureError, match="prompt 1 has no tokens"):
        hidden_states(["a", ""], Probe(model=folder))


def test_a_model_that_cannot_be_loaded_is_refused(tmp_path):
    with pytest.raises(FeatureError, match="cannot be loaded"):
        hidden_states(["a"], Probe(model=str(tmp_path)))
