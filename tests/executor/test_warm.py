"""Workers that start ahead of their first job."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from executor import Call, CallJob, Limits, SandboxError, open_executor
from executor.bwrap import box_plan
from executor.crew import Crew
from executor.shards import CallShard, Source
from executor.worker import Setup

LIMITS = Limits(cpu_s=1.0, wall_s=10.0)
PATIENCE_S = 30.0
JOB = CallJob(
    job_id="job", entry_point="f", solutions=("def f(x):\n    return x\n", "def f(x):\n    return -x\n"),
    calls=(Call((1,)),),
)  # fmt: skip


def children(pid: int) -> set[int]:
    """Processes that ``pid`` has started and that live."""
    found = set()
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):  # a thread that has ended
            found |= set(map(int, (task / "children").read_text().split()))
    return found


def eventually(true: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + PATIENCE_S
    while not true() and time.monotonic() < deadline:
        time.sleep(0.02)
    return true()


def test_workers_and_boxes_start_before_there_is_a_job_and_are_those_that_work() -> None:
    before = children(os.getpid())
    with open_executor(workers=2, limits=LIMITS, warm=True) as executor:
        workers = children(os.getpid()) - before
        assert len(workers) == 2
        assert eventually(lambda: all(children(worker) for worker in workers))
        boxes = [children(worker) for worker in workers]
        (outputs,) = executor.call([JOB])
        assert [[one.value for one in row] for row in outputs.outcomes] == [[1], [-1]]
        assert children(os.getpid()) - before == workers
        assert [children(worker) for worker in workers] == boxes
    assert children(os.getpid()) == before


def test_without_being_asked_to_no_worker_starts_before_there_is_a_job() -> None:
    before = children(os.getpid())
    with open_executor(workers=1, limits=LIMITS) as executor:
        assert children(os.getpid()) == before
        assert len(list(executor.call([JOB]))) == 1
        assert len(children(os.getpid()) - before) == 1


def test_an_executor_that_is_closed_while_it_warms_up_leaves_nobody() -> None:
    before = children(os.getpid())
    with open_executor(workers=2, limits=LIMITS, warm=True):
        workers = children(os.getpid()) - before
    assert children(os.getpid()) == before
    assert not any(Path(f"/proc/{worker}").exists() for worker in workers)


def test_a_box_that_does_not_start_is_found_by_the_job_that_needs_it() -> None:
    plan = msgspec.structs.replace(box_plan(), bwrap="/nowhere/bwrap")
    crew = Crew(1, Setup(plan, LIMITS))
    try:
        crew.warm()
        shard = CallShard("f", (Source(JOB.solutions[0], True),), (JOB.calls[0].text,))
        with pytest.raises(SandboxError, match="/nowhere/bwrap"):
            list(crew.map(iter([("ticket", shard)])))
    finally:
        crew.close()


def test_a_crew_that_is_closed_does_not_warm_up() -> None:
    before = children(os.getpid())
    crew = Crew(1, Setup(box_plan(), LIMITS))
    crew.close()
    crew.warm()
    assert children(os.getpid()) == before
