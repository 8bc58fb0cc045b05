"""Verdicts on disk."""

from __future__ import annotations

import multiprocessing
import sqlite3
from pathlib import Path

import msgspec
import pytest

from executor import Call, CallJob, open_executor
from executor.cache import ResultCache, calls_key, solution_key, test_key
from executor.errors import CacheError
from executor.model import Limits
from executor.shards import AS_EXPECTED

KEY = solution_key("abc", "f", "", Limits())
key_of_test = test_key
del test_key  # pytest would collect it


def test_what_was_put_is_found_again(tmp_path: Path) -> None:
    first, second = key_of_test("assert 1"), key_of_test("assert 2")
    with ResultCache(tmp_path) as cache:
        cache.put({KEY: [(first, "P", "l")]})
        cache.put({KEY: [(second, "T", "s")]})
    with ResultCache(tmp_path) as cache:
        assert cache.get(KEY) == {first: ("P", "l"), second: ("T", "s")}
        assert cache.get(b"other") == {}
        assert cache.info().cells == 2


@pytest.mark.parametrize(
    "other",
    [
        solution_key("abd", "f", "", Limits()),
        solution_key("abc", "g", "", Limits()),
        solution_key("abc", "f", "import math", Limits()),
        solution_key("abc", "f", "", Limits(cpu_s=3)),
        solution_key("abc", "f", "", Limits(memory_mb=2048)),
        solution_key("abc", "f", "", Limits(patience=0.5)),
        calls_key("abc", "f", b"", Limits(), False),
    ],
)
def test_everything_that_decides_a_verdict_is_part_of_its_key(other: bytes) -> None:
    assert other != KEY


def test_clearing_forgets_everything(tmp_path: Path) -> None:
    with ResultCache(tmp_path) as cache:
        cache.put({KEY: [(key_of_test("a"), "P", "l")]})
        cache.clear()
        assert cache.info().cells == 0


def _write(folder: Path, number: int) -> None:
    with ResultCache(folder) as cache:
        for index in range(50):
            cache.put({KEY: [(key_of_test(f"{number}-{index}"), "P", "l")]})


def test_several_writers_lose_nothing(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_write, args=(tmp_path, number)) for number in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    with ResultCache(tmp_path) as cache:
        assert len(cache.get(KEY)) == 150


def test_a_file_that_is_no_cache_is_named_with_the_remedy(tmp_path: Path) -> None:
    with ResultCache(tmp_path) as cache:
        path = cache.path
    path.write_bytes(b"something else entirely" * 100)
    with pytest.raises(CacheError, match=r"results-\d\.sqlite3 cannot be used .* --no-cache"):
        ResultCache(tmp_path)


def test_a_full_disk_is_named_and_keeps_what_was_there(tmp_path: Path) -> None:
    with ResultCache(tmp_path) as cache:
        cache.put({KEY: [(key_of_test("a"), "P", "l")]})
        pages = cache._database.execute("PRAGMA page_count").fetchone()[0]
        cache._database.execute(f"PRAGMA max_page_count={pages}")
        with pytest.raises(CacheError, match="full"):
            cache.put({KEY: [(key_of_test(str(number)), "P", "l") for number in range(10_000)]})
    with ResultCache(tmp_path) as cache:
        assert cache.get(KEY) == {key_of_test("a"): ("P", "l")}


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CacheError, match="cannot be used"):
        ResultCache(tmp_path / "file" / "below")


def test_the_file_is_an_ordinary_database(tmp_path: Path) -> None:
    with ResultCache(tmp_path) as cache:
        path = cache.path
    assert sqlite3.connect(path).execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_replies_are_found_again_and_counted(tmp_path: Path) -> None:
    key = calls_key("abc", "f", b"digest", Limits(), True)
    replies = ((b'["v",1]', "", 0.25), (b"", "T", 1.0))
    with ResultCache(tmp_path) as cache:
        cache.put_replies({key: replies})
    with ResultCache(tmp_path) as cache:
        assert cache.get_replies(key) == replies
        assert cache.get_replies(calls_key("abc", "f", b"digest", Limits(), False)) is None
        assert cache.info().replies == 1
        cache.clear()
        assert cache.get_replies(key) is None


def test_a_row_of_replies_that_makes_no_sense_is_as_good_as_none(tmp_path: Path) -> None:
    key = calls_key("abc", "f", b"digest", Limits(), True)
    with ResultCache(tmp_path) as cache:
        cache._insert("INSERT INTO replies VALUES (?, ?)", [(key, b"not packed")])
        assert cache.get_replies(key) is None
        cache.put_replies({key: ((b"", "Q", 0.0),)})
        assert cache.get_replies(key) is None
        cache._database.execute("UPDATE replies SET packed = 'text'")
        assert cache.get_replies(key) is None


@pytest.mark.parametrize("cells", [b"x" * 12 + b"\xff\xff", b"x" * 12 + b"Zl", b"x" * 12 + b"P?", b"short", "text", 7])
def test_verdicts_that_make_no_sense_are_as_good_as_none(tmp_path: Path, cells: object) -> None:
    with ResultCache(tmp_path) as cache:
        cache._database.execute("INSERT INTO verdicts VALUES (?, ?)", (KEY, cells))
        assert cache.get(KEY) == {}


def test_calls_are_made_once(tmp_path: Path) -> None:
    job = CallJob(
        job_id="j", entry_point="f", solutions=("def f(x):\n    return [x]\n",), calls=(Call((1,)), Call((2,)))
    )
    with open_executor(workers=1, cache=tmp_path) as executor:
        (first,) = executor.call([job])
        executor._crew.close()  # whoever would make a call now fails
        (second,) = executor.call([job])
    assert [outcome.value for outcome in first.outcomes[0]] == [[1], [2]]
    assert second == first


def test_answers_up_to_one_that_was_not_expected_are_remembered(tmp_path: Path) -> None:
    solutions = ("def f(x):\n    return [x]\n", "def f(x):\n    return [x] if x == 1 else x\n")
    job = CallJob(
        job_id="j", entry_point="f", solutions=solutions, calls=(Call((1,)), Call((2,)), Call((3,))),
        expected=([1], [2], [3]),
    )  # fmt: skip
    other = msgspec.structs.replace(job, expected=([1], 2, 4))
    with open_executor(workers=1, cache=tmp_path) as executor:
        (first,) = executor.call([job])
        (differs,) = executor.call([other])
        executor._crew.close()  # whoever would make a call now fails
        assert list(executor.call([job, other])) == [first, differs]
    assert [outcome.value for outcome in first.outcomes[0]] == [[1], [2], [3]]
    assert [outcome.value for outcome in first.outcomes[1]] == [[1], 2, None]
    assert [outcome.value for outcome in differs.outcomes[1]] == [[1], 2, 3]


def test_an_answer_as_expected_means_nothing_to_who_expects_nothing(tmp_path: Path) -> None:
    job = CallJob(job_id="j", entry_point="f", solutions=("def f(x):\n    return [x]\n",), calls=(Call((1,)),))
    with open_executor(workers=1, cache=tmp_path) as executor:
        (first,) = executor.call([job])
        with ResultCache(tmp_path) as cache:
            ((key,),) = cache._database.execute("SELECT key FROM replies").fetchall()
            cache.put_replies({key: [(b"", AS_EXPECTED, 0.0)]})
        assert list(executor.call([job])) == [first]


def test_clearing_also_removes_what_other_versions_left(tmp_path: Path) -> None:
    (tmp_path / "verdicts-1.sqlite3").write_bytes(b"old")
    (tmp_path / "notes.sqlite3").write_bytes(b"somebody else's")
    with ResultCache(tmp_path) as cache:
        cache.clear()
    assert not (tmp_path / "verdicts-1.sqlite3").exists()
    assert (tmp_path / "notes.sqlite3").exists()
