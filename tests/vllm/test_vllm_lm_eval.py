"""lm-eval on a real server, with unit tests from an external generator on the same server."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from vllm_serving import MODEL, offline

pytestmark = pytest.mark.timeout(900)


def test_lm_eval_asks_the_external_generator_after_the_samples_are_drawn(vllm_server, tmp_path):
    generator = {"base_url": vllm_server.url, "model": MODEL, "max_tokens": 120}
    settings = {"n_samples": 2, "budget": 4, "max_gen_toks": 100, "workers": 2, "cache": False, "generator": generator}
    arguments = f"model={MODEL},base_url={vllm_server.url}/chat/completions,num_concurrent=8,max_retries=2"
    command = [
        str(Path(sys.executable).with_name("lm_eval")),
        *("--model", "local-chat-completions", "--model_args", arguments, "--apply_chat_template"),
        *("--tasks", "humaneval_coderm_instruct", "--limit", "4", "--gen_kwargs", "seed=None"),
        *("--metadata", json.dumps({"coderm": settings}), "--output_path", str(tmp_path), "--log_samples"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, env=offline(), timeout=800)
    assert done.returncode == 0, done.stderr[-4000:]
    results = json.loads(next(tmp_path.rglob("results_*.json")).read_text(encoding="utf-8"))
    facts = results["configs"]["humaneval_coderm_instruct"]["metadata"]["coderm_run"]
    assert facts["tests_from"] == "generator"
    assert facts["problems"] == 4
    assert facts["generation"]["requests"] >= 4
    assert facts["generation"]["completions"] >= 16
    assert Path(facts["generation"]["answers"]).is_file()
    scores = results["results"]["humaneval_coderm_instruct"]
    assert {f"pass@1,{name}" for name in ("first", "mean", "reranked", "oracle")} <= scores.keys()
