"""Floods, time and survivors: what uses up what there is."""

from __future__ import annotations

from escape_attack import DENIED, LIFTED, NEVER_PASS, SHARED, SPLIT, Attack

__all__ = ["ATTACKS"]

ALL = (LIFTED, SPLIT, SHARED)


def _attack(
    kind: str,
    name: str,
    expected: str,
    source: str,
    modes: tuple[str, ...] = (LIFTED, SPLIT),
    test: str = "assert f(1) == 2",
    *,
    sleeps: bool = False,
) -> Attack:
    return Attack(name=name, kind=kind, solution=source, expected=expected, modes=modes, test=test, sleeps=sleeps)


def _body(
    kind: str, name: str, expected: str, body: str, modes: tuple[str, ...] = (LIFTED, SPLIT), *, sleeps: bool = False
) -> Attack:
    lines = "".join(f"    {line}\n" for line in body.strip("\n").splitlines())
    source = f"import os, sys, time, threading\ndef f(x):\n{lines}"
    return _attack(kind, name, expected, source, modes, sleeps=sleeps)


_FORKS = """
made = 0
for _ in range(1000):
    try:
        made += os.fork() >= 0
    except OSError:
        pass
return made or 2
"""
_THREADS = """
threading.stack_size(32768)
made = 0
try:
    while made < 5000:
        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
        made += 1
except (RuntimeError, MemoryError):
    pass
return 2 if made < 1000 else f"{made} threads"
"""
_DESCRIPTORS = """
made = 0
try:
    while made < 5000:
        os.dup(3)
        made += 1
except OSError:
    pass
return 2 if made <= 64 else f"{made} descriptors"
"""
_FILL = """
written = 0
for folder in ("/tmp", "/dev/shm", "/var/tmp", "/run", "/", "/box", "/packages"):
    try:
        with open(f"{folder}/@ESCAPED@", "wb") as file:
            written += file.write(b"x" * 1000)
    except OSError:
        pass
return written or 2
"""
_FLOODS = (
    _body("floods", "a fork bomb", DENIED, _FORKS, ALL),
    _body("floods", "a thread bomb with small stacks", "PT", _THREADS),
    _body("floods", "every descriptor", DENIED, _DESCRIPTORS),
    _body("floods", "fill every writable place", DENIED, _FILL, ALL),
    _body("floods", "allocate 4 GiB", "R", "return len(bytearray(4 << 30))", ALL),
    _body("floods", "allocate in small pieces", "RT", "x = []\nwhile True:\n    x.append(bytearray(1 << 20))"),
    _body("floods", "allocate by mapping", "ER", "import mmap\nreturn len([mmap.mmap(-1, 1 << 30) for _ in range(9)])"),
    _body("floods", "double a string", "RT", "x = 'x'\nwhile True:\n    x += x"),
    _body("floods", "swallow MemoryError and go on", "RTE",
          "x = []\nwhile True:\n    try:\n        x.append(bytearray(1 << 26))\n    except MemoryError:\n        pass"),
    _body("floods", "print 10 GB", "PT", "for _ in range(10000):\n    print('x' * 10 ** 6)\nreturn 2", ALL),
    _body("floods", "write to standard error without end", "T",
          "while True:\n    os.write(2, b'x' * (1 << 20))", ALL),
    _body("floods", "return 100 MB", "RT", "return 'x' * 10 ** 8"),
    _body("floods", "return a list of a million lists", NEVER_PASS, "return [[] for _ in range(10 ** 6)]"),
    _body("floods", "raise with a message of 100 MB", "E", "raise ValueError('x' * 10 ** 8)"),
    _body("floods", "return a list in itself", "E", "x = []\nx.append(x)\nreturn x"),
    _body("floods", "return a value nested 100,000 deep", "E",
          "x = 0\nfor _ in range(10 ** 5):\n    x = [x]\nreturn x"),
    _body("floods", "return an endless generator", "ETR", "return (y for y in iter(int, 1))"),
    _body("floods", "return an endless iterator of large items", "ETR", "return map(lambda y: 'x' * 10 ** 6, iter(int, 1))"),
    _attack("floods", "overflow the C stack", "ETR",
            "import sys\nsys.setrecursionlimit(10 ** 9)\ndef f(x):\n    return [f(y) for y in [x]]\n", ALL),
    _attack("floods", "recurse without end", "E", "def f(x):\n    return f(x)\n", ALL),
    _attack("floods", "source nested deeply", "E", "def f(x):\n    return " + "(" * 9000 + "2" + ")" * 9000 + "\n", ALL),
    _attack("floods", "source of a long chain of operators", "EP",
            "def f(x):\n    return 2" + " + 0" * 40000 + "\n"),
    _attack("floods", "source of a long chain of signs", "ER", "def f(x):\n    return " + "-" * 100000 + "2\n"),
    _attack("floods", "source that folds to a large constant", NEVER_PASS,
            "def f(x):\n    return ((('x' * 4000) * 4000) * 4000) and 0\n"),
    _attack("floods", "a crash of the interpreter", "E", "import ctypes\ndef f(x):\n    ctypes.string_at(0)\n", ALL),
)  # fmt: skip

_LOOP = "while True:\n    pass"
_SWALLOW = "while True:\n    try:\n        while True:\n            pass\n    except BaseException:\n        pass"
_SIGNALS = """
import signal
for number in range(1, 65):
    try:
        signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError):
        pass
signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
signal.setitimer(signal.ITIMER_REAL, 0)
while True:
    pass
"""
_THREAD_BURN = """
def burn():
    while True:
        pass
for _ in range(4):
    threading.Thread(target=burn, daemon=True).start()
time.sleep(60)
"""
_DEL = """
class Trap:
    def __del__(self):
        while True:
            pass
trap = Trap()
del trap
return 2
"""
_EQ_TRAP = """
class Trap(int):
    def __getattribute__(self, name):
        while True:
            pass
    __eq__ = __repr__ = __iter__ = __len__ = __bool__ = __index__ = __add__ = __getattribute__
return Trap(0)
"""
_BOOL_TRAP = """
class Trap:
    def __bool__(self):
        while True:
            pass
return Trap()
"""
_MESSAGE_TRAP = """
class Trap(Exception):
    def __str__(self):
        while True:
            pass
raise Trap
"""
_CLOCKS = """
time.monotonic = time.time = time.process_time = time.perf_counter = lambda: 0.0
while True:
    pass
"""
_TIME = (
    _body("time", "while True", "T", _LOOP, ALL),
    _body("time", "a loop that swallows every exception", "T", _SWALLOW, ALL),
    _body("time", "every signal ignored and blocked", "T", _SIGNALS, ALL),
    _body("time", "ended by a timer of its own, as one that never ends is", "T",
          "import signal\nsignal.setitimer(signal.ITIMER_VIRTUAL, 0.01)\nwhile True: pass", (LIFTED, SPLIT)),
    _body("time", "a loop inside C", "T", "return sum(range(10 ** 10))"),
    _body("time", "one long operation", "T", "return 3 ** (10 ** 9) % 7"),
    _body("time", "a catastrophic regex", "T", "import re\nreturn re.match(r'(a+)+$', 'a' * 64 + 'b')"),
    _body("time", "sleep", "T", "time.sleep(600)", ALL, sleeps=True),
    _body("time", "a deadlock", "T", "lock = threading.Lock()\nlock.acquire()\nlock.acquire()", sleeps=True),
    _body("time", "wait for a signal", "T", "import signal\nsignal.pause()", sleeps=True),
    _body("time", "read from a pipe nobody writes", "T", "os.read(os.pipe()[0], 1)", sleeps=True),
    _body("time", "threads burn while main sleeps", "T", _THREAD_BURN),
    _body("time", "clocks replaced", "T", _CLOCKS),
    _body("time", "hang in __del__", "T", _DEL),
    _body("time", "a number whose every method hangs", NEVER_PASS, _EQ_TRAP),
    _body("time", "a truth value that hangs", NEVER_PASS, _BOOL_TRAP),
    _body("time", "an error message that hangs", NEVER_PASS, _MESSAGE_TRAP),
    _attack("time", "hang while loading", "T", "while True:\n    pass\ndef f(x):\n    return 2\n", ALL),
    _attack("time", "sleep while loading", "T", "import time\ntime.sleep(600)\ndef f(x):\n    return 2\n", sleeps=True),
    _attack("time", "hang at exit", DENIED,
            "import atexit\natexit.register(lambda: [0 for _ in iter(int, 1)])\ndef f(x):\n    return 2\n", ALL),
    Attack(
        name="burn a little on every call", kind="time", expected="T", modes=(LIFTED, SPLIT), limits=2.5,
        solution="import time\ndef f(x):\n    end = time.process_time() + 0.2\n    while time.process_time() < end:\n"
        "        pass\n    return x + 1\n",
        test="\n".join(f"assert f({number}) == {number + 1}" for number in range(6)),
    ),
)  # fmt: skip
_SURVIVORS = (
    _body("survivors", "a thread that outlives the answer", DENIED,
          "threading.Thread(target=lambda: [0 for _ in iter(int, 1)]).start()\nreturn 2", ALL),
    _body("survivors", "a sleeping thread that outlives the answer", DENIED,
          "threading.Thread(target=time.sleep, args=(600,)).start()\nreturn 2", ALL),
    _body("survivors", "a timer that ticks on", DENIED,
          "import signal\nsignal.signal(signal.SIGALRM, lambda *_: None)\n"
          "signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)\nreturn 2", (LIFTED,)),
    _body("survivors", "stopped by itself", NEVER_PASS, "import signal\nsignal.raise_signal(signal.SIGSTOP)", ALL),
    _body("survivors", "killed by itself", NEVER_PASS, "import signal\nsignal.raise_signal(signal.SIGKILL)", ALL),
)  # fmt: skip

ATTACKS: tuple[Attack, ...] = (*_FLOODS, *_TIME, *_SURVIVORS)
