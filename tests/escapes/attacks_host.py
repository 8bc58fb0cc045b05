"""Values and sources that would cost the host's own time or memory, and programs that soil what comes after them.

The host reads a solution's answers and judges lifted tests itself, without a limit of its own on time: no value that a
solution returns may be cheap to send and dear to look at.
"""

from __future__ import annotations

from escape_attack import DENIED, LIFTED, NEVER_PASS, SHARED, SPLIT, Attack

__all__ = ["ATTACKS"]

_COLLIDING = "prime = (1 << 61) - 1\nreturn [prime * (k + 9) for k in range(100000)]"
_LARGE = "return [1 << 12000000] + [1] * 100000"


def _returns(name: str, body: str, test: str) -> Attack:
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    source = f"from fractions import Fraction\nfrom decimal import Decimal\ndef f(x):\n{lines}"
    return Attack(name=name, kind="host", solution=source, expected=NEVER_PASS, test=test)


def _soils(name: str, source: str, expected: str = DENIED) -> Attack:
    return Attack(name=name, kind="contamination", solution=source, expected=expected, modes=(LIFTED, SPLIT, SHARED))


_COUNT = "import unittest\nclass T(unittest.TestCase):\n    def test_one(self):\n        self.assertCountEqual(f(1), [1, 2])\n"
_ALMOST = (
    "import unittest\nclass T(unittest.TestCase):\n    def test_one(self):\n        self.assertAlmostEqual(f(1), 2.0)\n"
)
_SOIL_MODULES = """
import builtins, json, math, os, random, re, string, struct, sys, time, unittest
for module in (json, math, re, string, struct, time, unittest, os, sys):
    for name in list(vars(module)):
        if name not in ("write", "read", "_exit", "exc_info", "modules", "dumps", "loads") and not name.startswith("_"):
            try:
                setattr(module, name, None)
            except (AttributeError, TypeError):
                pass
builtins.print = builtins.sorted = None
def f(x):
    return x + 1
"""

ATTACKS: tuple[Attack, ...] = (
    _returns("a range of 10 billion, summed", "return range(10 ** 10)", "assert sum(f(1)) == 2"),
    _returns("a range of 50 million, listed", "return range(5 * 10 ** 7)", "assert list(f(1)) == [2]"),
    _returns("a range of 50 million, sorted", "return range(5 * 10 ** 7)", "assert sorted(f(1)) == [2]"),
    _returns("a range of 10 billion, searched", "return range(10 ** 10)", "assert 1.5 in f(1)"),
    _returns("a range of 10 billion, counted", "return range(10 ** 10)", _COUNT),
    _returns("a decimal of a billion digits, made an int", "return Decimal('1E+999999999')", "assert int(f(1)) == 2"),
    _returns("a decimal of a billion digits, rounded", "return Decimal('1E+99999999')", "assert round(f(1)) == 2"),
    _returns("a decimal of a billion digits, compared", "return Decimal('1E+99999999')", _ALMOST),
    _returns("a fraction of large numbers", "return Fraction(7 ** 2000000, 3 ** 2000000)", _ALMOST),
    _returns("large numbers, summed", _LARGE, "assert sum(f(1)) == 2"),
    _returns("large numbers, written out", _LARGE, "assert str(f(1)) == '2'"),
    _returns("equal hashes in a list that becomes a set", _COLLIDING, "assert set(f(1)) == {1, 2}"),
    _returns("equal hashes in a list that becomes a dict", "return [[item, 1] for item in map(lambda k: ((1 << 61) - 1) * (k + 9), range(60000))]",
             "assert dict(f(1)) == {1: 2}"),
    _returns("equal hashes in a list that is counted", _COLLIDING, _COUNT),
    _returns("many small sets of equal hashes",
             "prime = (1 << 61) - 1\nreturn [{prime * (k + 9) for k in range(1000)} for _ in range(100)]", "assert f(1) == 2"),
    _returns("lists that take far more memory than text", "return [[]] * 1300000", "assert f(1) == 2"),
    _returns("an argument changed into something large", "x[:] = range(300000)\nreturn 0",
             "x = [1]\nf(x)\nassert x == [2]"),
    _soils("modules emptied", _SOIL_MODULES, "PE"),
    _soils("random seeded", "import random\nrandom.seed(7)\ndef f(x):\n    random.seed(8)\n    return x + 1\n"),
    _soils("the recursion limit raised", "import sys\nsys.setrecursionlimit(99999)\ndef f(x):\n    return x + 1\n"),
    _soils("the decimal context changed", "import decimal\ndecimal.getcontext().prec = 2\n"
           "decimal.DefaultContext.prec = 3\ndef f(x):\n    return x + 1\n"),
    _soils("the working directory and the mask changed",
           "import os\nos.umask(0)\ntry:\n    os.chdir('/dev')\nexcept OSError:\n    pass\ndef f(x):\n    return x + 1\n"),
    _soils("a warning filter, a locale, an int limit",
           "import sys, warnings, locale\nwarnings.simplefilter('error')\nlocale.setlocale(locale.LC_ALL, 'C')\n"
           "sys.set_int_max_str_digits(0)\ndef f(x):\n    return x + 1\n"),
    _soils("the collector stopped", "import gc\ngc.disable()\ngc.set_threshold(0)\ndef f(x):\n    return x + 1\n"),
    _soils("state at module level", "N = [1]\ndef f(x):\n    N.append(x)\n    return len(N)\n"),
)  # fmt: skip
