"""Which sources show their whole state, so that a loop that comes back to one is known to be endless."""

from __future__ import annotations

import pytest

from executor.purity import look_at

HIDING = {
    "try": "def f(x):\n    try:\n        pass\n    except E:\n        pass\n    while x: pass\n",
    "with": "def f(x):\n    with x:\n        pass\n    while x: pass\n",
    "for": "def f(x):\n    for _ in x:\n        while x: pass\n",
    "is": "def f(x):\n    while x is not y: pass\n",
    "id": "def f(x):\n    while id(x): pass\n",
    "locals": "def f(x):\n    d = locals()\n    while x: pass\n",
    "a dunder": "def f(x):\n    while x.__sizeof__(): pass\n",
    "state": "def f(x):\n    global n\n    while x: pass\n",
    "chance": "import random\ndef f(x):\n    while x: pass\n",
    "the clock": "import time\ndef f(x):\n    while x: pass\n",
    "match": "def f(x):\n    match x:\n        case 1:\n            pass\n    while x: pass\n",
    "a generator": "def f(x):\n    while x: yield 1\n",
    "a name of a name": "def f(x):\n    while getattr(f, x): pass\n",
    "an address": "def f(x):\n    while hash(x): pass\n",
    "identity by a function": "from operator import is_ as same\ndef f(x):\n    while same(x, 1): pass\n",
    "a name that is set by a function": "import functools\ndef f(x):\n    functools.update_wrapper(f, x)\n    while x: pass\n",
    "a registry": "from collections.abc import Sized\ndef f(x):\n    while Sized.register(x): pass\n",
    "a count of registrations": "import abc\ndef f(x):\n    while x: pass\n",
    "samples": "from statistics import NormalDist\ndef f(x):\n    while x: pass\n",
    "settings and the clock": "import numpy as np\ndef f(x):\n    while np.datetime64('now') < x: pass\n",
    "a list of a module": "from heapq import __all__ as seen\ndef f(x):\n    while x: pass\n",
    "a table of a module": "import copy\ndef f(x):\n    while copy.dispatch_table: pass\n",
    "a module of a module": "import re\ndef f(x):\n    while re.enum.sys: pass\n",
    "a finalizer": "def f(x):\n    class A:\n        def __del__(self): x.pop()\n    while x: pass\n",
    "a class that is called into being": "def f(x):\n    while type('A', (), {'__len__': x})(): pass\n",
    "a thing of the type of a thing": "def f(x):\n    g = type(f)(x, {})\n    while g(): pass\n",
    "what a star brings": "from functools import *\ndef f(x):\n    update_wrapper(f, x)\n    while x: pass\n",
    "the builtins themselves": "def f(x):\n    while __builtins__['id'](x): pass\n",
    "a class": "class A:\n    def f(self):\n        while self.x: pass\n",
    "code": "def f(x):\n    while compile(x, '', 'eval'): pass\n",
}


@pytest.mark.parametrize("name", HIDING)
def test_a_source_that_may_hide_state_is_not_watched(name: str) -> None:
    assert not look_at(HIDING[name]).watchable


@pytest.mark.parametrize(
    "source",
    [
        "from math import *\nfrom typing import List\ndef f(x: List[int]) -> int:\n    while sqrt(x) > e: pass\n",
        "import collections, re\ndef f(x):\n    while collections.deque(re.split('a', x)): pass\n",
        "def f(x):\n    g = lambda y: [str(z).upper() for z in y]\n    while g(x): pass\n",
        "def f(x):\n    while is_prime(x): pass\n",
    ],
)
def test_a_source_of_ordinary_functions_is_watched(source: str) -> None:
    assert look_at(source).watchable


def test_a_comparison_with_none_hides_nothing() -> None:
    assert look_at("def f(x):\n    while x is not None: pass\n").watchable
    assert not look_at("def f(x):\n    while None is x is y: pass\n").watchable
