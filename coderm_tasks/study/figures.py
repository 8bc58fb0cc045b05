"""The figures of a study. matplotlib is imported on the first drawing, and its global state is left alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from io import BytesIO, StringIO
from typing import Any

from msgspec import Struct

from coderm_tasks.metrics import Interval
from coderm_tasks.study.record import Curve, CurvePoint, Study
from coderm_tasks.study.wording import size_name

__all__ = ["Figure", "draw"]

_COLOURS = ("#0b6e4f", "#c44900", "#3d5a99", "#8f2d56", "#6b6b6b", "#b58900", "#2a9d8f")
"""Told apart by people who see red and green alike, and in grey print by their markers."""
_MARKERS = "osD^vPX"
_SIZE = (5.4, 4.2)
"""Inches. Small, so that letters stay legible when a phone shows the figure 350 pixels wide."""
_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "coderm",
    "font.family": "sans-serif",
    "font.size": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "legend.frameon": False,
}


class Figure(Struct, frozen=True):
    """A drawn figure."""

    name: str
    title: str
    text: str
    """What to see in it, for the caption and for readers who cannot see it."""
    svg: str
    png: bytes


def draw(study: Study) -> tuple[Figure, ...]:
    """Draw all figures of the study. The same study draws the same bytes."""
    import matplotlib

    with matplotlib.rc_context(_STYLE):
        return tuple(_finish(*part) for part in _figures(study))


def _figures(study: Study) -> Iterator[tuple[str, str, str, tuple[float, float], Callable[[Any], None]]]:
    setup = study.setup
    yield (
        "by-tests",
        "More tests",
        f"Best of N against unit tests per problem, mean over {setup.problems} problems; bands are 95 % intervals over "
        "problems. The dotted lines are a uniform pick and the oracle.",
        _SIZE,
        lambda axes: _curves(axes, study, study.by_tests, "unit tests per problem"),
    )
    yield (
        "by-solutions",
        "More samples",
        "Best of the first N samples, with all tests. The oracle is what a perfect strategy would reach.",
        _SIZE,
        lambda axes: _curves(axes, study, study.by_solutions, "samples per problem"),
    )
    yield (
        "by-difficulty",
        "By difficulty",
        f"{study.reference} against unit tests per problem, for fifths of the problems by their pass rate in percent.",
        _SIZE,
        lambda axes: _difficulty(axes, study),
    )
    yield (
        "strategies",
        "Strategies side by side",
        f"Difference to {study.reference} with all tests, in points, problem by problem; lines are 95 % intervals.",
        (_SIZE[0], 0.9 + 0.25 * len(study.strategies)),
        lambda axes: _forest(axes, study),
    )
    yield (
        "grid",
        "Tests against samples",
        f"Best of N by {study.reference} in percent, for budgets of samples and of unit tests.",
        (_SIZE[0], 3.6),
        lambda axes: _grid(axes, study),
    )


def _finish(name: str, title: str, text: str, size: tuple[float, float], paint: Callable[[Any], None]) -> Figure:
    from matplotlib.figure import Figure as Canvas

    canvas = Canvas(figsize=size, layout="constrained")
    axes = canvas.subplots()
    paint(axes)
    if axes.get_legend_handles_labels()[0]:
        canvas.legend(loc="outside lower center", ncols=3, fontsize=9)
    vector, pixels = StringIO(), BytesIO()
    canvas.savefig(vector, format="svg", metadata={"Date": None})
    canvas.savefig(pixels, format="png", dpi=160)
    return Figure(name, title, text, vector.getvalue(), pixels.getvalue())


def _curves(axes: Any, study: Study, curves: Sequence[Curve], label: str) -> None:
    featured = (study.reference, study.featured)
    for number, curve in enumerate(curves):
        _line(axes, curve, number, band=curve.strategy in featured, label=curve.strategy)
    axes.axhline(100 * study.mean.value, color="black", linestyle=":", linewidth=1)
    oracle = next((row for row in study.strategies if row.name == "oracle"), None)
    if oracle is not None:
        axes.axhline(100 * oracle.accuracy.value, color="black", linestyle=":", linewidth=1)
    _axes(axes, curves[0].points, label)


def _difficulty(axes: Any, study: Study) -> None:
    for number, part in enumerate(study.quintiles):
        label = f"{100 * part.low:.0f} to {100 * part.high:.0f} %"
        _line(axes, part.curve, number, band=False, label=label)
    _axes(axes, study.quintiles[0].curve.points, "unit tests per problem")
    axes.set_ylim(-2, 102)


def _line(axes: Any, curve: Curve, number: int, *, band: bool, label: str) -> None:
    places = range(len(curve.points))
    colour = _COLOURS[number % len(_COLOURS)]
    values = [100 * point.accuracy.value for point in curve.points]
    axes.plot(places, values, color=colour, marker=_MARKERS[number % len(_MARKERS)], markersize=5, label=label)
    if band and all(point.accuracy.low is not None for point in curve.points):
        low, high = zip(*(_ends(point.accuracy) for point in curve.points))
        axes.fill_between(places, low, high, color=colour, alpha=0.12, linewidth=0)


def _ends(found: Interval) -> tuple[float, float]:
    return 100 * (found.low or 0.0), 100 * (found.high or 0.0)


def _axes(axes: Any, points: Sequence[CurvePoint], label: str) -> None:
    axes.set_xticks(range(len(points)), [size_name(point.size) for point in points])
    axes.set_xlabel(label)
    axes.set_ylabel("best of N, percent")


def _forest(axes: Any, study: Study) -> None:
    rows = [row for row in study.strategies if row.name != study.reference]
    for place, row in enumerate(rows):
        difference = row.over_reference
        if difference.low is not None and difference.high is not None:
            axes.plot([100 * difference.low, 100 * difference.high], [place, place], color=_COLOURS[2], linewidth=2)
        axes.plot([100 * difference.value], [place], "o", color=_COLOURS[1])
    axes.axvline(0, color="black", linewidth=1)
    axes.set_yticks(range(len(rows)), [row.name for row in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlabel(f"points over {study.reference}")


def _grid(axes: Any, study: Study) -> None:
    grid = study.grid
    values = [[100 * value for value in row] for row in grid.accuracy]
    axes.pcolormesh(values, cmap="YlGnBu", edgecolors="white", linewidth=1)  # cells as shapes: an image would be pixels
    axes.grid(visible=False)
    axes.set_xticks([x + 0.5 for x in range(len(grid.tests))], [size_name(size) for size in grid.tests])
    axes.set_yticks([y + 0.5 for y in range(len(grid.solutions))], [size_name(size) for size in grid.solutions])
    axes.set_xlabel("unit tests per problem")
    axes.set_ylabel("samples per problem")
    flat = [value for row in values for value in row]
    middle = (min(flat) + max(flat)) / 2
    for y, row in enumerate(values):
        for x, value in enumerate(row):
            axes.text(
                x + 0.5,
                y + 0.5,
                f"{value:.0f}",
                ha="center",
                va="center",
                fontsize=9,
                color="white" if value > middle else "black",
            )
