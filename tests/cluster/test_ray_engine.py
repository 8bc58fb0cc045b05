"""The Ray engine on a real cluster that is well: the same matrices as here, and nothing left behind."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ray_cluster import RayCluster

from executor import Call, CallJob, CellJob, ClusterError, Executor, Limits, PassMatrix, Verdict, open_executor

LIMITS = Limits(cpu_s=0.5, wall_s=10.0)
ADD = "def f(x):\n    return x + 1\n"
SOLUTIONS = (
    ADD,
    "def f(x):\n    return x\n",
    "def f(x):\n    raise ValueError(x)\n",
    "def f(x:\n",
    "def f(x):\n    while x == 3:\n        pass\n    return x + 1\n",
    "SEEN = []\ndef f(x):\n    SEEN.append(x)\n    return len(SEEN)\n",
    "def f(x):\n    return [0] * 10 ** 9\n",
    "import random\ndef f(x):\n    return x + random.randrange(3)\n",
    "class Own(Exception):\n    pass\ndef f(x):\n    raise Own\n",
)
TESTS = (
    "assert f(1) == 2",
    "assert f(2) == 3",
    "assert f(3) == 4",
    "assert f(1) == 1",
    "assert True",
    "for x in (1, 2):\n    assert f(x) == x + 1",
    "import unittest\nclass T(unittest.TestCase):\n    def test_a(self):\n        self.assertEqual(f(1), 2)\n",
    "import unittest\nclass T(unittest.TestCase):\n    def test_a(self):\n        self.assertRaises(ValueError, f, 1)\n",
    "try:\n    f(1)\nexcept Own:\n    pass\nelse:\n    assert False",
)


@pytest.fixture(scope="module")
def here() -> Iterator[Executor]:
    with open_executor(workers=1, limits=LIMITS) as opened:
        yield opened


@pytest.fixture(scope="module")
def there(two_nodes: RayCluster) -> Iterator[Executor]:
    with open_executor(engine="ray", ray_address=two_nodes.address, limits=LIMITS) as opened:
        yield opened


def facts_of(matrix: PassMatrix) -> tuple[Any, ...]:
    """Everything of a matrix but the seconds it took."""
    stats = {name: getattr(matrix.stats, name) for name in matrix.stats.__struct_fields__ if name != "seconds"}
    return matrix.job_id, matrix.letters.tobytes(), matrix.shared.tobytes(), stats, matrix.disagreements


def all_of(executor: Executor, jobs: list[CellJob]) -> list[tuple[Any, ...]]:
    return sorted((facts_of(matrix) for matrix in executor.run(jobs)), key=lambda facts: facts[0])


a_job = st.builds(
    lambda solutions, tests, audit: (tuple(solutions), tuple(tests), audit),
    st.lists(st.sampled_from(SOLUTIONS), max_size=6),
    st.lists(st.sampled_from(TESTS), max_size=6),
    st.sampled_from([0.0, 1.0]),
)


@given(drawn=st.lists(a_job, max_size=5))
@settings(max_examples=12, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
def test_matrices_are_those_of_the_local_engine_bit_for_bit(
    here: Executor, there: Executor, drawn: list[tuple[tuple[str, ...], tuple[str, ...], float]]
) -> None:
    jobs = [
        CellJob(job_id=str(number), entry_point="f", solutions=solutions, tests=tests, audit=audit)
        for number, (solutions, tests, audit) in enumerate(drawn)
    ]
    assert all_of(there, jobs) == all_of(here, jobs)


def test_pruning_keeps_the_winners_and_their_rows_and_runs_fewer_cells(here: Executor, there: Executor) -> None:
    solutions = tuple(f"def f(x):\n    return x + {int(k > 2)} + {k} * 0\n" for k in range(40))
    tests = tuple(f"assert f({x}) == {x}" for x in range(12))
    job = CellJob(job_id="j", entry_point="f", solutions=solutions, tests=tests)
    (whole,) = here.run([job])
    (pruned,) = there.run([msgspec.structs.replace(job, prune=True)])
    assert pruned.rows()[:3] == whole.rows()[:3] == ["P" * 12] * 3
    ran = pruned.letters != ord(Verdict.NOT_RUN.value)
    assert (pruned.letters[ran] == whole.letters[ran]).all()
    assert 0 < pruned.stats.pruned == (~ran).sum()


def test_outputs_are_those_of_the_local_engine(here: Executor, there: Executor) -> None:
    calls = tuple(Call((number,)) for number in range(5))
    job = CallJob(job_id="j", entry_point="f", solutions=SOLUTIONS, calls=calls)
    (ours,), (theirs,) = here.call([job]), there.call([job])
    told = [
        [[(one.kind, repr(one.value), one.error, one.message, one.verdict) for one in row] for row in outputs.outcomes]
        for outputs in (ours, theirs)
    ]
    assert told[0] == told[1]


def test_a_real_problem_has_the_same_matrix(here: Executor, there: Executor, shared_data: Path) -> None:
    def texts(path: Path, field: str) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for record in map(json.loads, lines):
                found.setdefault(record["task_id"], []).append(record[field])
        return found

    folder = shared_data / "humaneval"
    solutions = texts(folder / "solutions" / "codegen-16b.jsonl.gz", "solution")
    tests = texts(folder / "tests" / "gpt-3.5-turbo-1106.jsonl.gz", "test")
    jobs = [
        CellJob(job_id=task, entry_point=name, solutions=tuple(solutions[task][:30]), tests=tuple(tests[task][:30]))
        for task, name in (("HumanEval/0", "has_close_elements"), ("HumanEval/20", "find_closest_elements"))
    ]
    theirs = all_of(there, jobs)
    assert theirs == all_of(here, jobs)
    assert sum(facts[3]["cells"] for facts in theirs) > 500


def test_both_nodes_work(there: Executor, two_nodes: RayCluster) -> None:
    list(there.run([CellJob(job_id="j", entry_point="f", solutions=(ADD,), tests=TESTS[:1])]))
    deadline = time.monotonic() + 30
    while not all(node.actors() for node in two_nodes.node_list) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert [len(node.actors()) for node in two_nodes.node_list] == [1, 1]


def test_no_more_jobs_are_taken_than_the_workers_need(there: Executor) -> None:
    taken = []

    def jobs() -> Iterator[CellJob]:
        for number in range(300):
            taken.append(number)
            yield CellJob(job_id=str(number), entry_point="f", solutions=(ADD,), tests=(f"assert f({number}) == 0",))

    for done, _ in enumerate(there.run(jobs()), start=1):
        assert len(taken) - done < 100
    assert len(taken) == 300


def test_a_run_that_is_abandoned_leaves_the_executor_usable(there: Executor) -> None:
    jobs = [CellJob(job_id=str(n), entry_point="f", solutions=SOLUTIONS[:3], tests=TESTS[:3]) for n in range(20)]
    run = there.run(jobs)
    next(run)
    run.close()  # type: ignore[attr-defined]
    (matrix,) = there.run([CellJob(job_id="after", entry_point="f", solutions=(ADD,), tests=TESTS[:2])])
    assert (matrix.job_id, matrix.rows()) == ("after", ["PP"])


def test_one_process_has_one_cluster(there: Executor) -> None:
    with pytest.raises(ClusterError, match=r"is connected to the Ray cluster at .* got --ray-address 127\.0\.0\.1:1;"):
        open_executor(engine="ray", ray_address="127.0.0.1:1")
