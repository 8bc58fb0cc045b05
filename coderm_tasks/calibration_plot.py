"""The calibration of a difficulty classifier as a picture. Needs matplotlib (extra ``report``), imported on use."""

from __future__ import annotations

from pathlib import Path

from coderm_tasks.atomic import check_writable
from coderm_tasks.errors import ConfigError, StoreError
from difficulty import Evaluation

__all__ = ["check_plot", "draw_calibration"]

_KINDS = (".png", ".svg", ".pdf")


def check_plot(path: Path) -> None:
    """Find out before anything is trained whether the picture can be drawn.

    Raises:
        ConfigError: matplotlib is missing, or the file is of no kind it draws here.
        StoreError: the file cannot be written.
    """
    if path.suffix.lower() not in _KINDS:
        raise ConfigError(f"--plot {path}: got a file of kind {path.suffix!r}; expected one of {', '.join(_KINDS)}")
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            f"--plot {path}: matplotlib is missing ({error}); run: pip install 'coderm-tasks[report]'"
        ) from error
    check_writable(path)


def draw_calibration(found: Evaluation, path: Path) -> None:
    """Draw observed against predicted pass rate, one point per bin of equal size, and the diagonal of a perfect one.

    Raises:
        StoreError: the file cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.5, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=1)
    points = found.reliability
    axes.plot([part.predicted for part in points], [part.observed for part in points], marker="o")
    for part in points:
        axes.annotate(str(part.rows), (part.predicted, part.observed), textcoords="offset points", xytext=(6, -10))
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="predicted pass rate", ylabel="observed pass rate")
    axes.set_title(f"{found.scores.rows} rows, Brier {found.scores.brier:.4f}", fontsize="medium")
    try:
        figure.savefig(path)
    except OSError as error:
        raise StoreError(f"{path}: cannot be written ({error.strerror}); name a writable file") from error
