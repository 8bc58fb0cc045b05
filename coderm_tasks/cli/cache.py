"""``coderm cache``: what the cache of results holds, and forgetting it."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["app"]

app = typer.Typer(
    help="The cache of results on disk. The same solution, test or calls, limits and interpreter are never run twice.",
    no_args_is_help=True,
)


@app.command()
def info(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Say where the cache is and what it holds.

    Example: coderm cache info
    """
    import msgspec

    from coderm_tasks.places import cache_folder
    from executor.cache import ResultCache

    with ResultCache(cache_folder()) as cache:
        found = cache.info()
    if as_json:
        typer.echo(msgspec.json.encode(found).decode())
    else:
        typer.echo(
            f"{found.path}: {found.cells:,} verdicts, outputs of {found.replies:,} solutions, "
            f"{found.bytes / 2**20:.1f} MiB"
        )


@app.command()
def clear() -> None:
    """Forget all verdicts and outputs. A cache that cannot be read is deleted.

    Example: coderm cache clear
    """
    from coderm_tasks.places import cache_folder
    from executor.cache import ResultCache, discard
    from executor.errors import CacheError

    try:
        with ResultCache(cache_folder()) as cache:
            held = cache.info()
            cache.clear()
    except CacheError:
        count = discard(cache_folder())
        typer.echo(f"the cache in {cache_folder()} could not be read; its files are deleted ({count})")
        return
    typer.echo(f"{held.cells:,} verdicts and the outputs of {held.replies:,} solutions forgotten")
