"""What is said, and how soon, where there is no cluster to connect to."""

from __future__ import annotations

import http.server
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from ray_cluster import RayCluster

from executor import ClusterError, open_executor

pytest.importorskip("ray", reason="Ray is not installed: pip install 'coderm-tasks[ray]' to run this")


@pytest.mark.timeout(30)  # Ray itself would try for two minutes
def test_an_address_where_nobody_listens_is_refused_soon() -> None:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{one.getsockname()[1]}"
        with pytest.raises(ClusterError, match=f"nobody listens at {address}.*ray start --head"):
            open_executor(engine="ray", ray_address=address)


@pytest.mark.timeout(30)
def test_a_server_of_another_kind_at_the_address_is_refused_soon() -> None:
    with http.server.ThreadingHTTPServer(("", 0), http.server.BaseHTTPRequestHandler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            address = f"127.0.0.1:{server.server_port}"
            with pytest.raises(
                ClusterError, match=f"who listens at {address} is not the head of one; expected the port"
            ):
                open_executor(engine="ray", ray_address=address)
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.timeout(30)
def test_a_server_that_says_nothing_is_refused_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("executor.ray_cluster._CONNECT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(ClusterError, match=f"who listens at {address} is not the head of one"):
            open_executor(engine="ray", ray_address=address)


@pytest.mark.parametrize("address", ["nonsense", "host", "host:port", "host:0", ":6379", "ray://host:10001"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ClusterError, match=r"expected auto, or HOST:PORT"):
        open_executor(engine="ray", ray_address=address)


@pytest.mark.timeout(30)
def test_a_last_known_cluster_that_is_gone_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{one.getsockname()[1]}")
        with pytest.raises(ClusterError, match="whose last known cluster is gone"):
            open_executor(engine="ray")


def test_ray_address_may_say_auto_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "auto")
    monkeypatch.setattr("ray._private.services.find_gcs_addresses", lambda: {"127.0.0.1:1"})
    with pytest.raises(ClusterError, match=r"whose last known cluster is gone \(nobody listens at"):
        open_executor(engine="ray")


def test_where_no_cluster_was_ever_started_auto_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    monkeypatch.setattr("ray._private.services.find_gcs_addresses", lambda: set())
    with pytest.raises(ClusterError, match="none runs on this machine, and RAY_ADDRESS is not set"):
        open_executor(engine="ray")


# A head that wants a token. Ray reads whether it sends one once per process, so these are processes of their own.

TOKEN = "a-token-for-tests-0123456789abcdef"
OPEN = """
import sys
from executor import ClusterError, open_executor
try:
    open_executor(engine="ray", ray_address=sys.argv[1], workers=1)
except ClusterError as error:
    print(error)
"""


@pytest.fixture(scope="module")
def guarded() -> Iterator[RayCluster]:
    with RayCluster({"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN}) as opened:
        yield opened


def opening(address: str, tmp_path: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """The error that opening ends with, on standard output."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    return subprocess.run(
        [sys.executable, "-c", OPEN, address],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=Path(__file__).parents[2],
        env={**kept, "HOME": str(tmp_path), **environ},
    )


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({}, "it wants a token, and this process has none or another"),
        (
            {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "another"},
            "it wants a token, and this process has none or another",
        ),
        ({"RAY_AUTH_MODE": "token"}, "RAY_AUTH_MODE=token is set here and no token is"),
    ],
)
def test_a_head_that_wants_another_token_is_told_as_such_and_nothing_else_is_printed(
    guarded: RayCluster, tmp_path: Path, environ: dict[str, str], said: str
) -> None:
    found = opening(guarded.address, tmp_path, **environ)
    assert said in found.stdout
    assert "RAY_AUTH_TOKEN" in found.stdout
    assert (found.returncode, found.stdout.count("\n"), found.stderr) == (0, 1, "")


def test_with_its_token_the_head_is_asked_for_nodes(guarded: RayCluster, tmp_path: Path) -> None:
    found = opening(guarded.address, tmp_path, RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=TOKEN)
    assert "no living node with CPUs" in found.stdout


def test_another_port_of_rays_own_is_refused_and_nothing_else_is_printed(guarded: RayCluster, tmp_path: Path) -> None:
    address = f"127.0.0.1:{guarded.client_port}"
    found = opening(address, tmp_path)
    assert f"who listens at {address} is not the head of one" in found.stdout
    assert (found.returncode, found.stdout.count("\n"), found.stderr) == (0, 1, "")
