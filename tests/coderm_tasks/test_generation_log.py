"""The file of answers: appended, synced, resumed, never mixed."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from coderm_tasks.errors import StoreError
from coderm_tasks.generation.log import Answer, AnswerLog, Commits, content_key

SETTINGS = {"model": "m", "temperature": 0.8}


def answer(number: int, text: str = "assert f(1)") -> Answer:
    return Answer(
        key=content_key(number=number),
        task_id="T/0",
        index=number,
        prompt="p/1",
        texts=(text,),
        finish_reasons=("stop",),
    )


def test_answers_come_back_after_reopening(tmp_path):
    with AnswerLog(tmp_path / "sub" / "log.jsonl", SETTINGS) as log:
        log.append(answer(1, "ä\n\u2028"))
        log.append(answer(2))
    with AnswerLog(tmp_path / "sub" / "log.jsonl", SETTINGS) as log:
        assert len(log) == 2
        assert log.get(content_key(number=1)) == answer(1, "ä\n\u2028")
        assert log.get(content_key(number=3)) is None


@pytest.mark.parametrize("size", range(0, 400, 7))
def test_wherever_a_kill_cuts_the_file_whole_answers_survive(tmp_path, size):
    path = tmp_path / "log.jsonl"
    with AnswerLog(path, SETTINGS) as log:
        log.append(answer(1))
        log.append(answer(2))
    whole = path.read_bytes()
    path.write_bytes(whole[:size])
    survivors = max(whole[:size].count(b"\n") - 1, 0)
    with AnswerLog(path, SETTINGS) as log:
        assert len(log) == survivors
        log.append(answer(3))
    with AnswerLog(path, SETTINGS) as log:
        assert len(log) == survivors + 1
        assert log.get(content_key(number=3)) == answer(3)


def test_the_order_of_the_parts_does_not_change_a_key_and_every_part_counts():
    assert content_key(a=1, b="x") == content_key(b="x", a=1)
    assert (
        len({content_key(a=1, b="x"), content_key(a=1, b="y"), content_key(a=2, b="x"), content_key(a="1", b="x")}) == 4
    )


def test_another_file_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "samples.jsonl"
    path.write_text('{"task_id": "HumanEval/0", "solution": ""}\n')
    with pytest.raises(StoreError, match=r"samples\.jsonl:1: is no file of generated answers"):
        AnswerLog(path, SETTINGS)
    assert path.read_text() == '{"task_id": "HumanEval/0", "solution": ""}\n'


def test_a_file_without_a_newline_that_is_no_answer_file_is_left_alone(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("my only notes")
    with pytest.raises(StoreError, match="is no file of generated answers"):
        AnswerLog(path, SETTINGS)
    assert path.read_text() == "my only notes"


def test_a_damaged_line_is_named_by_its_number(tmp_path):
    path = tmp_path / "log.jsonl"
    with AnswerLog(path, SETTINGS) as log:
        log.append(answer(1))
    path.write_bytes(path.read_bytes() + b"garbage\n")
    with pytest.raises(StoreError, match=r"log\.jsonl:3: is damaged"):
        AnswerLog(path, SETTINGS)


def test_a_file_of_a_later_format_is_refused(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text('{"answers": 3, "settings": {}}\n')
    with pytest.raises(StoreError, match="written with format = 3, and this run has 2"):
        AnswerLog(path, SETTINGS)


def test_two_runs_cannot_share_a_file(tmp_path):
    path = tmp_path / "log.jsonl"
    with AnswerLog(path, SETTINGS), pytest.raises(StoreError, match="another run is writing it"):
        AnswerLog(path, SETTINGS)
    AnswerLog(path, SETTINGS).close()


def test_a_path_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be opened"):
        AnswerLog(tmp_path / "file" / "log.jsonl", SETTINGS)
    with pytest.raises(StoreError, match="cannot be opened"):
        AnswerLog(tmp_path, SETTINGS)


FULL = """
import resource, signal, sys
from pathlib import Path
sys.path.insert(0, {folder!r})
from test_generation_log import SETTINGS, answer
from coderm_tasks.errors import StoreError
from coderm_tasks.generation.log import AnswerLog
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
with AnswerLog(Path({path!r}), SETTINGS) as log:
    log.append(answer(1))
    try:
        log.append(answer(2, "x" * 2000))
    except StoreError as error:
        print(error)
    log.append(answer(3))
"""


def test_a_write_that_does_not_fit_leaves_whole_answers_only(tmp_path):
    # A file size limit fails writes half-way, as a full disk does.
    path = tmp_path / "log.jsonl"
    root = Path(__file__).parents[2]
    script = FULL.format(folder=str(Path(__file__).parent), path=str(path))
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert "cannot be written" in done.stdout
    assert "free space and run again" in done.stdout
    with AnswerLog(path, SETTINGS) as log:
        assert len(log) == 2
        assert log.get(content_key(number=3)) == answer(3)


def test_an_answer_that_cannot_be_written_down_fails_its_caller_and_no_other(tmp_path):
    async def run() -> list[object]:
        with AnswerLog(tmp_path / "log.jsonl", SETTINGS) as log:
            async with Commits(log) as commits:
                bad = asyncio.create_task(commits.append(answer(1, "\ud800")))
                (first,) = await asyncio.gather(bad, return_exceptions=True)
                await commits.append(answer(2))
                return [first, len(log)]

    first, count = asyncio.run(run())
    assert isinstance(first, UnicodeEncodeError)
    assert count == 1


def test_answers_that_arrive_during_a_sync_share_the_next(tmp_path, monkeypatch):
    syncs = []
    monkeypatch.setattr("coderm_tasks.generation.log.os.fsync", lambda handle: syncs.append(handle))

    async def run() -> None:
        with AnswerLog(tmp_path / "log.jsonl", SETTINGS) as log:
            syncs.clear()
            async with Commits(log) as commits:
                await asyncio.gather(*(commits.append(answer(number)) for number in range(50)))
            assert len(log) == 50

    asyncio.run(run())
    assert 1 <= len(syncs) <= 3


def test_a_cancelled_caller_leaves_its_answer_behind(tmp_path):
    async def run() -> None:
        with AnswerLog(tmp_path / "log.jsonl", SETTINGS) as log:
            async with Commits(log) as commits:
                caller = asyncio.create_task(commits.append(answer(1)))
                await asyncio.sleep(0)
                caller.cancel()
                await asyncio.gather(caller, return_exceptions=True)

    asyncio.run(run())
    with AnswerLog(tmp_path / "log.jsonl", SETTINGS) as log:
        assert log.get(content_key(number=1)) == answer(1)
