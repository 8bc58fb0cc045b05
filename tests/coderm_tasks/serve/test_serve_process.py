"""``coderm serve`` as a process: how it starts, how it ends, what it refuses to start with."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import httpx
import psutil
import pytest
from serve_bench import PATIENCE, ROOT, TOKEN, item

from coderm_tasks.cli import main
from coderm_tasks.serve.options import TOKEN_VARIABLE

SLEEPER = {
    "completion": "import time\ndef f(x):\n    time.sleep(600)\n",
    "entry_point": "f",
    "tests": ["assert f(0) == 1"],
}


def in_background(call: Callable[[], httpx.Response]) -> Callable[[], httpx.Response]:
    """Call it in a thread; what is returned waits for the result."""
    found: list[Any] = []

    def run() -> None:
        try:
            found.append(call())
        except httpx.TransportError as error:
            found.append(error)

    thread = threading.Thread(target=run)
    thread.start()

    def result() -> httpx.Response:
        thread.join(PATIENCE)
        return found[0]

    return result


def gone(family: list[psutil.Process]) -> list[psutil.Process]:
    return psutil.wait_procs(family, timeout=20)[1]


def test_sigterm_answers_what_was_accepted_sends_others_away_and_leaves_nothing(start, until):
    service = start("--deadline", "4")
    accepted = in_background(lambda: service.rewards(SLEEPER, item(3)))
    until(lambda: service.items() == 2)
    family = service.family()
    service.process.send_signal(signal.SIGTERM)
    until(lambda: service.http.get("/health").status_code == 503)
    late = service.rewards(item(1))
    assert (late.status_code, late.json()["error"]["code"]) == (503, "draining")
    reply = accepted()
    assert [one["status"] for one in reply.json()["items"]] == ["unjudged", "judged"]
    assert service.process.wait(PATIENCE) == 0
    assert len(family) > 2
    assert gone(family) == []


def test_a_second_signal_ends_at_once(start, until):
    service = start()
    accepted = in_background(lambda: service.rewards(SLEEPER))
    until(lambda: service.items() == 1)
    family = service.family()
    asked = time.monotonic()
    service.process.send_signal(signal.SIGINT)
    until(lambda: service.http.get("/health").status_code == 503)
    service.process.send_signal(signal.SIGINT)
    assert service.process.wait(PATIENCE) == 130
    assert time.monotonic() - asked < 55  # the deadline, which a sleeper takes, is 60 s
    reply = accepted()
    assert (reply.status_code, reply.json()["error"]["code"]) == (503, "draining")
    assert reply.headers["Retry-After"] == "1"
    assert gone(family) == []


def test_killed_outright_it_leaves_no_process(start, until):
    service = start()
    waiting = in_background(lambda: service.rewards(SLEEPER))
    until(lambda: service.items() == 1)
    until(lambda: any("bwrap" in process.name() for process in service.family()))
    family = service.family()
    service.process.kill()
    service.process.wait()
    assert gone(family) == []
    assert isinstance(waiting(), httpx.TransportError)


def test_a_client_that_leaves_and_a_body_too_large_hold_up_nobody(start, until):
    service = start("--max-body-mib", "0.1")
    with pytest.raises(httpx.ReadTimeout):
        service.http.post("/v1/rewards", json={"items": [SLEEPER]}, timeout=1)
    until(lambda: service.items() == 0)
    large = service.http.post("/v1/rewards", content=b"0" * 5_000_000, headers={"Content-Type": "application/json"})
    assert large.status_code == 413
    assert service.rewards(item(3)).json()["items"][0]["reward"] == 1.0


def test_no_process_of_it_inherits_the_token(start):
    service = start()
    service.rewards(item(1))
    for process in service.family():
        assert TOKEN not in process.environ().values()


def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    given = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    given.pop(TOKEN_VARIABLE, None) if TOKEN_VARIABLE not in environment else None
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, env=given, timeout=PATIENCE)


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["serve", *words]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    return printed.err


def test_it_does_not_start_without_a_sandbox(tmp_path):
    (tmp_path / "bwrap").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "bwrap").chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    found = run("-m", "coderm_tasks", "serve", "--port", "0", PATH=path)
    assert (found.returncode, found.stdout) == (2, "")
    assert found.stderr.startswith("coderm: ")
    assert "bwrap" in found.stderr


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_a_host_that_others_reach_needs_a_token(capsys, host, monkeypatch):
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
    message = refused(capsys, "--host", host)
    assert "there is no token" in message
    assert "--token-file" in message


def test_a_host_that_does_not_exist_is_named(capsys):
    assert "expected an address" in refused(capsys, "--host", "no such host.invalid")


@pytest.mark.parametrize("token", ["", "short", "with a space in it", "f\xfcnfzehn zeichen"])
def test_a_token_that_is_none_is_refused_and_not_repeated(capsys, tmp_path, token):
    (tmp_path / "token").write_text(token, encoding="utf-8")
    (tmp_path / "token").chmod(0o600)
    message = refused(capsys, "--token-file", str(tmp_path / "token"))
    assert "expected 16 or more" in message
    assert not token or token not in message


def test_a_token_file_that_is_missing_is_named(capsys, tmp_path):
    assert "cannot be read" in refused(capsys, "--token-file", str(tmp_path / "none"))


def test_a_port_in_use_is_named_with_what_to_do(capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        message = refused(capsys, "--port", str(taken.getsockname()[1]))
    assert "or 0 for any" in message


@pytest.mark.parametrize(
    ("flag", "value"),
    [("--workers", "-1"), ("--queue", "1"), ("--max-batch", "0"), ("--deadline", "0"), ("--max-body-mib", "nan"),
     ("--port", "70000"), ("--max-tests", "0"), ("--cpu-limit", "0")],
)  # fmt: skip
def test_settings_out_of_range_are_refused(capsys, flag, value):
    assert "expected" in refused(capsys, flag, value)


def test_without_the_extra_it_says_what_to_install():
    block = "import sys; sys.modules['fastapi'] = None; from coderm_tasks.cli import main; sys.exit(main(['serve']))"
    found = run("-c", block)
    assert found.returncode == 2
    assert "pip install 'coderm-tasks[serve]'" in found.stderr


def test_an_extra_that_is_broken_is_told_with_what_was_said(tmp_path):
    (tmp_path / "fastapi.py").write_text("raise ImportError('said by the test')")
    block = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from coderm_tasks.cli import main; sys.exit(main(['serve']))"
    found = run("-c", block)
    assert found.returncode == 2
    assert "cannot be imported (said by the test): pip install 'coderm-tasks[serve]'" in found.stderr
    assert "None" not in found.stderr


def test_its_settings_can_be_imported_without_the_extra():
    block = "import sys; import coderm_tasks.serve; print(json.dumps([n for n in sys.modules if n in ('fastapi', 'uvicorn')]))"
    assert json.loads(run("-c", f"import json; {block}").stdout) == []
