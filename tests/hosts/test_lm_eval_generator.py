"""Unit tests from an external model, inside a run of lm-eval."""

from __future__ import annotations

import fcntl
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from lm_eval_replay import RIGHT_0, TESTS_0, WRONG, ReplayLM, cycle, run, values

from coderm_tasks.errors import ConfigError, GenerationError, StoreError

pytest.importorskip("aiohttp", reason="the generator's client needs it: pip install coderm-tasks[api]")

ASSERTS = "\n".join(f"assert has_close_elements({text.strip()}" for text in TESTS_0)


class Server(ThreadingHTTPServer):
    """A chat server with one model, which writes two good tests."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str] = []
        self.broken = False
        """Whether it fails at every completion."""
        self.completions = 0


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self._send({"object": "list", "data": [{"id": "tester", "object": "model", "created": 0, "owned_by": "x"}]})

    def do_POST(self) -> None:
        payload = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.completions += payload.get("n") or 1
        self.server.asked.append(payload["messages"][-1]["content"])
        if self.server.broken:
            self._send({"error": {"message": "out of memory"}}, status=500)
            return
        message = {"role": "assistant", "content": f"```python\n{ASSERTS}\n```"}
        choices = [{"index": i, "finish_reason": "stop", "message": message} for i in range(payload.get("n") or 1)]
        self._send({"id": "1", "object": "chat.completion", "created": 0, "model": "tester", "choices": choices})

    def _send(self, value: Any, status: int = 200) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        """The test's own output is enough."""


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    monkeypatch.setattr("lm_eval.evaluator.add_env_info", lambda results: None)  # a slow survey of the machine
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def settings(server: Server, tmp_path: Path, model: str = "tester") -> dict[str, Any]:
    url = f"http://127.0.0.1:{server.server_port}/v1"
    generator = {"base_url": url, "model": model}
    return {"n_samples": 2, "budget": 2, "workers": 1, "records": str(tmp_path / "out"), "generator": generator}


def test_tests_are_generated_after_the_samples_and_shown_a_candidate(server: Server, tmp_path: Path) -> None:
    lm = ReplayLM(cycle([WRONG, RIGHT_0], ["never asked"]))
    results = run(lm, settings(server, tmp_path))
    assert {request.idx for request in lm.requests} == {0}
    assert "return None" in server.asked[0]
    assert values(results) == {"first": 0.0, "mean": 0.5, "reranked": 1.0, "oracle": 1.0}


def test_in_rounds_a_generator_is_asked_only_while_the_choice_may_change(server: Server, tmp_path: Path) -> None:
    given = {**settings(server, tmp_path), "allocation": "sequential", "budget": 64}
    results = run(ReplayLM(cycle([RIGHT_0, RIGHT_0], [])), given)
    assert server.asked == []  # one program: nothing to choose
    assert values(results)["reranked"] == 1.0
    results = run(ReplayLM(cycle([WRONG, RIGHT_0], [])), given)
    assert 1 <= server.completions <= 6  # its two tests, and that it has no third; 64 each would have taken 128
    assert values(results)["reranked"] == 1.0


def test_the_next_run_uses_the_answers_of_the_last(server: Server, tmp_path: Path) -> None:
    for _ in range(2):
        run(ReplayLM(cycle([WRONG, RIGHT_0], [])), settings(server, tmp_path))
    assert len(server.asked) == 1


def test_predict_only_asks_no_generator(server: Server, tmp_path: Path) -> None:
    run(ReplayLM(cycle([WRONG], [])), settings(server, tmp_path), predict_only=True)
    assert server.asked == []


def test_a_model_that_is_not_served_is_found_before_the_first_sample(server: Server, tmp_path: Path) -> None:
    lm = ReplayLM(cycle([WRONG], []))
    with pytest.raises(ConfigError, match="does not serve the model 'testre'"):
        run(lm, settings(server, tmp_path, model="testre"))
    assert lm.requests == []


def test_a_dead_endpoint_is_found_before_the_first_sample(server: Server, tmp_path: Path) -> None:
    lm = ReplayLM(cycle([WRONG], []))
    given = settings(server, tmp_path)
    server.shutdown()
    server.server_close()
    with pytest.raises(GenerationError, match=r"127\.0\.0\.1"):
        run(lm, given)
    assert lm.requests == []


def generation(results: Any) -> dict[str, Any]:
    found: dict[str, Any] = results["configs"]["humaneval_coderm"]["metadata"]["coderm_run"]["generation"]
    return found


def test_answers_count_for_their_problem_whichever_candidate_the_next_run_samples(
    server: Server, tmp_path: Path
) -> None:
    first = run(ReplayLM(cycle([WRONG, RIGHT_0], [])), settings(server, tmp_path))
    again = run(ReplayLM(cycle([RIGHT_0, WRONG], [])), settings(server, tmp_path))
    assert (generation(first)["requests"], generation(first)["reused"]) == (1, 0)
    assert (generation(again)["requests"], generation(again)["reused"]) == (0, 1)
    assert generation(first)["finish_reasons"] == {"stop": 2}
    assert values(again)["reranked"] == 1.0


def test_other_settings_get_a_file_of_their_own(server: Server, tmp_path: Path) -> None:
    plain = settings(server, tmp_path)
    changed = {**plain, "generator": {**plain["generator"], "temperature": 0.3}}
    files = [
        generation(run(ReplayLM(cycle([WRONG, RIGHT_0], [])), given))["answers"] for given in (plain, changed, plain)
    ]
    assert files[0] == files[2] != files[1]
    assert len(server.asked) == 2


def test_an_answers_file_in_use_is_found_before_the_first_sample(server: Server, tmp_path: Path) -> None:
    given = settings(server, tmp_path)
    store = Path(generation(run(ReplayLM(cycle([WRONG, RIGHT_0], [])), given))["answers"])
    lm = ReplayLM(cycle([WRONG], []))
    with store.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(StoreError, match="another run is writing it"):
            run(lm, given)
    assert lm.requests == []


def test_an_engine_without_its_model_is_found_before_the_first_sample(server: Server, tmp_path: Path) -> None:
    given = {**settings(server, tmp_path), "generator": {"engine": "vllm", "model": str(tmp_path)}}
    lm = ReplayLM(cycle([WRONG], []))
    with pytest.raises(ConfigError, match=r"engine 'vllm' needs vLLM: pip install|cannot be read"):
        run(lm, given)
    assert lm.requests == []


def test_the_samples_are_kept_when_the_generator_fails_after_they_are_drawn(server: Server, tmp_path: Path) -> None:
    server.broken = True
    given = settings(server, tmp_path)
    given["generator"]["patience_s"] = 0.1
    with pytest.raises(GenerationError, match="answers 500 after all retries"):
        run(ReplayLM(cycle([WRONG, RIGHT_0], [])), given)
    (kept,) = (tmp_path / "out").glob("coderm_*/samples.jsonl")
    assert [json.loads(line)["task_id"] for line in kept.read_text().splitlines()] == ["HumanEval/0"] * 2
