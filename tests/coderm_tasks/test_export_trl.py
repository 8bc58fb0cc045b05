"""The real TRL on exported pairs: a few steps of DPO with a tiny model made here."""

from __future__ import annotations

import copy
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from coderm_tasks.cli import main

WORDS = ["<end>", "user", "assistant", "return", "x", "+", "1", "2", "python", "def", "f", "Add", "write"]
CHAT = "{% for message in messages %}{{ message.role + ' ' + message.content + ' ' }}{% endfor %}"


@pytest.fixture
def trl(monkeypatch: pytest.MonkeyPatch) -> None:
    """TRL, which takes a folder ``vllm`` on the path, such as that of our tests, for the package of that name."""
    monkeypatch.setattr(sys, "path", [path for path in sys.path if not (Path(path) / "vllm" / "conftest.py").exists()])
    pytest.importorskip("trl", reason="the trainer is needed: pip install 'coderm-tasks[trl]'")


def write(name: str, records: list[dict[str, Any]]) -> None:
    Path(name).write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")


def exported(*more: str) -> Path:
    """Pairs of two problems, three solutions and two tests each."""
    tasks = ["Own/0", "Own/1"]
    write("problems.jsonl", [{"task_id": t, "question": "Add.", "code_ground_truth": "def f(x):\n    return x\n"}
                             for t in tasks])  # fmt: skip
    write("samples.jsonl", [{"task_id": t, "solution": f"def f(x):\n    return x + {n}\n"}
                            for t in tasks for n in range(3)])  # fmt: skip
    write("tests.jsonl", [{"task_id": t, "test": f"assert f({n}) == {n}"} for t in tasks for n in range(2)])
    write("matrix.jsonl", [{"task_id": t, "solutions": 3, "tests": 2, "verdicts": ["PP", "PF", "FF"], "shared": 0}
                           for t in tasks])  # fmt: skip
    files = [word for name in ("problems", "samples", "tests", "matrix") for word in (f"--{name}", f"{name}.jsonl")]
    assert main(["export", "preferences", *files, "--output", "pairs", *more]) == 0
    return Path("pairs/preferences.jsonl")


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("more", [(), ("--chat",)])
def test_dpo_trains_on_the_pairs(more: tuple[str, ...], trl: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    pairs = exported(*more)
    import torch
    from datasets import load_dataset
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
    from trl import DPOConfig, DPOTrainer

    tokenizer = Tokenizer(models.WordLevel(vocab={word: n for n, word in enumerate(WORDS)}, unk_token="<end>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    wrapped = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<end>", pad_token="<end>")
    wrapped.chat_template = CHAT
    torch.manual_seed(0)
    shape = LlamaConfig(
        vocab_size=len(WORDS), hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
        max_position_embeddings=512, eos_token_id=0, bos_token_id=None, pad_token_id=0,
    )  # fmt: skip
    model = LlamaForCausalLM(shape)
    before = copy.deepcopy(model)
    data = load_dataset("json", data_files=str(pairs), split="train", cache_dir=str(tmp_path / "cache"))
    assert len(data) == 6
    settings = DPOConfig(
        output_dir=str(tmp_path / "out"), use_cpu=True, bf16=False, max_steps=2, per_device_train_batch_size=3,
        logging_steps=1, report_to="none", save_strategy="no", disable_tqdm=True, dataloader_pin_memory=False,
    )  # fmt: skip
    trainer = DPOTrainer(model=model, ref_model=before, args=settings, train_dataset=data, processing_class=wrapped)
    trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert len(losses) == 2
    assert losses[0] == pytest.approx(0.6931, abs=0.01)  # policy and reference are still the same model
