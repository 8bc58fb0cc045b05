"""What the client itself costs: CPU per request, requests per second, memory over many answers.

    python benchmarks/generation.py                       100,000 requests, 256 in flight, 10 short answers each
    python benchmarks/generation.py --requests 5000       a quick look

A stub server in a process of its own answers as ``vllm serve`` does, after a latency drawn from a log-normal around
``--latency`` seconds. Two measurements:

client   requests through the endpoint backend, each answer synced to the file of answers: what it costs to ask.
whole    ``write_tests``: prompts, requests, storing, extraction of unit tests and counting, as coderm generate does.

Exits with 1 where the client takes more than 1 ms of CPU per request, or where memory grows by more than 5 % from the
tenth part of the run to its end.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
from msgspec import Struct

from coderm_tasks.generation.asking import for_each
from coderm_tasks.generation.backends import make_backend, opened
from coderm_tasks.generation.base import Request
from coderm_tasks.generation.log import Answer, AnswerLog, Commits, content_key
from coderm_tasks.generation.unit_tests import TestPlan, open_log, write_tests
from coderm_tasks.model import GroundTruth, Problem
from coderm_tasks.model_config import GeneratorConfig

_CPU_LIMIT_MS = 1.0
_GROWTH_LIMIT = 0.05
_PROMPT = "Write unit tests for the function `add`, which adds two numbers.\n" * 12
_TEST = """```python
import unittest


class TestAdd(unittest.TestCase):
    # Two numbers of which the sum is known
    def test_sum(self):
        self.assertEqual(add({0}, 1), {0} + 1)

    # The order does not matter
    def test_order(self):
        self.assertEqual(add(1, {0}), add({0}, 1))
```"""


class Figures(Struct, frozen=True):
    """One measurement."""

    requests: int
    wall_s: float
    cpu_s: float
    early_mib: float
    """Resident memory after a tenth of the requests."""
    late_mib: float
    """Resident memory at the end."""

    @property
    def cpu_ms(self) -> float:
        """CPU milliseconds per request."""
        return 1000 * self.cpu_s / self.requests

    @property
    def growth(self) -> float:
        """Share by which memory grew from the first tenth to the end."""
        return self.late_mib / self.early_mib - 1

    def line(self, name: str) -> str:
        """As printed."""
        return (
            f"{name:7}{self.requests:8,} requests, {self.requests / self.wall_s:6,.0f}/s, {self.cpu_ms:.3f} ms CPU"
            f" each, resident {self.early_mib:.1f} -> {self.late_mib:.1f} MiB ({self.growth:+.1%})"
        )


class Meter:
    """Counts finished requests, and reads the clocks."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.done = 0
        self.early = 0.0
        self._wall = time.monotonic()
        self._cpu = time.process_time()

    def count(self) -> None:
        self.done += 1
        if self.done == max(1, self.total // 10):
            self.early = resident_mib()

    def figures(self) -> Figures:
        wall, cpu = time.monotonic() - self._wall, time.process_time() - self._cpu
        return Figures(self.done, wall, cpu, self.early or resident_mib(), resident_mib())


def resident_mib() -> float:
    """Resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


class Stub(asyncio.Protocol):
    """Just enough HTTP to answer completions after a while."""

    answers = 1
    latency = 0.1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.received = b""

    def data_received(self, data: bytes) -> None:
        self.received += data
        head, end, rest = self.received.partition(b"\r\n\r\n")
        if not end:
            return
        lines = head.lower().split(b"\r\n")
        length = next((int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length:")), 0)
        if len(rest) < length:
            return
        self.received = rest[length:]
        wait = random.lognormvariate(0, 0.35) * self.latency
        asyncio.get_running_loop().call_later(wait, self.reply)

    def reply(self) -> None:
        if self.transport.is_closing():
            return
        texts = [_TEST.format(random.randrange(10**9)) for _ in range(self.answers)]
        choices = [
            {"index": number, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
            for number, text in enumerate(texts)
        ]
        body = msgspec.json.encode({"choices": choices, "usage": {"completion_tokens": 120 * len(texts)}})
        self.transport.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n")
        self.transport.write(b"content-length: %d\r\n\r\n%b" % (len(body), body))


async def serve(answers: int, latency: float) -> None:
    """Serve until killed; prints the port first."""
    Stub.answers, Stub.latency = answers, latency
    server = await asyncio.get_running_loop().create_server(Stub, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


async def measure_client(config: GeneratorConfig, folder: Path, total: int, answers: int) -> Figures:
    """Requests and their storing, without what is done with the answers."""
    meter = Meter(total)
    request = Request(text=_PROMPT, n=answers, seed=1, stop=(), temperature=0.8, top_p=0.95, max_tokens=256)
    with AnswerLog(folder / "client.jsonl", {"benchmark": "client"}) as log:
        async with opened(make_backend(config)) as backend, Commits(log) as commits:

            async def one(position: int, _: int) -> None:
                got = await backend.complete(request)
                key = content_key(prompt=request.text, index=position)
                await commits.append(
                    Answer(
                        key=key, task_id="B/0", index=position, prompt="b/1", texts=got.texts,
                        finish_reasons=got.finish_reasons, tokens=got.tokens,
                    )
                )  # fmt: skip
                meter.count()

            await for_each(range(total), one, config.concurrency)
    return meter.figures()


async def measure_whole(config: GeneratorConfig, folder: Path, total: int, answers: int) -> Figures:
    """A run of ``write_tests`` over as many problems as make about ``total`` requests."""
    meter = Meter(total)
    problems = tuple(
        Problem(
            task_id=f"B/{number}", dataset="mbpp", prompt=f'"""\nAdd two numbers ({number}).\n"""\n',
            entry_point="add", truth=GroundTruth(),
        )
        for number in range(total)
    )  # fmt: skip
    plan = TestPlan(
        config=config, problems=problems, candidates={}, budget={problem.task_id: answers for problem in problems},
        seed=0, dataset="benchmark",
    )  # fmt: skip
    with open_log(plan, folder / "whole.jsonl") as log:
        async with opened(make_backend(config)) as backend:
            await write_tests(plan, backend, log, lambda task_id, tests: meter.count())
    return meter.figures()


Measure = Callable[[GeneratorConfig, Path, int, int], Awaitable[Figures]]


def with_stub(measure: Measure, arguments: argparse.Namespace, total: int) -> Figures:
    """Start a stub, measure, end it."""
    words = ["--serve", "--answers", str(arguments.answers), "--latency", str(arguments.latency)]
    with subprocess.Popen([sys.executable, __file__, *words], stdout=subprocess.PIPE, text=True) as stub:
        try:
            assert stub.stdout is not None
            config = GeneratorConfig(
                base_url=f"http://127.0.0.1:{int(stub.stdout.readline())}/v1", model="stub",
                prompt="unittest-blind", condition="none", concurrency=arguments.concurrency, max_tokens=256,
            )  # fmt: skip
            with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:

                async def run() -> Figures:
                    return await measure(config, Path(folder), total, arguments.answers)

                return asyncio.run(run())
        finally:
            stub.kill()


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--concurrency", type=int, default=256)
    parser.add_argument("--answers", type=int, default=10, help="answers per request")
    parser.add_argument("--latency", type=float, default=0.1, help="median seconds of the stub")
    parser.add_argument("--whole", type=int, default=None, help="requests of the second measurement (a tenth)")
    parser.add_argument("--folder", type=Path, default=None, help="where the files of answers go (a temporary folder)")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        asyncio.run(serve(arguments.answers, arguments.latency))
        return 0
    print(
        f"{os.cpu_count()} cores, {arguments.concurrency} in flight, {arguments.answers} answers per request,", end=" "
    )
    print(f"latency {arguments.latency:g} s")
    client = with_stub(measure_client, arguments, arguments.requests)
    print(client.line("client"), flush=True)
    whole = with_stub(measure_whole, arguments, arguments.whole or max(1, arguments.requests // 10))
    print(whole.line("whole"))
    return int(client.cpu_ms > _CPU_LIMIT_MS or client.growth > _GROWTH_LIMIT)


if __name__ == "__main__":
    sys.exit(main())
