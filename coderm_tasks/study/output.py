"""Write a study to its folder: study.json, the figures as PNG and SVG, and report.html."""

from __future__ import annotations

from pathlib import Path

from coderm_tasks.atomic import atomic_writer, check_writable
from coderm_tasks.errors import ConfigError, StoreError
from coderm_tasks.study.job import to_json
from coderm_tasks.study.record import Study

__all__ = ["check_output", "write_study"]


def check_output(folder: Path) -> None:
    """Make the folder and make sure that it can be written and drawn into, before anything is executed.

    Raises:
        StoreError: it cannot be made or written.
        ConfigError: matplotlib is missing.
    """
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            "coderm study draws with matplotlib, which is not installed: pip install 'coderm-tasks[report]'"
        ) from error
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{folder}: cannot be made a folder ({error.strerror}); name another --output") from error
    check_writable(folder / "study.json")


def write_study(study: Study, folder: Path) -> None:
    """Write everything; ``report.html`` last, so that it stands for a finished study.

    Raises:
        StoreError: a file cannot be written.
    """
    from coderm_tasks.study.figures import draw
    from coderm_tasks.study.report import render

    figures = draw(study)
    with atomic_writer(folder / "study.json") as stream:
        stream.write(to_json(study).decode("utf-8"))
    for figure in figures:
        _write_bytes(folder / f"{figure.name}.png", figure.png)
        with atomic_writer(folder / f"{figure.name}.svg") as stream:
            stream.write(figure.svg)
    with atomic_writer(folder / "report.html") as stream:
        stream.write(render(study, figures))


def _write_bytes(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except OSError as error:
        raise StoreError(
            f"{path}: cannot be written ({error.strerror}); free space or name another --output"
        ) from error
