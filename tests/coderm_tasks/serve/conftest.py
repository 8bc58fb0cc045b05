"""Fixtures of the service's tests."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from lanes import FakeLane
from serve_bench import BOUNDS, Bench, Running

from coderm_tasks.reward.lane import process_lanes
from coderm_tasks.serve.readers import Readers
from executor import Limits


@pytest.fixture(scope="session")
def readers() -> Iterator[Readers]:
    opened = Readers(BOUNDS, count=1)
    yield opened
    opened.close()


@pytest.fixture
def bench(readers: Readers) -> Iterator[Bench]:
    class Fresh(FakeLane):
        release = threading.Event()
        failures: list[str] = []  # noqa: RUF012
        opened = 0

    made = Bench(Fresh, readers)
    yield made
    Fresh.release.set()
    made.scheduler.close()


@pytest.fixture(scope="module")
def real(readers: Readers) -> Iterator[Bench]:
    """The same with lanes that judge in the sandbox."""
    made = Bench(process_lanes(Limits(), None), readers)
    yield made
    made.scheduler.close()


@pytest.fixture
def until() -> Callable[[Callable[[], bool]], None]:
    """Wait for something to come true."""

    def wait(true: Callable[[], bool]) -> None:
        for _ in range(6000):
            if true():
                return
            threading.Event().wait(0.01)
        raise AssertionError("it never came true")

    return wait


@pytest.fixture
def start() -> Iterator[Callable[..., Running]]:
    running: list[Running] = []

    def begin(*words: str, **more: Any) -> Running:
        running.append(Running(*words, **more))
        return running[-1]

    yield begin
    for one in running:
        one.end()
