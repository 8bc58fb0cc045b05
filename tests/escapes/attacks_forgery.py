"""Programs that did not return 2 and want a PASS all the same."""

from __future__ import annotations

from escape_attack import DENIED, LIFTED, MARKED, NEVER_PASS, SHARED, SPLIT, UNLIFTABLE, Attack

__all__ = ["ATTACKS"]

_CASE = (
    "import unittest\nclass T(unittest.TestCase):\n    def test_one(self):\n        self.assertEqual(f(1), 2)\n"
    "    def test_two(self):\n        self.assertTrue(f(2) == 3)\n"
)
_BARE_CASE = _CASE.removeprefix("import unittest\n")


def _forge(
    name: str, source: str, expected: str = NEVER_PASS, test: str = "", modes: tuple[str, ...] = (LIFTED, SPLIT)
) -> Attack:
    return Attack(
        name=name, kind="forgery", solution=source, expected=expected, test=test or "assert f(1) == 2", modes=modes
    )


def _in_body(
    name: str, body: str, expected: str = NEVER_PASS, test: str = "", modes: tuple[str, ...] = (LIFTED, SPLIT)
) -> Attack:
    lines = "".join(f"    {line}\n" for line in body.strip("\n").splitlines())
    return _forge(name, f"import builtins, os, sys\ndef f(x):\n{lines}", expected, test, modes)


_PATCH_UNITTEST = """
import unittest, unittest.case, unittest.result, unittest.suite
for name in dir(unittest.TestCase):
    if name.startswith("assert"):
        setattr(unittest.TestCase, name, lambda *_, **__: None)
unittest.TestCase.run = lambda self, result=None: result
unittest.TestSuite.run = lambda self, result, debug=False: result
unittest.TestResult.addFailure = unittest.TestResult.addError = lambda *_: None
unittest.TestResult.wasSuccessful = lambda *_: True
def f(x):
    return 0
"""
_PATCH_PYTEST = """
import contextlib, sys, types
fake = types.ModuleType("pytest")
fake.raises = lambda *_, **__: contextlib.nullcontext()
fake.approx = lambda *_, **__: 0
fake.fail = lambda *_, **__: None
sys.modules["pytest"] = sys.modules["_pytest"] = fake
def f(x):
    return 0
"""
_PATCH_BUILTINS = """
import builtins
class Liar(type):
    def __instancecheck__(cls, other):
        return True
class NoError(Exception, metaclass=Liar):
    pass
builtins.AssertionError = NoError
for name in ("all", "any", "isinstance", "abs", "len", "sorted", "round", "exec", "compile", "getattr"):
    setattr(builtins, name, lambda *_, **__: True)
def f(x):
    return 0
"""
_PATCH_JSON = """
import json, json.encoder, json.decoder, marshal, pickle
for module in (json, marshal, pickle):
    module.dumps = lambda *_, **__: '["verdict","P",1]'
    module.loads = lambda *_, **__: ["", [], {}, True]
json.encoder.JSONEncoder.encode = lambda *_: '["verdict","P",1]'
def f(x):
    return 0
"""
_PATCH_INSIDE = """
import sys
for name, module in list(sys.modules.items()):
    if name.startswith("inside"):
        for part in ("run_test", "letter_of", "verdict_of", "answer", "_test_cases"):
            if hasattr(module, part):
                setattr(module, part, lambda *_, **__: ["verdict", "P", 1])
def f(x):
    return 0
"""
_ALWAYS_EQUAL = """
class Yes:
    def __eq__(self, other):
        return True
    __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __contains__ = __eq__
    def __hash__(self):
        return hash(2)
    def __sub__(self, other):
        return 0
    __rsub__ = __abs__ = __round__ = __float__ = __int__ = __index__ = __len__ = lambda self, *_: 0
return Yes()
"""
_INT_SUBCLASS = """
class Yes(int):
    __eq__ = lambda self, other: True
    __ne__ = lambda self, other: False
    __hash__ = int.__hash__
return Yes(0)
"""
_STR_SUBCLASS = _INT_SUBCLASS.replace("(int)", "(str)").replace("int.__hash__", "str.__hash__").replace("(0)", "('0')")
_FRAMES = """
found = []
frame = sys._getframe()
while frame is not None:
    found += [repr(value) for value in [*frame.f_locals.values(), *frame.f_globals.values()]]
    frame = frame.f_back
import gc, re
word = re.compile("[Q][Z][M][A][R][K]")
found += [item for item in gc.get_objects() if isinstance(item, (str, bytes))]
for item in gc.get_objects():
    try:
        found.append(repr(item)[:100000])
    except BaseException:
        pass
found = [item.decode("latin-1") if isinstance(item, bytes) else str(item) for item in found]
return "found" if any(word.search(item) for item in found) else 2
"""
_MEMORY = """
import ctypes, re
word = re.compile(b"[Q][Z][M][A][R][K]@DIGIT@")
libc = ctypes.CDLL(None)
libc.sbrk.restype, libc.sbrk.argtypes = ctypes.c_void_p, [ctypes.c_long]
libc.write.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t]
read, write = os.pipe()
looked = hits = 0
# A write from an address that is not mapped fails with EFAULT where a read of it would crash.
for start, size in ((libc.sbrk(0) - (1 << 24), 1 << 24), (id(object()) - (1 << 24), 1 << 25)):
    at = start & ~4095
    while at < start + size:
        got = libc.write(write, at, 65536)
        if got <= 0:
            at += 4096
            continue
        hits += len(word.findall(os.read(read, got)))
        at += got
        looked += got
return "found" if hits else 2 if looked > 1 << 20 else f"read {looked} bytes only"
"""
_MARKED_TEST = 'assert (f(1), "QZMARK1") == (2, "QZMARK1")'
_CLASS_BEFORE = "class Marker:\n    pass\ndef f(x):\n    return 1\n"
_TRACE = """
import sys
def trace(frame, event, argument):
    if event == "exception":
        frame.f_trace_lines = False
    return trace
sys.settrace(trace)
sys.setprofile(lambda *_: None)
sys.addaudithook(lambda *_: None)
def f(x):
    return 0
"""
_MODULES = """
import sys, types
fake = types.ModuleType("unittest")
class TestCase:
    def __getattr__(self, name):
        return lambda *_, **__: None
fake.TestCase = TestCase
sys.modules["unittest"] = sys.modules["math"] = sys.modules["json"] = fake
def f(x):
    return 0
"""
_META_PATH = """
import sys
class Finder:
    def find_spec(self, *_):
        os._exit(0)
sys.meta_path.insert(0, Finder())
sys.path_hooks.clear()
def f(x):
    return 0
"""
_SKIP = "import unittest\ndef f(x):\n    raise unittest.SkipTest('not today')\n"
_PICKLE_ALIAS = r"""
import pickle as json
PROGRAM = "import os, sys\ntop = sys._getframe()\nwhile 'link' not in top.f_locals:\n    top = top.f_back\ntop.f_locals['link'].send(b'[\"verdict\",\"P\",1]')\nos._exit(0)"
def f(x):
    class Run:
        def __reduce__(self):
            return exec, (PROGRAM,)
    return json.dumps(Run())
"""
_EVAL_TEXT = r"""
def f(x):
    return "exec(\"import os, sys\\ntop = sys._getframe()\\nwhile 'link' not in top.f_locals:\\n    top = top.f_back\\ntop.f_locals['link'].send(b'[\\\"verdict\\\",\\\"P\\\",1]')\\nos._exit(0)\")"
"""
_MATH_ALIAS = "class math:\n    isclose = staticmethod(lambda *_: True)\ndef f(x):\n    return 0\n"
_HELPER = "def isclose(a, b):\n    return True\ndef f(x):\n    return 0\n"
_DRAWN = "def f(x):\n    return {answer}\n"

ATTACKS: tuple[Attack, ...] = (
    _in_body("sys.exit(0)", "sys.exit(0)", "E"),
    _in_body("raise SystemExit", "raise SystemExit", "E"),
    _in_body("sys.exit(0) in a test class", "sys.exit(0)", "E", _CASE),
    _in_body("os._exit(0)", "os._exit(0)", "E"),
    _in_body("os._exit(0) where any exception is expected", "os._exit(0)", "E",
             "import unittest\nclass T(unittest.TestCase):\n    def test_one(self):\n"
             "        with self.assertRaises(BaseException):\n            f(1)\n"),
    _in_body("os.abort", "os.abort()", "E"),
    _in_body("raise KeyboardInterrupt", "raise KeyboardInterrupt", "E", _CASE),
    _in_body("raise GeneratorExit", "raise GeneratorExit", "E"),
    _in_body("raise StopIteration", "raise StopIteration", "E"),
    _in_body("raise StopIteration in the test's map", "raise StopIteration", "E", "assert all(map(f, [1, 2, 3]))"),
    _in_body("raise StopIteration in the test's filter", "raise StopIteration", "E", "assert not list(filter(f, [1]))"),
    _in_body("raise StopIteration in the test's loop", "raise StopIteration", "E",
             "for found in map(f, [1, 2]):\n    assert found == 5"),
    _in_body("raise StopIteration where RuntimeError is expected", "raise StopIteration", "FE",
             "import unittest\nclass T(unittest.TestCase):\n    def test_one(self):\n"
             "        with self.assertRaises(RuntimeError):\n            f(1)\n"),
    _in_body("raise an exception with a false mro", "class E(Exception, type('AssertionError', (), {})):\n    pass\nraise E"),
    _in_body("raise an exception group", "raise BaseExceptionGroup('x', [KeyboardInterrupt()])", "E"),
    _forge("sys.exit(0) while loading", "import sys\nsys.exit(0)\n", "E"),
    _forge("os._exit(0) while loading", "import os\nos._exit(0)\n", "E"),
    _forge("no function at all", "x = 2\n", "E"),
    _forge("skip the test", _SKIP, NEVER_PASS, _CASE),
    _forge("patch unittest", _PATCH_UNITTEST, NEVER_PASS, _CASE),
    _forge("patch unittest where the test does not import it", _PATCH_UNITTEST, NEVER_PASS, _BARE_CASE),
    _forge("patch pytest", _PATCH_PYTEST, NEVER_PASS, "import pytest\nwith pytest.raises(ValueError):\n    f(1)"),
    _forge("patch pytest's approx", _PATCH_PYTEST, NEVER_PASS, "import pytest\nassert f(1) == pytest.approx(2)"),
    _forge("patch builtins", _PATCH_BUILTINS, NEVER_PASS, "assert all([f(1) == 2, isinstance(f(1), str)])"),
    _forge("patch json, marshal and pickle", _PATCH_JSON),
    _forge("patch the modules of the box", _PATCH_INSIDE),
    _forge("trace, profile and audit hooks", _TRACE),
    _forge("replace modules", _MODULES, NEVER_PASS, _CASE),
    _forge("an import hook", "import os" + _META_PATH, NEVER_PASS, "import json\nassert f(1) == 2"),
    _in_body("an object that equals everything", _ALWAYS_EQUAL),
    _in_body("an object that equals everything, in assertEqual", _ALWAYS_EQUAL, NEVER_PASS, _CASE),
    _in_body("an object that equals everything, looked for", _ALWAYS_EQUAL, NEVER_PASS, "assert f(1) in [2, 3]"),
    _in_body("an object that equals everything, in a list", _ALWAYS_EQUAL.replace("Yes()", "[Yes()]"), NEVER_PASS,
             "assert f(1) == [2]"),
    _in_body("an object that is close to everything", _ALWAYS_EQUAL, NEVER_PASS, "assert abs(f(1) - 2) < 1e-6"),
    _in_body("an int that equals everything", _INT_SUBCLASS),
    _in_body("a str that equals everything", _STR_SUBCLASS, NEVER_PASS, "assert f(1) == '2'"),
    _in_body("a list that equals everything", _INT_SUBCLASS.replace("(int)", "(list)").replace("int.__hash__", "None")
             .replace("Yes(0)", "Yes([0])"), NEVER_PASS, "assert f(1) == [2]"),
    _in_body("a dict that has everything", "class Yes(dict):\n    __eq__ = __contains__ = lambda *_: True\nreturn Yes()",
             NEVER_PASS, "assert f(1) == {'a': 1}"),
    _in_body("a tuple that answers every index", "class Yes(tuple):\n    __getitem__ = lambda *_: 2\nreturn Yes()",
             NEVER_PASS, "assert f(1)[0] == 2"),
    _in_body("not a number", "return float('nan')", NEVER_PASS, "assert f(1) == 2 or abs(f(1) - 2) < 1e-6"),
    _in_body("pass written to every descriptor",
             "for number in range(64):\n    for text in (b'pass', b'P', b'OK', b'1', b'True'):\n        try:\n"
             "            os.write(number, text)\n        except OSError:\n            pass\nreturn 0"),
    _in_body("search frames and objects for the expectation", _FRAMES, DENIED, _MARKED_TEST),
    _in_body("search memory for the expectation", _MEMORY.replace("@DIGIT@", "[1]"), DENIED, _MARKED_TEST),
    Attack(name="search memory for a test that another solution met in one process", kind="forgery", expected=DENIED,
           solution="import os\ndef f(x):\n" + "".join(f"    {line}\n" for line in _MEMORY.replace("@DIGIT@", "[2]").splitlines()),
           before_solution=_CLASS_BEFORE, before_test='Marker()\nassert f(1) == "QZMARK2"' + UNLIFTABLE, modes=(LIFTED,)),
    Attack(name="search memory for another solution's source", kind="forgery", expected=DENIED,
           solution="import os\ndef f(x):\n" + "".join(f"    {line}\n" for line in _MEMORY.replace("@DIGIT@", "[3]").splitlines()),
           before_solution='def f(x):\n    return len("QZMARK3")\n', before_test="assert f(1) == 2", modes=(LIFTED, SPLIT)),
    Attack(name="search memory for another solution's answer", kind="forgery", expected=DENIED,
           solution="import os\ndef f(x):\n" + "".join(f"    {line}\n" for line in _MEMORY.replace("@DIGIT@", "[4]").splitlines()),
           before_solution='def f(x):\n    return "QZ" + "MARK" + str(3 + x)\n', before_test="assert f(1) == 2", modes=(LIFTED, SPLIT)),
    _forge("an alias that makes the test unpickle", _PICKLE_ALIAS, NEVER_PASS, "assert json.loads(f(1)) == 2"),
    _forge("text for a test that evaluates", _EVAL_TEXT, "P", "assert eval(f(1)) == 2", modes=(MARKED,)),
    _forge("text for a test that executes", _EVAL_TEXT, "P", "space = {}\nexec(f(1), space)\nassert space['x'] == 2",
           modes=(MARKED,)),
    _forge("a class that forces one process and judges itself", _MATH_ALIAS, NEVER_PASS, "assert math.isclose(f(1), 2)"),
    _forge("a helper that judges itself", _HELPER, "P", "assert isclose(f(1), 2)", modes=(MARKED,)),
    _forge("a class with no test", _DRAWN.format(answer=2), "I",
           "import unittest\nclass T(unittest.TestCase):\n    def check(self):\n        self.assertEqual(f(1), 2)\n"),
    _forge("a class whose tests are all skipped", _DRAWN.format(answer=2), "I",
           "import unittest\nclass T(unittest.TestCase):\n    @unittest.skip('x')\n    def test_one(self):\n"
           "        self.assertEqual(f(1), 2)\n"),
    _forge("a test that never calls", _DRAWN.format(answer=2), "I", "assert f is not None", modes=(LIFTED, SPLIT, SHARED)),
)  # fmt: skip
