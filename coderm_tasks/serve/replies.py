"""Answers that are no results: one shape for all of them, and every status there is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from fastapi import Response

from coderm_tasks.serve.pace import LEAST_S
from coderm_tasks.serve.schema import ErrorDetail, ErrorReply

__all__ = ["ERRORS", "MORE_CODES", "ServeError", "error_reply", "json_reply"]

ERRORS: Mapping[int, tuple[str, str]] = {
    400: ("not_json", "The body is no JSON."),
    401: ("unauthorized", "The token is missing or wrong."),
    404: ("not_found", "There is nothing at this path."),
    405: ("method_not_allowed", "This path takes another method."),
    408: ("slow_body", "The body did not arrive in time."),
    413: ("too_large", "The body is larger than --max-body-mib."),
    415: ("unsupported_media_type", "The body is not application/json, or is compressed."),
    421: ("unknown_host", "Without a token only requests to this machine's own name are answered."),
    422: ("invalid", "It does not fit the schema, or what the schema cannot say: see the code."),
    429: ("queue_full", "Too many items are waiting; come again after Retry-After."),
    500: ("internal", "An error of the service's own."),
    503: ("sandbox_failed", "No reward is to be had now: see the code."),
}  # fmt: skip
"""Status: the code it mostly has, and what it means."""

MORE_CODES: Mapping[int, Mapping[str, str]] = {
    422: {
        "too_many": "More items than --max-batch, or more tests of one than --max-tests.",
        "unreadable": "The tests take too long, or too much memory, to read.",
        "invalid_entry_point": "An entry point is no name of a function.",
        "unknown_entry_point": "There are tests, and none of any item mentions its entry point as a word.",
    },
    503: {
        "draining": "The service is about to end, or ended before this was judged.",
        "overloaded": "The deadline came before the request was read.",
    },
}
"""Status: the other codes it may have."""


class ServeError(Exception):
    """A request cannot be answered with a result."""

    def __init__(self, status: int, code: str, message: str, *, retry_after_s: int = LEAST_S) -> None:
        self.status = status
        self.code = code
        self.message = message
        self.retry_after_s = retry_after_s
        """Told with the statuses after which coming again may help."""

    def reply(self) -> Response:
        """The answer."""
        return error_reply(self.status, self.code, self.message, retry_after_s=self.retry_after_s)


def error_reply(
    status: int, code: str, message: str, headers: Mapping[str, str] | None = None, *, retry_after_s: int = LEAST_S
) -> Response:
    """Make an answer of the one shape; with Retry-After where coming again may help."""
    headers = dict(headers or {})
    if status in (429, 503):
        headers["Retry-After"] = str(retry_after_s)
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return json_reply(ErrorReply(error=ErrorDetail(code=code, message=message)), status, headers)


def json_reply(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Make an answer of a record."""
    kept = {"Cache-Control": "no-store", **(headers or {})}
    return Response(msgspec.json.encode(body), status, headers=kept, media_type="application/json")
