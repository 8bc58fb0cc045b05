"""Asks an address whether it is the head of a Ray cluster that we may use, in a process of its own.

Ray's core says what is wrong on standard error, line after line for twenty seconds, and where a token is asked for and
none is set it ends the process. Here all of that stays in a process whose output is read.
"""

from __future__ import annotations

import importlib
import subprocess
import sys

from executor import child_process

__all__ = ["main", "refusal"]

_WAIT_S = 20.0
"""For an interpreter, Ray's import and one call, of which the call takes milliseconds."""
_ASKED = "asked"
_TOKEN_WORDS = ("unauthenticated", "authenticationerror", "invalidauthtoken", "authentication token")
_REMEDY = (
    "expected the token of its cluster: set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN (or RAY_AUTH_TOKEN_PATH, or the "
    "file ~/.ray/auth_token) here as on its head"
)


def refusal(address: str) -> tuple[str, str] | None:
    """Return what is wrong with the head at HOST:PORT and what mends it ("" where nothing but another address does).

    None: it answers as the head of a cluster, or could not be asked; connecting will tell.
    """
    try:
        done = subprocess.run(
            [*child_process.command("executor.ray_probe"), address],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_WAIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        return _read(1, _text(late.stdout), "")
    except OSError:
        return None
    return _read(done.returncode, _text(done.stdout), _text(done.stderr))


def _text(said: bytes | None) -> str:
    return (said or b"").decode(errors="replace")


def _read(code: int, out: str, err: str) -> tuple[str, str] | None:
    """What the probe's end means; ``out`` opens with a word once the probe was about to ask."""
    if code == 0 or not out.startswith(_ASKED):
        return None
    said = f"{out}\n{err}".lower()
    if "couldn't find an authentication token" in said:
        return "RAY_AUTH_MODE=token is set here and no token is", _REMEDY
    if any(word in said for word in _TOKEN_WORDS):
        return "it wants a token, and this process has none or another", _REMEDY
    return " ".join(out.removeprefix(_ASKED).split()) or "it gave no answer", ""


def main() -> None:
    """Ask the head at the address in the last argument for its cluster's id; exit code 1, and why, if there is none."""
    ask = importlib.import_module("ray._raylet").GcsClient
    print(_ASKED, flush=True)  # noqa: T201 - this is the answer
    try:
        ask(address=sys.argv[-1])
    except Exception as error:  # noqa: BLE001 - of whatever kind: it is told to who asked
        print(f"{type(error).__name__}: {error}", flush=True)  # noqa: T201
        sys.exit(1)
