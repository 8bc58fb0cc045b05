"""The command line against a real ``vllm serve``: sampling, tests, prefix caching, faults, a restart."""

from __future__ import annotations

import json
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest
from vllm_serving import CONTEXT, MODEL, coderm, coderm_command, offline, records

pytestmark = pytest.mark.timeout(900)


def asking(server, output: Path, *words: str, limit: int = 3, n: int = 8) -> list[str]:
    """Flags of a small run."""
    where = ("--base-url", server.url, "--model", MODEL, "--dataset", "humaneval", "--output", str(output))
    return [*where, "--limit", str(limit), "--n", str(n), "--json", *words]


def assert_whole(output: Path, answers: int, n: int, limit: int) -> None:
    """No sample is lost, none is duplicated."""
    counts = Counter(record["task_id"] for record in records(output))
    assert set(counts.values()) == {n}
    assert len(counts) == limit
    stored = records(output.with_name(f"{output.stem}.answers.jsonl"))[1:]
    assert len({record["key"] for record in stored}) == len(stored) == answers


@pytest.fixture(scope="module")
def sampled(vllm_server, tmp_path_factory) -> tuple[Path, dict]:
    output = tmp_path_factory.mktemp("samples") / "samples.jsonl"
    done = coderm("sample", *asking(vllm_server, output, "--max-tokens", "160"))
    assert done.returncode == 0, done.stderr
    return output, json.loads(done.stdout)


def test_solutions_are_sampled(sampled):
    output, report = sampled
    assert_whole(output, answers=3, n=8, limit=3)
    assert report["requests"] == 3
    assert report["tokens"] > 0
    assert sum(report["finish_reasons"].values()) == 24


def test_samples_of_one_prompt_differ(sampled):
    answers = records(sampled[0].with_name("samples.answers.jsonl"))[1:]
    assert all(len(set(answer["texts"])) > 1 for answer in answers)


def test_unit_tests_are_generated_for_candidates_and_the_prefix_cache_is_hit(vllm_server, sampled, tmp_path):
    hits = vllm_server.metric("vllm:prefix_cache_hits_total")
    output = tmp_path / "tests.jsonl"
    words = ("--samples", str(sampled[0]), "--condition", "rotate", "--max-tokens", "200")
    done = coderm("generate", *asking(vllm_server, output, *words, limit=2))
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["written"] == len(records(output)) <= 16
    assert report["completions"] >= 16
    shown = {record["shown"] for record in records(tmp_path / "tests.answers.jsonl")[1:]}
    assert len(shown - {""}) >= 2
    assert vllm_server.metric("vllm:prefix_cache_hits_total") > hits
    again = coderm("generate", *asking(vllm_server, output, *words, limit=2))
    assert json.loads(again.stdout)["requests"] == 0


def test_a_raw_continuation_is_sampled_too(vllm_server, tmp_path):
    output = tmp_path / "base.jsonl"
    done = coderm("sample", *asking(vllm_server, output, "--base", "--max-tokens", "60", limit=1))
    assert done.returncode == 0, done.stderr
    assert_whole(output, answers=1, n=8, limit=1)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--max-tokens", str(CONTEXT)), f"and the context holds {CONTEXT}: lower max_tokens to "),
        (("--model", "smolm2"), "does not serve the model 'smolm2' (did you mean 'smollm2'?)"),
    ],
    ids=["context", "model"],
)
def test_what_cannot_work_is_refused_in_one_line_before_tokens_are_spent(vllm_server, tmp_path, words, said):
    before = vllm_server.metric("vllm:generation_tokens_total")
    done = coderm("sample", *asking(vllm_server, tmp_path / "out.jsonl"), *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert vllm_server.metric("vllm:generation_tokens_total") == before


@pytest.mark.parametrize(
    ("name", "fault", "faults"),
    [
        ("429", lambda proxy, number: (429, b'{"error": {"message": "slow down"}}') if number < 4 else None, 4),
        ("500", lambda proxy, number: (500, b'{"error": {"message": "oops"}}') if number < 4 else None, 4),
        ("cut", lambda proxy, number: "cut" if number in (0, 2) else None, 2),
        ("stall", lambda proxy, number: "stall" if number == 1 else None, 1),
    ],
)
def test_faults_lose_no_sample_and_duplicate_none(faulty, tmp_path, name, fault, faults):
    proxy = faulty(fault)
    output = tmp_path / f"{name}.jsonl"
    words = ("--max-tokens", "40", "--timeout", "45" if name == "stall" else "300", "--patience", "300")
    done = coderm("sample", *asking(proxy, output, *words))
    assert done.returncode == 0, done.stderr
    assert_whole(output, answers=3, n=8, limit=3)
    assert proxy.faults == faults
    assert "asking again" in done.stderr


def test_a_server_that_is_killed_and_restarted_under_a_run_loses_nothing(vllm_server, tmp_path):
    output = tmp_path / "samples.jsonl"
    answers = tmp_path / "samples.answers.jsonl"
    words = ("--max-tokens", "120", "--concurrency", "1", "--patience", "500")
    command = coderm_command("sample", *asking(vllm_server, output, *words, limit=5))
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=offline()) as run:
        while not answers.is_file() or answers.read_bytes().count(b"\n") < 3:  # the header and two answers
            assert run.poll() is None, "the run ended before the server could be killed"
            time.sleep(0.1)
        vllm_server.kill()
        kept = answers.read_bytes()
        vllm_server.start()
        vllm_server.wait()
        _, said = run.communicate(timeout=600)
    assert run.returncode == 0, said
    assert answers.read_bytes().startswith(kept)
    assert_whole(output, answers=5, n=8, limit=5)
    assert "asking again" in said
