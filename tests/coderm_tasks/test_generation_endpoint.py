"""The endpoint generator against a real HTTP server on loopback, with the faults of real ones."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from generation_server import KEY, MODEL, ROOT, Handler, Reply, Server, as_json, fail_first, problem

from coderm_tasks.config import GeneratorConfig
from coderm_tasks.errors import ConfigError, GenerationError, StoreError
from coderm_tasks.generation.sources import ModelSource


def config(server: Server, **settings: Any) -> GeneratorConfig:
    return GeneratorConfig(base_url=server.url, model=MODEL, **{"prompt": "asserts", "patience_s": 20, **settings})


def generate(server: Server, store: Path, budget: int = 5, problems: int = 1, **settings: Any):
    asked = [problem(number) for number in range(problems)]
    return generate_tests(config(server, **settings), asked, {}, {p.task_id: budget for p in asked}, store, 0)


def generate_tests(settings, problems, candidates, budget, store, seed, progress=None):
    return ModelSource(settings, store, seed=seed).generate(problems, candidates, budget, progress=progress)


def check_endpoint(settings: GeneratorConfig) -> None:
    with tempfile.TemporaryDirectory() as folder:
        ModelSource(settings, Path(folder) / "answers.jsonl").check()


def test_every_problem_gets_its_budget_of_distinct_tests(server, tmp_path):
    got = generate(server, tmp_path / "answers.jsonl", budget=12, problems=3)
    assert {task: len(tests) for task, tests in got.tests.items()} == {"Mbpp/0": 12, "Mbpp/1": 12, "Mbpp/2": 12}
    assert all(len(set(tests)) == 12 for tests in got.tests.values())
    assert got.finish_reasons == {"stop": got.completions}
    assert got.tokens == 7 * got.completions
    assert got.requests == len(server.asked)


def test_requests_carry_explicit_limits_and_seeds_of_their_own(server, tmp_path):
    generate(server, tmp_path / "answers.jsonl", budget=30, problems=2, max_tokens=77, temperature=0.5, top_p=0.9)
    assert {(body["max_tokens"], body["temperature"], body["top_p"]) for body in server.asked} == {(77, 0.5, 0.9)}
    assert len({body["seed"] for body in server.asked}) == len(server.asked)
    assert all(body["n"] <= 25 for body in server.asked)


def test_a_base_model_continues_the_prompt_and_the_stored_answer_starts_with_the_prompts_end(server, tmp_path):
    server.write_test = lambda n: f"{n}, 1) == {n + 1}\nassert add(0, {n}) == {n}\n"
    got = generate(server, tmp_path / "answers.jsonl", budget=4, chat=False)
    assert set(server.paths) == {"/v1/completions"}
    assert server.asked[0]["prompt"].endswith("assert add(")
    assert got.tests["Mbpp/0"][:2] == ("assert add(0, 1) == 1", "assert add(0, 0) == 0")


def test_nothing_is_asked_twice(server, tmp_path):
    first = generate(server, tmp_path / "answers.jsonl", budget=12, problems=2)
    asked = len(server.asked)
    again = generate(server, tmp_path / "answers.jsonl", budget=12, problems=2)
    assert len(server.asked) == asked
    assert again.requests == 0
    assert again.tests == first.tests
    assert again.dropped == first.dropped


def test_a_larger_budget_asks_only_for_the_rest(server, tmp_path):
    generate(server, tmp_path / "answers.jsonl", budget=20)
    asked = len(server.asked)
    got = generate(server, tmp_path / "answers.jsonl", budget=40)
    assert len(got.tests["Mbpp/0"]) == 40
    assert len(server.asked) - asked == 2


def test_asking_ends_when_the_model_repeats_itself(server, tmp_path, caplog):
    server.write_test = lambda n: "assert add(1, 2) == 3"
    with caplog.at_level(logging.WARNING):
        got = generate(server, tmp_path / "answers.jsonl", budget=10)
    assert got.tests["Mbpp/0"] == ("assert add(1, 2) == 3",)
    assert got.completions == 20
    assert got.dropped == {"duplicate": 19}
    assert "Mbpp/0: 1 of 10, and the model was asked often enough" in caplog.text


def test_an_answer_that_ran_out_of_tokens_loses_its_unfinished_line(server, tmp_path):
    def cut(path: str, body: dict[str, Any]) -> Reply:
        text = "assert add(1, 2) == 3\nassert add(10, 2) == 1"
        choice = {"index": 0, "finish_reason": "length", "message": {"role": "assistant", "content": text}}
        return as_json(200, {"id": "x", "object": "chat.completion", "created": 1, "model": MODEL, "choices": [choice]})

    server.fault = cut
    got = generate(server, tmp_path / "answers.jsonl", budget=1)
    assert got.tests["Mbpp/0"] == ("assert add(1, 2) == 3",)
    assert got.finish_reasons == {"length": 1}
    assert got.dropped == {"cut off": 1}


def test_no_more_requests_are_in_flight_than_allowed(server, tmp_path):
    generate(server, tmp_path / "answers.jsonl", budget=20, problems=6, concurrency=3)
    assert 1 <= server.most_in_flight <= 3


@pytest.mark.parametrize(
    "reply",
    [
        as_json(429, {"error": {"message": "slow down"}}),
        as_json(500, {"error": {"message": "out of memory"}}),
        as_json(503, {"error": {"message": "loading"}}),
        (200, "cut", b'{"id": "x", "choices": [{"index": 0, "message": {"content": "assert"}}]}'),
    ],
    ids=["429", "500", "503", "cut response"],
)
def test_a_burst_of_failures_loses_nothing_and_stores_nothing_twice(server, tmp_path, reply):
    server.fault = fail_first(4, reply)
    got = generate(server, tmp_path / "answers.jsonl", budget=10, problems=3)
    assert {len(tests) for tests in got.tests.values()} == {10}
    keys = [json.loads(line)["key"] for line in (tmp_path / "answers.jsonl").read_text().splitlines()[1:]]
    assert len(keys) == len(set(keys)) == got.requests


@pytest.mark.parametrize(
    "reply",
    [
        (200, "text/html", b"<!doctype html><html>Gateway</html>"),
        (200, "application/json", b'{"id": "x", "choi'),
        as_json(200, {"id": "x", "object": "chat.completion", "created": 1, "model": MODEL, "choices": []}),
    ],
    ids=["html", "broken json", "no choices"],
)
def test_an_unusable_answer_is_asked_for_again(server, tmp_path, reply):
    server.fault = fail_first(1, reply)
    assert len(generate(server, tmp_path / "answers.jsonl", budget=3).tests["Mbpp/0"]) == 3


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        ((200, "text/html", b"<html>Gateway</html>"), r"HTML instead of JSON where completions .* base_url"),
        (as_json(200, {"choices": []}), r"no choices where completions"),
        (as_json(500, {"error": {"message": "out of memory"}}), r"answers 500 after all retries \(out of memory\)"),
        (
            as_json(429, {"error": {"message": "slow down"}}),
            r"answers 429 after all retries \(slow down\).*concurrency",
        ),
    ],
    ids=["html", "no choices", "500", "429"],
)
def test_lasting_failure_ends_the_run_in_one_line_and_keeps_what_was_generated(server, tmp_path, reply, said):
    store = tmp_path / "answers.jsonl"
    generate(server, store, budget=10)
    kept = store.read_bytes()
    server.fault = lambda path, body: reply
    with pytest.raises(GenerationError, match=said) as caught:
        generate(server, store, budget=20, patience_s=0.2)
    assert "\n" not in str(caught.value)
    assert store.read_bytes() == kept


def test_a_server_that_went_away_is_named_with_the_remedy(server, tmp_path):
    server.fault = lambda path, body: (200, "cut", b"x" * 100)
    with pytest.raises(GenerationError, match=r"cannot be reached .*: start the server there.*is kept"):
        generate(server, tmp_path / "answers.jsonl", patience_s=0.2)


def test_one_refused_prompt_does_not_stop_the_others(server, tmp_path):
    def refuse(path: str, body: dict[str, Any]) -> Reply | None:
        if "number 1" not in body["messages"][0]["content"]:
            return None
        return as_json(400, {"error": {"message": "maximum context length is 12 tokens"}})

    server.fault = refuse
    got = generate(server, tmp_path / "answers.jsonl", budget=5, problems=3)
    assert {task: len(tests) for task, tests in got.tests.items()} == {"Mbpp/0": 5, "Mbpp/1": 0, "Mbpp/2": 5}
    assert "maximum context length" in got.failed["Mbpp/1"]
    assert sum("number 1" in body["messages"][0]["content"] for body in server.asked) == 1


def test_when_every_prompt_is_refused_the_run_fails(server, tmp_path):
    server.fault = lambda path, body: as_json(400, {"error": {"message": "maximum context length is 12 tokens"}})
    with pytest.raises(GenerationError, match=r"every problem was refused.*maximum context length"):
        generate(server, tmp_path / "answers.jsonl", problems=2)


def test_candidates_rotate_over_distinct_solutions(server, tmp_path):
    rotating = GeneratorConfig(base_url=server.url, model=MODEL, condition="rotate")
    solutions = {
        "Mbpp/0": ["def add(a, b):\n    return 1", "def add(a, b):\n    return 1\n", "def add(a, b): return 2"]
    }
    generate_tests(rotating, [problem()], solutions, {"Mbpp/0": 40}, tmp_path / "answers.jsonl", 0)
    shown = Counter(body["messages"][0]["content"].split("### code solution\n")[1] for body in server.asked)
    assert sorted(shown.values()) == [2, 2]


def test_a_problem_without_candidates_is_asked_blind_and_says_so(server, tmp_path, caplog):
    first = GeneratorConfig(base_url=server.url, model=MODEL)
    with caplog.at_level(logging.WARNING):
        generate_tests(first, [problem()], {"Mbpp/0": ["", " "]}, {"Mbpp/0": 3}, tmp_path / "answers.jsonl", 0)
    assert "Mbpp/0: no candidate solution to show" in caplog.text
    stored = json.loads((tmp_path / "answers.jsonl").read_text().splitlines()[1])
    assert stored["prompt"] == "unittest-blind/1"


def test_progress_counts_up_to_the_budget(server, tmp_path):
    seen = []
    generate_tests(config(server), [problem()], {}, {"Mbpp/0": 20}, tmp_path / "answers.jsonl", 0, seen.append)
    assert seen[-1].done == seen[-1].total == 20
    assert [state.completions for state in seen] == sorted(state.completions for state in seen)


def test_a_problem_without_a_budget_is_not_asked_for(server, tmp_path):
    got = generate_tests(config(server), [problem()], {}, {}, tmp_path / "answers.jsonl", 0)
    assert got.tests == {"Mbpp/0": ()}
    assert server.asked == []


def test_it_runs_inside_an_event_loop_as_in_a_notebook(server, tmp_path):
    import asyncio

    async def notebook():
        return generate(server, tmp_path / "answers.jsonl", budget=2)

    assert len(asyncio.run(notebook()).tests["Mbpp/0"]) == 2


class TestCheck:
    def test_a_healthy_endpoint_passes_without_generating_anything(self, server):
        check_endpoint(config(server))
        assert server.asked == []

    def test_an_endpoint_without_a_list_of_models_is_asked_for_one_token(self, server):
        server.fault = lambda path, body: as_json(404, {"error": {"message": "no"}}) if "models" in path else None
        check_endpoint(config(server))
        assert [body["max_tokens"] for body in server.asked] == [1]

    def test_a_wrong_model_is_refused_with_the_nearest_name(self, server):
        wrong = GeneratorConfig(base_url=server.url, model="tiny-codr", prompt="asserts")
        with pytest.raises(ConfigError, match=r"does not serve the model 'tiny-codr' \(did you mean 'tiny-coder'\?\)"):
            check_endpoint(wrong)

    def test_a_wrong_model_is_found_without_a_list_too(self, server):
        server.fault = lambda path, body: as_json(404, {"error": {"message": "model not found"}})
        with pytest.raises(ConfigError, match=r"answers 404 for the model 'tiny-coder' \(model not found\)"):
            check_endpoint(config(server))

    def test_a_dead_endpoint_is_named(self, server, tmp_path):
        dead = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        port = dead.server_address[1]
        dead.server_close()
        gone = GeneratorConfig(base_url=f"http://127.0.0.1:{port}/v1", model=MODEL, prompt="asserts")
        with pytest.raises(GenerationError, match=rf"127\.0\.0\.1:{port}/v1 cannot be reached .*start the server"):
            check_endpoint(gone)

    def test_an_endpoint_that_answers_html_is_no_model_server(self, server):
        server.fault = lambda path, body: (200, "text/html", b"<html>Welcome</html>")
        with pytest.raises(GenerationError, match="where a list of models was expected: check base_url"):
            check_endpoint(config(server))

    def test_a_missing_key_is_named_by_its_variable(self, server):
        server.fault = lambda path, body: as_json(401, {"error": {"message": "no key"}})
        with pytest.raises(ConfigError, match=r"wants an API key: \$OPENAI_API_KEY is not set"):
            check_endpoint(config(server))

    def test_a_refused_key_is_never_shown_or_logged(self, server, monkeypatch, caplog):
        monkeypatch.setenv("MY_KEY", KEY)
        server.fault = lambda path, body: as_json(401, {"error": {"message": f"Incorrect API key provided: {KEY}"}})
        with caplog.at_level(logging.DEBUG), pytest.raises(ConfigError, match=r"\$MY_KEY is refused") as caught:
            check_endpoint(config(server, api_key_env="MY_KEY"))
        assert KEY not in str(caught.value)
        assert not any(KEY in record.getMessage() for record in caplog.records if record.name.startswith("coderm"))

    @pytest.mark.parametrize("url", ["localhost:8000", "ftp://x/v1", "http://", "http://me:pw@x/v1", "http://x:bad/v1"])
    def test_a_url_that_cannot_work_is_refused(self, url):
        with pytest.raises(ConfigError, match="base_url") as caught:
            check_endpoint(GeneratorConfig(base_url=url, model=MODEL, prompt="asserts"))
        assert "pw" not in str(caught.value)

    def test_the_coderm_prompt_without_candidates_is_refused_before_anything_is_asked(self, server):
        with pytest.raises(ConfigError, match="condition is 'none'"):
            check_endpoint(GeneratorConfig(base_url=server.url, model=MODEL, condition="none"))

    def test_an_unknown_prompt_is_refused(self, server):
        with pytest.raises(ConfigError, match="unknown prompt"):
            check_endpoint(GeneratorConfig(base_url=server.url, model=MODEL, prompt="codrm"))


def test_the_key_goes_to_the_endpoint_and_not_into_the_store(server, tmp_path, monkeypatch):
    monkeypatch.setenv("MY_KEY", KEY)
    generate(server, tmp_path / "answers.jsonl", api_key_env="MY_KEY")
    assert set(server.keys) == {f"Bearer {KEY}"}
    assert KEY not in (tmp_path / "answers.jsonl").read_text()


def test_a_proxy_in_the_environment_does_not_swallow_requests_to_this_machine(server, tmp_path, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    assert len(generate(server, tmp_path / "answers.jsonl").tests["Mbpp/0"]) == 5


@pytest.mark.parametrize(
    ("setting", "value"),
    [("temperature", 0.1), ("top_p", 0.5), ("max_tokens", 9), ("prompt", "unittest-blind"), ("chat", False)],
)
def test_an_answer_file_of_other_settings_is_refused_and_left_alone(server, tmp_path, setting, value):
    store = tmp_path / "answers.jsonl"
    generate(server, store)
    kept = store.read_bytes()
    with pytest.raises(StoreError, match=rf"was written with {setting} = .*, and this run has"):
        generate(server, store, **{setting: value})
    assert store.read_bytes() == kept


KILLED = """
import sys
from pathlib import Path
sys.path.insert(0, {folder!r})
from test_generation_endpoint import config, problem
from coderm_tasks.config import GeneratorConfig
from test_generation_endpoint import generate_tests
asked = [problem(number) for number in range(4)]
settings = GeneratorConfig(base_url={url!r}, model="tiny-coder", prompt="asserts", concurrency=1)
generate_tests(settings, asked, {{}}, {{p.task_id: 20 for p in asked}}, Path({store!r}), 0)
"""


def test_a_killed_run_goes_on_where_it_stopped_and_asks_nothing_twice(server, tmp_path):
    store = tmp_path / "answers.jsonl"
    reached, release = threading.Event(), threading.Event()

    def hold_the_fifth(path: str, body: dict[str, Any]) -> Reply | None:
        if len(server.asked) == 5:
            reached.set()
            release.wait(60)
        return None

    server.fault = hold_the_fifth
    script = KILLED.format(folder=str(Path(__file__).parent), url=server.url, store=str(store))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, "-c", script], env=environment) as child:
        assert reached.wait(60)
        child.send_signal(signal.SIGKILL)
        child.wait()
    server.fault = lambda path, body: None
    release.set()
    with store.open("ab") as stream:  # as a kill in the middle of a write leaves it
        stream.write(b'{"key": "half a li')
    before = Counter(json.dumps(body, sort_keys=True) for body in server.asked[:4])
    got = generate(server, store, budget=20, problems=4, concurrency=1)
    assert {len(tests) for tests in got.tests.values()} == {20}
    after = Counter(json.dumps(body, sort_keys=True) for body in server.asked[5:])
    assert not before & after
    assert sum(after.values()) == got.requests == 8 - 4
    assert all(json.loads(line) for line in store.read_text().splitlines())


def test_an_answer_with_half_a_character_is_taken_and_stored(server, tmp_path):
    def broken(path: str, body: dict[str, Any]) -> Reply:
        message = {"role": "assistant", "content": "assert add(1, 2) == 3  # \ud83d"}
        return as_json(200, {"choices": [{"index": 0, "finish_reason": "length", "message": message}] * body["n"]})

    server.fault = broken
    got = generate(server, tmp_path / "answers.jsonl", budget=1)
    assert got.requests == 2
    assert len(server.asked) == 2
