"""Ends a call that never would: by the clock it would take all its time to come to the same verdict.

A program without chance, clock or input goes where its state leads. Where a ``while`` loop is at the same place with
the same state for the second time it will be there for ever. The whole state is in sight only where

- the host has found nothing in the source that keeps state elsewhere (:attr:`executor.purity.SolutionFacts.watchable`),
- the interrupted function has just jumped back in a ``while`` loop, when no half of an expression is on its stack, and
- its variables hold plain data alone, or what never changes.

Whoever called that function stands still meanwhile, so it is looked at by no more than the variables it shares.

What was seen of a function is hung on its frame, and goes with it: a frame that is held would hold its variables.

Nothing has to be believed: a solution that calls itself endless is one that times out, which it could do anyway.
"""

from __future__ import annotations

import dis
import signal
import types
from typing import Any

__all__ = ["Watch"]

_TICK_S = 0.005
"""CPU seconds between two looks."""
_PATIENCE = 4
"""Looks at a call before its state is written down: nearly all are over by then."""
_REFUSALS = 20
"""States of a call that cannot be told before it is left alone."""
_MOST_STATES = 400
_LARGEST_STATE = 500
"""Values."""
_LONGEST_TEXT = 5_000
_LONGEST_STATE = 20_000
"""Characters: a look shall take little of the time, and all states together little of the memory."""
_LARGEST_NUMBER = 4096
"""Bits."""
_MADE_BY_A_PROGRAM = 1 << 9
"""Flag of classes that are no part of Python (``Py_TPFLAGS_HEAPTYPE``)."""
_OPTIMIZED = 1
"""Flag of code that keeps its variables on its own: functions (``CO_OPTIMIZED``)."""
_JUMPS = frozenset(dis.hasjrel) | frozenset(dis.hasjabs)


class _Untold(Exception):
    """A state of which some part is out of sight, or too large."""


class _States(set[str]):
    """Those that a function was in."""


class Watch:
    """Looks at the program now and then, in the time that it uses itself. Does nothing before :meth:`start`."""

    def __init__(self, filename: str) -> None:
        """``filename``: of the code that is looked at."""
        self.calls = 0
        """To be counted by whoever makes them."""
        self._filename = filename
        self._edges: dict[types.CodeType, frozenset[int]] = {}
        self._call = -1
        self._looks = self._refusals = 0

    def start(self) -> None:
        """Have the kernel interrupt this process from now on."""
        signal.signal(signal.SIGVTALRM, self._look)
        signal.setitimer(signal.ITIMER_VIRTUAL, _TICK_S, _TICK_S)

    def _look(self, number: int, frame: types.FrameType | None) -> None:
        if self._call != self.calls:
            self._call, self._looks, self._refusals = self.calls, 0, 0
        self._looks += 1
        if self._looks <= _PATIENCE or self._refusals >= _REFUSALS or frame is None:
            return
        try:
            again = self._was_here(frame)
        except BaseException:  # whatever it is, it is ours, and shall not become the solution's
            self._refusals += 1
            return
        if again:
            _end()

    def _was_here(self, frame: types.FrameType) -> bool:
        code = frame.f_code
        if code.co_filename != self._filename:
            return False
        if code not in self._edges:
            self._edges[code] = _back_edges(code)
        if frame.f_lasti not in self._edges[code]:
            return False
        state = _state(frame)
        before: Any = frame.f_trace  # nobody traces: a place that ends with the frame
        if type(before) is not _States:
            before = _States()
            frame.f_trace = before
        if state in before:
            return True
        if len(before) < _MOST_STATES:
            before.add(state)
        return False


def _end() -> None:
    """End this process as one that has used up its time. It may send itself no signal, but its timer may."""
    signal.signal(signal.SIGVTALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_VIRTUAL, 1e-6)
    while True:
        pass


def _back_edges(code: types.CodeType) -> frozenset[int]:
    """Offsets of the jumps of ``while`` loops to where they start over.

    A jump back is one of a loop: sources with other kinds (``try``, ``with``, ``yield``) are not watched. That of a
    ``for`` loop leads to the instruction that asks its iterator, whose place in the data is out of sight.
    """
    if not code.co_flags & _OPTIMIZED:
        return frozenset()  # a class in the making, whose names are no copy
    instructions = {one.offset: one for one in dis.get_instructions(code)}
    found = []
    for one in instructions.values():
        if one.opcode in _JUMPS and one.argval <= one.offset:
            target = one.argval
            while instructions[target].opname == "EXTENDED_ARG":
                target += 2
            if instructions[target].opname != "FOR_ITER":
                found.append(one.offset)
    return frozenset(found)


def _state(frame: types.FrameType) -> str:
    """Write down where a function is and what its variables hold: equal for equal states alone.

    Raises:
        _Untold: it cannot be told.
    """
    variables = frame.f_locals
    try:
        words = _Words()
        for name, value in variables.items():
            words.add(f"{name}=")
            words.describe(value)
        return f"{frame.f_lasti} {''.join(words.all)}"
    finally:
        if type(variables) is dict:
            variables.clear()  # a copy that Python keeps until the function ends, with all it refers to


class _Words:
    """A description in the making."""

    def __init__(self) -> None:
        self.all: list[str] = []
        self._length = 0
        self._seen: dict[int, int] = {}

    def add(self, word: str) -> None:
        self._length += len(word)
        if len(self.all) >= _LARGEST_STATE or self._length > _LONGEST_STATE:
            raise _Untold
        self.all.append(word)

    def describe(self, value: Any) -> None:
        """Add a value: type and content, and of what can change whether it was seen before."""
        kind = type(value)
        if value is None or kind is bool:
            self.add(f"{value};")
        elif kind is int:
            if value.bit_length() > _LARGEST_NUMBER:
                raise _Untold
            self.add(f"{value:x};")
        elif kind is float:
            self._check_number(value)
            self.add(f"f{value.hex()};")
        elif kind is complex:
            self._check_number(value)
            self.add(f"c{value.real.hex()},{value.imag.hex()};")
        elif (kind is str or kind is bytes) and len(value) > _LONGEST_TEXT:
            raise _Untold
        elif kind is str:
            self.add(f"s{len(value)}:{value}")
        elif kind is bytes:
            self.add(f"b{len(value)}:{value.hex()}")
        elif kind is range:
            self.add(f"r{value.start:x},{value.stop:x},{value.step:x};")
        elif kind is tuple:
            self.add(f"({len(value)}:")
            self._describe_all(value)
        elif kind is list or kind is dict or kind is types.FunctionType:
            self._describe_once(value)
        elif not _is_fixed(value):
            raise _Untold
        else:
            self.add(f"@{id(value)};")

    def _check_number(self, value: float | complex) -> None:
        """What is no number may equal itself or not, by where it lies in memory."""
        if value != value:
            raise _Untold

    def _describe_once(self, value: Any) -> None:
        if id(value) in self._seen:
            self.add(f"&{self._seen[id(value)]};")
            return
        self._seen[id(value)] = len(self._seen)
        if type(value) is list:
            self.add(f"[{len(value)}:")
            self._describe_all(value)
        elif type(value) is dict:
            self.add(f"{{{len(value)}:")
            for key, item in value.items():
                self.describe(key)
                self.describe(item)
        else:
            # Its variables are found by its cells, which functions share; one that is empty yet raises ValueError.
            self.add(f"@{id(value.__code__)}:")
            for cell in value.__closure__ or ():
                self.add(f"@{id(cell)}:")
                self.describe(cell.cell_contents)
            self.describe(value.__defaults__)
            self.describe(value.__kwdefaults__)

    def _describe_all(self, values: Any) -> None:
        for value in values:
            self.describe(value)


def _is_fixed(value: Any) -> bool:
    """A thing that keeps no state: a module, a class of Python's own, or a function of a module's.

    By its type alone: what it says of itself (``__class__``, ``__module__``) is the solution's word.
    """
    kind = type(value)
    if kind is types.BuiltinFunctionType:
        return value.__self__ is None or type(value.__self__) is types.ModuleType
    return kind is types.ModuleType or (kind is type and not value.__flags__ & _MADE_BY_A_PROGRAM)
