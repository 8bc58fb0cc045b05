"""A Ray cluster on this machine: a head and nodes as separate ``ray start`` processes, each with its own temp folder."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

RAY = Path(sys.executable).with_name("ray")
_STORE_BYTES = 80 << 20
_START_S = 90
_NOTICE = {
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "3000",
    "RAY_health_check_failure_threshold": "2",
}
"""Of the head: a node that died is noticed sooner than Ray's half minute."""


def descendants(pid: int) -> set[int]:
    """All living processes below ``pid``."""
    found: set[int] = set()
    todo = [pid]
    while todo:
        for task in Path(f"/proc/{todo.pop()}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                below = set(map(int, task.read_text().split())) - found
                found |= below
                todo += below
    return found


def command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
    except OSError:
        return ""


def _kill_all(pids: list[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _watch(argv: list[str]) -> None:
    """Run a node until standard input ends, however our parent does, and leave nothing of it behind."""
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL) as node:
        sys.stdin.buffer.read()
        _kill_all([node.pid, *descendants(node.pid)])


class RayNode:
    """One ``ray start --block``, with a process above it that ends it when the tests end, or are killed."""

    def __init__(self, folder: Path, arguments: list[str], environ: Mapping[str, str]) -> None:
        self.folder = folder
        self._log = folder / "start.log"
        argv = [
            str(RAY), "start", *arguments, "--block", "--disable-usage-stats", "--include-log-monitor=false",
            f"--object-store-memory={_STORE_BYTES}", f"--temp-dir={folder}",
        ]  # fmt: skip
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, __file__, *argv],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **environ},
                start_new_session=True,
            )

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def pids(self, part: str = "") -> list[int]:
        """Its processes whose command line holds ``part``."""
        return sorted(pid for pid in descendants(self.process.pid) if part in command_line(pid))

    def raylet(self) -> int:
        return next(pid for pid in self.pids("raylet/raylet") if "dashboard" not in command_line(pid).split()[0])

    def actors(self) -> list[int]:
        """Processes of our actors."""
        return self.pids("ray::ShardServer")

    def kill_one(self, part: str) -> None:
        """SIGKILL for its processes whose command line holds ``part``."""
        _kill_all(self.pids(part))

    def kill(self) -> None:
        """SIGKILL for the whole node at once, as a power cut. Idempotent."""
        _kill_all(self.pids())
        if self.process.stdin is not None:
            self.process.stdin.close()
        self.process.wait()


class RayCluster:
    """A head without processors, and nodes as they are asked for. Use as a context manager: nothing outlives it."""

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        self._environ = environ or {}
        # Not pytest's folder: the paths of Ray's sockets below it would be too long.
        self._base = Path(tempfile.mkdtemp(prefix="ray-"))
        self.nodes: list[RayNode] = []
        self.port = _free_port()
        self.client_port = _free_port()
        self.address = f"127.0.0.1:{self.port}"

    def __enter__(self) -> RayCluster:
        head = ("--head", "--include-dashboard=false", "--num-cpus=0")
        try:
            self.head = self._start(
                [*head, f"--port={self.port}", f"--ray-client-server-port={self.client_port}"], self._environ, "head"
            )
            _wait_for(lambda: _listens(self.port), self.head)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def node_list(self) -> list[RayNode]:
        """The nodes that have processors."""
        return self.nodes[1:]

    def add(self, name: str, cpus: int = 1, environ: Mapping[str, str] | None = None) -> RayNode:
        """Start a worker node; returns once it is up."""
        arguments = [f"--address={self.address}", f"--num-cpus={cpus}", f'--resources={{"{name}": 1}}']
        node = self._start(arguments, environ or {}, name)
        _wait_for(lambda: "Ray runtime started" in node.log, node)
        return node

    def _start(self, arguments: list[str], environ: Mapping[str, str], name: str) -> RayNode:
        folder = self._base / name
        folder.mkdir()
        node = RayNode(folder, [*arguments, f"--node-name={name}"], environ)
        self.nodes.append(node)
        return node

    def close(self) -> None:
        for node in self.nodes:
            node.kill()
        shutil.rmtree(self._base, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def _wait_for(ready: Callable[[], bool], node: RayNode) -> None:
    deadline = time.monotonic() + _START_S
    while not ready():
        if node.process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"the Ray node does not start:\n{node.log[-3000:]}")
        time.sleep(0.1)


@contextlib.contextmanager
def cluster(*cpus: int) -> Iterator[RayCluster]:
    """A head and one node per number of processors."""
    with RayCluster() as opened:
        for number, count in enumerate(cpus):
            opened.add(f"node{number}", count)
        yield opened


if __name__ == "__main__":
    _watch(sys.argv[1:])
