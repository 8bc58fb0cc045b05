"""The last word to who is being answered when the service is told, a second time, to end."""

from __future__ import annotations

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from coderm_tasks.serve.replies import ServeError

__all__ = ["Ended"]


class Ended:
    """ASGI middleware: requests that the end of the event loop cuts off get an answer of the usual shape."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request through; if it is cut off before its answer has begun, say so in uvicorn's stead."""
        begun = False

        async def noting(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, noting)
        except asyncio.CancelledError:
            if begun or scope["type"] != "http":
                raise
            error = ServeError(503, "draining", "the service ended before this was judged: ask another, or come again")
            await error.reply()(scope, receive, send)
