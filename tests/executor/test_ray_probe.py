"""What the end of the process means that asks a head whether we may use it."""

from __future__ import annotations

import sys

import pytest

from executor import child_process, ray_probe
from executor.ray_probe import _read, refusal


def test_a_head_that_answers_is_not_refused() -> None:
    assert _read(0, "asked\n", "") is None


@pytest.mark.parametrize("out", ["", "Traceback"])
def test_where_nobody_was_asked_connecting_will_tell(out: str) -> None:
    assert _read(1, out, "ImportError: cannot import name 'GcsClient'") is None


@pytest.mark.parametrize(
    ("out", "err", "said"),
    [
        ("asked\nAuthenticationError: RPC error: InvalidAuthToken", "", "it wants a token"),
        ("asked\nRpcError: Unauthenticated", "", "it wants a token"),
        # Ray's core ends the process, with this among a page of addresses.
        ("asked\n", "enabled but Ray couldn't find an authentication token. Create", "no token is"),
    ],
)
def test_a_token_that_is_wrong_or_missing_is_told_with_where_to_set_it(out: str, err: str, said: str) -> None:
    found = _read(-6, out, err)
    assert found is not None
    assert said in found[0]
    assert "RAY_AUTH_TOKEN" in found[1]


def test_a_server_of_another_kind_is_told_in_its_own_words_on_one_line() -> None:
    assert _read(1, "asked\nRpcError: RPC error:\nMethod not found!", "") == (
        "RpcError: RPC error: Method not found!",
        "",
    )


def test_a_server_that_took_the_call_and_ended_the_process_without_a_word_is_refused() -> None:
    assert _read(-6, "asked\n", "") == ("it gave no answer", "")


def test_a_server_that_takes_the_call_and_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    asks = "import time; print('asked', flush=True); time.sleep(600)"
    monkeypatch.setattr(child_process, "command", lambda module: [sys.executable, "-c", asks])
    monkeypatch.setattr(ray_probe, "_WAIT_S", 3.0)
    assert refusal("127.0.0.1:1") == ("it gave no answer", "")


def test_where_no_process_can_be_started_connecting_will_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child_process, "command", lambda module: ["/no/such/python"])
    assert refusal("127.0.0.1:1") is None
