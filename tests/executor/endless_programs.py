"""Programs that never end, and programs that only look like it. Each is called with 4."""

from __future__ import annotations

import textwrap

__all__ = ["ENDLESS", "HONEST", "LEFT_TO_THE_HOST", "source_of"]

ENDLESS = {
    "nothing changes": """
        def f(x):
            while x != 1:
                pass
        """,
    "no condition": """
        def f(x):
            while True:
                x = 3
        """,
    "a fixed point of a float": """
        def f(x):
            while x % 2 == 0:
                x /= 2
                x = x * 1.0 if x else 0.0
                x = 0.0
        """,
    "round and round": """
        def f(x):
            while x >= 0:
                x = (x + 1) % 7
        """,
    "lists made anew": """
        def f(x):
            rest = [3, 1, 2]
            while rest:
                found = []
                for i in range(len(rest)):
                    found.append(rest[i])
                rest = sorted(found)
        """,
    "loops in loops": """
        def f(x):
            i = 0
            while i < 3:
                j = 0
                while j < 3:
                    j += 1
                if j == 3:
                    i = 0
        """,
    "a helper in the loop": """
        def step(x):
            i = 0
            while i < 20:
                i += 1
            return i - 20
        def f(x):
            x = 0
            while x == 0:
                x = step(x)
        """,
    "a closure that changes nothing": """
        def f(x):
            data = {"a": [1, 2]}
            def peek():
                return data["a"][0]
            while peek():
                data["b"] = (x, None, True, 1j, b"x", range(3))
        """,
    "an inner function": """
        def f(x):
            def loop(y):
                while y:
                    y = y + 0
            return loop(x)
        """,
}
HONEST = {
    "an iterator around the loop": """
        def f(x):
            for _ in [1] * 8_000_000:
                i = 0
                while i < 3.0:
                    i += 1
            return "end"
        """,
    "an iterator in a variable": """
        def f(x):
            it = iter([1] * 8_000_000)
            while next(it, 0):
                y = 1
            return "end"
        """,
    "a generator": """
        def f(x):
            def count():
                i = 0
                while i < 12_000_000:
                    i += 1
                    yield 1
                yield 0
            numbers = count()
            while next(numbers):
                y = 1
            return "end"
        """,
    "a variable of a closure": """
        def f(x):
            count = 0
            def step():
                nonlocal count
                count += 1
                return count < 12_000_000
            def loop():
                while step():
                    pass
            loop()
            return "end"
        """,
    "the second of two closures": """
        def counter(n):
            def step():
                nonlocal n
                n -= 1
                return n
            return step
        def f(x):
            first = counter(10)
            second = counter(12_000_000)
            while second():
                y = 1
            return "end"
        """,
    "closures of one variable or of two": """
        def pair():
            n = 0
            def add(by):
                nonlocal n
                n += by
            def get():
                return n
            return add, get
        def shares(left, right):
            for k in range(len(left)):
                left[k](1)
                same = right[k]() == 1
                left[k](-1)
                if same:
                    right[k] = pair()[1]
                    return True
            return False
        def f(x):
            pairs = [pair() for _ in range(40)]
            left = [add for add, _ in pairs]
            right = [get for _, get in pairs]
            pairs = y = None
            while True:
                if not shares(left, right):
                    return "end"
                y = [0] * 16_000_000
                y = None
        """,
    "an instance of a class of modules": """
        import math
        def make():
            class Made(type(math)):
                left = [1] * 12_000_000
            return Made("made")
        def f(x):
            made = make()
            while made.left:
                made.left.pop()
            return "end"
        """,
    "an object that says it is a module": """
        import math
        def make():
            class Made(list):
                @property
                def __class__(self):
                    return type(math)
            return Made([1] * 12_000_000)
        def f(x):
            made = make()
            while made:
                made.pop()
            return "end"
        """,
    "a class that says it is Python's own": """
        def f(x):
            made = type("Made", (), {"__module__": "builtins", "left": [1] * 12_000_000})
            while made.left:
                made.left.pop()
            return "end"
        """,
    "a default that is shared": """
        def f(x):
            seen = [0]
            def step(seen=seen):
                seen[0] += 1
                return seen[0] < 8_000_000
            def loop(step):
                while step():
                    pass
            loop(step)
            return "end"
        """,
    "a method of a list": """
        def f(x):
            def loop(pop):
                while pop():
                    y = 1
            loop(([0] + [1] * 32_000_000).pop)
            return "end"
        """,
    "an object": """
        class Counter:
            def __init__(self, items):
                self.items = items
            def step(self):
                return self.items.pop()
        def f(x):
            counter = Counter([0] + [1] * 8_000_000)
            while counter.step():
                y = 1
            return "end"
        """,
    "a set": """
        def f(x):
            left = set(range(4_000_000))
            while left:
                left.pop()
            return "end"
        """,
    "a jump back out of an except": """
        def f(x):
            n = 0
            for x in [1] * 2_000_000:
                try:
                    {}["a"]
                except KeyError:
                    pass
                y = 1
            return "end"
        """,
    "a jump back in a long loop": "def f(x):\n    for x in [1] * 1_200_000:\n"
    + "".join(f"        a{i} = x\n" for i in range(200))
    + "    return 'end'\n",
    "a long loop of whom nothing is said": "def f(x):\n    while x:\n        for x in [1] * 1_200_000:\n"
    + "".join(f"            a{i} = x\n" for i in range(200))
    + "        return 'end'\n",
    "a comprehension": """
        def f(x):
            while x:
                x = [1 for _ in [1] * 36_000_000][0] - 1
            return "end"
        """,
    "one list or two": """
        def f(x):
            a, b, n = [0], [0], 0
            while n < 18_000_000:
                n += 1
            i = 0
            while a == b and i < 2:
                i += 1
                a = b
                b.append(1)
            return "end"
        """,
    "the same by value, not by identity": """
        def f(x):
            a = [1]
            b = a
            i = 0
            while i < 24_000_000:
                i += 1
            while b is a:
                b = [1]
            return "end"
        """,
    "a state that comes back in another call": """
        def g(x):
            i = 0
            while i < 2.0:
                i += 1
            return i
        def f(x):
            total = 0
            while total < 4_000_000:
                total += g(x)
            return "end"
        """,
    "a class in the making": """
        def f(x):
            class Made:
                i = 0
                while i < 8_000_000:
                    i += 1
            return "end" if Made.i == 8_000_000 else Made.i
        """,
    "deep recursion": """
        def g(n):
            return 0 if n == 0 else 1 + g(n - 1)
        def f(x):
            i = 0
            while i < 12_000:
                i += g(500) // 500
            return "end"
        """,
}
LEFT_TO_THE_HOST = "an iterator around the loop"
"""The watch by itself would err."""


def source_of(text: str) -> str:
    return textwrap.dedent(text)
