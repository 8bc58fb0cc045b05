"""A lifted test says what the same test says as a program; each case once told them apart, or could forge a PASS."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from executor import CellJob, LocalExecutor, PassMatrix, open_executor


@pytest.fixture(scope="module")
def executor() -> Iterator[LocalExecutor]:
    with open_executor(workers=1) as opened:
        yield opened


def run(executor: LocalExecutor, solution: str, *tests: str) -> PassMatrix:
    job = CellJob(job_id="job", entry_point="f", solutions=(solution,), tests=tests, audit=1.0)
    (matrix,) = executor.run([job])
    return matrix


def raises(kind: str, argument: str) -> str:
    """A test class that expects an exception."""
    return (
        "import unittest\nclass T(unittest.TestCase):\n    def test_it(self):\n"
        f"        with self.assertRaises({kind}):\n            f({argument})\n"
    )


def case(line: str) -> str:
    """A test class of one line."""
    return f"import unittest\nclass T(unittest.TestCase):\n    def test_it(self):\n        {line}\n"


GENERATOR = "def f(n):\n    if n < 0:\n        raise ValueError\n    yield n\n"


@pytest.mark.parametrize(
    ("solution", "test", "letter"),
    [
        (GENERATOR, raises("ValueError", "-1"), "E"),
        ("def f(xs):\n    return map(int, xs)\n", raises("ValueError", "['a']"), "E"),
        ("import numpy as np\ndef f(xs):\n    return np.array(xs)\n", raises("ValueError", "[1, -2]"), "E"),
        (
            "def f(x):\n    v = []\n    for _ in range(200):\n        v = [v]\n    return v\n",
            raises("TypeError", "1"),
            "E",
        ),
        ("def f(x):\n    while True:\n        yield x\n", raises("TypeError", "1"), "E"),
        ("def f(x):\n    return 'a' * 5_000_000\n", raises("Exception", "1"), "R"),
        ("def f(x):\n    return 'a' * 5_000_000\n", raises("MemoryError", "1"), "R"),
        ("def f(x):\n    while True:\n        yield x\n", "assert next(f(3)) == 3", "E"),
    ],
)
def test_what_cannot_be_sent_is_no_exception_of_the_call(
    executor: LocalExecutor, solution: str, test: str, letter: str
) -> None:
    matrix = run(executor, solution, test, test + "\nfor _ in ():\n    pass\n")
    assert matrix.rows() == [letter * 2]
    assert not matrix.shared.any(), "a solution cannot choose to be judged in a process of its own"


def test_an_exception_of_a_generator_is_not_caught_where_it_was_not_drained(executor: LocalExecutor) -> None:
    test = "for i in [-1]:\n    try:\n        f(i)\n    except ValueError:\n        pass\n    else:\n        assert False\n"
    assert run(executor, GENERATOR, test).rows() == ["E"]


SORTS = "def f(xs):\n    xs.sort()\n    return xs\n"
SAME = "def f(x):\n    return x\n"
COUNTER = "SEEN = [0]\ndef f():\n    SEEN[0] += 1\n    return SEEN[0]\n"


@pytest.mark.parametrize(
    ("solution", "test", "letter"),
    [
        ("def f(xs):\n    return [3, 1, 2]\n", "r = f([3, 1, 2])\nr = sorted(r)\nassert r == [1, 2, 3]\n", "P"),
        (SAME, "e = [3, 1, 2]\ne = sorted(e)\nassert f([1, 2, 3]) == e\n", "P"),
        (SAME, "r = f(1)\nr = r + 1\nassert r == 2\n", "P"),
        (SAME, "r = f(2)\nr = f(3)\nassert r == 3\n", "P"),
        (SAME, "r = 5\nr = f(3)\nassert r == 3\nr = 4\nassert r == 4\n", "P"),
        (SORTS, "a = [3, 1, 2]\nb = a\nassert f(a) == [1, 2, 3]\nassert b == [3, 1, 2]\n", "F"),
        (SORTS, "t = ([3, 1, 2], 4)\nassert f(t[0]) == [1, 2, 3]\nassert t[0] == [3, 1, 2]\n", "F"),
        (SORTS, "a = [3, 1, 2]\nt = (a, 4)\nassert f(a) == [1, 2, 3]\nassert t == ([3, 1, 2], 4)\n", "F"),
        (
            "SEEN = [0]\ndef f(x):\n    SEEN[0] += 1\n    return SEEN[0]\n",
            "assert f(1) == 1 or f(2) == 9\nassert f(3) == 3\n",
            "F",
        ),
        (
            COUNTER,
            "import unittest\nclass T(unittest.TestCase):\n    def test_b(self):\n        self.assertEqual(f(), 1)\n"
            "    def test_a(self):\n        self.assertEqual(f(), 2)\n",
            "F",
        ),
        (
            COUNTER,
            "import unittest\nclass T(unittest.TestCase):\n    def test_b(self):\n        self.assertEqual(f(), 2)\n"
            "    def test_a(self):\n        self.assertEqual(f(), 1)\n",
            "P",
        ),
        (
            SAME,
            "import unittest\nclass T(unittest.TestCase):\n    def test_a(self):\n        self.assertEqual(f(1), 2)\n"
            "class T(unittest.TestCase):\n    def test_a(self):\n        self.assertEqual(f(1), 1)\n",
            "P",
        ),
        (
            "def f(x):\n    return 1, 2, 3\n",
            "import unittest\nclass T(unittest.TestCase):\n    def test_a(self):\n"
            "        with self.assertRaises(ValueError):\n            x, y = f(1)\n",
            "P",
        ),
        (
            "def f(x):\n    return None\n",
            "import unittest\nclass T(unittest.TestCase):\n    def test_a(self):\n"
            "        with self.assertRaises(TypeError):\n            int(f(1))\n",
            "P",
        ),
        (SAME, "import unittest\nassert f(1) == 1\nunittest.main()\n", "P"),
        (SAME, "import unittest\nfor x in (1,):\n    assert f(x) == 1\nunittest.main()\n", "P"),
        ("def f(x):\n    return '\\ud83d\\ude00'\n", "assert f(1) == '\\U0001f600'\n", "F"),
        ("def f(x):\n    return len(x)\n", "assert f('\\ud83d\\ude00') == 2\n", "P"),
        (
            "from functools import lru_cache\n@lru_cache(None)\ndef acc(k):\n    return []\n"
            "def f(x):\n    acc(0).append(x)\n    return len(acc(0))\n",
            "assert f(5) == 1\n",
            "P",
        ),
        ("if True:\n    def f(x):\n        return x\n", "assert f is not None\nassert f(1) == 1\n", "P"),
        ("f = lambda x: x\n#" + "y" * 250_000, "assert f is not None\nassert f(1) == 1\n", "P"),
        ("exec('def f(x): return x')\n", "assert f is not None\nassert f(1) == 1\n", "P"),
        ("def f(x):\n    return {1, 2}\n", case("self.assertSequenceEqual(f(1), [1, 2])"), "F"),
        ("def f(x):\n    return 5\n", case("self.assertSequenceEqual(f(1), [1, 2])"), "F"),
        ("def f(x):\n    return {'a': 1}\n", case("self.assertSequenceEqual(f(1), [1, 2])"), "E"),
        ("def f(x):\n    return {0: 1, 1: 2}\n", case("self.assertSequenceEqual(f(1), [1, 2])"), "P"),
        ("def f(x):\n    return {0: 9, 5: 2}\n", case("self.assertSequenceEqual(f(1), [1])"), "E"),
        ("def f(x):\n    return 1, 2\n", case("self.assertSequenceEqual(f(1), [1, 2])"), "P"),
        ("def f(x):\n    return [1, 2, 3]\n", case("self.assertSequenceEqual(f(1), [1, 2])"), "F"),
    ],
)
def test_both_ways_say_what_python_says(executor: LocalExecutor, solution: str, test: str, letter: str) -> None:
    matrix = run(executor, solution, test, test + "\nfor _ in ():\n    pass\n")
    assert matrix.rows() == [letter * 2]
    assert matrix.disagreements == ()


@pytest.mark.parametrize(
    "solution",
    [
        "if True:\n    def f(x):\n        return x\n    def helper(x):\n        return x\n",
        "def f(x):\n    return x\nglobals()['help' + 'er'] = f\n",
        "def f(x):\n    return x\nhelper = f\n#" + "y" * 250_000,
    ],
)
def test_a_helper_is_found_wherever_the_solution_defines_it(executor: LocalExecutor, solution: str) -> None:
    matrix = run(executor, solution, "assert helper(f(1)) == 1")
    assert (matrix.rows(), matrix.shared.all()) == (["P"], True)


def chain(first: str, step: str, levels: int) -> str:
    return first + "".join(step.format(k, k - 1) for k in range(1, levels))


@pytest.mark.parametrize(
    "test",
    [
        chain("a0=[1]\nb0=[1]\n", "a{0}=[a{1},a{1}]\nb{0}=[b{1},b{1}]\n", 60) + "assert f(1) == 1 and a59 == b59\n",
        chain("a0='\\\\'\n", "a{0}=str([a{1}])\n", 60) + "assert f(1) == a59\n",
        chain("a0=f(1)\nb0=f(1)\n", "a{0}=[a{1},a{1}]\nb{0}=[b{1},b{1}]\n", 60) + "assert a59 == b59\n",
        chain("a0=f('\\\\')\n", "a{0}=str([a{1}])\n", 60) + "assert a59\n",
        "assert f(1) == str(" * 30 + "'\\\\'" + ")" * 30,
    ],
)
def test_a_test_that_grows_costs_its_cell_and_not_the_run(test: str) -> None:
    """It is not worked on outside a box: there it runs into its limits, if it runs at all."""
    job = CellJob(job_id="job", entry_point="f", solutions=(SAME,), tests=(test, "assert f(1) == 1"))
    with open_executor(workers=1) as executor:
        (matrix,) = executor.run([job])
    assert matrix.rows()[0][0] in "FETRI"
    assert matrix.rows()[0][1] == "P"


def test_a_test_that_asks_for_the_end_of_data_gets_it(executor: LocalExecutor) -> None:
    solution = "def f(x):\n    raise StopIteration\n"
    matrix = run(
        executor, solution, raises("StopIteration", "1"), raises("Exception", "1"), raises("RuntimeError", "1")
    )
    assert matrix.rows() == ["PPE"]
    assert matrix.disagreements == ()
