"""The app: routes and their documentation. Wiring only; its parts are opened and closed by whoever makes it."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException

import coderm_tasks
from coderm_tasks.serve.ending import Ended
from coderm_tasks.serve.gate import PLACE, Gate, GateRules
from coderm_tasks.serve.metrics import Measured
from coderm_tasks.serve.openapi import components, request_body, responses
from coderm_tasks.serve.replies import ERRORS, ServeError, error_reply, json_reply
from coderm_tasks.serve.schema import Health, LaneCounts, QueueCounts
from coderm_tasks.serve.service import Service

__all__ = ["build_app"]

_WORK_ERRORS = (400, 401, 408, 413, 415, 421, 422, 429, 500, 503)


def build_app(service: Service, rules: GateRules, *, workers: int) -> FastAPI:
    """Make the ASGI app.

    Args:
        rules: who may ask, and how much.
        workers: lanes that work at the same time, to be told.
    """
    # No pages of documentation: those load scripts from elsewhere.
    app = FastAPI(
        title="coderm serve",
        version=coderm_tasks.__version__,
        description="Unit tests as a reward: completions and solutions are judged by unit tests, in a sandbox.",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    _add_work(app, service)
    _add_views(app, service, workers)
    app.add_exception_handler(ServeError, _on_serve_error)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(Exception, _on_any_error)
    app.add_middleware(Gate, rules=rules, admission=service.admission)
    app.add_middleware(Ended)
    app.add_middleware(Measured, metrics=service.metrics)
    _document(app, token=rules.token is not None)
    return app


def _add_work(app: FastAPI, service: Service) -> None:
    @app.post(
        "/v1/rewards",
        summary="Reward a batch of completions",
        responses=responses("RewardsReply", _WORK_ERRORS),
        openapi_extra=request_body("RewardsRequest"),
        response_class=Response,
    )
    async def rewards(request: Request) -> Response:
        return json_reply(await service.rewards(await request.body(), request.scope[PLACE]))

    @app.post(
        "/v1/matrix",
        summary="Run every solution against every test",
        responses=responses("MatrixReply", _WORK_ERRORS),
        openapi_extra=request_body("MatrixRequest"),
        response_class=Response,
    )
    async def matrix(request: Request) -> Response:
        return json_reply(await service.matrix(await request.body(), request.scope[PLACE]))


def _add_views(app: FastAPI, service: Service, workers: int) -> None:
    @app.get(
        "/health",
        summary="Whether the service takes requests",
        responses={**responses("Health", ()), 503: {"description": "It is about to end; the body is as for 200."}},
        response_class=Response,
        openapi_extra={"security": []},
    )
    async def health() -> Response:
        load, admission = service.scheduler.load(), service.admission
        found = Health(
            status="draining" if admission.draining else "ready",
            version=coderm_tasks.__version__,
            sandbox="failed" if service.sandbox_failed else "works",
            lanes=LaneCounts(workers=workers, running=load.running, replaced=load.replaced),
            queue=QueueCounts(items=admission.items, limit=admission.limit),
        )
        return json_reply(found, 503 if admission.draining else 200)

    @app.get(
        "/metrics",
        summary="Numbers for Prometheus",
        responses={
            200: {
                "description": "Prometheus's text format.",
                "content": {"text/plain": {"schema": {"type": "string"}}},
            },
            **{status: found for status, found in responses("Health", (401, 421)).items() if status != 200},
        },
        response_class=Response,
    )
    async def metrics() -> Response:
        return Response(service.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")


def _document(app: FastAPI, *, token: bool) -> None:
    made = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = made()
            parts = document.setdefault("components", {})
            parts.setdefault("schemas", {}).update(components())
            if token:
                parts["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
                document["security"] = [{"token": []}]
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


async def _on_serve_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ServeError)
    return error.reply()


async def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code, meaning = ERRORS.get(error.status_code, ("http_error", "The request cannot be answered."))
    return error_reply(error.status_code, code, meaning, error.headers)


async def _on_any_error(request: Request, error: Exception) -> Response:
    return error_reply(500, *ERRORS[500])
