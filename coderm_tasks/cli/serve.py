"""``coderm serve``: rewards and matrices over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["serve"]


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on; others than loopback need a token.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0: any that is free.")] = 8000,
    token_file: Annotated[
        Path | None, typer.Option(help="File with the token that requests must bear; or set CODERM_SERVE_TOKEN.")
    ] = None,
    workers: Annotated[int, typer.Option(help="Solutions judged at the same time; 0: one per core.")] = 0,
    queue: Annotated[int, typer.Option(help="Items accepted and not yet answered; beyond that 429.")] = 1024,
    max_batch: Annotated[int, typer.Option(help="Items (completions or solutions) of one request.")] = 256,
    max_tests: Annotated[int, typer.Option(help="Unit tests of one item.")] = 256,
    max_body_mib: Annotated[float, typer.Option(help="Size of one request's body, MiB.")] = 8.0,
    deadline: Annotated[float, typer.Option(help="Seconds from a request to its answer, at most.")] = 60.0,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Neither read nor write the cache of verdicts.")] = False,
    cpu_limit: Annotated[float | None, typer.Option(help="CPU seconds per unit test.")] = None,
    wall_limit: Annotated[float | None, typer.Option(help="Wall-clock seconds per call.")] = None,
    memory_limit: Annotated[int | None, typer.Option(help="Memory of a process, MiB.")] = None,
) -> None:
    """Reward completions over HTTP: POST /v1/rewards, POST /v1/matrix, GET /health, GET /metrics, GET /openapi.json.

    Prints its URL on standard output once it takes requests. SIGTERM or Ctrl-C ends it after what it accepted is
    answered; a second one at once. Needs pip install 'coderm-tasks[serve]'.

    \b
    Example:
      coderm serve --port 8000 --token-file token.txt
      curl -H "Authorization: Bearer $(cat token.txt)" -H 'Content-Type: application/json' -d @batch.json \\
        http://127.0.0.1:8000/v1/rewards
    """
    from coderm_tasks.serve.options import ServeOptions, read_token
    from coderm_tasks.serve.run import serve as run
    from executor import Limits

    given = {"cpu_s": cpu_limit, "wall_s": wall_limit, "memory_mb": memory_limit}
    options = ServeOptions(
        host=host,
        port=port,
        workers=workers,
        queue=queue,
        max_batch=max_batch,
        max_tests=max_tests,
        max_body_mib=max_body_mib,
        deadline_s=deadline,
        cache=not no_cache,
        limits=Limits(**{name: value for name, value in given.items() if value is not None}),  # type: ignore[arg-type]
    )
    if not run(options, read_token(token_file, host), typer.echo):
        raise typer.Exit(130)  # a second signal
