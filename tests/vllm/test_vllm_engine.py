"""vLLM's engine in the process of ``coderm``, without a server."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from vllm_serving import MODEL_FOLDER, coderm, records

pytestmark = pytest.mark.timeout(900)

ENGINE = (
    *("--engine", "vllm", "--model", str(MODEL_FOLDER), "--dataset", "humaneval", "--json"),
    *("--engine-arg", "max_model_len=2048", "--engine-arg", "enforce_eager=true", "--engine-arg", "dtype=float32"),
    *("--engine-arg", "enable_chunked_prefill=false", "--engine-arg", "max_num_batched_tokens=4096"),
)


def test_the_engine_samples_solutions_and_goes_on_from_what_is_stored(tmp_path):
    output = tmp_path / "samples.jsonl"
    words = (*ENGINE, "--output", str(output), "--max-tokens", "80", "--limit", "2", "--logprobs")
    first = coderm("sample", *words, "--n", "4")
    assert first.returncode == 0, first.stderr[-3000:]
    report = json.loads(first.stdout)
    assert (report["written"], report["requests"], report["completions"]) == (8, 2, 8)
    assert report["tokens"] > 0
    more = coderm("sample", *words, "--n", "8")
    assert more.returncode == 0, more.stderr[-3000:]
    report = json.loads(more.stdout)
    assert (report["written"], report["requests"], report["reused"]) == (16, 2, 2)
    assert set(Counter(record["task_id"] for record in records(output)).values()) == {8}
    assert all(-20 < record["mean_logprob"] < 0 for record in records(output))


def test_a_prompt_that_does_not_fit_is_refused_before_anything_is_generated(tmp_path):
    words = (*ENGINE, "--output", str(tmp_path / "tests.jsonl"), "--condition", "none", "--limit", "1")
    done = coderm("generate", *words, "--max-tokens", "2000")
    assert done.returncode == 2
    assert "the context holds 2048: lower --max-tokens to" in done.stderr or "lower max_tokens to" in done.stderr
    assert not (tmp_path / "tests.jsonl").exists()


def test_a_model_that_is_not_there_is_one_line(tmp_path):
    output = ("--output", str(tmp_path / "tests.jsonl"))
    done = coderm("sample", *ENGINE, *output, "--model", str(tmp_path / "nowhere"))
    assert done.returncode == 2
    assert "cannot be read" in done.stderr.splitlines()[-1]
