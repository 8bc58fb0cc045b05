"""The benchmarks of docs/scale.md without what they need, and who judges what in the simulation."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, timeout=120, cwd=ROOT)


@pytest.mark.parametrize("words", [["scale_costs.py", "--data", "nowhere", "--json", "out.json"], ["ray_flat.py"]])
def test_without_a_cluster_they_say_on_one_line_that_they_need_one(words: list[str]) -> None:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{one.getsockname()[1]}"
        found = run(f"benchmarks/{words[0]}", *words[1:], "--ray-address", address)
    assert (found.returncode, found.stdout, found.stderr.count("\n")) == (1, "", 1)
    assert found.stderr.startswith(f"this needs a running Ray cluster: no Ray cluster: nobody listens at {address}")


def test_the_simulation_says_on_one_line_where_its_costs_come_from(tmp_path: Path) -> None:
    found = run("benchmarks/scale_sim.py", str(tmp_path / "costs.json"))
    assert (found.returncode, found.stdout, found.stderr.count("\n")) == (1, "", 1)
    assert (
        "expected the file of benchmarks/scale_costs.py, which needs a running Ray cluster: ray start" in found.stderr
    )


@pytest.fixture
def simulation(monkeypatch: pytest.MonkeyPatch) -> object:
    monkeypatch.setattr(sys, "path", [*sys.path, str(ROOT / "benchmarks")])
    return pytest.importorskip("scale_sim")


def test_a_reward_step_is_shared_out_over_the_nodes_and_needs_neither_ray_nor_the_network(simulation) -> None:
    from scale_costs import Costs, Problem

    costs = Costs((Problem("p", 4, 8, (0.1, 0.2, 0.3, 0.4), 0.0, (1000, 100)),), 0.001, 0.001, 50.0, 0.001)
    load = simulation.Load("step", 8, 4, 8, cached=False, apart=True)
    shares = simulation.shares_of(load, costs, 4)
    assert [len(share) for share in shares] == [8] * 4
    assert sorted(shard.problem for share in shares for shard in share) == sorted(list(range(8)) * 4)
    one, four = (simulation.simulate(load, costs, nodes, 2, 1e-9) for nodes in (1, 4))
    assert one.cells == four.cells == 8 * 4 * 8
    assert 3 < one.seconds / four.seconds < 5  # a call of Ray's would cost 50 s, this network minutes
    assert four.link_busy == 0
