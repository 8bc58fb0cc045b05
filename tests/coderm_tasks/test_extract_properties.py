"""What holds for any text: extraction never raises, takes bounded time, and gives code that parses."""

from __future__ import annotations

import ast
import time
import warnings

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coderm_tasks.extract import Drop, extract_solution, extract_tests, fingerprint
from coderm_tasks.extract.text import MAX_CHARS
from coderm_tasks.model import GroundTruth, Problem

PROBLEM = Problem(
    task_id="Property/0",
    dataset="humaneval",
    prompt='def add(a: int, b: int) -> int:\n    """Sum of two numbers."""\n',
    entry_point="add",
    truth=GroundTruth(),
)
PIECES = [
    "```python\n",
    "```\n",
    "```",
    "~~~",
    "<think>",
    "</think>\n",
    "def add(a, b):\n",
    "    return a + b\n",
    "\n",
    " ",
    "\t",
    "\ufeff",
    "\r\n",
    "\0",
    "\ud800",
    "class TestAdd(unittest.TestCase):\n",
    "    def test_a(self):\n",
    "@x\n",
    "        self.assertEqual(add(1, 2), 3)\n",
    "import unittest\n",
    "from solution import add\n",
    "assert add(1, 2) == 3\n",
    "assert ",
    "x = add(1, 2)\n",
    "if __name__ == '__main__':\n",
    "    unittest.main()\n",
    '"""',
    "'''",
    "(",
    ")",
    "[",
    "\\",
    "async ",
    "lambda add: ",
    "global add\n",
    "for i in range(3):\n",
    "prose, with a comma.\n",
    "f'{",
    "return\n",
    "import *\n",
    "from math import *\n",
    "def check(candidate):\n",
    "    assert candidate(1, 1) == 2\n",
    "1. assert add(0, 0) == 0\n",
    ";",
]
messy = st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=8)), max_size=40).map("".join)
thorough = settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])

HOSTILE = {
    "open parentheses": "(" * 60_000,
    "unary minus": "-" * 100_000 + "1",
    "negations": "not " * 50_000 + "1",
    "a long sum": "x = " + "+".join(["add(1, 2)"] * 20_000),
    "a long attribute": "assert add" + ".b" * 50_000,
    "nested calls": "assert " + "add(" * 5_000,
    "deep blocks": "".join(" " * depth + "if add(1, 2):\n" for depth in range(300)),
    "open strings": '"""\n' * 50_001,
    "open fences": "```python\n" * 20_000,
    "closing fences": "```\n" * 50_000,
    "one long line": "a" * 1_000_000,
    "one megabyte of asserts": "assert add(1, 2) == 3\n" * 50_000,
    "one megabyte of different asserts": "".join(f"assert add({n}, 0) == {n}\n" for n in range(40_000)),
    "one megabyte of broken asserts": "assert add(1, 2 == 3\n" * 50_000,
    "one megabyte of broken methods": "class T(unittest.TestCase):\n"
    + "    def test_a(self):\n        add(1\n" * 30_000,
    "one megabyte of prose": "It is a truth universally acknowledged (by all, of course.\n" * 17_000,
    "one megabyte of rebinding": "x = add(1, 2)\nx += 1\nassert x == 4\n" * 30_000,
    "one megabyte of definitions": "def add(a, b):\n    return a + b\n" * 30_000,
    "unfinished definitions": "def add(a, b):\n    return (a +\n" * 30_000,
    "lone surrogates": "assert add('\ud800', '') == '\udfff'\n" * 1_000,
    "many thoughts": "<think>\n" * 20_000 + "</think>\n" * 20_000,
    "many short thoughts": "<think>\nx</think>\n" * 40_000,
    "numbers too long for decimal": "import unittest\nclass TestAdd(unittest.TestCase):\n    def test_a(self):\n"
    + f"        self.assertEqual(add(0x{'f' * 4_000}, 1), 0b1{'0' * 16_000})\nassert add(1, 0o{'7' * 6_000}) == 2\n",
    "else if": "if add(1, 2): pass\n" + "elif add(1, 2): pass\n" * 10_000,
}


@thorough
@given(messy, st.booleans())
def test_no_text_makes_solution_extraction_raise_and_what_it_gives_parses(text, chat):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        code = extract_solution(text, PROBLEM, chat=chat)
    if code:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(code)
        assert "add" in {node.name for node in ast.walk(tree) if hasattr(node, "name")} | {
            node.id for node in ast.walk(tree) if isinstance(node, ast.Name)
        }


@thorough
@given(messy, st.booleans())
def test_no_text_makes_test_extraction_raise_and_every_test_parses_and_mentions_the_function(text, truncated):
    found = extract_tests(text, "add", truncated=truncated)
    for test in found.tests:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(test)
        assert "add" in {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        assert not any(isinstance(node, ast.FunctionDef) and node.name == "add" for node in ast.walk(tree))
    assert len({fingerprint(test) for test in found.tests}) == len(found.tests)
    assert found.tests or found.dropped
    assert set(found.dropped) <= {reason.value for reason in Drop}


@thorough
@given(messy)
def test_what_was_extracted_once_is_extracted_again_unchanged(text):
    for test in extract_tests(text, "add").tests:
        again = extract_tests(f"```python\n{test}\n```\n", "add")
        assert len(again.tests) >= 1
        assert fingerprint(again.tests[-1]) == fingerprint(test) or len(again.tests) > 1


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_is_dealt_with_in_bounded_processor_time(name):
    started = time.process_time()
    for chat in (False, True):
        extract_solution(HOSTILE[name], PROBLEM, chat=chat)
    found = extract_tests(HOSTILE[name], "add")
    assert len(found.tests) <= 500
    assert time.process_time() - started < 60  # a bound, not a benchmark: unbounded search would take hours


def test_text_beyond_the_limit_is_not_looked_at():
    padding = "#" * MAX_CHARS + "\n"
    assert extract_tests(padding + "assert add(1, 2) == 3\n", "add").tests == ()


@given(st.lists(st.tuples(st.integers(), st.integers()), unique=True, min_size=1, max_size=20))
def test_plain_assertions_all_come_back_in_order(pairs):
    lines = [f"assert add({a}, {b}) == {a + b}" for a, b in pairs]
    assert extract_tests("\n".join(lines), "add").tests == tuple(lines)
    assert extract_tests("```python\n" + "\n".join(lines) + "\n```", "add").tests == tuple(lines)
