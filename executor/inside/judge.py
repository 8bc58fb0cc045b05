"""The judge's process: run the unit test against proxies of the solution's functions.

It runs in another box than the solution. Frames it writes: ``["call", function, arguments, keywords]``, answered
through descriptor 3 in an envelope of the host's; and one ``["verdict", letter, calls]`` at the end.
"""

from __future__ import annotations

import builtins
import importlib
import json
from collections import deque
from collections.abc import Callable
from typing import Any, NoReturn

from . import wire
from .frames import Link
from .unit import PRELUDE, run_test

__all__ = ["ANSWER", "STOPPED", "serve"]


STOPPED = b"S"
ANSWER = b"A"
"""First byte of what the host passes on: its own word, a letter; or a frame of the solution's."""


class _Stopped(BaseException):
    """The solution's process is gone, or cannot serve this test: no except clause of a test shall hide it."""


class _Ended(Exception):
    """The solution raised StopIteration. No test can expect this one."""


class _Session:
    """The proxies' link to the solution."""

    def __init__(self, link: Link, *, ends: bool) -> None:
        """``ends``: the test itself asks for StopIteration."""
        self._link = link
        self._ends = ends
        self.calls = 0
        self.letter: str | None = None

    def call(self, function: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if self.letter is not None:
            raise _Stopped
        self.calls += 1
        if not (wire.is_plain(args) and wire.is_plain(kwargs)):
            self._stop("shared")
        request = ["call", function, wire.encode(args), wire.encode(kwargs)]
        self._link.send(wire.text_of(request).encode("ascii"))
        frame = self._link.receive()
        if frame is None:
            self._stop("E")
        # The host's envelope: its own word that the solution stopped, or a frame that the solution wrote.
        if frame[:1] == STOPPED:
            self._stop(frame[1:].decode("ascii"))
        try:
            reply = json.loads(frame[1:].decode("ascii"))
            head, body = reply[0], reply[1]
            if head == "u":
                self._stop("R" if body == "R" else "E")
            if head not in ("v", "e") or len(reply) > 3:
                self._stop("E")
            value = wire.decode(body) if head == "v" else _exception(body, reply[2])
            changed = [wire.decode(part) for part in reply[2]] if head == "v" and len(reply) == 3 else []
        except (ValueError, TypeError, KeyError, IndexError, RecursionError, ArithmeticError):
            self._stop("E")
        if head == "e":
            if isinstance(value, StopIteration) and not self._ends:
                # In the test's map() or filter() it would be the end of the data, and the rest never asserted.
                raise _Ended from value
            raise value
        for mine, after in zip((args, kwargs), changed):
            _copy_back(mine, after)
        return value

    def _stop(self, letter: str) -> NoReturn:
        self.letter = letter
        raise _Stopped


def _exception(name: Any, message: Any) -> BaseException:
    kind = getattr(builtins, name, Exception) if isinstance(name, str) else Exception
    if not (isinstance(kind, type) and issubclass(kind, BaseException)):
        kind = Exception
    try:
        return kind(message)
    except TypeError:  # such as UnicodeDecodeError, which wants five arguments
        return next(base for base in kind.__mro__ if base in (ValueError, OSError, Exception))(message)


def _copy_back(mine: Any, after: Any) -> None:
    """Give the caller's containers the contents that the solution left in its copies."""
    if type(mine) is not type(after):
        return
    if isinstance(mine, (list, tuple, deque)) and len(mine) == len(after):
        for index, item in enumerate(after):
            if isinstance(item, (list, dict, set, bytearray, deque, tuple)) and type(mine[index]) is type(item):
                _copy_back(mine[index], item)
            elif not isinstance(mine, tuple):
                mine[index] = item
    elif isinstance(mine, (list, bytearray)):
        mine[:] = after
    elif isinstance(mine, (set, deque)):
        mine.clear()
        (mine.update if isinstance(mine, set) else mine.extend)(after)
    elif isinstance(mine, dict):
        _copy_back_dict(mine, after)


def _copy_back_dict(mine: dict[Any, Any], after: dict[Any, Any]) -> None:
    kept = {key: mine[key] for key in after if key in mine}
    mine.clear()
    for key, item in after.items():
        old = kept.get(key)
        if isinstance(old, (list, dict, set, bytearray, deque)) and type(old) is type(item):
            _copy_back(old, item)
            item = old
        mine[key] = item


def _proxy(session: _Session, name: str) -> Callable[..., Any]:
    def function(*args: Any, **kwargs: Any) -> Any:
        return session.call(name, args, kwargs)

    function.__name__ = function.__qualname__ = name
    return function


def _namespace(task: dict[str, Any], session: _Session) -> dict[str, Any]:
    namespace = dict(PRELUDE)
    for name in task["modules"]:
        namespace[name] = importlib.import_module(name)
    for name in task["functions"]:
        namespace[name] = _proxy(session, name)
    exec(compile(task["context"], "<context>", "exec", dont_inherit=True), namespace)
    namespace[task["entry_point"]] = _proxy(session, task["entry_point"])
    return namespace


def serve(link: Link) -> None:
    """Role ``judge``. First request: JSON with test, entry point, context, further names of the solution."""
    task = json.loads(link.receive() or b"")
    session = _Session(link, ends="StopIteration" in task["test"] + task["context"])
    letter = run_test(task["test"], _namespace(task, session))
    if session.letter is not None:
        letter = session.letter
    elif letter == "P" and not session.calls:
        letter = "I"
    link.send(json.dumps(["verdict", letter, session.calls]).encode("ascii"))
