"""Calls with short arguments come first where that is asked for, and every answer stands in its own place."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from executor import Call, CallJob, Executor, Limits, Verdict, open_executor

LIMITS = Limits(cpu_s=1.0, wall_s=20.0, max_timeouts=1)
ARGUMENTS = ("x" * 30, "", "x" * 20, "x", "x" * 10, "xx")
WANTED = (30, 0, 20, 1, 10, 2)


@pytest.fixture(scope="module")
def executor() -> Iterator[Executor]:
    with open_executor(workers=1, limits=LIMITS) as opened:
        yield opened


def outcomes(executor: Executor, source: str, **more: object) -> list[object]:
    """Values, verdicts' letters, and ``-`` for calls that were not made."""
    job = CallJob(
        job_id="job",
        entry_point="f",
        solutions=(source,),
        calls=tuple(Call((text,)) for text in ARGUMENTS),
        in_order=True,
        expected=WANTED,
        **{"short_first": True, "parts": (2,), **more},  # type: ignore[arg-type]
    )
    (outputs,) = executor.call([job])
    return [one.value if one.kind == "value" else one.verdict.value for one in outputs.outcomes[0]]


def test_who_is_right_has_all_answers_in_their_places(executor: Executor) -> None:
    assert outcomes(executor, "def f(x):\n    return len(x)\n") == list(WANTED)


def test_who_is_wrong_on_a_short_argument_is_not_asked_the_long_ones(executor: Executor) -> None:
    wrong = "def f(x):\n    return len(x) if len(x) != {} else -1\n"
    assert outcomes(executor, wrong.format(2)) == [30, 0, "-", 1, "-", -1]
    assert outcomes(executor, wrong.format(2), short_first=False) == [30, 0, 20, 1, 10, -1]


def test_a_part_comes_before_the_next_however_short_that_is(executor: Executor) -> None:
    assert outcomes(executor, "def f(x):\n    return len(x) if len(x) != 30 else -1\n") == [-1, 0, "-", "-", "-", "-"]


def test_after_a_timeout_nothing_is_said_of_calls_that_were_not_made(executor: Executor) -> None:
    loops = "def f(x):\n    n = 0\n    while len(x) == 10:\n        n += 1\n    return len(x)\n"
    assert outcomes(executor, loops) == [30, 0, "-", 1, Verdict.TIMEOUT.value, 2]


def test_a_solution_that_keeps_state_is_asked_in_order(executor: Executor) -> None:
    counts = "SEEN = []\ndef f(x):\n    SEEN.append(x)\n    return len(x) if len(SEEN) < 3 else SEEN.index(x)\n"
    assert outcomes(executor, counts, parts=()) == [30, 0, 2, "-", "-", "-"]


def test_without_expectations_there_is_no_such_order() -> None:
    with pytest.raises(ValueError, match="job: short_first without expected: expected both, or neither"):
        CallJob(job_id="job", entry_point="f", solutions=(), calls=(Call((1,)),), short_first=True)


def test_the_cache_tells_the_orders_apart_and_knows_what_was_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = "def f(x):\n    return len(x) if len(x) != 2 else -1\n"
    with open_executor(workers=1, limits=LIMITS, cache=tmp_path) as first:
        found = [outcomes(first, source, short_first=short) for short in (True, False)]
    monkeypatch.setattr("executor.crew._insist", None)  # nothing can be run
    with open_executor(workers=1, limits=LIMITS, cache=tmp_path) as again:
        assert [outcomes(again, source, short_first=short) for short in (True, False)] == found
    assert found[0] != found[1]
