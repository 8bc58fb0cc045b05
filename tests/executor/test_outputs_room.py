"""What one solution's answers may take of the host's memory is bounded, and known answers have the room they need."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from executor import Call, CallJob, Executor, Limits, Verdict, open_executor
from executor.weights import OUTPUTS_MB, room_for, value_frame, weight_of

MANY = "def f(x):\n    return [x] + [[]] * 50_000\n"


@pytest.fixture(scope="module")
def executor() -> Iterator[Executor]:
    with open_executor(workers=1, limits=Limits(cpu_s=20.0, wall_s=60.0)) as opened:
        yield opened


def job(calls: int, **more: object) -> CallJob:
    asked = tuple(Call((number,)) for number in range(calls))
    return CallJob(job_id="job", entry_point="f", solutions=(MANY,), calls=asked, **more)  # type: ignore[arg-type]


def test_answers_beyond_the_room_are_a_resource_that_the_solution_has_used_up(executor: Executor) -> None:
    (outputs,) = executor.call([job(8)])
    kinds = [outcome.kind for outcome in outputs.outcomes[0]]
    fit = (OUTPUTS_MB << 20) // weight_of(value_frame([0] + [[]] * 50_000))
    assert kinds == ["value"] * fit + ["stopped"] * (8 - fit)
    assert 0 < fit < 8
    assert {outcome.verdict for outcome in outputs.outcomes[0][fit:]} == {Verdict.RESOURCE}


def test_a_job_may_give_more_room(executor: Executor) -> None:
    (outputs,) = executor.call([job(8, outputs_mb=200)])
    assert [outcome.value[0] for outcome in outputs.outcomes[0]] == list(range(8))


def test_answers_that_were_expected_take_none(executor: Executor) -> None:
    expected = tuple([number] + [[]] * 50_000 for number in range(8))
    (outputs,) = executor.call([job(8, expected=expected)])
    assert [outcome.value[0] for outcome in outputs.outcomes[0]] == list(range(8))


def test_there_is_room_for_what_is_known_to_come() -> None:
    values = [[0] * 100_000, "x" * 10_000_000]
    assert room_for(values) << 20 > sum(weight_of(value_frame(value)) for value in values)
    assert room_for([]) > OUTPUTS_MB


def test_a_job_without_room_is_refused() -> None:
    with pytest.raises(ValueError, match="job: outputs_mb is 0: expected at least 1"):
        job(1, outputs_mb=0)
