"""A process answers what it was asked, once: whatever else it writes is taken for no answer."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from one_box import ask, load, opened_box

from executor import Call, CallJob, CellJob, Limits, open_executor
from executor.box import Box

LIMITS = Limits(cpu_s=20.0, wall_s=60.0)
TALK = """
import os, sys, threading, time

def frame(body):
    return len(body).to_bytes(4, "big") + body

def answer(body, ahead=0):
    # The number of the frame that is due, which the process knows: read from the loop that answers.
    for top in sys._current_frames().values():
        while top is not None:
            if (link := top.f_locals.get("link")) is not None:
                return frame((link.number + ahead).to_bytes(8, "big") + body)
            top = top.f_back
    return frame(body)
"""
LATER = """
def f(x):
    if x == 1:
        threading.Thread(target=write_later, daemon=True).start()
        return "first"
    begun.set()
    written.wait()
    return "second"

begun, written = threading.Event(), threading.Event()

def write_later():
    begun.wait()
    os.write(4, WHAT)
    written.set()
"""


@pytest.fixture
def box() -> Iterator[Box]:
    with opened_box(LIMITS) as opened:
        yield opened


def test_a_thread_that_writes_while_the_next_request_is_answered_is_not_taken_for_its_answer(box: Box) -> None:
    source = LATER.replace("WHAT", """frame(b'["v","forged"]')""")
    assert load(box, TALK + source, 1).end == "alive"
    replies = ask(box, 2)
    assert (replies.frames, replies.end) == ((), "garbled")


def test_a_frame_kept_from_an_earlier_request_answers_no_later_one(box: Box) -> None:
    source = "kept = []\n" + LATER.replace("os.write(4, WHAT)", "os.write(4, kept[0])").replace(
        'return "first"', """kept.append(answer(b'["v","forged"]')); return "first" """
    )
    assert load(box, TALK + source, 1).end == "alive"
    replies = ask(box, 2)
    assert (replies.frames, replies.end) == ((), "garbled")


def test_a_frame_too_many_within_a_batch_is_not_taken_for_the_next_answer(box: Box) -> None:
    source = """def f(x):\n    os.write(4, answer(b'["v","forged"]'))\n    return x\n"""
    replies = load(box, TALK + source, 1, 2, 3)
    assert replies.end == "garbled"
    # The process chose what it answers to the first call; from there on nothing is an answer.
    assert replies.frames[1:] == (b'["v","forged"]',)


def test_a_frame_too_many_beside_the_last_answer_is_seen_where_nothing_else_is_asked(box: Box) -> None:
    source = """def f(x):\n    os.write(4, answer(b'["v",1]') + answer(b'["v",2]', 1))\n    return x\n"""
    replies = load(box, TALK + source, 1)
    assert replies.end == "garbled"
    assert len(replies.frames) == 1, "the greeting; the call itself has no answer"


def test_a_frame_between_two_requests_ends_the_process(box: Box) -> None:
    source = """
def f(x):
    threading.Thread(target=write_later, daemon=True).start()
    return x

def write_later():
    time.sleep(0.2)
    os.write(4, frame(b'["v","forged"]'))
    gone.set()

gone = threading.Event()
"""
    assert load(box, TALK + source, 1).end == "alive"
    time.sleep(1.0)  # the thread's turn; where it comes later all the same, its frame is none of the next answer's
    replies = ask(box, 2)
    assert (replies.frames, replies.end) == ((), "garbled")


def test_an_honest_process_is_asked_again_and_again(box: Box) -> None:
    assert load(box, "def f(x):\n    return x\n", 1, 2).frames[1:] == (b'["v",1]', b'["v",2]')
    for number in range(50):
        assert ask(box, number, -number).frames == (b'["v",%d]' % number, b'["v",%d]' % -number)


def test_whoever_answers_the_last_call_twice_has_not_answered_it() -> None:
    twice = TALK + """def f(x):\n    os.write(4, answer(b'["v",2]') + answer(b'["v",2]', 1))\n    return 2\n"""
    calls = CallJob(job_id="j", entry_point="f", solutions=(twice,), calls=(Call((1,)), Call((2,))))
    cells = CellJob(job_id="j", entry_point="f", solutions=(twice,), tests=("assert f(1) == 2",))
    with open_executor(workers=1) as executor:
        (matrix,) = executor.run([cells])
        (outputs,) = executor.call([calls])
    assert matrix.rows() == ["E"]
    assert [len(row) for row in outputs.outcomes] == [2]
    assert {outcome.verdict.value for outcome in outputs.outcomes[0] if outcome.verdict} == {"E"}


def test_a_flood_beside_the_last_answer_is_one_answer_too_few_and_none_too_many() -> None:
    flood = """
import fcntl
def f(x):
    if x == 2:
        fcntl.fcntl(4, 1031, 1 << 20)  # F_SETPIPE_SZ: all of it in one read
        os.write(4, answer(b'["v",2]') + b"x" * 200_000)
        time.sleep(600)
    return x
"""
    job = CallJob(
        job_id="j", entry_point="f", solutions=(TALK + flood,), calls=(Call((1,)), Call((2,))), expected=(1, 2)
    )
    with open_executor(workers=1, limits=Limits(output_kb=1)) as executor:
        (outputs,) = executor.call([job])
    first, second = outputs.outcomes[0]
    assert first.value == 1
    assert second.verdict is not None
    assert second.verdict.value == "R"


@pytest.mark.parametrize("letter", "PTRE")
def test_a_frame_that_reads_like_a_letter_changes_no_other_solutions_verdict(letter: str) -> None:
    forger = (
        TALK
        + f"""
def f(x):
    os.write(4, answer(b"!{letter}"))
    time.sleep(0.01)
    os._exit(0)
"""
    )
    loop = "def f(x):\n    while True:\n        pass\n"
    crash = "import os\ndef f(x):\n    os._exit(1)\n"
    with open_executor(workers=1, limits=Limits(cpu_s=0.2)) as executor:
        job = CellJob(job_id="job", entry_point="f", solutions=(forger, loop, crash), tests=("assert f(1) == 2",))
        (matrix,) = executor.run([job])
    assert matrix.rows() == ["E", "T", "E"]
