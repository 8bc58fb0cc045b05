"""``coderm compare``: which of two selections is better, and how sure that is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["compare"]


def compare(
    first: Annotated[Path, typer.Argument(help="A selection of coderm rerank (*.selection.jsonl, or its samples).")],
    second: Annotated[Path, typer.Argument(help="Another one, from the same samples.")],
    labels: Annotated[Path, typer.Option(help="Which samples are correct, from coderm evaluate --output.")],
    seed: Annotated[int, typer.Option(help="Seed of the intervals.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON on standard output.")] = False,
) -> None:
    """Compare two selections problem by problem: the difference in expected correctness with its 95 % interval.

    \b
    Example:
      coderm rerank --dataset humaneval --samples s.jsonl --tests t.jsonl --strategy coderm --output a.jsonl
      coderm rerank --dataset humaneval --samples s.jsonl --tests t.jsonl --strategy auto --output b.jsonl
      coderm compare b.jsonl a.jsonl --labels labels.jsonl
    """
    from coderm_tasks.cli.console import key_value_table, print_json, show
    from coderm_tasks.compare_job import compare_selections
    from coderm_tasks.study.wording import interval

    found = compare_selections(first, second, labels, seed=seed)
    if as_json:
        print_json(found)
        return
    a, b = found.strategies
    rows = [
        (f"{first.name} ({a})", f"{interval(found.first)} %"),
        (f"{second.name} ({b})", f"{interval(found.second)} %"),
        ("difference, paired", f"{interval(found.difference, sign=True)} points"),
        ("better on", _named(found.better)),
        ("worse on", _named(found.worse)),
        *(("note", note) for note in found.notes),
    ]
    show(key_value_table(f"{found.difference.problems} problems, 95 % intervals over problems", rows), result=True)


def _named(tasks: tuple[str, ...]) -> str:
    shown = ", ".join(tasks[:8]) + (", ..." if len(tasks) > 8 else "")
    return f"{len(tasks)} problems" + (f": {shown}" if tasks else "")
