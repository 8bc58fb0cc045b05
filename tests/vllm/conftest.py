"""Fixtures of the tests against a real vLLM; without one they are skipped, and say how to get it."""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from vllm_serving import MODEL_FOLDER, Fault, Proxy, VllmServer


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if importlib.util.find_spec("vllm") is not None and MODEL_FOLDER.is_dir():
        return
    reason = "vLLM and a model to serve are not in this environment: make test-vllm builds one that has them"
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def vllm_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VllmServer]:
    """A server that answers; a test that kills it starts it again."""
    server = VllmServer(tmp_path_factory.mktemp("vllm") / "serve.log")
    server.start()
    try:
        server.wait()
        yield server
    finally:
        server.kill()


@pytest.fixture
def faulty(vllm_server: VllmServer) -> Iterator[Callable[[Fault], Proxy]]:
    """Makes a proxy with a fault in front of the server."""
    running: list[Proxy] = []

    def make(fault: Fault) -> Proxy:
        proxy = Proxy(vllm_server.root, fault)
        threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        running.append(proxy)
        return proxy

    yield make
    for proxy in running:
        proxy.released.set()
        proxy.shutdown()
        proxy.server_close()
