"""What is said of a lane whose process ended."""

from __future__ import annotations

import os
import signal
import sys
import threading

import pytest

from coderm_tasks.reward.lane import Work, process_lanes
from executor import CellJob, Limits, SandboxError, child_process

SLEEPER = "import time\ndef f(x):\n    time.sleep(60)\n"
WORK = Work(CellJob(job_id="j", entry_point="f", solutions=(SLEEPER,), tests=("assert f(0) == 1",)))


def test_a_lane_that_was_killed_is_told_by_its_signal() -> None:
    lane = process_lanes(Limits(wall_s=60.0), None)()

    def kill() -> None:
        while lane.pid is None:
            threading.Event().wait(0.01)
        os.kill(lane.pid, signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    with pytest.raises(SandboxError, match=r"a lane of the sandbox was killed by signal 9 \(Killed\)"):
        lane.judge(WORK)
    thread.join()
    lane.close()


def test_a_lane_that_ends_by_itself_is_told_by_its_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child_process, "_BOOT", "import sys; sys.exit(3)  # {path} {module}")
    lane = process_lanes(Limits(), None)()
    with pytest.raises(SandboxError, match="a lane of the sandbox ended with code 3; what it said is on standard"):
        lane.judge(WORK)
    lane.close()


def test_a_lane_that_cannot_be_started_is_told_with_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    lane = process_lanes(Limits(), None)()
    with pytest.raises(SandboxError, match=r"could not be started .*No such file"):
        lane.judge(WORK)
