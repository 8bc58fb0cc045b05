"""The transformers backend with a real, tiny model, made here: its text is noise, its mechanics are real."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from coderm_tasks.cli import main
from coderm_tasks.errors import ConfigError, GenerationError
from coderm_tasks.generation.backends import make_backend, opened, survey
from coderm_tasks.generation.base import Backend, Completions, Request
from coderm_tasks.model_config import ModelConfig

pytest.importorskip("torch", reason="the transformers backend needs it: pip install 'coderm-tasks[hf]'")
pytest.importorskip("transformers", reason="the transformers backend needs it: pip install 'coderm-tasks[hf]'")

ROOM = 256


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama of two layers with a tokenizer of single bytes."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {sign: number for number, sign in enumerate(["<end>", *alphabet])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    wrapped = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<end>", pad_token="<end>")
    wrapped.chat_template = "{% for turn in messages %}{{ turn.content }}\n{% endfor %}"
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(vocabulary), hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=ROOM, eos_token_id=0, bos_token_id=None, pad_token_id=0,
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("tiny-model")
    LlamaForCausalLM(config).save_pretrained(folder)
    wrapped.save_pretrained(folder)
    return folder


def config(folder: Path, **settings: Any) -> ModelConfig:
    return ModelConfig(engine="hf", model=str(folder), engine_args={"device": "cpu"}, **{"max_tokens": 20, **settings})


def request(**settings: Any) -> Request:
    usual: dict[str, Any] = {"n": 3, "seed": 1, "stop": (), "temperature": 1.0, "top_p": 1.0, "max_tokens": 20}
    return Request(text="add two numbers", **{**usual, **settings})


def ask(folder: Path, *requests: Request, **settings: Any) -> list[Completions]:
    async def run() -> list[Completions]:
        async with opened(make_backend(config(folder, **settings))) as backend:
            return [await backend.complete(one) for one in requests]

    return asyncio.run(run())


def test_a_request_gives_as_many_answers_as_it_asks_for_and_counts_their_tokens(tiny_model):
    (got,) = ask(tiny_model, request(n=5))
    assert len(got.texts) == len(got.finish_reasons) == 5
    assert len(set(got.texts)) == 5
    assert 0 < got.tokens <= 5 * 20
    assert set(got.finish_reasons) <= {"length", "stop"}


def test_the_same_seed_gives_the_same_answers_and_another_seed_others(tiny_model):
    first, again, other = ask(tiny_model, request(), request(), request(seed=2))
    assert first == again
    assert first.texts != other.texts


def test_greedy_decoding_does_not_depend_on_the_seed(tiny_model):
    first, other = ask(tiny_model, request(n=1, temperature=0.0), request(n=1, temperature=0.0, seed=9))
    assert first == other


def test_an_answer_ends_at_a_stop_string_without_it(tiny_model):
    (whole,) = ask(tiny_model, request(n=1))
    stop = whole.texts[0][7:9]
    (cut,) = ask(tiny_model, request(n=1, stop=(stop,)))
    assert cut.texts[0] == whole.texts[0][: whole.texts[0].index(stop)]
    assert cut.finish_reasons == ("stop",)


def test_an_answer_that_closing_cut_short_is_no_answer(tiny_model):
    async def run() -> None:
        backend: Backend = make_backend(config(tiny_model, max_tokens=200))
        await backend.open()
        asked = asyncio.create_task(backend.complete(request(n=1, max_tokens=200)))
        await asyncio.sleep(0)
        await backend.close()
        await backend.close()
        with pytest.raises((asyncio.CancelledError, GenerationError)):
            await asked

    asyncio.run(run())


def test_a_prompt_without_room_for_its_answer_is_refused_with_the_number_that_fits(tiny_model):
    async def run(check: Callable[[Backend], Any]) -> None:
        async with opened(make_backend(config(tiny_model, max_tokens=200))) as backend:
            await check(backend)

    with pytest.raises(ConfigError, match=r"has 101 tokens and max_tokens is 200, and the context holds 256.* to 155"):
        asyncio.run(run(lambda backend: backend.check(["x" * 100])))


def test_the_survey_reads_no_weights(tiny_model, tmp_path):
    for file in tiny_model.iterdir():
        if file.suffix != ".safetensors":
            (tmp_path / file.name).write_bytes(file.read_bytes())
    asyncio.run(survey(config(tmp_path), ["short"]))
    with pytest.raises(ConfigError, match="cannot be loaded"):
        ask(tmp_path, request())


def test_a_model_that_is_not_there_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ConfigError, match=r"nowhere' cannot be read .*expected a folder with a checkpoint") as caught:
        asyncio.run(survey(config(tmp_path / "nowhere"), []))
    assert "\n" not in str(caught.value)


def test_a_tokenizer_without_a_chat_template_is_refused_for_a_chat_and_serves_a_base_model(tiny_model, tmp_path):
    for file in tiny_model.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "chat_template.jinja").unlink()
    with pytest.raises(ConfigError, match="has no chat template"):
        asyncio.run(survey(config(tmp_path), []))
    asyncio.run(survey(config(tmp_path, chat=False), []))


@pytest.mark.usefixtures("tiny_datasets")
def test_the_command_line_samples_and_goes_on_with_a_model_in_its_own_process(tiny_model, tmp_path, capsys):
    output = tmp_path / "samples.jsonl"
    words = ["--dataset", "humaneval", "--engine", "hf", "--model", str(tiny_model), "--limit", "1", "--base", "--json"]
    words += ["--engine-arg", "device=cpu", "--max-tokens", "8", "--output", str(output)]
    assert main(["sample", *words, "--n", "4"]) == 0
    first = json.loads(capsys.readouterr().out)
    assert (first["written"], first["requests"], first["completions"]) == (4, 1, 4)
    assert main(["sample", *words, "--n", "8"]) == 0
    more = json.loads(capsys.readouterr().out)
    assert (more["written"], more["requests"], more["reused"]) == (8, 1, 1)


def test_without_the_library_the_remedy_is_named(tiny_model, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(
        ConfigError, match=r"engine 'hf' needs torch and transformers: pip install 'coderm-tasks\[hf\]'"
    ):
        make_backend(config(tiny_model))
    with pytest.raises(ConfigError, match=r"engine 'vllm' needs vLLM: pip install 'coderm-tasks\[vllm\]'"):
        make_backend(ModelConfig(engine="vllm", model="m"))
