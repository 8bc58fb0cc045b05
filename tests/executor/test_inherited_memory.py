"""A child finds nothing in its memory of what ran, or was answered, in its box before: looked at from outside."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from one_box import ask, load, opened_box

from executor import Limits
from executor.box import Box

MARK = "QZMARK"
SIZES = (0, 1, 20, 60, 200, 400, 600, 1000, 4000, 40_000, 140_000, 300_000, 2_000_000)
"""Characters beside the mark: small objects, those of the C library's heap, maps of their own, and several reads."""
# The mark is put together, so that a source which answers with it does not hold it.
ECHO = """
def f(x):
    return "Q" + "ZMARK" + "-" * x
"""


@pytest.fixture(scope="module")
def box() -> Iterator[Box]:
    with opened_box(Limits(cpu_s=20.0, wall_s=60.0, output_kb=4096)) as opened:
        yield opened


def _child_of(pid: int | None) -> int:
    (child,) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(child)


def _places(box: Box, mark: str = MARK) -> list[str]:
    """Where a new child, which is given nothing of the kind, holds the mark."""
    assert load(box, "def f(x):\n    return x\n", 1).end == "alive"
    pid = _child_of(_child_of(box.pid))
    found = []
    try:
        with Path(f"/proc/{pid}/mem").open("rb") as memory:
            for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
                start, stop = (int(part, 16) for part in line.split()[0].split("-"))
                if line.split()[1][0] != "r" or line.endswith(("[vvar]", "[vsyscall]", "[vvar_vclock]")):
                    continue
                memory.seek(start)
                found += [line] * memory.read(stop - start).count(mark.encode())
    except PermissionError as error:
        pytest.skip(f"the memory of a box cannot be read here ({error}); run the suite as root, or with CAP_SYS_PTRACE")
    return found


def test_the_look_finds_what_is_there(box: Box) -> None:
    assert _places(box, "importlib"), "a word that every interpreter holds"


@pytest.mark.parametrize("size", SIZES)
def test_the_answers_of_an_earlier_child_are_gone(box: Box, size: int) -> None:
    replies = load(box, ECHO, *[size] * 5)
    assert all(MARK.encode() in frame for frame in replies.frames[1:])
    asked = ask(box, size)
    assert MARK.encode() in asked.frames[0]
    assert _places(box) == []


@pytest.mark.parametrize("size", SIZES)
def test_the_source_and_the_arguments_of_an_earlier_child_are_gone(box: Box, size: int) -> None:
    text = MARK + "-" * size
    load(box, f"def f(x):\n    return len({text!r}) + len(x)\n", text)
    ask(box, text)
    assert _places(box) == []


@pytest.mark.parametrize(
    ("ending", "end"),
    [
        ("import os; os._exit(1)", "exit"),
        ("import ctypes; ctypes.string_at(0)", "signal"),
        ("import os, time; os.close(4); time.sleep(9)", "closed"),
        ("while True: pass", "cpu"),
        ("import os; os.write(4, bytes([0, 0, 0, 60]) + b'QZ' b'MARK' * 10)", "garbled"),
        ("import os; os.write(4, b'QZ' b'MARK' * 10)", "flood"),
    ],
)
def test_what_a_child_wrote_that_ended_in_its_answer_is_gone(box: Box, ending: str, end: str) -> None:
    source = f"def f(x):\n    if x:\n        return 'Q' 'ZM' + 'ARK'\n    {ending}\n"
    replies = load(box, source, 1, 0, cpu_s=(1.0, 1.0, 0.1))
    assert replies.end == end
    assert _places(box) == []
