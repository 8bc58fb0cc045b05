"""How ``coderm rerank --explain`` looks: one screen on standard output."""

from __future__ import annotations

from rich.console import Console, Group, RenderableType
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from coderm_tasks.explain import Explanation

__all__ = ["show_explanation"]

_CODE_LINES = 14
_TEST_WIDTH = 200
_SHOWN = 5


def show_explanation(found: Explanation) -> None:
    """Print the explanation as a result."""
    Console().print(Group(*_parts(found)))


def _parts(found: Explanation) -> list[RenderableType]:
    parts: list[RenderableType] = [_headline(found), _clusters(found)]
    if found.terms:
        parts.append(_terms(found))
    parts.append(_differences(found))
    lines = found.code.strip().splitlines()
    shown = "\n".join(lines[:_CODE_LINES])
    parts.append(Text(f"\nSample {found.selection.index}:", style="bold"))
    parts.append(Syntax(shown, "python", background_color="default", word_wrap=True))
    if len(lines) > _CODE_LINES:
        parts.append(Text(f"... {len(lines) - _CODE_LINES} more lines", style="dim"))
    return parts


def _headline(found: Explanation) -> Text:
    selection = found.selection
    text = Text.assemble(
        (f"{selection.task_id}: sample {selection.index} of {found.solutions}", "bold"), f" by {selection.strategy}"
    )
    if selection.note:
        return text.append(f" ({selection.note}: nothing to go by, the first sample stands)")
    text.append(f", {selection.tests_used} usable tests of {found.tests}; ")
    if len(selection.ties) == 1:
        return text.append("no tie")
    ties = ", ".join(map(str, selection.ties[:8])) + (", ..." if len(selection.ties) > 8 else "")
    return text.append(f"drawn among {len(selection.ties)} tied: {ties}")


def _clusters(found: Explanation) -> Table:
    table = Table(
        title=f"Samples that pass the same tests: the best {len(found.clusters)} of {found.clusters_in_all} clusters",
        title_justify="left",
    )
    for name in ("", "score", "votes", "samples", "examples", "behaviours"):
        table.add_column(name, justify="right")
    table.add_column("which", overflow="fold")
    for cluster in found.clusters:
        table.add_row(
            "→" if cluster.chosen else "",
            f"{cluster.score:.4g}",
            str(cluster.votes),
            str(len(cluster.members)),
            "–" if cluster.examples is None else str(cluster.examples),
            "–" if cluster.behaviours is None else str(cluster.behaviours),
            ", ".join(map(str, cluster.members[:_SHOWN])) + (", ..." if len(cluster.members) > _SHOWN else ""),
        )
    return table


def _terms(found: Explanation) -> Table:
    table = Table(title="Terms of the score", title_justify="left")
    for name in ("", *(name for name, _, _ in found.terms), "sum"):
        table.add_column(name, justify="right")
    for who, place in ((f"sample {found.selection.index}", 1), (f"rival {found.rival}", 2)):
        values = [float(term[place]) for term in found.terms]
        table.add_row(who, *(f"{value:.2f}" for value in values), f"{sum(values):.2f}")
    return table


def _differences(found: Explanation) -> RenderableType:
    if found.rival < 0:
        return Text("All samples are tied: there is no rival.")
    if not found.differences:
        return Text(f"No test tells sample {found.selection.index} and its rival {found.rival} apart.")
    table = Table(
        title=f"Tests that tell it from its rival, sample {found.rival}: "
        f"{len(found.differences)} of {found.differences_in_all}",
        title_justify="left",
    )
    for name in (str(found.selection.index), str(found.rival), "passed by"):
        table.add_column(name, justify="right")
    table.add_column("test", overflow="fold")
    for one in found.differences:
        code = " ".join(one.code.split())
        table.add_row(one.chosen, one.rival, str(one.passed), Text(code[:_TEST_WIDTH]))
    return table
