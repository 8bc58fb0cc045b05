"""The scheduler, on lanes that do what the test needs; at the end on real ones."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator

import pytest
from lanes import FakeLane, plus, work

from coderm_tasks.reward.lane import ProcessLane, process_lanes
from coderm_tasks.reward.scheduler import Scheduler
from executor import Limits, SandboxError, SandboxMissing

PATIENCE = 120
WAITS = "# WAIT\n" + plus(1)
SLEEPS = "import time\ndef f(x):\n    time.sleep(600)\n"


@pytest.fixture
def lanes() -> Iterator[type[FakeLane]]:
    class Fresh(FakeLane):
        release = threading.Event()
        failures: list[str] = []  # noqa: RUF012
        opened = 0

    yield Fresh
    Fresh.release.set()


@pytest.fixture
def scheduler(lanes: type[FakeLane]) -> Iterator[Scheduler]:
    opened = Scheduler(lanes, workers=2, spares=2)
    yield opened
    lanes.release.set()
    opened.close()


def test_a_batch_gives_one_matrix_per_job_in_their_order(scheduler):
    tests = ["assert f(1) == 2", "assert f(0) == 1"]
    works = [
        work([plus(1), plus(2)], tests, "a"),
        work([plus(2)], tests, "b"),
        work([plus(1)], [], "c"),
        work([], tests, "d"),
    ]
    found = scheduler.submit(works).result(PATIENCE)
    assert [one.matrix.job_id for one in found] == ["a", "b", "c", "d"]
    assert [one.matrix.rows() for one in found] == [["PP", "FF"], ["FF"], [""], []]


def test_a_batch_without_jobs_is_answered(scheduler):
    assert scheduler.submit([]).result(PATIENCE) == []


def test_solutions_with_the_same_text_are_judged_once(scheduler):
    (found,) = scheduler.submit([work([plus(1)] * 5 + [plus(2)], ["assert f(1) == 2"])]).result(PATIENCE)
    assert found.matrix.rows() == ["P"] * 5 + ["F"]
    assert (found.matrix.stats.run, found.matrix.stats.cells, found.matrix.stats.unique_tests) == (2, 6, 1)


def test_text_that_utf_8_cannot_hold_fails_like_any_text_that_is_no_program(scheduler):
    (found,) = scheduler.submit([work(["\ud800", plus(1)], ["assert f(1) == 2"])]).result(PATIENCE)
    assert found.matrix.rows() == ["E", "P"]


def test_batches_take_turns(lanes):
    order: list[str] = []

    class Noting(lanes):
        def judge(self, work):
            order.append(work.job.job_id)
            return super().judge(work)

    scheduler = Scheduler(Noting, workers=1, spares=0)
    held = scheduler.submit([work([WAITS], ["assert f(1)"], "first")])
    big = scheduler.submit([work([plus(n) for n in range(50)], ["assert f(1)"], "big")])
    small = scheduler.submit([work([plus(1)], ["assert f(1)"], "small")])
    lanes.release.set()
    for future in (held, big, small):
        future.result(PATIENCE)
    scheduler.close()
    assert order.index("small") <= 2


def test_a_stalled_lane_is_stood_in_for(scheduler):
    held = [scheduler.submit([work([WAITS + f"# {n}"], ["assert f(1)"])]) for n in range(2)]
    assert scheduler.submit([work([plus(1)], ["assert f(1) == 2"])]).result(PATIENCE)[0].matrix.rows() == ["P"]
    assert not any(future.done() for future in held)


def test_at_the_deadline_what_is_judged_is_given_and_the_rest_is_not_run(scheduler):
    tests = ["assert f(1) == 2", "assert f(1) == 3"]
    future = scheduler.submit([work([plus(1), WAITS, plus(2)], tests)], deadline=time.monotonic() + 1)
    assert future.result(PATIENCE)[0].matrix.rows() == ["PF", "--", "FP"]


def test_a_lane_that_was_killed_at_a_deadline_is_replaced(scheduler, lanes):
    scheduler.submit([work([WAITS], ["assert f(1)"])], deadline=time.monotonic() + 0.2).result(PATIENCE)
    for number in range(20):
        (found,) = scheduler.submit([work([plus(number)], ["assert f(1) == 2"])]).result(PATIENCE)
        assert found.matrix.rows() == ["P" if number == 1 else "F"]
    deadline = time.monotonic() + PATIENCE  # the killed lane's own thread takes note of its end in its own time
    while scheduler.load().running and time.monotonic() < deadline:
        time.sleep(0.01)
    assert (scheduler.load().replaced, scheduler.load().running) == (1, 0)


def test_a_failed_piece_is_tried_again_in_another_lane(scheduler, lanes):
    lanes.failures[:] = ["one", "two"]
    assert scheduler.submit([work([plus(1)], ["assert f(1) == 2"])]).result(PATIENCE)[0].matrix.rows() == ["P"]
    assert lanes.opened == 3


def test_a_sandbox_that_keeps_failing_is_an_error_of_its_batch_alone(scheduler, lanes):
    lanes.failures[:] = ["broken"] * 3
    failing = scheduler.submit([work([plus(1)], ["assert f(1) == 2"])])
    with pytest.raises(SandboxError, match="broken"):
        failing.result(PATIENCE)
    assert scheduler.submit([work([plus(1)], ["assert f(1) == 2"])]).result(PATIENCE)[0].matrix.rows() == ["P"]
    assert (scheduler.load().failed, scheduler.load().batches) == (1, 0)


def test_where_others_are_judged_meanwhile_a_piece_is_tried_for_longer_but_not_for_ever(lanes):
    class Unlucky(lanes):
        failing = 0
        submitted = threading.Event()

        def judge(self, work):
            self.submitted.wait(PATIENCE)
            if work.job.job_id == "unlucky" and Unlucky.failing:
                Unlucky.failing -= 1
                raise SandboxError("killed")
            return super().judge(work)

    scheduler = Scheduler(Unlucky, workers=1, spares=0)
    others = [plus(number) for number in range(2, 40)]
    for failing, left in ((11, 0), (100, 88)):
        Unlucky.failing = failing
        Unlucky.submitted.clear()
        unlucky = scheduler.submit([work([plus(1)], ["assert f(1) == 2"], "unlucky")])
        beside = scheduler.submit([work(others, ["assert f(1) == 2"], "other")])
        Unlucky.submitted.set()
        beside.result(PATIENCE)
        if left:
            with pytest.raises(SandboxError, match="killed"):
                unlucky.result(PATIENCE)
        else:
            assert unlucky.result(PATIENCE)[0].matrix.rows() == ["P"]
        assert Unlucky.failing == left
    scheduler.close()


def test_a_lane_that_cannot_be_made_fails_the_batch(lanes):
    def missing() -> FakeLane:
        raise SandboxMissing("no bubblewrap here")

    scheduler = Scheduler(missing, workers=1)
    with pytest.raises(SandboxMissing, match="no bubblewrap"):
        scheduler.submit([work([plus(1)], ["assert f(1)"])]).result(PATIENCE)
    scheduler.close()


def test_a_cancelled_batch_gives_up_what_has_not_started(lanes):
    scheduler = Scheduler(lanes, workers=1, spares=0)
    future = scheduler.submit([work([WAITS, plus(2), plus(3)], ["assert f(1)"])])
    assert future.cancel()
    assert scheduler.submit([work([plus(1)], ["assert f(1) == 2"])]).result(PATIENCE)[0].matrix.rows() == ["P"]
    assert scheduler.load().waiting == 0
    scheduler.close()


def test_a_cancelled_batch_frees_its_lanes_at_once(lanes, scheduler):
    future = scheduler.submit([work([WAITS, WAITS + "#", plus(3)], ["assert f(1)"])])
    assert future.cancel()
    assert (scheduler.load().batches, scheduler.load().waiting) == (0, 0)
    deadline = time.monotonic() + PATIENCE
    while scheduler.load().running and time.monotonic() < deadline:
        time.sleep(0.01)
    assert scheduler.load().running == 0
    assert not lanes.release.is_set()


def test_closing_fails_what_is_open_and_takes_nothing_more(scheduler):
    future = scheduler.submit([work([WAITS], ["assert f(1)"])])
    scheduler.close()
    with pytest.raises(SandboxError, match="closed before"):
        future.result(PATIENCE)
    with pytest.raises(SandboxError, match="closed; open another"):
        scheduler.submit([])


def test_draining_finishes_what_was_accepted(lanes):
    scheduler = Scheduler(lanes, workers=1)
    futures = [scheduler.submit([work([WAITS, plus(n)], ["assert f(1) == 2"])]) for n in range(4)]
    threading.Timer(0.2, lanes.release.set).start()
    scheduler.close(drain=True)
    assert [future.result(0)[0].matrix.rows() for future in futures] == [["P", "PF"[n != 1]] for n in range(4)]


def test_verdicts_of_many_threads_never_mix(scheduler):
    wrong: list[int] = []

    def client(number: int) -> None:
        for _ in range(20):
            tests = [f"assert f(0) == {k}" for k in range(8)]
            (found,) = scheduler.submit([work([plus(number)], tests)]).result(PATIENCE)
            if found.matrix.rows() != ["".join("PF"[k != number] for k in range(8))]:
                wrong.append(number)

    threads = [threading.Thread(target=client, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.fixture(scope="module")
def real() -> Iterator[Scheduler]:
    scheduler = Scheduler(process_lanes(Limits(), None), workers=2, spares=1)
    yield scheduler
    scheduler.close()


def test_real_lanes_judge(real):
    tests = ["assert f(1) == 2", "for x in range(3):\n    assert f(x) == x + 1"]
    (found,) = real.submit([work([plus(1), plus(2), "def f(x:"], tests)]).result(PATIENCE)
    assert found.matrix.rows() == ["PP", "FF", "EE"]


def test_a_sleeper_does_not_outlive_its_deadline_in_a_real_lane(real):
    future = real.submit([work([SLEEPS, plus(1)], ["assert f(1) == 2"])], deadline=time.monotonic() + 5)
    assert future.result(PATIENCE)[0].matrix.rows() == ["-", "P"]
    deadline = time.monotonic() + 20
    while real.load().running and time.monotonic() < deadline:
        time.sleep(0.02)
    assert real.load().running == 0


def test_a_real_lane_that_is_killed_over_and_over_costs_no_verdict():
    killed = 0
    made: list[ProcessLane] = []
    make = process_lanes(Limits(), None)

    def making() -> ProcessLane:
        made.append(make())
        return made[-1]

    scheduler = Scheduler(making, workers=1, spares=0)
    try:
        for number in range(4):
            assert scheduler.submit([work([plus(number)], ["assert f(0) == 2"])]).result(PATIENCE)[0].matrix.rows() == [
                "PF"[number != 2]
            ]
            pid = made[-1].pid
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            killed += 1
        assert scheduler.load().replaced == killed - 1
    finally:
        scheduler.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_an_unusable_cache_is_told_as_such(tmp_path):
    (tmp_path / "file").write_text("no folder")
    scheduler = Scheduler(process_lanes(Limits(), tmp_path / "file"), workers=1)
    from executor import CacheError

    with pytest.raises(CacheError, match="cannot be used"):
        scheduler.submit([work([plus(1)], ["assert f(1)"])]).result(PATIENCE)
    scheduler.close()
