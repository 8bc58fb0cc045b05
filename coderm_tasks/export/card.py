"""The data card: what is in a folder of training data, how it came about, and what to beware of (pure).

A ``README.md`` whose YAML front matter Hugging Face reads: ``datasets.load_dataset(FOLDER)`` finds the files by it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import Struct

import coderm_tasks

__all__ = ["CARD", "UNKNOWN_LICENCE", "Card", "is_card_of", "render_card"]

CARD = "README.md"
UNKNOWN_LICENCE = "unknown"
_MARK = "coderm_export: "
_SIZES = (
    (1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"),
    (10_000_000, "1M<n<10M"), (100_000_000, "10M<n<100M"),
)  # fmt: skip


class Card(Struct, frozen=True, kw_only=True):
    """What a card says."""

    kind: str
    """``preferences``, ``rewards``, ...; tells exports of other kinds to keep off."""
    title: str
    summary: str
    files: Mapping[str, str]
    """Configuration -> file; the first is the default."""
    rows: int
    """In the first file."""
    tags: tuple[str, ...]
    licence: str
    counts: Mapping[str, int | float | str]
    settings: Mapping[str, object]
    sources: Mapping[str, str]
    """What it was made from -> name and hash."""
    columns: Mapping[str, str]
    caveats: Sequence[str]


def is_card_of(path: Path, kind: str) -> bool:
    """Whether the file is a card that an export of this kind wrote."""
    try:
        with path.open(encoding="utf-8", errors="replace") as stream:
            head = [line.rstrip("\n") for line, _ in zip(stream, range(60))]
    except OSError:
        return False
    return head[:1] == ["---"] and f"{_MARK}{_text(kind)}" in head


def render_card(card: Card) -> str:
    """The whole text of the card."""
    return "\n".join([*_front_matter(card), "", *_body(card)]) + "\n"


def _front_matter(card: Card) -> list[str]:
    lines = ["---", f"pretty_name: {_text(card.title)}", f"license: {_text(card.licence)}"]
    if card.licence == UNKNOWN_LICENCE:
        lines[-1] += "  # to fill in: follows from the problems, the models and their terms"
    lines += ["language:", "- en", "task_categories:", "- text-generation"]
    lines += ["tags:", *(f"- {_text(tag)}" for tag in card.tags)]
    lines += ["size_categories:", f"- {_text(_size(card.rows))}", "configs:"]
    for number, (name, file) in enumerate(card.files.items()):
        lines.append(f"- config_name: {_text(name)}")
        lines += ["  default: true"] if number == 0 else []
        lines += ["  data_files:", "  - split: train", f"    path: {_text(file)}"]
    return [*lines, f"{_MARK}{_text(card.kind)}", "---"]


def _body(card: Card) -> list[str]:
    lines = [f"# {card.title}", "", card.summary, ""]
    lines += ["## Counts", "", *_table("what", "number", {name: _shown(value) for name, value in card.counts.items()})]
    columns = {f"`{name}`": text for name, text in card.columns.items()}
    lines += ["## Columns", "", *_table("column", "meaning", columns)]
    made = {"coderm-tasks": coderm_tasks.__version__, **{name: _shown(value) for name, value in card.settings.items()}}
    lines += ["## How it was made", "", *_table("setting", "value", made)]
    lines += ["## Sources", "", *_table("source", "file and SHA-256", card.sources)]
    lines += ["## Caveats", "", *(f"- {caveat}" for caveat in card.caveats), "", "## Licence", ""]
    named = f"{card.licence}." if card.licence != UNKNOWN_LICENCE else "To fill in, here and at the top of this file."
    return [*lines, f"{named} Rows hold text of the problems and text that models wrote: the terms of both apply."]


def _table(left: str, right: str, rows: Mapping[str, str]) -> list[str]:
    cells = [f"| {_cell(name)} | {_cell(value)} |" for name, value in rows.items()]
    return [f"| {left} | {right} |", "|---|---|", *cells, ""]


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _size(rows: int) -> str:
    return next((name for limit, name in _SIZES if rows < limit), "100M<n<1B")


def _text(value: str) -> str:
    """A YAML scalar: every JSON string is one."""
    return value if _PLAIN.fullmatch(value) and value.lower() not in _WORDS else json.dumps(value)


_PLAIN = re.compile("[A-Za-z][A-Za-z0-9._-]*")
_WORDS = frozenset({"true", "false", "yes", "no", "on", "off", "null", "y", "n", "nan", "inf"})
