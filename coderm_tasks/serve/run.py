"""The process: a socket, lanes, uvicorn, and an end that answers what was accepted."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
from collections.abc import Callable

from coderm_tasks.errors import ConfigError
from coderm_tasks.places import cache_folder
from coderm_tasks.reward.lane import Work, process_lanes
from coderm_tasks.reward.options import default_workers
from coderm_tasks.reward.scheduler import Scheduler
from coderm_tasks.serve.options import ServeOptions
from executor import CellJob, SandboxMissing
from executor.doctor import require_sandbox

__all__ = ["serve"]

_BODIES = 8
"""How many of the largest bodies may be in memory at the same time."""


def serve(options: ServeOptions, token: str | None, announce: Callable[[str], None]) -> bool:
    """Serve until SIGTERM or SIGINT, answer what was accepted, and return; a second signal ends at once.

    Args:
        token: what requests must bear; None: anybody on this machine may ask.
        announce: called with the service's URL once it listens.

    Returns:
        Whether all that was accepted was answered.

    Raises:
        ConfigError: the extra is not installed, or the address cannot be listened on.
        SandboxError: the sandbox does not run here; the message names what mends it.
    """
    _require_extra()
    require_sandbox()
    from coderm_tasks.serve.admission import Admission
    from coderm_tasks.serve.app import build_app
    from coderm_tasks.serve.gate import GateRules
    from coderm_tasks.serve.readers import Readers
    from coderm_tasks.serve.reading import Bounds
    from coderm_tasks.serve.server import serve_app
    from coderm_tasks.serve.service import Service

    workers = options.workers or default_workers()
    bounds = Bounds(options.max_batch, options.max_tests, options.deadline_s)
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(_listen(options))
        folder = cache_folder() if options.cache else None
        scheduler = Scheduler(process_lanes(options.limits, folder), workers=workers)
        stack.callback(scheduler.close)
        readers = Readers(bounds, count=max(2, workers))
        stack.callback(readers.close)
        _check_lane(scheduler)
        admission = Admission(
            items=options.queue, body_bytes=_BODIES * options.body_bytes, longest_s=options.deadline_s
        )
        service = Service(scheduler, readers, admission, deadline_s=options.deadline_s)
        rules = GateRules(token=token, body_bytes=options.body_bytes, host=options.host)
        app = build_app(service, rules, workers=workers)
        url = _url(listener, options.host)
        return asyncio.run(
            serve_app(app, listener, admission, longest_s=options.deadline_s, ready=lambda: announce(url))
        )


def _require_extra() -> None:
    try:
        import fastapi  # noqa: F401
        import prometheus_client  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            f"coderm serve needs FastAPI, uvicorn and prometheus-client, and one of them cannot be imported ({error}): "
            "pip install 'coderm-tasks[serve]'"
        ) from error


def _check_lane(scheduler: Scheduler) -> None:
    """See a right solution pass and a wrong one fail: a sandbox that starts may still not judge."""
    number = secrets.randbelow(1 << 62)  # not one of before, whose verdicts are in the cache
    job = CellJob(
        job_id="check",
        entry_point="f",
        solutions=(f"def f(x):\n    return x + {number}\n", "def f(x):\n    return -1\n"),
        tests=(f"assert f(1) == {number + 1}",),
    )
    (found,) = scheduler.submit([Work(job)]).result()
    if found.matrix.rows() != ["P", "F"]:
        raise SandboxMissing(
            f"the sandbox judges a right and a wrong solution as {found.matrix.rows()}: expected P and F; "
            "see coderm doctor"
        )


def _listen(options: ServeOptions) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            options.host, options.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(512)
        except BaseException:
            listener.close()
            raise
    except OSError as error:
        raise ConfigError(
            f"cannot listen on {options.host} port {options.port} ({error.strerror or error}): expected a free port of "
            "this machine; give another with --port, or 0 for any"
        ) from error
    return listener


def _url(listener: socket.socket, host: str) -> str:
    return f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}"
