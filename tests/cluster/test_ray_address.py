"""What is said, and how soon, where there is no cluster to connect to."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from executor import ClusterError, open_executor

pytest.importorskip("ray", reason="Ray is not installed: pip install 'coderm-tasks[ray]' to run this")


@pytest.mark.timeout(30)  # Ray itself would try for two minutes
def test_an_address_where_nobody_listens_is_refused_soon() -> None:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{one.getsockname()[1]}"
        with pytest.raises(ClusterError, match=f"nobody listens at {address}.*ray start --head"):
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


def test_where_no_cluster_was_ever_started_auto_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    monkeypatch.setattr("ray._private.services.find_gcs_addresses", lambda: set())
    with pytest.raises(ClusterError, match="none runs on this machine, and RAY_ADDRESS is not set"):
        open_executor(engine="ray")
