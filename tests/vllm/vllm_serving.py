"""A real vLLM server with SmolLM2-135M-Instruct on loopback, and a proxy in front of it that makes faults."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
MODEL_FOLDER = Path(sys.prefix) / "smollm2"
MODEL = "smollm2"
CONTEXT = 2048
_START_S = 420
# Seeded requests whose prompt is read in parts end vLLM 0.32's engine on a CPU ("CPU Generator does not use offset"),
# so prompts are read whole.
_WHOLE_PROMPTS = ("--no-enable-chunked-prefill", "--max-num-batched-tokens", "4096")


def offline() -> dict[str, str]:
    """The environment of every process: no hub, no statistics sent, a small cache for keys and values."""
    data = ROOT / "tests" / "data"
    return {
        **os.environ,
        "HF_HUB_OFFLINE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "HUMANEVAL_OVERRIDE_PATH": str(data / "humaneval_tiny.jsonl"),
        "OPENAI_API_KEY": "",
    }


class VllmServer:
    """``vllm serve`` in a process group of its own."""

    def __init__(self, log: Path) -> None:
        self.log = log
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def root(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.root}/v1"

    def start(self) -> None:
        words = [
            *(
                "serve",
                str(MODEL_FOLDER),
                "--served-model-name",
                MODEL,
                "--host",
                "127.0.0.1",
                "--port",
                str(self.port),
            ),
            *("--max-model-len", str(CONTEXT), "--enable-prefix-caching", "--dtype", "float32", "--enforce-eager"),
            *("--max-num-seqs", "32", *_WHOLE_PROMPTS),
        ]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [str(Path(sys.executable).with_name("vllm")), *words],
                stdout=log,
                stderr=log,
                env=offline(),
                start_new_session=True,
            )

    def wait(self) -> None:
        """Until it answers."""
        assert self._process is not None
        deadline = time.monotonic() + _START_S
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                break
            try:
                with urllib.request.urlopen(f"{self.root}/health", timeout=5) as answer:
                    if answer.status == 200:
                        return
            except (urllib.error.URLError, OSError):
                time.sleep(0.5)
        pytest.fail(f"vllm serve did not start; the end of its log:\n{self.log.read_text(errors='replace')[-3000:]}")

    def kill(self) -> None:
        """End the server and its engine at once, as a crash does."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def metric(self, name: str) -> float:
        """The sum of a counter over its labels."""
        with urllib.request.urlopen(f"{self.root}/metrics", timeout=10) as answer:
            text = answer.read().decode()
        values = re.findall(rf"^{re.escape(name)}(?:\{{[^}}]*\}})? (\S+)$", text, re.MULTILINE)
        assert values, f"{name} is no metric of this vLLM"
        return sum(float(value) for value in values)


Fault = Callable[["Proxy", int], "tuple[int, bytes] | str | None"]


class Proxy(ThreadingHTTPServer):
    """Passes requests on to vLLM; ``fault(proxy, number)`` may answer a completion itself, ``cut`` it or ``stall``."""

    daemon_threads = True

    def __init__(self, target: str, fault: Fault) -> None:
        super().__init__(("127.0.0.1", 0), _ProxyHandler)
        self.target = target
        self.fault = fault
        self.completions = 0
        self.faults = 0
        self.lock = threading.Lock()
        self.released = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class _ProxyHandler(BaseHTTPRequestHandler):
    server: Proxy
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._pass_on(None, None)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        fault = None
        if self.path.endswith("/completions"):
            with self.server.lock:
                number = self.server.completions
                self.server.completions += 1
                fault = self.server.fault(self.server, number)
                self.server.faults += fault is not None
        self._pass_on(body, fault)

    def _pass_on(self, body: bytes | None, fault: tuple[int, bytes] | str | None) -> None:
        if fault == "stall":
            self.server.released.wait(120)
            self.close_connection = True
            return
        if isinstance(fault, tuple):
            self._answer(*fault)
            return
        request = urllib.request.Request(
            self.server.target + self.path, data=body, headers={"content-type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=300) as answer:
                self._answer(answer.status, answer.read(), cut=fault == "cut")
        except urllib.error.HTTPError as error:
            self._answer(error.code, error.read())

    def _answer(self, status: int, content: bytes, *, cut: bool = False) -> None:
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if cut else content)
        self.close_connection = self.close_connection or cut

    def log_message(self, format: str, *arguments: Any) -> None:
        """The test's own output is enough."""


def coderm(*words: str, timeout: float = 600) -> subprocess.CompletedProcess[str]:
    """Run the command line."""
    return subprocess.run(coderm_command(*words), capture_output=True, text=True, env=offline(), timeout=timeout)


def coderm_command(*words: str) -> list[str]:
    return [str(Path(sys.executable).with_name("coderm")), *words]


def records(path: Path) -> list[dict[str, Any]]:
    """The records of a JSONL file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
