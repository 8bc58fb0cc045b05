"""Executors on a Ray cluster that come and go, in this process and as the command line: what they keep and leave."""

from __future__ import annotations

import json
import logging
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from ray_cluster import RayCluster

from executor import CacheError, CellJob, ClusterError, Limits, LimitsError, SandboxError, open_executor

ROOT = Path(__file__).parents[2]
LIMITS = Limits(cpu_s=0.5, wall_s=10.0)
ADD = "def f(x):\n    return x + 1\n"
SAME = "def f(x):\n    return x\n"
TESTS = tuple(f"assert f({number}) == {number + 1}" for number in range(5))


def job(*solutions: str) -> CellJob:
    return CellJob(job_id="j", entry_point="f", solutions=solutions or (ADD,), tests=TESTS)


def processes(cluster: RayCluster) -> list[int]:
    """Our actors, workers and boxes on the nodes."""
    parts = ("ray::ShardServer", "executor.worker", "bwrap")
    return sorted({pid for node in cluster.node_list for part in parts for pid in node.pids(part)})


def left_after_a_moment(cluster: RayCluster) -> list[int]:
    deadline = time.monotonic() + 60
    while (left := processes(cluster)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return left


def test_results_are_kept_here_and_found_by_either_engine(two_nodes: RayCluster, tmp_path: Path) -> None:
    with open_executor(engine="ray", ray_address=two_nodes.address, limits=LIMITS, cache=tmp_path) as executor:
        (first,) = executor.run([job(ADD, SAME)])
    with open_executor(workers=1, limits=LIMITS, cache=tmp_path) as executor:
        (second,) = executor.run([job(ADD, SAME)])
    assert (first.stats.run, second.stats.run, second.stats.cached) == (10, 0, 10)
    assert second.rows() == first.rows() == ["PPPPP", "FFFFF"]


def test_closing_ends_actors_workers_and_boxes_on_all_nodes(two_nodes: RayCluster) -> None:
    import ray

    executor = open_executor(engine="ray", ray_address=two_nodes.address, limits=LIMITS)
    list(executor.run([job(ADD, SAME)]))
    assert len(processes(two_nodes)) >= 4
    executor.close()
    executor.close()
    assert left_after_a_moment(two_nodes) == []
    assert not ray.is_initialized()
    with pytest.raises(SandboxError, match="closed"):
        list(executor.run([job()]))


@pytest.mark.timeout(120)  # it would wait for itself
def test_an_executor_for_which_this_process_has_left_no_processor_is_refused(two_nodes: RayCluster) -> None:
    with open_executor(engine="ray", ray_address=two_nodes.address, limits=LIMITS) as executor:
        with pytest.raises(
            ClusterError, match="all 2 CPUs of the Ray cluster are with executors that this process has"
        ):
            open_executor(engine="ray", ray_address=two_nodes.address, limits=LIMITS)
        (matrix,) = executor.run([job()])
    assert matrix.rows() == ["PPPPP"]
    with open_executor(engine="ray", ray_address=two_nodes.address, limits=LIMITS) as executor:
        (matrix,) = executor.run([job()])
    assert matrix.rows() == ["PPPPP"]


def test_an_executor_whose_cache_cannot_be_used_leaves_nothing(two_nodes: RayCluster, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with open_executor(engine="ray", ray_address=two_nodes.address, workers=1, limits=LIMITS) as executor:
        (_,) = executor.run([job()])
        with pytest.raises(CacheError):
            open_executor(engine="ray", ray_address=two_nodes.address, cache=tmp_path / "file", limits=LIMITS)
        (matrix,) = executor.run([job()])
        assert matrix.rows() == ["PPPPP"]
        with open_executor(engine="ray", ray_address=two_nodes.address, limits=LIMITS) as other:
            (matrix,) = other.run([job()])
        assert matrix.rows() == ["PPPPP"]


def test_fewer_than_no_workers_are_refused() -> None:
    with pytest.raises(LimitsError, match="workers is -1: expected at least 1, or 0"):
        open_executor(engine="ray", workers=-1)


def test_rays_own_messages_are_printed_again_once_we_are_done(two_nodes: RayCluster) -> None:
    from ray._private import worker

    before = worker.print_to_stdstream
    with open_executor(engine="ray", ray_address=two_nodes.address, workers=1, limits=LIMITS):
        assert worker.print_to_stdstream is not before
    assert worker.print_to_stdstream is before


def test_two_executors_share_the_connection_and_the_last_one_ends_it(two_nodes: RayCluster) -> None:
    import ray

    first = open_executor(engine="ray", ray_address=two_nodes.address, workers=1, limits=LIMITS)
    second = open_executor(engine="ray", ray_address=two_nodes.address, workers=1, limits=LIMITS)
    first.close()
    (matrix,) = second.run([job()])
    assert matrix.rows() == ["PPPPP"]
    second.close()
    assert not ray.is_initialized()


def test_a_connection_of_the_callers_own_is_left_open(two_nodes: RayCluster) -> None:
    import ray

    ray.init(address=two_nodes.address, log_to_driver=False, logging_level="ERROR")
    try:
        with open_executor(engine="ray", workers=1, limits=LIMITS) as executor:
            (matrix,) = executor.run([job()])
        assert matrix.rows() == ["PPPPP"]
        assert ray.is_initialized()
    finally:
        ray.shutdown()


def test_our_handler_of_sigterm_survives_the_connection(two_nodes: RayCluster) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with open_executor(engine="ray", ray_address=two_nodes.address, workers=1, limits=LIMITS):
        assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize("address", [None, "auto"])
def test_without_an_address_it_is_the_cluster_that_ray_address_names(
    two_nodes: RayCluster, monkeypatch: pytest.MonkeyPatch, address: str | None
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", two_nodes.address)
    with open_executor(engine="ray", ray_address=address, workers=1, limits=LIMITS) as executor:
        (matrix,) = executor.run([job()])
    assert matrix.rows() == ["PPPPP"]


def test_where_others_have_all_processors_it_waits_says_so_and_goes_on(
    two_nodes: RayCluster, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import ray

    class Other:
        def ready(self) -> None: ...

    class Free(logging.Handler):
        """Lets go of the processors once the engine says that it waits for them."""

        def emit(self, record: logging.LogRecord) -> None:
            while others:
                ray.kill(others.pop())

    monkeypatch.setattr("executor.ray_crew._PATIENCE_S", 0.5)
    ray.init(address=two_nodes.address, log_to_driver=False, logging_level="ERROR")
    said = Free()
    logging.getLogger("executor.ray_crew").addHandler(said)
    try:
        others = [ray.remote(Other).options(num_cpus=1).remote() for _ in two_nodes.node_list]
        ray.get([other.ready.remote() for other in others])
        with open_executor(engine="ray", limits=LIMITS) as executor:
            (matrix,) = executor.run([job()])
    finally:
        logging.getLogger("executor.ray_crew").removeHandler(said)
        ray.shutdown()
    assert matrix.rows() == ["PPPPP"]
    assert "waiting for one of 2 workers: the cluster gives them no CPU yet" in caplog.text


# The command line, as processes of its own.


def write(path: Path, *records: object) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data set of three problems, with 30 samples and 8 tests each; one sample loops on some tests."""
    prompt = "def f(x):\n    '''Return x + 1.'''\n"
    problems = [
        {"task_id": f"HumanEval/{n}", "prompt": prompt, "entry_point": "f", "canonical_solution": "    return x + 1\n",
         "contract": "", "base_input": [[1]], "plus_input": [[2], [3]], "atol": 0}
        for n in range(3)
    ]  # fmt: skip
    write(tmp_path / "data.jsonl", *problems)
    busy = "    for i in range(200_000):\n        pass\n"
    solutions = [f"def f(x):\n{busy}    return x + {k % 3} + {k} * 0\n" for k in range(30)]
    solutions[7] = "def f(x):\n    while x == 10:\n        pass\n    return x + 1\n"
    names = [problem["task_id"] for problem in problems]
    write(tmp_path / "samples.jsonl", *({"task_id": name, "solution": one} for name in names for one in solutions))
    tests = [f"assert f({x}) == {x + y}" for x in (1, 2, 10, 11) for y in (1, 2)]
    write(tmp_path / "tests.jsonl", *({"task_id": name, "test": test} for name in names for test in tests))
    return tmp_path


def command(folder: Path, verb: str, *words: str) -> tuple[list[str], dict[str, str]]:
    argv = [sys.executable, "-m", "coderm_tasks", verb, "--dataset", "humaneval"]
    argv += ["--samples", str(folder / "samples.jsonl"), *words]
    environ = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "HUMANEVAL_OVERRIDE_PATH": str(folder / "data.jsonl"),
        "XDG_CACHE_HOME": str(folder / "cache"),
    }
    return argv, environ


def rerank(folder: Path, output: str, *words: str) -> tuple[list[str], dict[str, str]]:
    files = ("--tests", str(folder / "tests.jsonl"), "--output", str(folder / output))
    return command(folder, "rerank", *files, "--matrix", str(folder / f"{output}.matrix"), "--json", *words)


def done(started: tuple[list[str], dict[str, str]]) -> subprocess.CompletedProcess[str]:
    argv, environ = started
    return subprocess.run(argv, capture_output=True, text=True, env=environ, timeout=240)


def same(folder: Path, one: str, other: str) -> None:
    for suffix in ("", ".matrix"):
        assert (folder / f"{one}{suffix}").read_text() == (folder / f"{other}{suffix}").read_text()


def test_rerank_on_the_cluster_selects_the_same_and_prints_its_result_alone(
    two_nodes: RayCluster, folder: Path
) -> None:
    local = done(rerank(folder, "local.jsonl", "--workers", "1", "--no-cache"))
    remote = done(rerank(folder, "ray.jsonl", "--engine", "ray", "--ray-address", two_nodes.address, "--no-cache"))
    assert (local.returncode, remote.returncode) == (0, 0), remote.stderr
    same(folder, "local.jsonl", "ray.jsonl")
    summary = json.loads(remote.stdout)["summary"]
    assert summary["verdict_shares"] == json.loads(local.stdout)["summary"]["verdict_shares"]
    assert "WARNING" not in remote.stderr


def test_evaluate_and_study_on_the_cluster_say_the_same(two_nodes: RayCluster, folder: Path) -> None:
    there = ("--engine", "ray", "--ray-address", two_nodes.address, "--json", "--no-cache")
    here = ("--workers", "1", "--json", "--no-cache")
    local = done(command(folder, "evaluate", "--output", str(folder / "a"), *here))
    remote = done(command(folder, "evaluate", "--output", str(folder / "b"), *there))
    assert (local.returncode, remote.returncode) == (0, 0), remote.stderr
    assert (folder / "a").read_text() == (folder / "b").read_text()
    assert json.loads(remote.stdout)["plus"] == json.loads(local.stdout)["plus"]
    files = ("--tests", str(folder / "tests.jsonl"), "--labels", str(folder / "a"), "--draws", "2", "--slow-draws", "1")
    local = done(command(folder, "study", *files, "--output", str(folder / "c"), *here))
    remote = done(command(folder, "study", *files, "--output", str(folder / "d"), *there))
    assert (local.returncode, remote.returncode) == (0, 0), remote.stderr
    assert json.loads(remote.stdout)["strategies"] == json.loads(local.stdout)["strategies"]


def test_a_driver_that_is_killed_leaves_no_process_and_goes_on_from_its_cache(
    two_nodes: RayCluster, folder: Path
) -> None:
    started = rerank(folder, "ray.jsonl", "--engine", "ray", "--ray-address", two_nodes.address)
    argv, environ = started
    with subprocess.Popen(argv, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as driver:
        deadline = time.monotonic() + 120
        while _rows(folder) < 20 and time.monotonic() < deadline:
            time.sleep(0.05)
        driver.send_signal(signal.SIGKILL)
    kept = _rows(folder)
    assert kept >= 20
    assert not (folder / "ray.jsonl").exists()
    assert left_after_a_moment(two_nodes) == []
    again = done(started)
    assert again.returncode == 0, again.stderr
    summary = json.loads(again.stdout)["summary"]
    assert summary["cells_cached"] > 0
    assert summary["cells_cached"] + summary["cells_run"] == 3 * 30 * 8
    assert done(rerank(folder, "local.jsonl", "--workers", "1", "--no-cache")).returncode == 0
    same(folder, "local.jsonl", "ray.jsonl")


def test_ctrl_c_ends_a_run_quietly_and_leaves_no_process(two_nodes: RayCluster, folder: Path) -> None:
    argv, environ = rerank(folder, "ray.jsonl", "--engine", "ray", "--ray-address", two_nodes.address)
    with subprocess.Popen(
        argv, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as driver:
        deadline = time.monotonic() + 120
        while _rows(folder) < 5 and time.monotonic() < deadline:
            time.sleep(0.05)
        driver.send_signal(signal.SIGINT)
        out, err = driver.communicate(timeout=60)
    assert (driver.returncode, out) == (130, "")
    assert err == "coderm: interrupted; executed verdicts are in the cache, and the same command goes on from there\n"
    assert left_after_a_moment(two_nodes) == []
    assert not (folder / "ray.jsonl").exists()


def _rows(folder: Path) -> int:
    """Rows of verdicts in the cache."""
    for path in (folder / "cache").rglob("results-*.sqlite3"):
        try:
            with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)) as database:
                count: int = database.execute("SELECT COUNT(*) FROM verdicts").fetchone()[0]
                return count
        except sqlite3.Error:  # it is just being made
            return 0
    return 0
