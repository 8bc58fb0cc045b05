"""A small HTTP server that answers like an OpenAI-compatible one, with the faults of real ones."""

from __future__ import annotations

import itertools
import json
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from coderm_tasks.model import GroundTruth, Problem

MODEL = "tiny-coder"
KEY = "sk-very-secret-0123456789"
ROOT = Path(__file__).parents[2]

Reply = tuple[int, str, bytes]
Fault = Callable[[str, dict[str, Any]], Reply | None]


def problem(number: int = 0) -> Problem:
    return Problem(
        task_id=f"Mbpp/{number}",
        dataset="mbpp",
        prompt=f'"""\nWrite function number {number} to add two numbers.\nassert add(1, 2) == 3\n"""\n',
        entry_point="add",
        truth=GroundTruth(),
    )


def as_json(status: int, body: object) -> Reply:
    return status, "application/json", json.dumps(body).encode()


class Server(ThreadingHTTPServer):
    """Answers like an OpenAI-compatible server; ``fault`` may answer instead. Counts what it was asked."""

    daemon_threads = True
    block_on_close = True
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.fault: Fault = lambda path, body: None
        self.gives_logprobs = True
        self.asked: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.keys: list[str] = []
        self.lock = threading.Lock()
        self.in_flight = 0
        self.most_in_flight = 0
        self.write_test: Callable[[int], str] = lambda n: f"```python\nassert add({n}, 1) == {n + 1}\n```"
        self.write: Callable[[dict[str, Any], int], str] = lambda body, n: self.write_test(n)
        self.numbers = itertools.count()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed breaks its connections; anything else is a fault of this server."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)

    def completions(self, body: dict[str, Any]) -> Reply:
        choices = []
        for position in range(body["n"]):
            with self.lock:
                text = self.write(body, next(self.numbers))
            content = {"message": {"role": "assistant", "content": text}} if "messages" in body else {"text": text}
            if body.get("logprobs") and self.gives_logprobs:
                tokens = [{"token": "a", "logprob": -0.5 - position}, {"token": "b", "logprob": -1.5 - position}]
                numbers = [None, -1.0 - position]
                content["logprobs"] = {"content": tokens} if "messages" in body else {"token_logprobs": numbers}
            choices.append({"index": position, "finish_reason": "stop", **content})
        kind = "chat.completion" if "messages" in body else "text_completion"
        usage = {"prompt_tokens": 1, "completion_tokens": 7 * body["n"], "total_tokens": 1}
        return as_json(
            200, {"id": "x", "object": kind, "created": 1, "model": body["model"], "choices": choices, "usage": usage}
        )


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        listing = {"object": "list", "data": [{"id": MODEL, "object": "model", "created": 1, "owned_by": "me"}]}
        self.answer(self.server.fault(self.path, {}) or as_json(200, listing))

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        server = self.server
        with server.lock:
            server.asked.append(body)
            server.paths.append(self.path)
            server.keys.append(self.headers.get("authorization", ""))
            server.in_flight += 1
            server.most_in_flight = max(server.most_in_flight, server.in_flight)
        try:
            self.answer(server.fault(self.path, body) or server.completions(body))
        finally:
            with server.lock:
                server.in_flight -= 1

    def answer(self, reply: Reply) -> None:
        status, kind, content = reply
        promised = len(content)
        if kind == "cut":  # fewer bytes than promised, then the connection ends
            kind, content, self.close_connection = "application/json", content[: promised // 2], True
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(promised))
        self.send_header("retry-after-ms", "1")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        pass


def fail_first(count: int, reply: Reply) -> Fault:
    left = itertools.count(count, -1)
    return lambda path, body: reply if next(left) > 0 else None
