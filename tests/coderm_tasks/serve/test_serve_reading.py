"""From bodies to work: what is refused, with which status, and what is read (pure; in the end in real readers)."""

from __future__ import annotations

import json
import os
import signal
import time
from typing import Any

import pytest

from coderm_tasks.reward.unit_tests import Kind
from coderm_tasks.serve.readers import Readers
from coderm_tasks.serve.reading import Bounds, MatrixRead, Read, Refused, RewardsRead, read_request

BOUNDS = Bounds(max_batch=3, max_tests=4, deadline_s=20.0)
ITEM = {"completion": "def f(x): return x", "entry_point": "f", "tests": ["assert f(1) == 1"]}
MATRIX = {"entry_point": "f", "solutions": ["def f(x): return x"], "tests": ["assert f(1) == 1"]}


def rewards(*items: Any, **more: Any) -> Read:
    return read_request("rewards", json.dumps({"items": items, **more}).encode(), BOUNDS)


def matrix(**more: Any) -> Read:
    return read_request("matrix", json.dumps({**MATRIX, **more}).encode(), BOUNDS)


def test_items_with_the_same_tests_become_one_job():
    found = rewards(ITEM, {**ITEM, "completion": "def f(x): return 1"}, {**ITEM, "tests": "assert f(2) == 2"})
    assert isinstance(found, RewardsRead)
    assert [group.members for group in found.batch.groups] == [(0, 1), (2,)]
    assert (found.items, found.deadline_s) == (3, 20.0)


def test_a_matrix_takes_tests_and_solutions_as_they_stand():
    found = matrix(tests=["assert f(1) == 1\nassert f(2) == 2"], solutions=["```python\nx\n```"] * 2)
    assert isinstance(found, MatrixRead)
    assert found.work.job.tests == ("assert f(1) == 1\nassert f(2) == 2",)
    assert found.work.job.solutions == ("```python\nx\n```",) * 2
    assert found.items == 2


@pytest.mark.parametrize("body", [b"", b"{", b"nonsense", b"\xff\xfe", b'{"items": NaN}', b"\0", b'{"items": [}'])
def test_what_is_no_json_is_400(body):
    found = read_request("rewards", body, BOUNDS)
    assert isinstance(found, Refused)
    assert (found.status, found.code) == (400, "not_json")


@pytest.mark.parametrize(
    ("items", "more"),
    [
        ([{**ITEM, "tests": [1]}], {}),
        ([{**ITEM, "entrypoint": "f"}], {}),
        ([{"completion": "x"}], {}),
        ([{**ITEM, "weights": [1, 2]}], {}),
        ([{**ITEM, "weights": [-1]}], {}),
        ([{**ITEM, "weights": [1e10]}], {}),
        ([ITEM], {"deadline_s": 0}),
        ([ITEM], {"deadline_s": 20.5}),
        ([ITEM], {"options": {"scheme": "shares"}}),
        ([ITEM], {"token": "x"}),
        ([None], {}),
    ],
)
def test_what_does_not_fit_is_422(items, more):
    found = rewards(*items, **more)
    assert isinstance(found, Refused)
    assert (found.status, found.code) == (422, "invalid")


def test_weights_that_are_no_numbers_of_json_are_refused():
    body = json.dumps({"items": [{**ITEM, "weights": [float("nan")]}]}).encode()
    found = read_request("rewards", body, BOUNDS)
    assert isinstance(found, Refused)
    assert found.status == 400


@pytest.mark.parametrize("name", ["", "no name", "class", "f.g", "1f", "\ud800", "f\0", "f" * 10_000 + " "])
def test_an_entry_point_that_is_no_name_is_422_and_is_not_repeated(name):
    for found in (rewards({**ITEM, "entry_point": name}), matrix(entry_point=name)):
        assert isinstance(found, Refused)
        assert (found.status, found.code) == (422, "invalid_entry_point")
        assert len(found.message) < 200


def test_an_entry_point_that_no_test_knows_is_422():
    for found in (rewards({**ITEM, "entry_point": "g"}), matrix(entry_point="g")):
        assert isinstance(found, Refused)
        assert (found.status, found.code) == (422, "unknown_entry_point")


def test_one_items_useless_tests_do_not_refuse_the_others():
    found = rewards(ITEM, {**ITEM, "tests": ["I cannot write tests."]})
    assert isinstance(found, RewardsRead)


@pytest.mark.parametrize(
    ("found", "what"),
    [
        (rewards(*[ITEM] * 4), "4 items"),
        (rewards({**ITEM, "tests": ["assert f(1) == 1"] * 5}), "5 tests"),
        (rewards({**ITEM, "tests": "\n\n".join(f"def test_{n}():\n    assert f({n})" for n in range(9))}), "9 tests"),
        (matrix(solutions=["x"] * 4), "4 solutions"),
        (matrix(tests=["assert f(1)"] * 5), "5 tests"),
    ],
)
def test_too_much_is_422_and_names_the_limit(found, what):
    assert isinstance(found, Refused)
    assert (found.status, found.code) == (422, "too_many")
    assert what in found.message
    assert "--max-" in found.message


def test_messages_can_be_sent_whatever_the_keys_were():
    for key in ("\ud800", "\0" * 10_000, "<script>"):
        found = rewards({**ITEM, key: 1})
        assert isinstance(found, Refused)
        assert found.message.isascii()
        assert len(found.message) <= 300


def test_half_a_surrogate_pair_refuses_no_batch():
    found = rewards({**ITEM, "completion": "def f(x): return x # \ud800", "context": "\ud800"},
                    {**ITEM, "tests": ["assert f('\ud800')", "assert f(1) == 1"]})  # fmt: skip
    assert isinstance(found, RewardsRead)
    assert [group.tests.kinds for group in found.batch.groups][1][-1] is Kind.USABLE
    for group in found.batch.groups:
        repr(group).encode("utf-8")


def test_a_reader_that_is_killed_costs_no_request():
    readers = Readers(BOUNDS, count=1)
    try:
        body = json.dumps({"items": [ITEM]}).encode()
        for _ in range(3):
            found = readers.submit("rewards", body, deadline=time.monotonic() + 60).result(120)
            assert isinstance(found, RewardsRead)
            assert found == read_request("rewards", body, BOUNDS)
            process = readers._readers[0]._process
            assert process is not None
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
        assert readers.replaced == 2
    finally:
        readers.close()


def test_a_reader_that_hangs_is_killed_and_replaced():
    readers = Readers(BOUNDS, count=1, longest_s=5.0)
    try:
        body = json.dumps({"items": [ITEM]}).encode()
        for deadline_s, code in ((60.0, "unreadable"), (0.5, "overloaded")):
            found = readers.submit("rewards", body, deadline=time.monotonic() + 60).result(120)
            assert isinstance(found, RewardsRead)
            process = readers._readers[0]._process
            assert process is not None
            os.kill(process.pid, signal.SIGSTOP)
            found = readers.submit("rewards", body, deadline=time.monotonic() + deadline_s).result(120)
            assert isinstance(found, Refused)
            assert found.code == code
            assert process.poll() is not None
    finally:
        readers.close()


def test_what_is_not_read_by_its_deadline_is_to_come_again():
    readers = Readers(BOUNDS, count=1)
    found = readers.submit("rewards", b"{}", deadline=time.monotonic() - 1).result(120)
    readers.close()
    assert isinstance(found, Refused)
    assert (found.status, found.code) == (503, "overloaded")
