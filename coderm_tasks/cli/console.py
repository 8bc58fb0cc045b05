"""What the verbs share: rich on standard error, results on standard output."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import msgspec
from rich.console import Console
from rich.logging import RichHandler
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

__all__ = ["configure_logging", "key_value_table", "print_json", "progress_bar", "show"]


def configure_logging(*, verbose: bool) -> None:
    """Send log records to standard error: warnings and errors, with ``verbose`` also information."""
    handler = RichHandler(console=Console(stderr=True), show_time=False, show_path=False, markup=False)
    for name in ("coderm_tasks", "executor", "difficulty"):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.setLevel(logging.INFO if verbose else logging.WARNING)


@contextmanager
def progress_bar(description: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show a bar on standard error while the block runs; yields the function that advances it by so many steps.

    Shows nothing where standard error is no terminal: logs stay readable.
    """
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(description, total=total)
        yield lambda steps: progress.advance(task, steps)


def key_value_table(title: str, rows: Iterable[tuple[str, str]]) -> Table:
    """Build a table of two columns, without a header."""
    table = Table(title=title, show_header=False, title_justify="left")
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(name, value)
    return table


def show(table: Table, *, result: bool = False) -> None:
    """Print a table on standard error, or on standard output where it is the verb's result."""
    Console(stderr=not result).print(table)


def print_json(record: object) -> None:
    """Print a record as indented JSON on standard output."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(record), indent=2).decode("utf-8") + "\n")
    sys.stdout.flush()
