"""What Prometheus is told: requests, rewards, and how busy the lanes are. Each app has a registry of its own."""

from __future__ import annotations

import time
from collections import Counter as Count
from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from coderm_tasks.reward.scheduler import Scheduler
from coderm_tasks.reward.scoring import Score
from coderm_tasks.serve.admission import Admission
from coderm_tasks.serve.readers import Readers

__all__ = ["Measured", "Metrics"]

_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
_ROUTES = frozenset({"/v1/rewards", "/v1/matrix", "/health", "/metrics", "/openapi.json"})
_CLIENT_LEFT = 499
"""Nobody got an answer: the client had left."""


class Metrics:
    """The numbers of one app."""

    def __init__(self, scheduler: Scheduler, readers: Readers, admission: Admission) -> None:
        self.registry = CollectorRegistry()
        of = self.registry
        self._requests = Counter("coderm_requests", "Requests answered", ["route", "status"], registry=of)
        self._seconds = Histogram("coderm_request_seconds", "From a request's arrival to the end of its answer",
                                  ["route"], buckets=_BUCKETS, registry=of)  # fmt: skip
        self._rewards = Counter("coderm_rewards", "Completions answered, by how their reward came about", ["status"],
                                registry=of)  # fmt: skip
        self._verdicts = Counter("coderm_verdicts", "Verdicts given, by letter", ["verdict"], registry=of)
        self._shared = Counter("coderm_shared_passes", "Passes that a solution could have forged", registry=of)
        of.register(_Load(scheduler, readers, admission))
        ProcessCollector(registry=of)

    def text(self) -> bytes:
        """All of it, in the text format."""
        return generate_latest(self.registry)

    def answered(self, path: str, status: int, seconds: float) -> None:
        """Count a request. Paths that are none of ours count as one."""
        route = path if path in _ROUTES else "other"
        self._requests.labels(route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def scored(self, scores: Iterable[Score]) -> None:
        """Count the rewards given."""
        for score in scores:
            self._rewards.labels(score.status.value).inc()
            self._shared.inc(score.shared)
            self.judged((score.verdicts,), 0)

    def judged(self, rows: Iterable[str], shared_passes: int) -> None:
        """Count verdicts."""
        for letter, count in Count("".join(rows)).items():
            self._verdicts.labels(letter).inc(count)
        self._shared.inc(shared_passes)


class _Load:
    """Collects what is asked for when it is asked for."""

    def __init__(self, scheduler: Scheduler, readers: Readers, admission: Admission) -> None:
        self._parts = (scheduler, readers, admission)

    def collect(self) -> Iterator[Metric]:
        """See prometheus_client."""
        scheduler, readers, admission = self._parts
        load = scheduler.load()
        yield GaugeMetricFamily("coderm_queue_items", "Items accepted and not yet answered", admission.items)
        yield GaugeMetricFamily("coderm_queue_limit", "Items there may be", admission.limit)
        yield GaugeMetricFamily("coderm_body_bytes", "Bytes of the bodies accepted", admission.body_bytes)
        yield GaugeMetricFamily("coderm_draining", "1 while the service is about to end", float(admission.draining))
        yield GaugeMetricFamily("coderm_pieces_waiting", "Distinct solutions no lane has taken", load.waiting)
        yield GaugeMetricFamily("coderm_lanes_running", "Lanes at work", load.running)
        yield CounterMetricFamily("coderm_lanes_replaced", "Lanes that failed or were killed", load.replaced)
        yield CounterMetricFamily("coderm_batches_failed", "Requests the sandbox failed", load.failed)
        yield CounterMetricFamily("coderm_readers_replaced", "Reading processes replaced", readers.replaced)


class Measured:
    """ASGI middleware: counts every answer."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request through and note what came of it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status = _CLIENT_LEFT

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noting)
        except Exception:
            status = 500
            raise
        finally:
            self._metrics.answered(scope["path"], status, time.perf_counter() - started)
