"""How long the head of a cluster may be silent, and what is said then."""

from __future__ import annotations

import logging
import socket

import pytest

from executor import ClusterError
from executor.ray_pulse import Pulse


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def test_a_head_that_takes_connections_beats() -> None:
    with socket.create_server(("127.0.0.1", 0)) as head:
        assert Pulse(f"127.0.0.1:{head.getsockname()[1]}").beats(now=True)


def test_a_head_is_looked_at_now_and_then_only(free_port: int) -> None:
    clock = Clock()
    pulse = Pulse(f"127.0.0.1:{free_port}", clock=clock)
    assert pulse.beats()
    clock.now = 5.0
    assert not pulse.beats()


def test_a_silent_head_is_waited_for_and_then_an_error_that_says_what_to_do(
    free_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    pulse = Pulse(f"127.0.0.1:{free_port}", patience_s=10.0, clock=clock)
    assert not pulse.beats(now=True)
    clock.now = 9.0
    assert not pulse.beats()
    clock.now = 10.0
    with pytest.raises(ClusterError, match=f"head of the Ray cluster at 127.0.0.1:{free_port} is gone: start it again"):
        pulse.beats()
    assert caplog.text.count("does not answer; waiting 10 s for it") == 1


def test_a_head_that_comes_back_is_forgiven(free_port: int, caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    pulse = Pulse(f"127.0.0.1:{free_port}", patience_s=10.0, clock=clock)
    assert not pulse.beats(now=True)
    with socket.create_server(("127.0.0.1", free_port)), caplog.at_level(logging.WARNING):
        clock.now = 9.0
        assert pulse.beats()
    assert "answers again" in caplog.text
    clock.now = 15.0
    assert not pulse.beats()  # it has all of the patience again


@pytest.mark.parametrize(("set_to", "seconds"), [(None, 30.0), ("120", 60.0), ("nonsense", 30.0)])
def test_it_is_given_half_the_time_after_which_rays_core_ends_the_process(
    monkeypatch: pytest.MonkeyPatch, set_to: str | None, seconds: float
) -> None:
    name = "RAY_gcs_rpc_server_reconnect_timeout_s"
    monkeypatch.delenv(name, raising=False) if set_to is None else monkeypatch.setenv(name, set_to)
    assert Pulse("127.0.0.1:1")._patience_s == seconds
