"""Settings of the service, and its token."""

from __future__ import annotations

import ipaddress
import logging
import os
import socket
import stat
from collections.abc import MutableMapping
from pathlib import Path

from msgspec import Struct, field

from coderm_tasks.config import MOST_WORKERS
from coderm_tasks.errors import ConfigError
from executor import Limits

__all__ = ["TOKEN_VARIABLE", "ServeOptions", "is_loopback", "read_token"]

_log = logging.getLogger(__name__)

TOKEN_VARIABLE = "CODERM_SERVE_TOKEN"  # noqa: S105 - a name, no token
_SHORTEST_TOKEN = 16
_MAKE_ONE = "make one with: python3 -c 'import secrets; print(secrets.token_urlsafe(32))'"


class ServeOptions(Struct, frozen=True, kw_only=True):
    """What one service takes, and how much of it."""

    host: str = "127.0.0.1"
    port: int = 8000
    """0: any that is free."""
    workers: int = 0
    """Solutions judged at the same time; 0: one per core."""
    queue: int = 1024
    """Items (completions, or solutions of a matrix) accepted and not yet answered."""
    max_batch: int = 256
    """Items of one request."""
    max_tests: int = 256
    """Unit tests of one item."""
    max_body_mib: float = 8.0
    """Body of one request, MiB."""
    deadline_s: float = 60.0
    """Seconds from a request's arrival to its answer, at most."""
    cache: bool = True
    """Keep verdicts on disk and reuse them."""
    limits: Limits = field(default_factory=Limits)
    """Limits of one unit test."""

    def __post_init__(self) -> None:
        _within("port", self.port, 0, 65_535)
        _within("workers", self.workers, 0, MOST_WORKERS)
        _within("max-batch", self.max_batch, 1, 100_000)
        _within("queue", self.queue, 1, 10_000_000)
        _within("max-tests", self.max_tests, 1, 100_000)
        _within("max-body-mib", self.max_body_mib, 0.001, 1024)
        _within("deadline", self.deadline_s, 0.1, 86_400)
        if self.queue < self.max_batch:
            raise ConfigError(
                f"queue is {self.queue} and max-batch {self.max_batch}: expected a queue that holds a whole batch; "
                "raise --queue or lower --max-batch"
            )

    @property
    def body_bytes(self) -> int:
        """Largest body."""
        return int(self.max_body_mib * 2**20)


def _within(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise ConfigError(f"{name} is {value}: expected {low} to {high}")


def is_loopback(host: str) -> bool:
    """Whether every address of the host is of this machine alone.

    Raises:
        ConfigError: it has no address.
    """
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise ConfigError(f"host is {host!r:.80} ({error}): expected an address of this machine") from error
    return all(ipaddress.ip_address(str(address[4][0]).partition("%")[0]).is_loopback for address in found)


def read_token(file: Path | None, host: str, environ: MutableMapping[str, str] | None = None) -> str | None:
    """Return the token that requests must bear, or None where none is set and only this machine can ask.

    The variable is removed from the environment, so that no process of ours inherits it.

    Raises:
        ConfigError: an unusable token, or none and a host that others reach.
    """
    environ = os.environ if environ is None else environ
    given = environ.pop(TOKEN_VARIABLE, None)
    if file is not None:
        return _checked(_read(file), str(file))
    if given is not None:
        return _checked(given.strip(), TOKEN_VARIABLE)
    if not is_loopback(host):
        raise ConfigError(
            f"host is {host} and there is no token: expected one, as others can reach this host; set {TOKEN_VARIABLE} "
            f"or --token-file; {_MAKE_ONE}"
        )
    return None


def _read(file: Path) -> str:
    try:
        text = file.read_text(encoding="utf-8").strip()
        if stat.S_IMODE(file.stat().st_mode) & 0o077:
            _log.warning("%s can be read by other users of this machine; mend with: chmod 600 %s", file, file)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"token file {file} cannot be read ({error}): expected a file with a token") from error
    return text


def _checked(token: str, where: str) -> str:
    """The message never holds the token."""
    if len(token) < _SHORTEST_TOKEN or not token.isascii() or not token.isprintable() or " " in token:
        raise ConfigError(
            f"the token in {where} is unusable: expected {_SHORTEST_TOKEN} or more printable ASCII characters without "
            f"spaces; {_MAKE_ONE}"
        )
    return token
