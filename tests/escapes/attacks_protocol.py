"""Programs that write to the pipe on which answers travel, or break it."""

from __future__ import annotations

from escape_attack import DENIED, LIFTED, NEVER_PASS, SPLIT, TALK, Attack

__all__ = ["ATTACKS"]

_CASE = (
    "import unittest\nclass T(unittest.TestCase):\n    def test_one(self):\n        self.assertEqual(f(1), 2)\n"
    "    def test_raises(self):\n        with self.assertRaises(ZeroDivisionError):\n            f(0)\n"
)
BOTH = (LIFTED, SPLIT)


def _says(name: str, *frames: str, expected: str = NEVER_PASS, test: str = "assert f(1) == 2") -> Attack:
    lines = "".join(f"    instead({frame})\n" for frame in frames)
    source = f"{TALK}\ndef f(x):\n{lines}    return 0\n"
    return Attack(name=name, kind="protocol", solution=source, expected=expected, test=test)


def _source(name: str, source: str, expected: str = NEVER_PASS, test: str = "assert f(1) == 2") -> Attack:
    return Attack(name=name, kind="protocol", solution=TALK + source, expected=expected, test=test)


def _greets(name: str, exports: str, test: str, rest: str = "") -> Attack:
    """A greeting of its own before the box's: what it exports is then up to the solution."""
    source = f"\nsay(['ok', {exports}])\n{rest}def f(x):\n    return 0\n"
    return _source(name, source, NEVER_PASS, test)


_STOPPED = tuple(
    _says(f'a frame ["stopped", {letter!r}]', f'["stopped", "{letter}"]')
    for letter in ("P", "I", "-", "shared", "verdict", "")
)
_ERRORS = tuple(
    _says(f"a frame that raises {name}", f'["e", {name!r}, ""]', test=_CASE)
    for name in ("SystemExit", "KeyboardInterrupt", "GeneratorExit", "BaseExceptionGroup", "UnicodeDecodeError",
                 "StopAsyncIteration", "Warning", "print", "type", "__import__", "NotImplemented", "object")
)  # fmt: skip
_VALUES = {
    "no value": '["v"]',
    "an empty list": "[]",
    "a number": "7",
    "an object": "{}",
    "null": "None",
    "an unknown tag": '["v", {"Z": 1}]',
    "two tags": '["v", {"t": [], "s": []}]',
    "a tag with the wrong body": '["v", {"d": 7}]',
    "bytes that are no hex": '["v", {"b": "xy"}]',
    "a fraction over zero": '["v", {"F": [1, 0]}]',
    "a decimal that is none": '["v", {"D": "x"}]',
    "a signalling decimal": '["v", {"D": "sNaN"}]',
    "a range of step zero": '["v", {"r": [0, 1, 0]}]',
    "an unhashable element": '["v", {"s": [[]]}]',
    "an opaque object": '["v", {"x": ["int", True]}]',
    "not a number": '["v", float("nan")]',
    "infinity": '["v", float("inf")]',
    "a wrong third part": '["v", 0, 7]',
    "arguments given back as others": '["v", 0, [{"t": [2]}, {"d": []}]]',
    "a verdict as value": '["v", ["verdict", "P", 1]]',
    "an int of a million digits in hex": '["v", {"i": "0x" + "f" * 1000000}]',
}
_RAW = {
    "no JSON": 'b"\\xff" * 100',
    "an int of a million digits": "b'[\"v\",' + b'9' * 1000000 + b']'",
    "JSON nested 100,000 deep": "b'[\"v\",' + b'[' * 100000 + b']' * 100000 + b']'",
    "objects nested 100,000 deep": "b'[\"v\",' + b'{\"t\":[' * 50000 + b'1' + b']}' * 50000 + b']'",
    "an unfinished text": 'b\'["v","\'',
    "an empty frame": "b''",
    "NUL bytes": "bytes(1000)",
    "UTF-16": "'[\"v\",2]'.encode('utf-16-le')",
    "a range in UTF-32": "'[\"v\",{\"r\":[0,1000000,1]}]'.encode('utf-32-le')",
    "a lone surrogate": 'b\'["v","\\\\ud800"]\'',
    "the judge's call": 'b\'["call","f",{"t":[1]},{"d":[]}]\'',
}

_EVERYWHERE = """
def f(x):
    for number in range(64):
        for frame in (["verdict", "P", 1], ["stopped", "P"], ["ok", {}]):
            try:
                say(frame, number)
            except OSError:
                pass
    return 0
"""
_CLOSE_ALL = "\ndef f(x):\n    os.closerange(0, 64)\n    {then}\n"
_EARLY_THREAD = """
import threading
def flood():
    while True:
        say(["v", 0])
threading.Thread(target=flood, daemon=True).start()
def f(x):
    return 0
"""
_WHILE_ASKED = """
import threading
asked, written, kept = threading.Event(), threading.Event(), []

def write_later():
    asked.wait()
    {write}
    written.set()

def f(x):
    if x == 1:
        kept.append(framed(["v", 2]))
        threading.Thread(target=write_later, daemon=True).start()
        return 1
    asked.set()
    written.wait()
    return 0
"""
_TWO_CALLS = "assert f(1) == 1\nassert f(2) == 2"
_AT_ONCE = "\ndef f(x):\n    write(framed(['v', 2]) + framed(['v', 2], 1))\n    return 2\n"
_COLLIDE = """
def f(x):
    prime = (1 << 61) - 1
    instead(["v", {"s": [{"i": hex(prime * (k + 9))} for k in range(60000)]}])
"""

ATTACKS: tuple[Attack, ...] = (
    _says("a verdict where an answer is due", '["verdict", "P", 1]'),
    _says("a verdict in a test class", '["verdict", "P", 2]', test=_CASE),
    *_STOPPED,
    *_ERRORS,
    *(_says(f"a value that is {name}", frame) for name, frame in _VALUES.items()),
    *(_says(f"a frame of {name}", frame) for name, frame in _RAW.items()),
    _source("verdicts to every descriptor", _EVERYWHERE),
    _source("a verdict while loading", "\nsay(['verdict', 'P', 1])\ndef f(x):\n    return 0\n"),
    _source("a hundred verdicts while loading", "\nfor _ in range(100):\n    say(['verdict', 'P', 1])\ndef f(x):\n    return 0\n"),
    _source("stopped frames while loading", "\nfor _ in range(9):\n    say(['stopped', 'P'])\ndef f(x):\n    return 0\n"),
    _source("answers before questions, then gone", "\nsay(['ok', {}])\nfor _ in range(9):\n    say(['stopped', 'P'])\nos._exit(0)\n"),
    _source("answers from a thread without end", _EARLY_THREAD),
    _source("a thread's frame while a question is answered", _WHILE_ASKED.format(write="write(bytes([0, 0, 0, 7]) + b'[\"v\",2]')"), "E", _TWO_CALLS),
    _source("an answer kept for the next question", _WHILE_ASKED.format(write="write(kept[0])"), "E", _TWO_CALLS),
    _source("two answers at once to one question", _AT_ONCE, "E"),
    _source("a frame of 4 GiB announced", '\ndef f(x):\n    write(b"\\xff" * 4)\n    return 0\n'),
    _source(
        "a greeting and a frame of 4 GiB in one write",
        "\nwrite(framed(b'[\"ok\",{}]  ') + b'\\xff' * 4)\ndef f(x):\n    return 0\n",
    ),
    _source("a frame announced and never sent", '\ndef f(x):\n    write((99).to_bytes(4, "big") + b"[")\n    while True:\n        pass\n', "T"),
    _source("a frame cut off by the end", '\ndef f(x):\n    write((99).to_bytes(4, "big") + b"[")\n    os._exit(0)\n', "E"),
    _source("a frame without end", '\ndef f(x):\n    write((4 << 20).to_bytes(4, "big"))\n    while True:\n        write(b"x" * 65536)\n'),
    _source("frames of nothing without end", '\ndef f(x):\n    while True:\n        write(bytes(65536))\n'),
    _source("closed descriptors, then a loop", _CLOSE_ALL.format(then="while True:\n        pass"), NEVER_PASS),
    _source("closed descriptors, then sleep", _CLOSE_ALL.format(then="__import__('time').sleep(600)"), NEVER_PASS),
    _source("closed descriptors, then a return", _CLOSE_ALL.format(then="return 2"), NEVER_PASS),
    _source("the reading end closed", "\nos.close(3)\ndef f(x):\n    return 0\n"),
    _source("the pipes crossed", "\ndef f(x):\n    os.dup2(3, 4)\n    return 0\n"),
    _source("the requests read away", "\ndef f(x):\n    os.set_blocking(3, False)\n    return 0\n"),
    _source("the pipe grown and filled", "\nimport fcntl\ndef f(x):\n    fcntl.fcntl(4, 1031, 1 << 20)\n    instead(['v', 'x' * (3 << 20)])\n"),
    _source("a set of equal hashes", _COLLIDE),
    _greets("exports that are no names", '{"functions": [1, [], None], "classes": 7, "modules": []}', "assert f(1) == 2"),
    _greets("exports of the test's own tools as functions",
            '{"functions": ["unittest", "math", "TestCase", "f"], "classes": [], "modules": {}}',
            "class T(TestCase):\n    def test_one(self):\n        self.assertTrue(math.isclose(f(1), 2))\n"),
    _greets("exports of the test's own tools as classes",
            '{"functions": [], "classes": ["math", "unittest", "TestCase"], "modules": {}}',
            "class T(TestCase):\n    def test_one(self):\n        self.assertTrue(math.isclose(f(1), 2))\n"),
    _greets("exports of modules that are lists",
            '{"functions": [], "classes": [], "modules": {"math": ["os"], "unittest": {}}}', "assert math.isclose(f(1), 2)"),
    _greets("exports of another module under a known name",
            '{"functions": [], "classes": [], "modules": {"math": "marshal", "unittest": "os"}}', "assert math.isclose(f(1), 2)"),
    _source("honest in spite of noise on the streams",
            "\nimport sys\ndef f(x):\n    print('[\"verdict\",\"F\",1]')\n    os.write(1, b'noise')\n    os.write(2, b'noise')\n"
            "    return 2\n", DENIED),
)  # fmt: skip
