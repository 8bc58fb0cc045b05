"""The command line of lm-eval, as a user types it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from coderm_tasks.tasks import task_path

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def lm_eval(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "XDG_STATE_HOME": str(tmp_path / "state"),
        "HF_HUB_OFFLINE": "1",  # lm-eval looks up a tokenizer for the dummy model's name
    }
    environment.pop("CODERM_CONFIG", None)
    command = [sys.executable, "-m", "lm_eval", *arguments, "--include_path", str(task_path())]
    return subprocess.run(command, capture_output=True, text=True, timeout=800, env=environment, cwd=tmp_path)


def dummy(tmp_path: Path, metadata: str) -> subprocess.CompletedProcess[str]:
    out = ["--output_path", "out", "--log_samples", "--limit", "3"]
    return lm_eval(tmp_path, "run", "--model", "dummy", "--tasks", "humaneval_coderm", *out, "--metadata", metadata)


def test_the_tasks_are_listed(tmp_path: Path) -> None:
    done = lm_eval(tmp_path, "ls", "tasks")
    assert done.returncode == 0, done.stderr
    for name in ("humaneval_coderm", "humaneval_plus_coderm", "mbpp_plus_coderm"):
        assert f"|{name} " in done.stdout
        assert f"|{name}_instruct " in done.stdout
    assert "|coderm " in done.stdout


def test_a_model_that_talks_junk_gets_four_pipelines_and_exit_0(tmp_path: Path) -> None:
    done = dummy(tmp_path, '{"coderm": {"n_samples": 4, "budget": 4}}')
    assert done.returncode == 0, done.stderr
    (file,) = tmp_path.glob("out/*/results_*.json")
    results = json.loads(file.read_text())["results"]["humaneval_coderm"]
    assert [results[f"pass@1,{name}"] for name in ("first", "mean", "reranked", "oracle")] == [0, 0, 0, 0]
    assert all(name in done.stdout for name in ("first", "mean", "reranked", "oracle"))
    assert "records of this run go to out" in done.stderr
    (folder,) = file.parent.glob("coderm_humaneval_coderm_*")
    assert json.loads((folder / "run.json").read_text())["settings"]["n_samples"] == 4


def test_an_unknown_setting_ends_the_run_with_the_nearest_name(tmp_path: Path) -> None:
    done = dummy(tmp_path, '{"coderm": {"n_sample": 4}}')
    assert done.returncode != 0
    assert "did you mean 'n_samples'" in done.stderr.strip().splitlines()[-1]
