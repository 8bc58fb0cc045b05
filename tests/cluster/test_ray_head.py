"""The head of a Ray cluster that dies in the middle of a run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from ray_cluster import RayCluster

pytest.importorskip("ray", reason="Ray is not installed: pip install 'coderm-tasks[ray]' to run this")

RUN = """
import sys
from executor import CellJob, ClusterError, Limits, open_executor
sleepers = tuple(f"import time\\ndef f(x):\\n    time.sleep(9)\\n    return {n}\\n" for n in range(100))
jobs = [CellJob(job_id="quick", entry_point="f", solutions=("def f(x): return x",), tests=("assert f(1) == 1",)),
        CellJob(job_id="slow", entry_point="f", solutions=sleepers, tests=("assert f(1) == 1",))]
try:
    with open_executor(engine="ray", ray_address=sys.argv[1], limits=Limits(wall_s=30.0)) as executor:
        for matrix in executor.run(jobs):
            print(matrix.job_id, flush=True)
            sys.stdin.readline()
except ClusterError as error:
    print(error)
"""


@pytest.mark.parametrize("what", ["the head's service", "every node"])
def test_a_run_whose_head_is_gone_ends_with_an_error_of_ours_before_ray_ends_the_process(what: str) -> None:
    with RayCluster() as cluster:
        node = cluster.add("node")
        with subprocess.Popen(
            [sys.executable, "-c", RUN, cluster.address],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2],
        ) as driver:  # fmt: skip
            assert driver.stdout is not None
            assert driver.stdout.readline() == "quick\n"
            if what == "every node":
                node.kill()
                cluster.head.kill()
            else:
                cluster.head.kill_one("gcs_server")
            out, _ = driver.communicate("\n", timeout=200)
    assert "the head of the Ray cluster at" in out
    assert "is gone: start it again (ray start --head), and run the same command; what is judged is kept" in out
    assert driver.returncode == 0
