"""How the calls of a job are cut into shards."""

from __future__ import annotations

import pytest

from executor import Call, CallJob, Limits
from executor.call_jobs import CallPlan


def sizes(solutions: int) -> list[int]:
    """Solutions per shard, in order."""
    job = CallJob(
        job_id="job", entry_point="f", solutions=tuple(f"def f(x):\n    return {number}\n" for number in range(solutions)),
        calls=(Call((1,)),),
    )  # fmt: skip
    plan = CallPlan(job, Limits(), None)
    shards = [shard for _, shard in plan.shards()]
    texts = [source.text for shard in shards for source in shard.solutions]
    assert texts == list(job.solutions)
    assert plan.open_shards == len(shards)
    return [len(shard.solutions) for shard in shards]


@pytest.mark.parametrize("solutions", [0, 1, 2, 7, 8, 9, 63, 64, 100, 1000])
def test_shards_hold_every_solution_once_and_get_smaller_to_the_end(solutions: int) -> None:
    found = sizes(solutions)
    assert sum(found) == solutions
    assert found == sorted(found, reverse=True)
    assert max(found, default=1) <= 8
    # Whoever gets the last shard keeps the others waiting for two solutions at most.
    assert max(found[-3:], default=1) <= 2


def test_few_shards_are_made_of_many_solutions() -> None:
    assert sizes(100) == [8] * 9 + [7, 5, 4, 3, 2, 2, 2, 2, 1]
