"""When who was sent away is told to come again."""

from __future__ import annotations

import pytest

from coderm_tasks.serve.pace import Pace


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_before_anything_was_answered_it_is_the_least(clock):
    assert Pace(60, clock).retry_after_s(1000) == 1


def test_it_is_what_is_queued_at_the_pace_of_late(clock):
    pace = Pace(60, clock)
    clock.now += 4
    pace.answered(8)
    assert pace.retry_after_s(20) == 10
    assert pace.retry_after_s(1) == 1


def test_later_answers_count_more_than_earlier_ones(clock):
    pace = Pace(60, clock)
    for seconds in [10.0, *[0.1] * 20]:
        clock.now += seconds
        pace.answered(1)
    assert pace.retry_after_s(10) < 5


def test_time_without_work_is_no_pace(clock):
    pace = Pace(60, clock)
    clock.now += 3600
    pace.begin()
    clock.now += 1
    pace.answered(1)
    assert pace.retry_after_s(3) == 3


def test_while_nothing_is_answered_it_grows(clock):
    pace = Pace(60, clock)
    pace.begin()
    clock.now += 7
    assert pace.retry_after_s(1) == 7


@pytest.mark.parametrize(("longest", "most"), [(4.0, 4), (0.5, 1), (3600.0, 60)])
def test_it_is_never_more_than_a_minute_or_than_any_answer_takes(clock, longest, most):
    pace = Pace(longest, clock)
    clock.now += 10
    pace.answered(1)
    assert pace.retry_after_s(1000) == most
