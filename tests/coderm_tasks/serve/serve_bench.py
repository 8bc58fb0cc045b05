"""Services for tests: in this process, on lanes that do what a test needs, and as a process of their own."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import psutil
from lanes import plus

from coderm_tasks.reward.scheduler import Scheduler
from coderm_tasks.serve.admission import Admission
from coderm_tasks.serve.app import build_app
from coderm_tasks.serve.gate import GateRules
from coderm_tasks.serve.options import TOKEN_VARIABLE
from coderm_tasks.serve.readers import Readers
from coderm_tasks.serve.reading import Bounds
from coderm_tasks.serve.service import Service

ROOT = Path(__file__).parents[3]
PATIENCE = 120
TOKEN = "a-token-for-tests-0123456789"
BOUNDS = Bounds(max_batch=8, max_tests=16, deadline_s=60.0)
BODY_BYTES = 100_000


class Bench:
    """One service and the ways to ask it."""

    def __init__(self, lanes: Any, readers: Readers) -> None:
        self.lanes = lanes
        self.scheduler = Scheduler(lanes, workers=2, spares=2)
        self.admission = Admission(items=16, body_bytes=4 * BODY_BYTES)
        self.service = Service(self.scheduler, readers, self.admission, deadline_s=BOUNDS.deadline_s)
        self.use(token=TOKEN)

    def use(self, *, token: str | None) -> None:
        """Make the app anew with a token or none."""
        rules = GateRules(token=token, body_bytes=BODY_BYTES, body_s=0.5)
        self.app = build_app(self.service, rules, workers=2)

    def client(self, token: str | None = TOKEN, **options: Any) -> httpx.AsyncClient:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        transport = httpx.ASGITransport(self.app, **options)
        return httpx.AsyncClient(transport=transport, base_url="http://localhost", headers=headers, timeout=120)

    def ask(self, method: str, path: str, *, token: str | None = TOKEN, **request: Any) -> httpx.Response:
        """One request, in an event loop of its own."""

        async def run() -> httpx.Response:
            async with self.client(token) as client:
                return await client.request(method, path, **request)

        return asyncio.run(run())

    def post(self, path: str, body: Any, **more: Any) -> httpx.Response:
        return self.ask("POST", f"/v1/{path}", json=body, **more)


def item(number: int, *expected: int) -> dict[str, Any]:
    """A completion that adds a number, and tests of what it gives for 0."""
    tests = [f"assert f(0) == {one}" for one in expected or (number,)]
    return {"completion": plus(number), "entry_point": "f", "tests": tests}


HELD = {"completion": "# WAIT\n" + plus(1), "entry_point": "f", "tests": ["assert f(0) == 1"]}
"""An item whose lane waits until the test releases it."""
MATRIX = {
    "entry_point": "f",
    "solutions": [plus(1), plus(2), plus(1), "def f(x:"],
    "tests": ["assert f(0) == 1", "assert f(0) == 2", "assert eval('f(0)') == 1 or f(0)"],
}


class Running:
    """A service over loopback."""

    def __init__(self, *words: str, token: str | None = TOKEN) -> None:
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        if token is not None:
            environment[TOKEN_VARIABLE] = token
        command = [sys.executable, "-m", "coderm_tasks", "serve", "--port", "0", "--workers", "1", *words]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT)
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()
        assert self.url.startswith("http://"), "it did not start; its messages are above"
        self.http = httpx.Client(
            base_url=self.url, timeout=PATIENCE, trust_env=False, headers={"Authorization": f"Bearer {token}"}
        )

    def rewards(self, *items: Any, **more: Any) -> httpx.Response:
        return self.http.post("/v1/rewards", json={"items": items, **more})

    def family(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def items(self) -> int:
        return self.http.get("/health").json()["queue"]["items"]

    def end(self) -> None:
        self.http.close()
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()
