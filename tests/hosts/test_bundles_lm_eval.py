"""A bundle straight from the records of a real lm-eval run, which says everything itself but the model's name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from bundle_runs import checks, contents, needs_sandbox
from lm_eval_replay import RIGHT_0, TESTS_0, WRONG, ReplayLM, cycle, run

from coderm_tasks.cli import main


def test_a_run_of_lm_eval_becomes_a_bundle_that_verifies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    needs_sandbox()
    monkeypatch.delenv("CODERM_CONFIG", raising=False)
    monkeypatch.setattr("lm_eval.evaluator.add_env_info", lambda results: None)
    settings = {"n_samples": 3, "budget": 2, "workers": 1, "temperature": 0.6, "records": str(tmp_path / "records")}
    results = run(ReplayLM(cycle([WRONG, RIGHT_0, RIGHT_0], TESTS_0)), settings, limit=2)
    folder = Path(results["configs"]["humaneval_coderm"]["metadata"]["coderm_run"]["records"])
    record = json.loads((folder / "run.json").read_text())
    assert (record["tool"], record["dataset"], record["format"]) == ("lm-eval", "humaneval", 1)
    words = ["bundle", "evalplus", str(folder), "--output", str(tmp_path / "b.zip"), "--model", "Org/Model"]
    words += ["--acknowledge-not-for-board"]
    assert main(words) == 2  # two of 164 problems
    assert "the run lacks 162 problems" in capsys.readouterr().err
    whole = _only_two_problems(monkeypatch)
    record["questions_sha256"] = None
    (folder / "run.json").write_text(json.dumps(record))
    assert whole == 2
    assert main(words) == 0
    files = contents(tmp_path / "b.zip")
    method = json.loads(files["method.json"])
    assert (method["temperature"], method["top_p"], method["budget"]) == (0.6, 0.95, 2)
    assert (method["test_writer"]["source"], method["test_writer"]["model"]) == ("self", "Org/Model")
    assert method["score"] == pytest.approx(0.5)
    code, found = checks(capsys, tmp_path / "b.zip", "--rerun", "1")
    assert code == 0, found
    assert {one["status"] for one in found.values()} == {"pass"}


def _only_two_problems(monkeypatch: pytest.MonkeyPatch) -> int:
    """Let the data set be the two problems of the run: a run of all 164 takes minutes."""
    from coderm_tasks.datasets import load_problems

    two = load_problems("humaneval")[:2]
    monkeypatch.setattr("coderm_tasks.hosts.bundles.problem_sets.load_problems_to_rerank", lambda *_: two)
    return len(two)
