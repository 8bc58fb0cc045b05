"""What an installation puts where: lm-eval 0.4.13 finds tasks in its own folder only."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from coderm_tasks.tasks import task_path

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow
pytest.importorskip("hatchling", reason="building a wheel needs it: pip install hatchling")


@pytest.fixture(scope="module", params=["wheel", "wheel:editable"])
def wheel(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", request.param, "--directory", str(folder)]
    subprocess.run(command, check=True, cwd=ROOT, timeout=120)
    (file,) = folder.glob("*.whl")
    return zipfile.ZipFile(file)


def test_every_definition_lies_where_lm_eval_looks(wheel: zipfile.ZipFile) -> None:
    placed = {name.rpartition("/")[2] for name in wheel.namelist() if name.startswith("lm_eval/tasks/coderm/")}
    assert placed == {path.name for path in task_path().iterdir() if path.name.endswith("yaml")}
    assert "humaneval_coderm.yaml" in placed


def test_nothing_else_is_placed_in_lm_eval(wheel: zipfile.ZipFile) -> None:
    foreign = [name for name in wheel.namelist() if name.startswith("lm_eval/")]
    assert all(name.startswith("lm_eval/tasks/coderm/") and name.endswith("yaml") for name in foreign)


def test_every_placed_file_is_listed_so_that_uninstalling_removes_it(wheel: zipfile.ZipFile) -> None:
    (record,) = [name for name in wheel.namelist() if name.endswith(".dist-info/RECORD")]
    listed = {line.split(",")[0] for line in wheel.read(record).decode().splitlines()}
    assert {name for name in wheel.namelist() if name.startswith("lm_eval/")} <= listed


def test_the_entry_points_of_later_releases_are_declared(wheel: zipfile.ZipFile) -> None:
    (file,) = [name for name in wheel.namelist() if name.endswith("entry_points.txt")]
    text = wheel.read(file).decode()
    assert "[lm_eval.tasks]\ncoderm = coderm_tasks.tasks\n" in text
    assert "[lm_eval.filters]\ncoderm = coderm_tasks.hosts.lm_eval.filters:CoderMFilter\n" in text
