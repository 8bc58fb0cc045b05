"""Banks of unit tests: what is read and how wrong files are refused."""

from __future__ import annotations

import gzip
import json

import pytest

from coderm_tasks.errors import InputError
from coderm_tasks.generation.bank import load_bank

KNOWN = ["HumanEval/0", "HumanEval/1"]


def write(path, *records):
    path.write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in records), encoding="utf-8")
    return path


def test_tests_come_back_by_problem_in_the_order_of_the_file(tmp_path):
    path = write(
        tmp_path / "bank.jsonl",
        {"task_id": "HumanEval/1", "test": "assert f(1)"},
        {"task_id": "HumanEval/0", "test": "assert g(1)"},
        {"task_id": "HumanEval/1", "test": "assert f(2)", "source": "someone"},
    )
    assert load_bank(path, KNOWN) == {"HumanEval/1": ("assert f(1)", "assert f(2)"), "HumanEval/0": ("assert g(1)",)}


def test_a_gzip_bank_is_read(tmp_path):
    path = tmp_path / "bank.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"task_id": "HumanEval/0", "test": "assert f(1)"}\n'))
    assert load_bank(path, KNOWN) == {"HumanEval/0": ("assert f(1)",)}


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ("{oops", r"bank\.jsonl:2: .*not JSON"),
        ('["a"]', r"bank\.jsonl:2: .*object"),
        ({"test": "assert f(1)"}, r"bank\.jsonl:2: task_id is missing"),
        ({"task_id": 7, "test": "assert f(1)"}, r"bank\.jsonl:2: task_id is 7"),
        ({"task_id": "HumanEval/0"}, r"bank\.jsonl:2: test of HumanEval/0 is missing: expected Python source"),
        ({"task_id": "HumanEval/0", "test": ["x"] * 99}, r"bank\.jsonl:2: test of HumanEval/0 is \['x'.*\.\.\."),
        ({"task_id": "HumanEval/0", "test": " \n"}, r"bank\.jsonl:2: test of HumanEval/0 is"),
        ({"task_id": "HumanEval/00", "test": "x"}, r"bank\.jsonl:2: unknown task_id 'HumanEval/00' \(did you mean"),
    ],
    ids=["not json", "not an object", "no task id", "task id no text", "no test", "test no text", "blank", "unknown"],
)
def test_a_wrong_line_is_refused_with_its_number_in_one_line(tmp_path, record, said):
    path = write(tmp_path / "bank.jsonl", {"task_id": "HumanEval/0", "test": "assert f(1)"}, record)
    with pytest.raises(InputError, match=said) as caught:
        load_bank(path, KNOWN)
    assert "\n" not in str(caught.value)


def test_a_missing_bank_is_refused_by_name(tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.jsonl"):
        load_bank(tmp_path / "nowhere.jsonl", KNOWN)


def test_an_empty_bank_is_refused(tmp_path):
    with pytest.raises(InputError, match="holds no test: expected lines such as"):
        load_bank(write(tmp_path / "bank.jsonl"), KNOWN)


def test_tests_of_other_problems_can_be_left_out(tmp_path):
    path = write(
        tmp_path / "bank.jsonl", {"task_id": "Mbpp/2", "test": "x"}, {"task_id": "HumanEval/0", "test": "assert f(1)"}
    )
    assert load_bank(path, KNOWN, ignore_unknown=True) == {"HumanEval/0": ("assert f(1)",)}


def test_a_bank_of_other_problems_only_is_refused_even_then(tmp_path):
    path = write(tmp_path / "bank.jsonl", {"task_id": "Mbpp/2", "test": "x"})
    with pytest.raises(InputError, match="no test of any problem of the data set"):
        load_bank(path, KNOWN, ignore_unknown=True)
