"""The study as one self-contained HTML page: no script, no font and no image from elsewhere."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.resources import files

from coderm_tasks.study import wording
from coderm_tasks.study.figures import Figure
from coderm_tasks.study.record import Study

__all__ = ["render"]

_PROLOGUE = re.compile(r"^.*?(?=<svg)", re.DOTALL)
_METADATA = re.compile(r"<metadata>.*?</metadata>", re.DOTALL)
_IDENTIFIER = re.compile(r'(\bid="|xlink:href="#|href="#|url\(#)')

_VERDICTS = {
    "P": "pass",
    "F": "fail",
    "E": "error",
    "T": "timeout",
    "R": "resource limit",
    "I": "tests nothing",
    "-": "not run",
}


def render(study: Study, figures: Sequence[Figure]) -> str:
    """Fill the template. Everything from the user's files is escaped; only our own SVG goes in as it is."""
    import jinja2

    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(
        interval=wording.interval, rate=wording.rate, size=wording.size_name, verdict=lambda letter: _VERDICTS[letter]
    )
    template = environment.from_string(
        files("coderm_tasks.study").joinpath("report.html.j2").read_text(encoding="utf-8")
    )
    return template.render(
        study=study,
        setup=study.setup,
        reference_curve=next(curve for curve in study.by_tests if curve.strategy == study.reference),
        figures={figure.name: _inline(figure) for figure in figures},
        texts={figure.name: figure for figure in figures},
    )


def _inline(figure: Figure) -> str:
    """The SVG for use inside HTML: without XML prologue and metadata, scalable, and with ids of its own."""
    from markupsafe import Markup

    svg = _METADATA.sub("", _PROLOGUE.sub("", figure.svg))
    head, rest = svg.split(">", 1)
    head = re.sub(r' (width|height)="[^"]*"', "", head)
    # Two figures on one page must not share ids: a clip path of the first would cut the second.
    rest = _IDENTIFIER.sub(lambda match: f"{match[1]}{figure.name}-", rest)
    return Markup(f'{head} role="img" aria-label="{Markup.escape(figure.title)}">{rest}')  # noqa: S704 - drawn by us
