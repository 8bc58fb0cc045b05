"""What a solution leaves running in its process ends with the last answer that is wanted of it."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from executor import Call, CallJob, CellJob, LocalExecutor, open_executor

SPINS = """
def f(x):
    import threading

    def spin():
        while True:
            pass

    threading.Thread(target=spin, daemon=True).start()
    return x
"""
LIFTED = "assert f(1) == 1"
PROGRAM = "for x in (1,):\n    assert f(x) == x"
PATIENCE_S = 30.0
"""Long enough on any machine for a process to end that was told to."""


@pytest.fixture
def executor() -> Iterator[LocalExecutor]:
    with open_executor(workers=1) as opened:
        yield opened


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError):  # a thread, of another test's, that has ended meanwhile
            found += map(int, (task / "children").read_text().split())
    return found


def _inhabitants() -> list[int]:
    """Processes in the boxes of this process's workers, beside their zygotes."""
    deadline = time.monotonic() + PATIENCE_S
    zygotes: list[int] = []
    while not zygotes and time.monotonic() < deadline:  # the kernel may leave children out while others come and go
        workers = [
            pid for pid in _children(os.getpid()) if b"executor.worker" in Path(f"/proc/{pid}/cmdline").read_bytes()
        ]
        zygotes = [zygote for worker in workers for box in _children(worker) for zygote in _children(box)]
    assert zygotes, "a warm executor has boxes"
    return [child for zygote in zygotes for child in _children(zygote)]


def _are_gone() -> bool:
    deadline = time.monotonic() + PATIENCE_S
    while _inhabitants():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


@pytest.mark.parametrize("test", [LIFTED, PROGRAM], ids=["lifted", "program"])
def test_a_thread_that_a_solution_leaves_does_not_outlive_its_job_in_a_warm_executor(
    executor: LocalExecutor, test: str
) -> None:
    (matrix,) = executor.run([CellJob(job_id="j", entry_point="f", solutions=(SPINS,), tests=(test,))])
    assert matrix.rows() == ["P"]
    assert _are_gone()


@pytest.mark.parametrize("expected", [(), (1, 2)], ids=["all answers", "up to an unexpected answer"])
def test_a_thread_does_not_outlive_the_calls_of_a_solution(executor: LocalExecutor, expected: tuple[int, ...]) -> None:
    calls = (Call((1,)), Call((3,)))
    (outputs,) = executor.call(
        [CallJob(job_id="j", entry_point="f", solutions=(SPINS,), calls=calls, expected=expected)]
    )
    assert outputs.outcomes[0][0].value == 1
    assert _are_gone()


def test_a_box_whose_process_was_ended_serves_the_next_job(executor: LocalExecutor) -> None:
    for number in range(3):
        source = f"def f(x):\n    return x + {number}\n"
        job = CellJob(job_id="j", entry_point="f", solutions=(source,), tests=(LIFTED, PROGRAM))
        (matrix,) = executor.run([job])
        assert matrix.rows() == ["PP" if number == 0 else "FF"]
