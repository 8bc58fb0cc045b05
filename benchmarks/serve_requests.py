"""Requests for serve_load.py, each with the answer that it must get: ordinary, slow, hostile and wrong ones."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["ASKED_DEADLINE_S", "Case", "draw"]

ASKED_DEADLINE_S = 3
"""What slow requests give themselves."""

Check = Callable[[int, Any], str]

_FENCED = "Here it is:\n```python\n{}```\n"
_HOSTILE = (
    "import os\ndef f(x):\n    os._exit(0)\n",
    "import sys\ndef f(x):\n    sys.exit(0)\n",
    "import os, signal\ndef f(x):\n    os.kill(os.getpid(), signal.SIGKILL)\n",
    "import os, signal\ndef f(x):\n    os.kill(-1, signal.SIGKILL)\n",
    "import os\ndef f(x):\n    os.kill(os.getppid(), 9)\n",
    "class Same:\n    def __eq__(self, other):\n        return True\ndef f(x):\n    return Same()\n",
    "def f(x):\n    return f(x)\n",
    "def f(x):\n    return 'x' * (1 << 40)\n",
    "def f(x):\n    print('P' * 100000)\n    raise SystemExit\n",
    "import unittest\nunittest.TestCase.assertEqual = lambda *a: None\ndef f(x):\n    return None\n",
    "def f(x):\n    return " + "(" * 5000 + "\n",
    "\0\ud800",
)


@dataclass(frozen=True)
class Case:
    """One request."""

    kind: str
    path: str
    body: bytes
    check: Check
    """From status and decoded body to what is wrong with them; empty: nothing."""
    content_type: str = "application/json"
    token: bool = True
    leaves: bool = False
    """The client goes away before the answer."""


def draw(dice: random.Random) -> Case:
    """One request of a mixed load: nine in ten are ordinary."""
    kinds: tuple[tuple[Callable[[random.Random], Case], float], ...] = (
        (_rewards, 60), (_matrix, 27), (_hostile, 5), (_sleeping, 1.0), (_looping, 0.5), (_wrong, 5), (_leaving, 1.5),
    )  # fmt: skip
    (make,) = dice.choices([make for make, _ in kinds], [weight for _, weight in kinds])
    return make(dice)


def _post(path: str, content: Any) -> tuple[str, bytes]:
    return f"/v1/{path}", json.dumps(content).encode()


def _plus(number: int) -> str:
    return f"def f(x):\n    return x + {number}\n"


def _numbers(dice: random.Random) -> tuple[int, list[int]]:
    """What a solution adds, and what tests expect it to: some of them right. A fifth has been asked before."""
    base = dice.randrange(50) if dice.random() < 0.2 else dice.randrange(10**12)
    return base, [base + dice.randrange(2) for _ in range(dice.randint(1, 6))]


def _tests(numbers: list[int]) -> list[str]:
    return [f"assert f({at}) == {at + number}" for at, number in enumerate(numbers)]


def _rewards(dice: random.Random) -> Case:
    items, wanted = [], []
    for _ in range(dice.randint(1, 8)):
        base, numbers = _numbers(dice)
        items.append({"completion": _FENCED.format(_plus(base)), "entry_point": "f", "tests": _tests(numbers)})
        wanted.append((sum(number == base for number in numbers) / len(numbers),
                       "".join("PF"[number != base] for number in numbers)))  # fmt: skip

    def check(status: int, got: Any) -> str:
        if status != 200:
            return f"status {status}"
        rows = [
            (round(one["reward"], 9) if one["reward"] is not None else None, one["verdicts"]) for one in got["items"]
        ]
        return "" if rows == [(round(share, 9), row) for share, row in wanted] else f"{rows} instead of {wanted}"

    return Case("rewards", *_post("rewards", {"items": items}), check)


def _matrix(dice: random.Random) -> Case:
    base, numbers = _numbers(dice)
    adds = [base + dice.randrange(2) for _ in range(dice.randint(1, 6))]
    body = {"entry_point": "f", "solutions": [_plus(one) for one in adds], "tests": _tests(numbers)}
    wanted = ["".join("PF"[number != one] for number in numbers) for one in adds]

    def check(status: int, got: Any) -> str:
        if status != 200:
            return f"status {status}"
        return "" if got["verdicts"] == wanted and got["complete"] else f"{got['verdicts']} instead of {wanted}"

    return Case("matrix", *_post("matrix", body), check)


def _beside(dice: random.Random, code: str, kind: str, **more: Any) -> Case:
    """A solution that must have no reward above 0, beside one that passes."""
    base = dice.randrange(10**12)
    tests = _tests([base])
    if dice.random() < 0.5:
        code = f"# {base}\n{code}"  # not judged before
    items = [{"completion": _FENCED.format(code), "entry_point": "f", "tests": tests},
             {"completion": _FENCED.format(_plus(base)), "entry_point": "f", "tests": tests}]  # fmt: skip
    late = "deadline_s" in more

    def check(status: int, got: Any) -> str:
        if status != 200:
            return f"status {status}"
        bad, good = got["items"]
        if (bad["reward"] or 0) > 0 or (bad["reward"] is None and not late):
            return f"a hostile solution has reward {bad['reward']}, {bad['status']}"
        if good["reward"] != 1.0 and not (late and good["status"] == "unjudged"):
            return f"a right solution beside it has reward {good['reward']}, {good['status']}"
        return ""

    return Case(kind, *_post("rewards", {"items": items, **more}), check)


def _hostile(dice: random.Random) -> Case:
    return _beside(dice, dice.choice(_HOSTILE), "hostile")


def _looping(dice: random.Random) -> Case:
    return _beside(dice, "def f(x):\n    while True:\n        pass\n", "looping")


def _sleeping(dice: random.Random) -> Case:
    sleeper = "import time\ndef f(x):\n    time.sleep(600)\n"
    return _beside(dice, sleeper, "sleeping", deadline_s=ASKED_DEADLINE_S)


def _leaving(dice: random.Random) -> Case:
    case = dice.choice((_rewards, _matrix, _sleeping))(dice)
    return Case("leaving", case.path, case.body, lambda status, got: "", leaves=True)


def _wrong(dice: random.Random) -> Case:
    good = {"entry_point": "f", "solutions": [_plus(1)], "tests": ["assert f(1) == 2"]}
    cases: tuple[tuple[str, int, bytes, dict[str, Any]], ...] = (
        ("not JSON", 400, b"{", {}),
        ("no text", 400, b"\xff\xfe", {}),
        ("deep", 422, b"[" * 100_000, {}),
        ("misspelt", 422, json.dumps({**good, "test": []}).encode(), {}),
        ("no name", 422, json.dumps({**good, "entry_point": "\ud800"}).encode(), {}),
        ("unknown name", 422, json.dumps({**good, "entry_point": "g"}).encode(), {}),
        ("many", 422, json.dumps({**good, "solutions": [_plus(1)] * 65}).encode(), {}),
        ("large", 413, b"0" * (1 << 21), {}),
        ("a form", 415, b"f=1", {"content_type": "application/x-www-form-urlencoded"}),
        ("no token", 401, json.dumps(good).encode(), {"token": False}),
    )
    name, wanted, body, more = dice.choice(cases)

    def check(status: int, got: Any) -> str:
        if status != wanted or set(got) != {"error"}:
            return f"{name}: status {status} instead of {wanted}: {got}"
        return ""

    return Case("wrong", "/v1/matrix", body, check, **more)
