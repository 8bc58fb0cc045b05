"""Control groups: found where they can be had, entered by the worker before its boxes, removed with it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from executor import Call, CallJob, CellJob, Limits, LimitsError, open_executor
from executor.bwrap import find_bwrap
from executor.cgroup import GroupHome, GroupLimits, WorkerGroup, group_homes, limits_of, remove_leftovers

LIMITS = GroupLimits(memory_bytes=1 << 30, processes=99)
OURS = f"coderm-{Path('/proc/self/ns/pid').stat().st_ino}-"
"""How the names of this namespace's groups begin."""


@pytest.fixture
def version2(tmp_path: Path) -> Path:
    """A hierarchy of version 2 as far as files can play one: ``app`` holds ``run``, and hands its controllers down."""
    for folder in (tmp_path, tmp_path / "app", tmp_path / "app" / "run"):
        folder.mkdir(exist_ok=True)
        (folder / "cgroup.controllers").write_text("cpu memory pids")
        (folder / "cgroup.procs").write_text("")
        (folder / "cgroup.subtree_control").write_text("")
    return tmp_path


def test_a_delegated_group_of_version_2_is_used(version2: Path) -> None:
    (version2 / "app" / "run" / "cgroup.subtree_control").write_text("cpu memory pids")
    (home,) = group_homes(version2, "0::/app/run\n")
    group = WorkerGroup.make("w", LIMITS, [home])
    (folder,) = group.folders
    assert folder.parent == version2 / "app" / "run"
    assert (folder / "memory.max").read_text() == str(1 << 30)
    assert (folder / "pids.max").read_text() == "99"
    group.enter(4711)
    assert (folder / "cgroup.procs").read_text() == "4711"


def test_memory_and_pids_of_version_1_are_used_where_they_may_be_written(tmp_path: Path) -> None:
    for controller in ("memory", "pids"):
        (tmp_path / controller / "box").mkdir(parents=True)
        (tmp_path / controller / "box" / "cgroup.procs").write_text("")
    homes = group_homes(tmp_path, "5:memory:/box\n4:pids:/box\n3:cpu:/\n0::/\n")
    group = WorkerGroup.make("w", LIMITS, homes)
    written = {file.name: file.read_text() for folder in group.folders for file in folder.iterdir()}
    assert written == {"memory.limit_in_bytes": str(1 << 30), "pids.max": "99"}


@pytest.mark.parametrize("membership", ["", "0::/\n", "7:cpu:/x\n", "5:memory:/not/there\n"])
def test_where_there_is_none_to_be_had_there_is_none(tmp_path: Path, membership: str) -> None:
    assert group_homes(tmp_path, membership) == []
    assert WorkerGroup.make("w", LIMITS, []).folders == ()


def test_a_home_that_refuses_leaves_the_others(tmp_path: Path) -> None:
    (tmp_path / "memory").mkdir()
    (tmp_path / "memory" / "cgroup.procs").write_text("")
    (home,) = group_homes(tmp_path, "5:memory:/\n")
    (home.folder / f"{OURS}{os.getpid()}-w").mkdir()  # taken
    assert WorkerGroup.make("w", LIMITS, [home]).folders == ()


def test_leftovers_of_dead_engines_are_removed_and_those_of_living_ones_kept(tmp_path: Path) -> None:
    (tmp_path / "memory").mkdir()
    (tmp_path / "memory" / "cgroup.procs").write_text("")
    dead = subprocess.Popen(["true"])
    dead.wait()
    (tmp_path / "memory" / f"{OURS}{dead.pid}-a").mkdir()
    (tmp_path / "memory" / f"{OURS}{os.getpid()}-b").mkdir()
    (tmp_path / "memory" / f"coderm-1-{dead.pid}-a").mkdir()
    (tmp_path / "memory" / "coderm-mine").mkdir()
    remove_leftovers(group_homes(tmp_path, "5:memory:/\n"))
    assert {path.name for path in (tmp_path / "memory").iterdir()} == {
        "cgroup.procs",
        f"{OURS}{os.getpid()}-b",
        f"coderm-1-{dead.pid}-a",
        "coderm-mine",
    }


CLEANS_UP = """
from pathlib import Path
from executor.cgroup import GroupHome, remove_leftovers
remove_leftovers([GroupHome(Path({folder!r}), {{}})])
"""


def test_an_engine_in_another_namespace_of_process_ids_leaves_our_groups_alone(tmp_path: Path) -> None:
    home = GroupHome(tmp_path, {})
    group = WorkerGroup.make("w", LIMITS, [home])
    command = [sys.executable, "-c", CLEANS_UP.format(folder=str(tmp_path))]
    # Our process id is nobody's there, so our group would look like one of a dead engine.
    apart = [find_bwrap(), "--unshare-pid", "--dev-bind", "/", "/", "--proc", "/proc", *command]
    subprocess.run(apart, check=True, env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])})
    assert [folder for folder in group.folders if folder.exists()] == list(group.folders) != []


def test_a_group_of_version_2_gets_no_swap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Path.mkdir

    def as_the_kernel_does(folder: Path) -> None:
        made(folder)
        (folder / "memory.swap.max").write_text("max")

    monkeypatch.setattr(Path, "mkdir", as_the_kernel_does)
    (folder,) = WorkerGroup.make("w", LIMITS, [GroupHome(tmp_path, {})]).folders
    assert (folder / "memory.swap.max").read_text() == "0"


def test_the_bound_leaves_room_for_a_cell_in_each_box() -> None:
    assert limits_of(Limits(memory_mb=1000)).memory_bytes == 2512 << 20


HOMES = group_homes()


@pytest.mark.skipif(
    not HOMES, reason="no control group to be had here: see coderm doctor for the command that gives one"
)
def test_a_worker_and_its_boxes_are_in_a_group_that_goes_with_them() -> None:
    job = CellJob(job_id="job", entry_point="f", solutions=("def f(x):\n    return x\n",), tests=("assert f(1) == 1",))
    with open_executor(workers=1, limits=Limits(memory_mb=200)) as executor:
        list(executor.run([job]))
        (worker,) = executor._crew._workers
        folders = worker._group.folders
        assert len(folders) == len(HOMES)
        members = {int(pid) for pid in (folders[0] / "cgroup.procs").read_text().split()}
        assert len(members) >= 3, "the worker, two bubblewraps, two interpreters"
        limit = next(file for folder in folders for file in folder.glob("memory.*") if file.name in _LIMIT_FILES)
        assert int(limit.read_text()) == (2 * 200 + 512) << 20
    deadline = time.monotonic() + 5
    while any(folder.exists() for folder in folders) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not any(folder.exists() for folder in folders)


_LIMIT_FILES = ("memory.max", "memory.limit_in_bytes")


def test_calls_that_want_more_memory_than_the_workers_have_are_refused() -> None:
    job = CallJob(
        job_id="j", entry_point="f", solutions=("f = abs",), calls=(Call((0,)),), limits=Limits(memory_mb=9000)
    )  # fmt: skip
    with open_executor(workers=1) as executor, pytest.raises(LimitsError, match="j: its calls may take 9000 MiB"):
        list(executor.call([job]))
