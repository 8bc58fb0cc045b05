"""The wall limit ends what waits, however it waits, and nothing that computes, however loaded the machine is."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator

from one_box import load, opened_box

from executor import Limits

LIMITS = Limits(cpu_s=30.0, wall_s=0.5)
COMPUTES = """
import time
def f(seconds):
    while time.process_time() < seconds:
        pass
    return "done"
"""
SLEEPS = "import time\ndef f(seconds):\n    time.sleep(seconds)\n    return 'done'\n"
DONE = b'["v","done"]'


@contextlib.contextmanager
def _load_on_our_core() -> Iterator[None]:
    """One core for this process and what it starts, and another process on it that never rests."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    burner = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        burner.kill()
        burner.wait()
        os.sched_setaffinity(0, before)


def test_a_call_that_sleeps_beyond_the_limit_is_ended_by_the_wall() -> None:
    with opened_box(LIMITS) as box:
        replies = load(box, SLEEPS, 600)
    assert (replies.end, len(replies.frames)) == ("wall", 1)


def test_calls_that_each_sleep_within_the_limit_are_ended_by_what_they_sleep_in_all() -> None:
    with opened_box(LIMITS) as box:
        replies = load(box, SLEEPS, *[0.3] * 40)
    assert replies.end == "wall"
    assert len(replies.frames) < 40, "12 s of sleep in all, of which one second may be idle"


def test_a_call_that_computes_beside_a_load_is_not_ended_by_the_wall() -> None:
    with _load_on_our_core(), opened_box(LIMITS) as box:
        replies = load(box, COMPUTES, 1.5)
    assert (replies.end, replies.frames[1:]) == ("alive", (DONE,))
    assert replies.cpu_s[1] > LIMITS.wall_s, "it computed for longer than it might have slept"


def test_a_call_that_sleeps_beside_a_load_is_ended_all_the_same() -> None:
    with _load_on_our_core(), opened_box(LIMITS) as box:
        assert load(box, SLEEPS, 600).end == "wall"


def test_a_call_that_computes_and_then_sleeps_is_ended_by_the_wall_and_not_taken_for_a_dead_box() -> None:
    source = COMPUTES.replace("    return", "    time.sleep(600)\n    return")
    with opened_box(LIMITS) as box:
        replies = load(box, source, 1.1)
    assert (replies.end, len(replies.frames)) == ("wall", 1)
