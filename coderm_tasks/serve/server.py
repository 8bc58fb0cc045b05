"""uvicorn, with an end of our own: what was accepted is answered, whatever comes meanwhile is told to come again."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Callable, Iterator

import uvicorn
from starlette.types import ASGIApp

from coderm_tasks.serve.admission import Admission

__all__ = ["serve_app"]

_log = logging.getLogger(__name__)

_FLUSH_S = 10
"""Seconds that clients have to take answers that are ready, once the service ends."""
_LOOK_S = 0.05


async def serve_app(
    app: ASGIApp,
    listener: socket.socket,
    admission: Admission,
    *,
    longest_s: float,
    ready: Callable[[], None],
) -> bool:
    """Serve until SIGTERM or SIGINT, then answer what was accepted; a second signal ends at once.

    Args:
        longest_s: seconds that an answer may take; nothing is waited for much longer than that.
        ready: called once requests are taken.

    Returns:
        Whether all that was accepted was answered.
    """
    server = _Server(app, ready)
    told = asyncio.Event()

    def tell() -> None:
        if told.is_set():
            _log.warning("ending at once; what was accepted is not answered")
            server.force_exit = server.should_exit = True
        admission.draining = True
        told.set()

    async def end_when_answered() -> None:
        await told.wait()
        until = asyncio.get_running_loop().time() + longest_s + _FLUSH_S
        while admission.places and asyncio.get_running_loop().time() < until:
            await asyncio.sleep(_LOOK_S)
        server.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, tell)
    ending = asyncio.ensure_future(end_when_answered())
    try:
        await server.serve(sockets=[listener])
    finally:
        ending.cancel()
    return not server.force_exit


class _Server(uvicorn.Server):
    """uvicorn, with signals left to us and word of when it listens."""

    def __init__(self, app: ASGIApp, ready: Callable[[], None]) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                lifespan="off",
                loop="asyncio",
                ws="none",
                proxy_headers=False,
                server_header=False,
                timeout_graceful_shutdown=_FLUSH_S,
            )
        )
        self._ready = ready

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave them alone: a first one must not stop it from listening (see :func:`serve_app`)."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and say so."""
        await super().startup(sockets)
        self._ready()
