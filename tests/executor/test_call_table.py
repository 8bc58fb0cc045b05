"""The calls that tests make, as data."""

from __future__ import annotations

from executor import Call, CallJob, call_table, open_executor

CLASS = """
import unittest
class T(unittest.TestCase):
    def test_one(self):
        self.assertEqual(f(1), 2)
        self.assertEqual(f([1, (2,)], k={"a": None}), 3)
"""


def test_equal_calls_are_one_and_keep_the_order_of_their_first_use() -> None:
    table = call_table(["assert f(2) == 1", CLASS, "assert f(1) == f(2)"], "f")
    assert table.calls == (Call((2,)), Call((1,)), Call(([1, (2,)],), kwargs={"k": {"a": None}}))
    assert table.of_test == ((0,), (1, 2), (1, 0))


def test_what_cannot_be_lifted_has_no_calls() -> None:
    table = call_table(
        ["for x in (1, 2):\n    assert f(x)", "assert True", "assert f(", "assert f(g(1)) == 1"], "f", "def g(x): pass"
    )
    assert table.calls == ()
    assert table.of_test == ((), (), (), ())


def test_the_calls_of_a_table_can_be_made() -> None:
    table = call_table([CLASS], "f")
    solution = "def f(x, k=None):\n    return (x, k)\n"
    job = CallJob(job_id="j", entry_point="f", solutions=(solution,), calls=table.calls)
    with open_executor(workers=1) as executor:
        (outputs,) = executor.call([job])
    assert [outcome.value for outcome in outputs.outcomes[0]] == [(1, None), ([1, (2,)], {"a": None})]
