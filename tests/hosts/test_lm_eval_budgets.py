"""Budgets inside a run of lm-eval: who gets how many tests, what is recorded, what is refused before the first token."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from lm_eval_replay import ORIGINAL, RIGHT_0, TESTS_0, WRONG, ReplayLM, cycle, run, values

import difficulty
from coderm_tasks.errors import ConfigError

SETTINGS = {"n_samples": 3, "budget": 3, "workers": 1}


@pytest.fixture(scope="module", autouse=True)
def _quick_and_apart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        patch.delenv("CODERM_CONFIG", raising=False)
        patch.setattr("lm_eval.evaluator.add_env_info", lambda results: None)
        yield


def model() -> ReplayLM:
    return ReplayLM(cycle([WRONG, RIGHT_0, RIGHT_0], TESTS_0))


def records(results: Any, name: str) -> list[dict[str, Any]]:
    folder = Path(results["configs"]["humaneval_coderm"]["metadata"]["coderm_run"]["records"])
    return [json.loads(line) for line in (folder / name).read_text().splitlines()]


def facts(results: Any) -> dict[str, Any]:
    found: dict[str, Any] = results["configs"]["humaneval_coderm"]["metadata"]["coderm_run"]
    return found


@pytest.mark.parametrize("allocation", ["equal", "coderm", "gain"])
def test_self_written_tests_are_asked_for_as_the_classifier_says_by_the_text(allocation: str) -> None:
    lm = model()
    run(lm, {**SETTINGS, "allocation": allocation}, limit=5, predict_only=True)
    asked = Counter(request.doc["task_id"] for request in lm.requests if request.idx == 1)
    problems = [ORIGINAL[task_id] for task_id in asked]
    assert list(asked.values()) == difficulty.plan_tests(
        [problem.prompt for problem in problems],
        [problem.entry_point for problem in problems],
        dataset="humaneval",
        average=3,
        allocation=allocation,
        cap=12,
    )
    assert sum(asked.values()) == 15


def test_predicted_difficulty_budget_and_tests_used_are_recorded_per_problem() -> None:
    results = run(model(), {**SETTINGS, "allocation": "gain"}, limit=2)
    kept = records(results, "budget.jsonl")
    assert [record["task_id"] for record in kept] == ["HumanEval/0", "HumanEval/1"]
    assert sum(record["budget"] for record in kept) == 6
    first = kept[0]
    assert first["allocation"] == "gain"
    assert 0 < first["pass_rate"] < 1
    assert first["difficulty"] == difficulty.classify(first["pass_rate"]).value
    assert first["tests"] == first["tests_used"] == records(results, "selection.jsonl")[0]["tests_used"]
    assert facts(results)["allocation"] == "gain"


def bank(path: Path, count: int) -> str:
    """Write ``count`` good tests of HumanEval/0, all different."""
    tests = [f"assert has_close_elements([1.0, 1.0{number}, 5.0], 0.5) == True" for number in range(1, count + 1)]
    path.write_text("".join(json.dumps({"task_id": "HumanEval/0", "test": test}) + "\n" for test in tests))
    return str(path)


def test_sequential_stops_once_the_choice_is_clear(tmp_path: Path) -> None:
    settings = {**SETTINGS, "budget": 30, "delta": 0.05, "allocation": "sequential"}
    results = run(model(), {**settings, "tests": bank(tmp_path / "bank.jsonl", 40)})
    assert values(results)["reranked"] == 1.0
    (kept,) = records(results, "budget.jsonl")
    assert kept["budget"] == kept["tests"] == records(results, "matrix.jsonl")[0]["tests"] < 20
    assert facts(results)["rounds"] > 1
    assert facts(results)["problems_settled"] == 1
    assert len(records(results, "tests.jsonl")) == kept["tests"]


def test_sequential_saves_cells_where_the_model_writes_its_own_tests() -> None:
    settings = {**SETTINGS, "n_samples": 2, "budget": 4, "allocation": "sequential"}
    lm = ReplayLM(cycle([RIGHT_0], TESTS_0))
    results = run(lm, settings)
    assert sum(request.idx == 1 for request in lm.requests) == 4
    (kept,) = records(results, "budget.jsonl")
    assert kept["tests"] == 0  # both samples are one program
    assert values(results)["reranked"] == 1.0


def test_a_bank_gets_budgets_by_the_samples(tmp_path: Path) -> None:
    settings = {**SETTINGS, "allocation": "coderm", "tests": bank(tmp_path / "bank.jsonl", 4)}
    results = run(model(), settings)
    samples = [record["solution"] for record in records(results, "samples.jsonl")]
    problem = ORIGINAL["HumanEval/0"]
    expected = difficulty.predict_default("humaneval", [problem.prompt], [problem.entry_point], [samples])
    assert records(results, "budget.jsonl")[0]["pass_rate"] == pytest.approx(expected[0])


@pytest.fixture
def no_curves(tmp_path: Path) -> str:
    """A classifier by text alone, trained without matrices."""
    path = tmp_path / "plain.skops"
    difficulty.save(msgspec.structs.replace(difficulty.load_default("humaneval"), curves=None), path)
    return str(path)


@pytest.fixture
def by_samples(tmp_path: Path) -> str:
    """A classifier that looks at samples."""
    path = tmp_path / "samples.skops"
    difficulty.save(difficulty.load_default("humaneval", samples=True), path)
    return str(path)


def refused(settings: dict[str, Any], message: str) -> None:
    """The run ends before the first generation, with this message on one line."""
    lm = model()
    with pytest.raises(ConfigError, match=message) as caught:
        run(lm, {**SETTINGS, **settings})
    assert "\n" not in str(caught.value)
    assert lm.requests == []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"allocation": "gian"}, r"did you mean 'gain'.*equal, coderm, gain, sequential"),
        ({"allocation": "coderm", "classifier": "none.skops"}, "none.skops: no such file"),
        ({"delta": 1.5}, "delta is 1.5"),
        ({"allocation": "sequential", "prune": True}, "prune is set with allocation 'sequential'"),
        ({"budget": 0}, "budget is 0: expected at least 1"),
    ],
)
def test_a_budget_that_cannot_be_set_is_found_before_the_first_generation(
    settings: dict[str, Any], message: str
) -> None:
    refused(settings, message)


def test_gain_by_a_classifier_without_curves_is_refused(no_curves: str) -> None:
    refused({"allocation": "gain", "classifier": no_curves}, "has no gain curves")


def test_a_classifier_that_needs_samples_is_refused_for_self_written_tests(by_samples: str) -> None:
    refused({"allocation": "coderm", "classifier": by_samples}, "needs the feature block 'samples'")


def test_a_classifier_of_ones_own_is_used(no_curves: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="lm_eval")
    lm = model()
    run(lm, {**SETTINGS, "allocation": "coderm", "classifier": no_curves}, predict_only=True)
    assert lm.requests
