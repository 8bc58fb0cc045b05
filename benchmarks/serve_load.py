"""Load on a real ``coderm serve``: many clients on loopback, each answer checked against the one it must be.

    python benchmarks/serve_load.py --seconds 300 --clients 64 [--chaos]

With ``--chaos`` processes that read, judge or hold boxes are killed at random meanwhile. At the end the service gets
SIGTERM while clients are asking, and must answer what it accepted. Exit code 1 where any answer was wrong, or any error
was other than 429.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
from serve_requests import Case, draw

QUEUE, BATCH, BODY_MIB = 128, 64, 1
PATIENCE_S = 120.0


@dataclass
class Tally:
    """What happened."""

    answered: Counter[str] = field(default_factory=Counter)
    """By kind; 429 not counted."""
    retries: int = 0
    """Answers of 429."""
    seconds: dict[str, list[float]] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    killed: Counter[str] = field(default_factory=Counter)
    memory: list[tuple[float, float]] = field(default_factory=list)
    """Seconds since the start, MiB of the service and all below it."""
    refused_at_end: int = 0
    """Requests that came once it was ending: 503 draining, or no connection."""
    answered_at_end: int = 0
    """Requests accepted before SIGTERM and answered after it."""


class Load:
    """One run."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.tally = Tally()
        self.token = secrets.token_urlsafe(24)
        self.ending = False
        self.started = 0.0

    async def run(self) -> Tally:
        """Start a service, load it, end it."""
        with tempfile.TemporaryDirectory(prefix="coderm-load-") as cache:
            service = self._start(cache)
            try:
                assert service.stdout is not None
                url = service.stdout.readline().strip()
                if not url:
                    raise SystemExit("the service did not start; its messages are above")
                await self._load(url, service)
            finally:
                if service.poll() is None:
                    service.kill()
                service.communicate()
        return self.tally

    def _start(self, cache: str) -> subprocess.Popen[str]:
        words = ["serve", "--port", "0", "--queue", str(QUEUE), "--max-batch", str(BATCH), "--max-body-mib",
                 str(BODY_MIB), "--workers", str(self.options.workers)]  # fmt: skip
        return subprocess.Popen(
            [sys.executable, "-m", "coderm_tasks", *words],
            stdout=subprocess.PIPE,
            stderr=None if self.options.verbose else subprocess.DEVNULL,
            text=True,
            cwd=Path(__file__).parents[1],
            env={**os.environ, "CODERM_SERVE_TOKEN": self.token, "XDG_CACHE_HOME": cache},
        )

    async def _load(self, url: str, service: subprocess.Popen[str]) -> None:
        self.started = time.monotonic()
        clients = [asyncio.create_task(self._client(url, number)) for number in range(self.options.clients)]
        watch = asyncio.create_task(self._watch(service.pid))
        chaos = asyncio.create_task(self._kill_at_random(service.pid)) if self.options.chaos else None
        await asyncio.sleep(self.options.seconds)
        if chaos is not None:
            chaos.cancel()
        watch.cancel()
        family = psutil.Process(service.pid).children(recursive=True)
        self.ending = True
        service.send_signal(signal.SIGTERM)
        await asyncio.gather(*clients)
        code = await asyncio.to_thread(service.wait, PATIENCE_S)
        if code != 0:
            self.tally.wrong.append(f"the service ended with code {code}")
        _, left = psutil.wait_procs(family, timeout=10)
        self.tally.wrong += [f"a process is left: {process}" for process in left]

    async def _client(self, url: str, number: int) -> None:
        dice = random.Random(f"{self.options.seed} {number}")
        limits = httpx.Limits(max_connections=2)
        async with httpx.AsyncClient(base_url=url, timeout=PATIENCE_S, limits=limits, trust_env=False) as client:
            while not self.ending:
                await self._ask(client, draw(dice), dice)

    async def _ask(self, client: httpx.AsyncClient, case: Case, dice: random.Random) -> None:
        headers = {"Content-Type": case.content_type}
        if case.token:
            headers["Authorization"] = f"Bearer {self.token}"
        while True:
            asked, before_end = time.monotonic(), not self.ending
            sent = client.post(case.path, content=case.body, headers=headers)
            try:
                reply = await (asyncio.wait_for(sent, dice.random() / 5) if case.leaves else sent)
            except asyncio.TimeoutError:
                self.tally.answered[case.kind] += 1
                return
            except httpx.TransportError as error:
                if before_end:  # it was sent to a service that took requests
                    self.tally.wrong.append(f"{case.kind}: {error!r}")
                self.tally.refused_at_end += not before_end
                return
            if reply.status_code != 429:
                self._note(case, reply, time.monotonic() - asked, before_end)
                return
            self.tally.retries += 1
            if self.ending:
                return
            await asyncio.sleep(float(reply.headers["Retry-After"]) * (0.5 + dice.random()))

    def _note(self, case: Case, reply: httpx.Response, seconds: float, before_end: bool) -> None:
        body = reply.json()
        if self.ending and reply.status_code == 503 and body["error"]["code"] == "draining":
            self.tally.refused_at_end += 1
            return
        self.tally.answered[case.kind] += 1
        self.tally.answered_at_end += self.ending and before_end
        self.tally.seconds.setdefault(case.kind, []).append(seconds)
        if wrong := case.check(reply.status_code, body):
            self.tally.wrong.append(f"{case.kind}: {wrong}: {str(body)[:300]}")

    async def _watch(self, pid: int) -> None:
        while True:
            self.tally.memory.append((time.monotonic() - self.started, await asyncio.to_thread(_pss_mib, pid)))
            await asyncio.sleep(self.options.seconds / 100)

    async def _kill_at_random(self, pid: int) -> None:
        dice = random.Random(self.options.seed)
        while True:
            await asyncio.sleep(self.options.kill_every * 2 * dice.random())
            victims = await asyncio.to_thread(_killable, pid)
            if victims:
                what, process = dice.choice(victims)
                try:
                    process.kill()
                    self.tally.killed[what] += 1
                except psutil.NoSuchProcess:
                    pass


def _pss_mib(pid: int) -> float:
    total = 0
    try:
        family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0.0
    for process in family:
        try:
            total += process.memory_full_info().pss
        except psutil.Error:
            continue
    return total / 2**20


def _killable(pid: int) -> list[tuple[str, psutil.Process]]:
    """The service's own processes below it. What runs inside a box is a solution, which may die of itself."""
    found = []
    for process in psutil.Process(pid).children(recursive=True):
        try:
            line = " ".join(process.cmdline())
            box = Path(process.cmdline()[0]).name == "bwrap"
        except (psutil.Error, IndexError):
            continue
        for word, what in (("lane_process", "lane"), ("reader_process", "reader"), ("executor.worker", "worker")):
            if word in line:
                found.append((what, process))
        if box:
            found.append(("box", process))
    return found


def _percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def report(tally: Tally, seconds: float) -> dict[str, Any]:
    """The figures."""
    kinds = {
        kind: {"answers": count, "p50_s": round(_percentile(tally.seconds.get(kind, []), 0.5), 3),
               "p99_s": round(_percentile(tally.seconds.get(kind, []), 0.99), 3)}
        for kind, count in sorted(tally.answered.items())
    }  # fmt: skip
    memory = [
        round(_percentile([mib for at, mib in tally.memory if part <= at * 5 / seconds < part + 1], 0.5))
        for part in range(5)
    ]
    return {
        "answers": sum(tally.answered.values()),
        "answers_per_s": round(sum(tally.answered.values()) / seconds, 1),
        "answers_429": tally.retries,
        "wrong_or_other_errors": len(tally.wrong),
        "kinds": kinds,
        "memory_mib_by_fifth": memory,
        "killed": dict(tally.killed),
        "answered_after_sigterm": tally.answered_at_end,
        "refused_after_sigterm": tally.refused_at_end,
        "wrong": tally.wrong[:20],
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--chaos", action="store_true", help="kill lanes, workers, boxes and readers at random")
    parser.add_argument("--kill-every", type=float, default=3, help="seconds between two of them, on average")
    parser.add_argument("--verbose", action="store_true", help="let the service's messages through")
    options = parser.parse_args()
    tally = asyncio.run(Load(options).run())
    print(json.dumps(report(tally, options.seconds), indent=1))
    return 1 if tally.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
