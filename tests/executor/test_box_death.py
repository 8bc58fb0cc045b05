"""What is made of calls under which a box dies: all answers come, and are those of a run without mishap."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from executor import Limits
from executor.boxes import Boxes
from executor.budget import Budget
from executor.bwrap import box_plan
from executor.errors import BoxDied
from executor.shards import Source
from executor.streams import Answer, Streams

LIMITS = Limits(cpu_s=5.0, wall_s=30.0)
STATEFUL = Source("seen = []\ndef f(x):\n    seen.append(x)\n    return len(seen)\n", stateless=False)
STATELESS = Source("def f(x):\n    return x + 1\n", stateless=True)
CALLS = [f'["",{{"t":[{number}]}},{{"d":[]}}]' for number in range(4)]


@pytest.fixture
def boxes() -> Iterator[Boxes]:
    opened = Boxes(box_plan(), LIMITS)
    yield opened
    opened.close()


def kill_boxes(boxes: Boxes, monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    """Have the box die as often, under whatever it is asked after the first calls."""
    box = boxes.solutions
    ask, left = box.ask, [times]

    def asked(*arguments: object, **options: object) -> object:
        if left[0]:
            left[0] -= 1
            box.close()
            raise BoxDied("killed for a test")
        return ask(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(box, "ask", asked)


def answers(boxes: Boxes, solution: Source) -> list[Answer]:
    return list(Streams(boxes).stream(solution, "f", CALLS, Budget(LIMITS), chunks=(2, 1, 1)))


@pytest.mark.parametrize("solution", [STATEFUL, STATELESS])
def test_a_box_that_dies_between_calls_changes_no_answer(
    boxes: Boxes, monkeypatch: pytest.MonkeyPatch, solution: Source
) -> None:
    kill_boxes(boxes, monkeypatch, 1)
    found = answers(boxes, solution)
    assert [answer.frame for answer in found] == [b'["v",%d]' % number for number in (1, 2, 3, 4)]
    assert all(answer.sure for answer in found)


def test_under_calls_of_a_stateful_solution_that_kill_boxes_again_those_that_are_left_are_blamed(
    boxes: Boxes, monkeypatch: pytest.MonkeyPatch
) -> None:
    start, killed = boxes.solutions.start_child, []

    def started(role: str, payload: bytes, *arguments: object) -> object:
        if b"seen" in payload and killed:
            boxes.solutions.close()
            raise BoxDied("killed again for a test")
        killed.append(role)
        return start(role, payload, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(boxes.solutions, "start_child", started)
    kill_boxes(boxes, monkeypatch, 1)
    found = answers(boxes, STATEFUL)
    assert [answer.frame or answer.letter for answer in found] == [b'["v",1]', b'["v",2]', "R", "R"]
    assert [answer.sure for answer in found] == [True, True, False, False]
