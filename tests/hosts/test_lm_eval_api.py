"""API models: lm-eval sends one fixed seed with every request, and some servers honour it."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import lm_eval
import pytest
from lm_eval_replay import RIGHT_0, TESTS_0, WRONG, manager, values

pytest.importorskip("tenacity", reason="lm-eval's API models need it: pip install coderm-tasks[api]")
pytest.importorskip("aiohttp", reason="lm-eval's API models need it: pip install coderm-tasks[api]")


class Server(ThreadingHTTPServer):
    """Completes like a server that honours seeds: same seed, same text."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.payloads: list[dict[str, Any]] = []


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        payload = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.payloads.append(payload)
        turn = len(self.server.payloads) if payload.get("seed") is None else 0
        prompts = payload["prompt"] if isinstance(payload["prompt"], list) else [payload["prompt"]]
        choices = [{"index": number, "text": _text(prompt, turn)} for number, prompt in enumerate(prompts)]
        body = json.dumps({"choices": choices}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        """The test's own output is enough."""


def _text(prompt: str, turn: int) -> str:
    if prompt.endswith("assert has_close_elements("):
        return TESTS_0[turn % 2]
    return (WRONG, RIGHT_0)[turn % 2]


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def ask(server: Server, tmp_path: Path, **options: Any) -> Any:
    settings = {"n_samples": 4, "budget": 4, "workers": 1, "cache": False, "records": str(tmp_path)}
    url = f"http://127.0.0.1:{server.server_port}/v1/completions"
    arguments = f"model=m,base_url={url},tokenizer_backend=None,tokenized_requests=False,max_retries=1"
    return lm_eval.simple_evaluate(
        model="local-completions",
        model_args=arguments,
        tasks=["humaneval_coderm"],
        task_manager=manager(settings),
        limit=1,
        bootstrap_iters=0,
        **options,
    )


def test_a_server_that_honours_the_seed_gives_copies_and_the_log_names_the_remedy(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="lm_eval")
    assert values(ask(server, tmp_path))["mean"] == 0.0
    assert {payload["seed"] for payload in server.payloads} == {1234}
    assert "--gen_kwargs seed=None" in caplog.text


def test_the_remedy_works(server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="lm_eval")
    found = values(ask(server, tmp_path, gen_kwargs="seed=None"))
    assert {payload["seed"] for payload in server.payloads} == {None}
    assert "identical" not in caplog.text
    assert (found["mean"], found["reranked"]) == (0.5, 1.0)


def test_requests_ask_for_samples_and_not_for_the_api_default_of_256_tokens(server: Server, tmp_path: Path) -> None:
    ask(server, tmp_path)
    assert {payload["max_tokens"] for payload in server.payloads} == {1024}
    assert {payload["temperature"] for payload in server.payloads} == {0.8}
