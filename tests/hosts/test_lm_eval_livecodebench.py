"""The LiveCodeBench tasks through the real lm-eval and the real sandbox."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import lm_eval
import pytest
from livecodebench_files import packed, record, write
from lm_eval.api.instance import Instance
from lm_eval_replay import ReplayLM, manager, run, values

from coderm_tasks.errors import ConfigError, DatasetError

SETTINGS = {"n_samples": 2, "budget": 1, "workers": 1, "livecodebench_to": "2024-03-02"}
SUM = "input()\nprint(sum(map(int, input().split())))\n```"
ANSWERS = {
    "own_a": (SUM, "print(6)\n```"),
    "own_b": ("print(1)\n```", "print(2)\n```"),
    "own_2": ("        return 1\n```", "        return sum(a + b == k for a, b in combinations(nums, 2))\n```"),
}
TESTS = {
    "own_a": "'2\\n1 1\\n') == '2'\n",
    "own_b": "'7\\n') == '3.5'\n",
    "own_2": "[2, 2, 2], 4) == 3\n",
}


@pytest.fixture(autouse=True)
def _apart(tmp_path: Path, livecodebench_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIVECODEBENCH_PATH", str(livecodebench_folder))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("CODERM_CONFIG", raising=False)
    # lm-eval ends each run with a survey of the machine (pip list and more): seconds that test nothing of ours.
    monkeypatch.setattr("lm_eval.evaluator.add_env_info", lambda results: None)


def answer(request: Instance, times: int) -> str:
    name = request.doc["task_id"]
    return ANSWERS[name][times % 2] if request.idx == 0 else TESTS[name]


def chat(request: Instance, times: int) -> str:
    if request.idx == 0:
        code = (
            SUM
            if request.doc["task_id"] != "own_2"
            else "class Solution:\n    def countPairs(self, nums, k):\n" + ANSWERS["own_2"][1]
        )
        return f"Here:\n```python\n{code}"
    name = request.doc["task_id"]
    return f"```python\nassert {request.doc['entry_point']}({TESTS[name]}```"


def test_a_base_model_is_sampled_reranked_and_graded_in_both_forms() -> None:
    results = run(ReplayLM(answer), SETTINGS, task="livecodebench_coderm", limit=None)
    assert values(results, "livecodebench_coderm") == pytest.approx(
        {"first": 1 / 3, "mean": 1 / 3, "reranked": 2 / 3, "oracle": 2 / 3}
    )
    facts = results["configs"]["livecodebench_coderm"]["metadata"]["coderm_run"]
    assert facts["by_difficulty"]["easy"] == {"problems": 2, "first": 0.5, "mean": 0.5, "reranked": 1.0, "oracle": 1.0}
    assert facts["by_difficulty"]["medium"]["oracle"] == 0.0
    assert facts["summary"]["shared"] == 0
    assert [Path(one["path"]).name for one in facts["data_files"]] == ["test.jsonl"]
    assert json.loads((Path(facts["records"]) / "run.json").read_text())["by_difficulty"] == facts["by_difficulty"]


def test_a_chat_models_answers_are_taken_out_of_their_fences() -> None:
    results = run(ReplayLM(chat), SETTINGS, task="livecodebench_coderm_instruct", limit=None, apply_chat_template=True)
    assert values(results, "livecodebench_coderm_instruct")["oracle"] == pytest.approx(2 / 3)


def test_the_window_of_the_metadata_chooses_the_problems() -> None:
    lm = ReplayLM(answer)
    run(lm, {**SETTINGS, "livecodebench_to": "2024-01-06"}, task="livecodebench_coderm", limit=None)
    assert {request.doc["task_id"] for request in lm.requests} == {"own_a"}


def test_a_setting_outside_of_its_key_is_refused_with_the_remedy() -> None:
    with pytest.raises(ConfigError, match="metadata key 'livecodebench_from' belongs under 'coderm'"):
        lm_eval.simple_evaluate(
            model=ReplayLM(answer),
            tasks=["livecodebench_coderm"],
            task_manager=manager(SETTINGS, livecodebench_from="2024-01-01"),
        )


def test_hostile_tests_are_found_before_the_first_token(tmp_path: Path) -> None:
    file = write(tmp_path / "x.jsonl", record(private_test_cases=packed(pickle.dumps(print))))
    lm = ReplayLM(answer)
    settings: dict[str, Any] = {**SETTINGS, "livecodebench_path": str(file)}
    with pytest.raises(DatasetError, match="q_1: private_test_cases holds a pickle that is not just a text"):
        run(lm, settings, task="livecodebench_coderm", limit=None)
    assert lm.requests == []
