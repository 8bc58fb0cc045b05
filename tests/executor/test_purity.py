"""Which solutions are the same program, and which keep state."""

from __future__ import annotations

import pytest

from executor.purity import defined_names, look_at

PLAIN = "def f(x):\n    return x + 1\n"


@pytest.mark.parametrize(
    "other",
    [
        "def f(x):  # adds one\n    return x+1",
        'def f(x):\n    """Add one."""\n    return (x + 1)\n',
        "\n\ndef f( x ):\n\n    return x + 1",
    ],
)
def test_comments_docstrings_and_formatting_make_no_other_program(other: str) -> None:
    assert look_at(other).key == look_at(PLAIN).key


@pytest.mark.parametrize(
    "other",
    [
        "def f(y):\n    return y + 1\n",
        "def f(x):\n    return 1 + x\n",
        PLAIN + "f = None\n",
        "def f(x):\n    return x + 1.0\n",
    ],
)
def test_another_syntax_tree_is_another_program(other: str) -> None:
    assert look_at(other).key != look_at(PLAIN).key


def test_a_docstring_that_is_read_counts() -> None:
    with_text = 'def f():\n    """a"""\n    return f.__doc__\n'
    assert look_at(with_text).key != look_at(with_text.replace('"a"', '"b"')).key


@pytest.mark.parametrize(
    "source",
    [
        PLAIN,
        "import math\nfrom typing import List\nLIMIT = 10\nNAMES = ('a', 'b')\n" + PLAIN,
        "def f(x):\n    seen = []\n    seen.append(x)\n    return seen\n",
        PLAIN + "print(f(3))\nassert f(1) == 2\n",
        "class Solution:\n    def g(self, x):\n        return x + 1\n\ndef f(x):\n    return Solution().g(x)\n",
    ],
)
def test_a_solution_without_lasting_objects_is_stateless(source: str) -> None:
    assert look_at(source).stateless


@pytest.mark.parametrize(
    "source",
    [
        "SEEN = []\n" + PLAIN,
        "def f(x, seen=[]):\n    seen.append(x)\n    return len(seen)\n",
        "COUNT = 0\ndef f(x):\n    global COUNT\n    COUNT += 1\n    return COUNT\n",
        "import random\n" + PLAIN,
        "from functools import lru_cache\n@lru_cache(maxsize=None)\ndef f(n):\n    return n\n",
        "(seen := {})\n" + PLAIN,
        "def f(x):\n    f.__globals__['n'] = x\n    return x\n",
        "import time\n" + PLAIN,
        "import numpy as np\ndef f(x):\n    return np.random.rand()\n",
        "import numpy.random\n" + PLAIN,
        "from numpy import random\n" + PLAIN,
        "from numpy.random import rand\n" + PLAIN,
        "import numpy as np\nnp.seterr(all='raise')\n" + PLAIN,
        "def f(x):\n    f.calls = 1\n    return x\n",
        "def f(x):\n    globals()['n'] = x\n    return x\n",
        "class A:\n    def g(self, n):\n        type.__setattr__(A, 'n', n)\n" + PLAIN,
        "class A:\n    items = []\n" + PLAIN,
        "class A:\n    def g(self):\n        self.n = 1\n" + PLAIN,
        "class A:\n    def g(self, seen=[]):\n        return seen\n" + PLAIN,
        "class A(list):\n    def g(self):\n        return self\n" + PLAIN,
        "class A(metaclass=type):\n    def g(self):\n        return self\n" + PLAIN,
        "class A:\n    def g(self):\n        return self\nONE = A()\n" + PLAIN,
        "import sys\nsys.setrecursionlimit(10)\n" + PLAIN,
        "def f(x):\n    from decimal import getcontext\n    getcontext().prec = 3\n    return x\n",
        "import math\ndef f(x):\n    d = getattr(math, '__di' + 'ct__')\n    d['n'] = d.get('n', 0) + 1\n    return d['n']\n",
        "import string\ndef f(x):\n    string.__all__.append(x)\n    return len(string.__all__)\n",
        "import re\ndef f(x):\n    re._cache[x] = x\n    return len(re._cache)\n",
        "x: (seen := []) = 0\n" + PLAIN,
        "[0][(seen := [0])[0]] = 1\n" + PLAIN,
        "def g(x: (seen := [])):\n    return x\n" + PLAIN,
        "class A:\n    def g(self) -> (seen := []):\n        return self\n" + PLAIN,
        "def wraps(g):\n    seen = []\n    return seen.append\n@wraps\ndef g(x):\n    return x\n" + PLAIN,
        "from functools import lru_cache as wraps\n@wraps\ndef g(x):\n    return x\n" + PLAIN,
        "def f(:",
        "",
    ],
)
def test_a_solution_that_may_keep_state_or_follow_chance_is_not(source: str) -> None:
    assert look_at(source).stateless is (source == "")


@pytest.mark.parametrize(
    "source", ["(" * 10_000, "\0", "\ud800", "x" * 10**7, "-" * 10**5 + "1", "é = 1", "\ufeffx = 1"]
)
def test_any_text_has_a_key(source: str) -> None:
    assert look_at(source).key == look_at(source).key
    assert look_at(source).key != look_at(source + "y").key


def test_names_bound_at_the_top_level_are_found() -> None:
    source = "import a.b\nfrom c import d as e\nx, (y, z) = 1, (2, 3)\ndef f(): pass\nclass G: inner = 1\nfor i in []: j = 1\n"
    assert defined_names(source) == {"a", "e", "x", "y", "z", "f", "G", "i", "j", "inner"} - {"inner"}
    assert defined_names("from math import *") == {"*"}


@pytest.mark.parametrize(
    "source",
    [
        "if True:\n    def name(x):\n        return x\n",
        "try:\n    import name\nexcept ImportError:\n    name = None\n",
        "for _ in (1,):\n    with open('x') as name:\n        pass\n",
        "def f():\n    global name\n    name = 1\nf()\n",
        "match 1:\n    case name:\n        pass\n",
        "async def name(): pass\n",
    ],
)
def test_names_are_found_however_deep_they_are_bound(source: str) -> None:
    assert "name" in defined_names(source)


@pytest.mark.parametrize(
    "source",
    ["exec('name = 1')\n", "globals()['na' + 'me'] = 1\n", "name = 1\n#" + "x" * 250_000, "(" * 150 + ")" * 150],
)
def test_a_source_that_does_not_show_its_names_may_bind_any(source: str) -> None:
    assert "*" in defined_names(source)


def test_names_of_inner_scopes_are_not_bound_at_the_top() -> None:
    assert defined_names("def f(a):\n    b = a\n    return b\ng = lambda c: c\n") == {"f", "g"}


def test_a_number_too_long_to_be_written_in_decimal_stops_nobody() -> None:
    facts = [look_at(f"def f(x, y={number}):\n    return x\n") for number in ("0x" + "f" * 5000, "0b1" + "0" * 20000)]
    assert facts[0].key != facts[1].key
    assert not any(fact.stateless for fact in facts)
