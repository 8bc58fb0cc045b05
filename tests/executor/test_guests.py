"""Boxes share no budget: what a solution takes in one of them, solutions in others do not lack."""

from __future__ import annotations

import os

import pytest
from one_box import load, opened_box

from executor import Limits
from executor.guests import NOBODY, free_user

LIMITS = Limits(cpu_s=20.0, wall_s=60.0)
TAKES_ALL = """
import threading, time
def f(x):
    threading.stack_size(32768)
    made = 0
    try:
        while made < 1000:
            threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
            made += 1
    except RuntimeError:
        pass
    return made
"""
TAKES_SOME = """
import threading
def f(x):
    threading.stack_size(32768)
    found = []
    ready = threading.Barrier(x)
    workers = [threading.Thread(target=lambda: found.append(ready.wait() >= 0)) for _ in range(x)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return len(found)
"""


def test_a_box_whose_threads_are_all_taken_leaves_another_box_its_own() -> None:
    with opened_box(LIMITS) as greedy, opened_box(LIMITS) as honest:
        taken = load(greedy, TAKES_ALL, 1)
        assert taken.end == "alive"
        assert 60 < int(taken.frames[1].removeprefix(b'["v",').removesuffix(b"]")) < 1000
        assert load(honest, TAKES_SOME, 60).frames[1:] == (b'["v",60]',)


FULL, CONTAINER = "0 0 4294967295\n", "         0     100000      65536\n"


@pytest.mark.parametrize("uid_map", [FULL, CONTAINER])
def test_each_box_gets_another_user_who_is_nobody_else(uid_map: str) -> None:
    users = {free_user(uid_map) for _ in range(20)}
    assert len(users) > 15
    low, high = (2_000_200_000, 1 << 31) if uid_map is FULL else (60_000, 65536)
    assert all(low < user < high and user != NOBODY for user in users)


@pytest.mark.parametrize("uid_map", ["", "0 1000 1\n", "no map\n", "0 0 1\n1 100000 60000\n"])
def test_where_root_has_no_users_to_give_it_is_nobody(uid_map: str) -> None:
    assert free_user(uid_map) == NOBODY


def test_the_map_of_this_process_is_read() -> None:
    assert free_user() >= 60_000 or os.getuid() != 0
