"""The gate before the app: who may ask, how much, and whether there is room, before a body is read.

Also watches for clients that leave: their requests are given up.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Awaitable, Callable
from contextlib import suppress

from msgspec import Struct
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from coderm_tasks.serve.admission import Admission, Place
from coderm_tasks.serve.replies import ServeError

__all__ = ["OPEN_PATHS", "PLACE", "WORK_PATHS", "Gate", "GateRules"]

OPEN_PATHS = frozenset({"/health"})
"""Answered without a token, and under any name of the host."""
WORK_PATHS = frozenset({"/v1/rewards", "/v1/matrix"})
PLACE = "coderm.place"
"""Where an accepted request's :class:`Place` is found in its scope."""
_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})


class GateRules(Struct, frozen=True):
    """Who may ask, and how much."""

    token: str | None
    body_bytes: int
    body_s: float = 30.0
    """Seconds in which a body must arrive."""
    host: str = "127.0.0.1"

    def __repr__(self) -> str:
        """Without the token: what is shown ends up in logs."""
        return f"GateRules(token={'set' if self.token else None}, body_bytes={self.body_bytes}, host={self.host!r})"


class Gate:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp, *, rules: GateRules, admission: Admission) -> None:
        self._app = app
        self._rules = rules
        self._admission = admission
        self._expected = None if rules.token is None else f"Bearer {rules.token}".encode()
        self._names = _LOOPBACK_NAMES | {rules.host.lower(), f"[{rules.host.lower()}]"}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through to the app, or answer it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            self._check_asker(scope)
            if scope["method"] != "POST" or scope["path"] not in WORK_PATHS:
                await self._app(scope, receive, send)
                return
            place = self._accept(Headers(scope=scope))
        except ServeError as error:
            await error.reply()(scope, receive, send)
            return
        try:
            await self._work(place, scope, receive, send)
        finally:
            place.leave()

    def _check_asker(self, scope: Scope) -> None:
        if scope["path"] in OPEN_PATHS:
            return
        headers = Headers(scope=scope)
        if self._expected is None:
            # A page in a browser on this machine could have a name of its own resolve to us.
            name = headers.get("host", "").lower()
            name = name if name.endswith("]") else name.rpartition(":")[0] or name
            if name not in self._names:
                raise ServeError(
                    421, "unknown_host", "the request is for another host: expected 127.0.0.1 or localhost"
                )
            return
        kind, _, token = headers.get("authorization", "").partition(" ")
        given = f"{kind.title()} {token.strip()}".encode("latin-1", "replace")
        if not hmac.compare_digest(given, self._expected):
            raise ServeError(401, "unauthorized", "the token is missing or wrong: expected Authorization: Bearer TOKEN")

    def _accept(self, headers: Headers) -> Place:
        if self._admission.draining:
            raise ServeError(503, "draining", "the service is about to end: ask another, or come again")
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise ServeError(415, "unsupported_media_type", "expected a body with Content-Type: application/json")
        if headers.get("content-encoding", "identity").lower() != "identity":
            raise ServeError(415, "unsupported_media_type", "expected a body without Content-Encoding")
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length[:20]) > self._rules.body_bytes:
            raise self._too_large()
        place = self._admission.enter()
        if place is None:
            raise queue_full(self._admission)
        return place

    def _too_large(self) -> ServeError:
        most = self._rules.body_bytes / 2**20
        return ServeError(413, "too_large", f"the body is too large: expected at most {most:g} MiB; split the request")

    async def _work(self, place: Place, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            body = await asyncio.wait_for(self._read(place, receive), self._rules.body_s)
        except asyncio.TimeoutError:
            error = ServeError(408, "slow_body", f"the body did not arrive within {self._rules.body_s:g} s")
            await error.reply()(scope, receive, send)
            return
        except ServeError as error:
            await error.reply()(scope, receive, send)
            return
        if body is not None:
            await while_connected(self._app({**scope, PLACE: place}, _replay(body), send), receive)

    async def _read(self, place: Place, receive: Receive) -> bytes | None:
        """The whole body; None: the client has left."""
        parts: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            part = message.get("body", b"")
            size += len(part)
            if size > self._rules.body_bytes:
                raise self._too_large()
            if not place.take_bytes(len(part)):
                raise queue_full(self._admission)
            parts.append(part)
            if not message.get("more_body", False):
                return b"".join(parts)


def queue_full(admission: Admission) -> ServeError:
    """The error for a request there is no room for."""
    return ServeError(
        429,
        "queue_full",
        "too many items are waiting: come again after Retry-After seconds",
        retry_after_s=admission.retry_after_s(),
    )


def _replay(body: bytes) -> Callable[[], Awaitable[Message]]:
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        if messages:
            return messages.pop()
        await asyncio.Event().wait()  # whether the client leaves is watched elsewhere
        raise AssertionError

    return receive


async def while_connected(work: Awaitable[None], receive: Receive) -> None:
    """Wait for the work, or give it up when the client leaves. Raises what the work raises."""
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_disconnect(receive))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        gone.cancel()
        task.cancel()  # does nothing to one that is done
        with suppress(asyncio.CancelledError):
            await task


async def _disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
