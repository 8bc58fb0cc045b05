"""``coderm task-path``: where the lm-eval task files are."""

from __future__ import annotations

import typer

__all__ = ["task_path"]


def task_path() -> None:
    """Print the folder of the lm-eval tasks.

    Needed only where lm-eval does not find them by itself: a copy of it that this package was not installed beside.

    \b
    Example:
      lm_eval --include_path "$(coderm task-path)" --tasks humaneval_coderm --model dummy --limit 2
    """
    from coderm_tasks.tasks import task_path as folder

    typer.echo(str(folder()))
