"""``coderm doctor``: what works here, and the command that mends the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from executor.doctor import Check

__all__ = ["doctor"]


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print the checks as JSON.")] = False,
) -> None:
    """Show what works on this machine, and the command that mends the rest.

    Exit code 1 if the sandbox cannot run; lm-eval, EvalPlus, extras and data sets are shown but not required.

    \b
    Example:
      coderm doctor
    """
    from coderm_tasks.cli.console import print_json, show
    from coderm_tasks.health import all_checks

    found = all_checks()
    if as_json:
        print_json(found)
    else:
        show(_table(found), result=True)
        # Below the table and unwrapped: a command that a cell has folded cannot be copied.
        for check in found:
            if not check.ok:
                typer.echo(f"{check.name}: {check.remedy}")
    if any(check.required and not check.ok for check in found):
        raise typer.Exit(1)


def _table(found: list[Check]) -> Any:
    from rich.table import Table
    from rich.text import Text

    table = Table(title="coderm doctor", title_justify="left", caption=_caption(found), caption_justify="left")
    for header in ("check", "state", "what is there"):
        table.add_column(header, overflow="fold")
    for check in found:
        state = Text("OK", "green") if check.ok else Text("MISSING", "bold red" if check.required else "yellow")
        # Text, not markup: what is there may hold brackets.
        table.add_row(Text(check.name), state, Text(check.detail))
    return table


def _caption(found: list[Check]) -> str:
    if any(check.required and not check.ok for check in found):
        return "The sandbox cannot run here. What mends it:"
    return "The sandbox runs." + ("" if all(check.ok for check in found) else " What mends the rest:")
