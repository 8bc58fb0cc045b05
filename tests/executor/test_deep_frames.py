"""Frames that are nested without end are no answers, also where the host program has raised the limit of recursion."""

from __future__ import annotations

import subprocess
import sys

import pytest

from executor import Call, CallJob
from executor.classify import reply_value
from executor.expressions import Stopped
from executor.fake import FakeExecutor
from executor.inside import wire
from executor.weights import value_frame

DEEP = """
import sys
sys.setrecursionlimit(10**7)
from executor.classify import load_failure, reply_value, verdict_of
from executor.expressions import Stopped
for opened, closed in ((b"[", b"]"), (b'{"a":', b"}"), (b'[{"d":[[', b"]]}]")):
    for frame in (b'["v",' + opened * 1_000_000, b'["v",' + opened * 1_000_000 + b"1" + closed * 1_000_000 + b"]"):
        assert load_failure(frame)[0] == "E" and verdict_of(frame) == "E"
        try:
            reply_value(frame)
        except Stopped:
            print("refused")
"""


def test_a_frame_without_end_crashes_no_host_that_has_no_limit_of_recursion() -> None:
    done = subprocess.run([sys.executable, "-c", DEEP], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, "refused\n" * 6)


def nested(depth: int) -> object:
    value: object = "]" * 5000 + "\\" + '"[['
    for _ in range(depth):
        value = {"[": [value, "[" * 5000]}
    return value


def test_what_is_plain_data_is_deep_enough_and_brackets_in_text_do_not_count() -> None:
    value = [nested(20), [[]] * 100_000]
    assert reply_value(value_frame(value)) == value
    for depth in range(1, 2 * wire.MAX_DEPTH):
        value = nested(depth)
        if not wire.is_plain(value):
            break
        assert reply_value(value_frame(value)) == value
    assert depth > 10


def test_brackets_in_text_hide_no_depth() -> None:
    with pytest.raises(Stopped):
        reply_value(b'["v",' + b'["]]]]]]]]",' * 100_000 + b"1" + b"]" * 100_001)


def test_the_fake_keeps_the_limit_of_recursion_of_its_process() -> None:
    before = sys.getrecursionlimit()
    source = "import sys\nsys.setrecursionlimit(90_000)\ndef f(x):\n    return sys.getrecursionlimit()\n"
    job = CallJob(job_id="job", entry_point="f", solutions=(source,), calls=(Call((1,)),))
    (outputs,) = FakeExecutor().call([job])
    assert outputs.outcomes[0][0].value == 90_000
    assert sys.getrecursionlimit() == before
