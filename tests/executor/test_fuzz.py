"""Whatever comes out of a box, the parent neither crashes nor hangs nor reads a verdict into it."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from executor import BoxDied, CellJob, Limits, LocalExecutor, open_executor
from executor.box import Box, Replies
from executor.classify import LETTERS, end_letter, load_failure, reply_value, verdict_of
from executor.expressions import Raised, Stopped
from executor.inside import wire
from executor.policy import BoxPlan
from executor.view import interpreter_view

TAGS = ["i", "t", "s", "f", "d", "b", "B", "c", "r", "F", "D", "C", "dd", "O", "q", "K", "V", "I", "g", "x", "?", ""]
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["0x1f", "-0x2", "1E+99", "NaN", "sNaN", "00ff"])
)
NODES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(TAGS), inner, min_size=1, max_size=2)
        | st.lists(st.tuples(inner, inner).map(list), max_size=3).map(lambda pairs: {"d": pairs})
    ),
    max_leaves=20,
)
HEADS = st.sampled_from(["v", "e", "ok", "verdict", "stopped", "call", "", "P"])
FRAMES = (
    st.binary(max_size=200)
    | NODES.map(lambda node: json.dumps(node).encode())
    | st.tuples(HEADS, NODES, NODES).map(lambda parts: json.dumps(parts).encode())
    | st.tuples(HEADS, NODES).map(lambda parts: json.dumps(parts).encode())
)
MANY = settings(max_examples=250, deadline=None)


@MANY
@given(text=st.binary(max_size=300) | NODES.map(lambda node: json.dumps(node).encode()))
def test_text_decodes_to_plain_data_or_is_a_wire_error(text: bytes) -> None:
    try:
        value = wire.loads(text)
    except wire.WireError:
        return
    assert type(value).__module__ in ("builtins", "collections", "decimal", "fractions", "executor.inside.wire")


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"t":' * 100_000, '{"t":[' * 400 + "]}" * 400, "9" * 100_000, '{"i":"0x"}']
)
def test_extreme_text_is_a_wire_error(text: str) -> None:
    with pytest.raises(wire.WireError):
        wire.loads(text)


@MANY
@given(frame=FRAMES)
def test_a_frame_is_a_value_or_an_error_and_nothing_else(frame: bytes) -> None:
    outcome: Exception | None = None
    try:
        reply_value(frame)
    except (Raised, Stopped) as error:
        outcome = error
    if isinstance(outcome, Raised):
        assert issubclass(outcome.kind, BaseException)
    elif isinstance(outcome, Stopped):
        assert outcome.letter == "E"


@MANY
@given(frame=FRAMES)
def test_a_verdict_is_read_from_nothing_but_a_verdict(frame: bytes) -> None:
    letter = verdict_of(frame)
    assert letter in LETTERS | {"T", "shared"}
    if letter == "P":
        assert json.loads(frame)[:2] == ["verdict", "P"]


@MANY
@given(frame=FRAMES)
def test_a_greeting_loads_or_is_an_error(frame: bytes) -> None:
    letter, exports = load_failure(frame)
    assert letter in ("", "E", "R")
    if not letter:
        assert all(isinstance(name, str) for name in exports["functions"] | exports["classes"])


@MANY
@given(end=st.sampled_from(["exit", "signal", "cpu", "wall", "flood", "alive"]), code=st.integers(-5, 300))
def test_a_process_that_ended_never_passed(end: str, code: int) -> None:
    assert end_letter(Replies((), (), end, code)) in ("T", "R", "E")


def _box(path: str = "bwrap") -> Box:
    plan = BoxPlan(bwrap=path, view=interpreter_view(), inside="", cell_filter="", privileged=False)
    return Box(plan, Limits(cpu_s=0.1, wall_s=0.1))


HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "end": st.sampled_from(["alive", "exit", "signal", "cpu", "garbled", "banana", ""]) | SCALARS,
        "code": SCALARS,
        "cpu": st.lists(SCALARS, max_size=3),
        "sizes": st.lists(st.integers(-20, 40) | SCALARS, max_size=3),
    },
)


@MANY
@given(header=HEADERS, rest=st.binary(max_size=40), expect=st.integers(1, 3), lie=st.integers(-3, 3))
def test_an_answer_adds_up_or_the_box_is_dead(header: dict[str, object], rest: bytes, expect: int, lie: int) -> None:
    text = json.dumps(header).encode()
    body = max(0, len(text) + lie).to_bytes(4, "big") + text + rest
    try:
        replies = _box()._parse(body, expect)
    except BoxDied:
        return
    assert replies.end in ("alive", "exit", "signal", "closed", "cpu", "wall", "flood", "garbled")
    assert sum(map(len, replies.frames)) == len(body) - 4 - len(text) - lie
    assert len(replies.frames) <= expect


@MANY
@given(body=st.binary(max_size=100))
def test_random_bytes_are_a_dead_box(body: bytes) -> None:
    with pytest.raises(BoxDied):
        _box()._parse(body, 1)


GREETING = "import os, time\nos.write(1, b'\\0\\0\\0\\x0c{\"ready\": 1}')\n"
ZYGOTES = {
    "greets with JSON nested deeply": "import os\nb = b'[' * 100000\nos.write(1, len(b).to_bytes(4, 'big') + b)\n",
    "greets with a list": "import os\nos.write(1, b'\\0\\0\\0\\x02[]')\n",
    "is not process 1": "import os\nos.write(1, b'\\0\\0\\0\\x0c{\"ready\": 2}')\n",
    "announces 4 GiB": GREETING + "os.read(0, 9)\nos.write(1, b'\\xff' * 4)\ntime.sleep(600)\n",
    "stops in the middle": GREETING + "os.read(0, 9)\nos.write(1, b'\\0\\0\\0\\x09abc')\n",
    "answers nothing": GREETING + "time.sleep(600)\n",
    "never reads": GREETING + "time.sleep(600)\n",
    "closes its input": GREETING + "os.close(0)\ntime.sleep(600)\n",
    "answers garbage": GREETING + "os.read(0, 9)\nos.write(1, os.urandom(4096))\n",
}


@pytest.mark.parametrize("name", list(ZYGOTES))
def test_a_hostile_zygote_is_a_dead_box_in_time(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("executor.box._MARGIN_SECONDS", 1.0)
    program = tmp_path / "bwrap"
    program.write_text(f"#!{sys.executable}\n{ZYGOTES[name]}")
    program.chmod(0o755)
    box = _box(str(program))
    payload = b" " * (4 << 20) if name == "never reads" else b"{}"
    outcome: list[BaseException | None] = []

    def talk() -> None:
        try:
            box.start()
            box.start_child("solution", payload, 1)
            outcome.append(None)
        except BaseException as error:
            outcome.append(error)

    thread = threading.Thread(target=talk, daemon=True)
    thread.start()
    thread.join(30)
    hung = thread.is_alive()
    box.close()
    thread.join(30)
    assert not hung, "the parent waits for ever"
    assert isinstance(outcome[0], BoxDied), repr(outcome[0])


PROGRAMS = int(os.environ.get("CODERM_FUZZ_PROGRAMS", "300"))
"""Random programs to run; ``make fuzz`` runs 10,000."""
BATCH = 20
STATEMENTS = st.sampled_from(
    [
        "raise ValueError(x)", "raise SystemExit(0)", "raise MemoryError", "raise KeyboardInterrupt", "os._exit(0)",
        "os._exit(1)", "sys.exit()", "print('x' * 100000)", "os.write(4, b'junk')", "os.write(1, b'P' * 1000)",
        "os.write(4, bytes(8))", "return f(x)", "return [0] * 10 ** 9", "return 'x' * 10 ** 6", "return (y for y in [x])",
        "return {x: [x]}", "return f", "del sys.modules['json']", "sys.setrecursionlimit(50)", "x = [x]", "x = str(x)",
        "os.close(4)", "os.close(3)", "os.abort()", "return float('nan')", "assert x == 5", "return x", "yield x",
        "global f; f = None", "sys.stdout = None", "return 0",
    ]
)  # fmt: skip


def _below(worker: subprocess.Popen[bytes] | None) -> Iterator[tuple[int, str]]:
    """Processes below a worker that runs: process id and status."""
    assert worker is not None
    for process in psutil.Process(worker.pid).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            yield process.pid, process.status()


@pytest.fixture(scope="module")
def executor() -> Iterator[LocalExecutor]:
    with open_executor(workers=2, limits=Limits(cpu_s=0.3, wall_s=3, memory_mb=256, output_kb=512)) as opened:
        yield opened
        below = [process for worker in opened._crew._workers for process in _below(worker._process)]
        assert 2 <= len(below) <= 10, "two workers' boxes: two each, of two processes and perhaps a child"
        zombies = {process for process, status in below if status == psutil.STATUS_ZOMBIE}
        deadline = time.monotonic() + 30
        while zombies and time.monotonic() < deadline:  # the last ones may be about to be taken note of
            time.sleep(0.1)
            now = [process for worker in opened._crew._workers for process in _below(worker._process)]
            zombies &= {process for process, status in now if status == psutil.STATUS_ZOMBIE}
        assert zombies == set()


@pytest.mark.timeout(1800)
@settings(max_examples=PROGRAMS // BATCH, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(bodies=st.lists(st.lists(STATEMENTS, min_size=1, max_size=4), min_size=BATCH, max_size=BATCH))
def test_no_random_program_passes_and_the_next_honest_one_does(
    executor: LocalExecutor, bodies: list[list[str]]
) -> None:
    heads = [
        f"import os, sys\n{body[0]}\n" if body[0].startswith(("os.", "sys.")) else "import os, sys\n" for body in bodies
    ]
    hostile = tuple(
        head + "def f(x):\n" + "".join(f"    {line}\n" for line in body) + "    return None\n"
        for head, body in zip(heads, bodies)
    )
    honest = "def f(x):\n    return ('right', x)\n"
    tests = ("assert f(1) == ('right', 1)", "for x in (1,):\n    assert f(x) == ('right', x)")
    (matrix,) = executor.run([CellJob(job_id="fuzz", entry_point="f", solutions=(*hostile, honest), tests=tests)])
    rows = matrix.rows()
    assert rows[-1] == "PP"
    assert set("".join(rows[:-1])) <= set("FETR")
