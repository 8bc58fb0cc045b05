"""The audit runs lifted cells the slow way and reports what differs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from executor import CellJob, Disagreement, Limits, LimitsError, LocalExecutor, Verdict, open_executor
from executor.judging import PlanBook

ADD = "def f(x):\n    return x + 1\n"
SAME = "def f(x):\n    return x\n"
TESTS = tuple(f"assert f({number}) == {number + 1}" for number in range(20))


@pytest.fixture(scope="module")
def executor() -> Iterator[LocalExecutor]:
    with open_executor(workers=1, limits=Limits(cpu_s=0.5)) as opened:
        yield opened


def job(audit: float, tests: tuple[str, ...] = TESTS, solutions: tuple[str, ...] = (ADD, SAME, ADD)) -> CellJob:
    return CellJob(job_id="job", entry_point="f", solutions=solutions, tests=tests, audit=audit)


def test_an_audit_of_everything_audits_each_distinct_lifted_cell_once(executor: LocalExecutor) -> None:
    (matrix,) = executor.run([job(1.0)])
    assert (matrix.stats.lifted, matrix.stats.audited, matrix.stats.disagreed) == (40, 40, 0)
    assert matrix.disagreements == ()


def test_without_an_audit_nothing_is_run_twice(executor: LocalExecutor) -> None:
    (matrix,) = executor.run([job(0.0)])
    assert matrix.stats.audited == 0


def test_every_run_draws_the_same_share(executor: LocalExecutor) -> None:
    counts = []
    for _ in range(2):
        (matrix,) = executor.run([job(0.3)])
        counts.append(matrix.stats.audited)
    assert counts[0] == counts[1]
    assert 0 < counts[0] < 40


def test_programs_timeouts_and_assumed_cells_are_not_audited(executor: LocalExecutor) -> None:
    loop = "def f(x):\n    while True:\n        pass\n"
    (matrix,) = executor.run([job(1.0, (*TESTS[:5], TESTS[5] + "\nfor _ in ():\n    pass\n"), (loop,))])
    assert matrix.rows() == ["T" * 6]
    assert (matrix.stats.lifted, matrix.stats.assumed, matrix.stats.audited) == (3, 3, 0)


def test_cells_from_the_cache_are_audited_too(tmp_path: Path) -> None:
    with open_executor(workers=1, cache=tmp_path) as cached:
        list(cached.run([job(0.0)]))
        (matrix,) = cached.run([job(1.0)])
    assert (matrix.stats.run, matrix.stats.cached, matrix.stats.audited) == (0, 40, 40)


def test_a_wrong_table_is_found_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a lifted verdict turned round, the audit must say so; the worker is run in this process for that."""
    from executor.boxes import Boxes
    from executor.bwrap import box_plan
    from executor.cells import CellRunner
    from executor.jobs import CellPlan

    monkeypatch.setattr(PlanBook, "verdict", lambda self, test, answers: "P")
    boxes = Boxes(box_plan(), Limits())
    plan = CellPlan(job(1.0, (TESTS[0], "assert f(1) == 5"), (SAME, ADD)), Limits(), None)
    try:
        for number, shard in plan.shards():
            plan.take(number, CellRunner(boxes, Limits()).cells(shard))
    finally:
        boxes.close()
    matrix = plan.matrix(0.0)
    assert matrix.stats.disagreed == 3
    assert matrix.disagreements[0] == Disagreement(0, 0, Verdict.PASS, Verdict.FAIL)
    assert matrix.rows() == ["PP", "PP"], "the matrix keeps the lifted verdicts"


@pytest.mark.parametrize("share", [-0.1, 1.5, float("nan")])
def test_a_share_out_of_range_is_refused(share: float) -> None:
    with pytest.raises(LimitsError, match=r"audit of job is .*: expected a value from 0\.0 to 1\.0"):
        job(share)
