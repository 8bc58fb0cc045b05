"""HTTP to one server: JSON in and out, retries with backoff, failures sorted once.

Our own small layer over aiohttp: per request it costs a fraction of a general API client (benchmarks/generation.py
measures it), which counts at 256 requests in flight.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from coderm_tasks.errors import ConfigError

if TYPE_CHECKING:
    import aiohttp

__all__ = ["FailedError", "RefusedError", "Transport", "UnreachableError", "host_of"]

log = logging.getLogger(__name__)

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_AGAIN = frozenset({408, 409, 425, 429})  # and all 5xx
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 20.0
_TRUSTING = 5  # attempts after exactly the pause that the server asked for; then ours, where it is longer
_CONNECT_S = 15.0
_MOST_BYTES = 256 << 20
_NOTABLE_S = 5.0  # a shorter wait is over before it is read about
_QUIET_S = 60.0  # between two lines in the log about a failing server


class RefusedError(Exception):
    """The server refuses the request: asking again is no use."""

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(f"status {status}")
        self.status = status
        self.body = body


class FailedError(Exception):
    """The server fails (429, 5xx) beyond all patience."""

    def __init__(self, status: int, body: bytes, others_answered: bool) -> None:
        super().__init__(f"status {status}")
        self.status = status
        self.body = body
        self.others_answered = others_answered
        """Whether the server answered other requests meanwhile: then it is the request that it cannot answer."""


class UnreachableError(Exception):
    """No connection, or no answer in time, beyond all patience. The message is the cause."""

    def __init__(self, cause: str, others_answered: bool) -> None:
        super().__init__(cause)
        self.others_answered = others_answered


class Transport:
    """Requests to one base URL. :meth:`open` it inside the event loop that uses it.

    Raises:
        ConfigError: the URL cannot be used, or aiohttp is not installed.
    """

    def __init__(self, base_url: str, key: str, *, connections: int, timeout_s: float, patience_s: float) -> None:
        self.base_url = base_url.rstrip("/")
        self._host = host_of(base_url)
        self._key = key
        self._connections = connections
        self._timeout_s = timeout_s
        self._patience_s = patience_s
        self._http = _library()
        self._session: aiohttp.ClientSession | None = None
        self._last_answer = float("-inf")
        self._last_warning = float("-inf")

    async def open(self) -> None:
        """Make the pool of connections; nothing is sent."""
        http = self._http
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        self._session = http.ClientSession(
            connector=http.TCPConnector(limit=self._connections),
            headers={**headers, "Authorization": f"Bearer {self._key}"} if self._key else headers,
            # A proxy meant for the internet would swallow requests to a server on this machine.
            trust_env=self._host not in _LOOPBACK,
            cookie_jar=http.DummyCookieJar(),
        )

    async def close(self) -> None:
        """Close all connections. Idempotent."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def get(self, path: str, *, patience_s: float, timeout_s: float) -> bytes:
        """The body of a good answer. Raises as :meth:`post`."""
        return await self._insist("GET", path, None, patience_s, timeout_s)

    async def post(self, path: str, body: bytes, *, patience_s: float | None = None) -> bytes:
        """The body of a good answer, after as many attempts as patience allows.

        Raises:
            RefusedError: a 4xx (but 408, 409, 425 and 429), or a redirect.
            FailedError: 429 or 5xx to the end of patience.
            UnreachableError: no answer to the end of patience.
        """
        patience = self._patience_s if patience_s is None else patience_s
        return await self._insist("POST", path, body, patience, self._timeout_s)

    async def _insist(self, method: str, path: str, body: bytes | None, patience_s: float, timeout_s: float) -> bytes:
        began = time.monotonic()
        attempt = 0
        while True:
            wait = 0.0
            try:
                status, headers, content = await self._once(method, path, body, timeout_s)
            except (self._http.ClientError, OSError, asyncio.TimeoutError) as error:
                problem: Exception = UnreachableError(_cause(error, timeout_s), self._last_answer > began)
            else:
                if status < 300:
                    self._last_answer = time.monotonic()
                    return content
                if status not in _AGAIN and status < 500:
                    raise RefusedError(status, content)
                problem = FailedError(status, content, self._last_answer > began)
                wait = _asked_to_wait(headers)
            pause = max(wait, _pause(attempt - _TRUSTING)) if wait else _pause(attempt)
            if time.monotonic() - began + pause > patience_s:
                raise problem
            self._warn(problem, began, patience_s)
            await asyncio.sleep(pause)
            attempt += 1

    async def _once(self, method: str, path: str, body: bytes | None, timeout_s: float) -> tuple[int, Any, bytes]:
        assert self._session is not None, "open() comes first"
        timeout = self._http.ClientTimeout(total=timeout_s, sock_connect=min(_CONNECT_S, timeout_s))
        async with self._session.request(
            method, self.base_url + path, data=body, timeout=timeout, allow_redirects=False
        ) as response:
            parts, size = [], 0
            async for part in response.content.iter_any():
                parts.append(part)
                size += len(part)
                if size > _MOST_BYTES:
                    raise self._http.ClientPayloadError(f"an answer of more than {_MOST_BYTES >> 20} MiB")
            return response.status, response.headers, b"".join(parts)

    def _warn(self, problem: Exception, began: float, patience_s: float) -> None:
        now = time.monotonic()
        if now - self._last_warning < _QUIET_S or patience_s < _NOTABLE_S:
            log.info("%s: %s; asking again", self.base_url, problem)
            return
        self._last_warning = now
        left = patience_s - (now - began)
        log.warning("%s: %s; asking again for up to %.0f s", self.base_url, problem, left)


def host_of(url: str) -> str:
    """The host of a base URL. Raises ConfigError where it cannot be used as one."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        parts.port  # noqa: B018 - raises on a bad port
    except ValueError as error:
        raise ConfigError(f"generator.base_url cannot be read ({error}): expected http://HOST:PORT/v1") from error
    if parts.scheme not in ("http", "https") or not host:
        raise ConfigError(f"generator.base_url is {url!r}: expected http://HOST:PORT/v1 or https://HOST/v1")
    if parts.username or parts.password:
        raise ConfigError("generator.base_url holds a user name or password: keys come from the environment only")
    return host


def _pause(attempt: int) -> float:
    """Seconds before the next attempt: doubling, with a spread so that not all requests come back at once."""
    if attempt < 0:
        return 0.0
    return min(_FIRST_PAUSE_S * 2.0**attempt, _LONGEST_PAUSE_S) * random.uniform(0.5, 1.0)  # noqa: S311


def _asked_to_wait(headers: Any) -> float:
    """Seconds that the server asks to wait (``retry-after-ms``, or ``retry-after`` in seconds); 0 if it does not."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            return max(float(headers.get(name, "")) * unit, 0.001)
        except ValueError:  # missing, or a date
            continue
    return 0.0


def _cause(error: BaseException, timeout_s: float) -> str:
    if isinstance(error, asyncio.TimeoutError):
        return f"no answer within {timeout_s:g} s"
    number = getattr(error, "errno", None)
    if number:
        return os.strerror(number).lower()
    return " ".join(str(error).split()) or type(error).__name__


def _library() -> Any:
    try:
        import aiohttp
    except ImportError as error:
        raise ConfigError("an endpoint needs the aiohttp package: pip install 'coderm-tasks[api]'") from error
    return aiohttp
