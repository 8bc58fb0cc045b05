"""The solution's process: load the source once, answer calls with plain data.

It holds two descriptors: requests to read (3) and replies to write (4), see :class:`frames.Link`. No verdict travels
on either.
"""

from __future__ import annotations

import builtins
import json
import sys
import types
from typing import Any

from . import wire
from .endless import Watch
from .frames import Link

__all__ = ["load", "serve"]

_EXPORTS = 200
_FILENAME = "<solution>"
_UNSENDABLE = ["u", "E"]
"""The call returned what cannot be sent. An error, and no exception: a solution shall neither forge the one that a test
expects, nor choose to be judged in a process of its own."""
_TOO_LARGE = ["u", "R"]
"""The call returned more than may be sent, or than memory holds."""


def load(source: str, name: str = "solution") -> types.ModuleType:
    """Execute ``source`` as a module of its own and return it. Raises whatever the source raises."""
    module = types.ModuleType(name)
    sys.modules[name] = module
    exec(compile(source, _FILENAME, "exec", dont_inherit=True), module.__dict__)
    return module


def exports(module: types.ModuleType) -> dict[str, Any]:
    """Tell which top-level names are functions, classes and modules: tests may use more than the entry point."""
    functions: list[str] = []
    classes: list[str] = []
    modules: dict[str, str] = {}
    for name, value in list(module.__dict__.items())[:_EXPORTS]:
        if not isinstance(name, str) or name.startswith("__"):
            continue
        if isinstance(value, types.ModuleType):
            modules[name] = str(value.__name__)
        elif isinstance(value, type):
            classes.append(name)
        elif callable(value):
            functions.append(name)
    return {"functions": functions, "classes": classes, "modules": modules}


def nearest_builtin(error: BaseException) -> str:
    """Name of the nearest builtin class of an exception: the only part of its type that crosses."""
    for kind in type(error).__mro__:
        if getattr(builtins, kind.__name__, None) is kind:
            return str(kind.__name__)
    return "BaseException"


def _failure(error: BaseException) -> list[Any]:
    try:
        message = str(error)[:500]
    except BaseException:
        message = ""
    return ["e", nearest_builtin(error), message]


def answer(module: types.ModuleType, entry_point: str, request: list[Any]) -> list[Any]:
    """Make one call and describe what came of it.

    ``["v", value]``, ``["v", value, arguments]``, ``["e", error, message]``, or ``["u", letter]``: it returned what
    cannot be sent. Only what the call itself raises is an error of the call.
    """
    function, arguments, keywords, copy_back = request
    try:
        target = module.__dict__[function or entry_point]
    except KeyError:
        return ["e", "NameError", f"name {function or entry_point!r} is not defined"]
    args = wire.decode(arguments)
    kwargs = wire.decode(keywords)
    try:
        returned = target(*args, **kwargs)
    except BaseException as error:
        return _failure(error)
    try:
        value = wire.encode(returned)
        if not copy_back:
            return ["v", value]
        after = [wire.encode(args), wire.encode(kwargs)]
        return ["v", value] if after == [arguments, keywords] else ["v", value, after]
    except MemoryError:
        return _TOO_LARGE
    except BaseException:
        return _UNSENDABLE


def _dump(reply: list[Any], limit: int) -> bytes:
    try:
        text = wire.text_of(reply)
    except BaseException:
        text = wire.text_of(_UNSENDABLE)
    if len(text) > limit:
        text = wire.text_of(_TOO_LARGE)
    return text.encode("ascii")


def serve(link: Link) -> None:
    """Role ``solution``. First request: JSON with source, whether to watch it, entry point, calls known beforehand,
    bytes of a reply."""
    task = json.loads(link.receive() or b"")
    entry_point, limit = task["entry_point"], task["limit"]
    watch = Watch(_FILENAME)
    try:
        module = load(task["source"])
    except BaseException as error:
        link.send(_dump(_failure(error), limit))
        return
    link.send(_dump(["ok", exports(module)], limit))
    if task.get("watch"):
        watch.start()
    for call in task["calls"]:
        watch.calls += 1
        link.send(_dump(answer(module, entry_point, call), limit))
    while (frame := link.receive()) is not None:
        request = json.loads(frame)
        # One call, which starts with its function's name, or a list of them.
        for call in request if type(request[0]) is list else (request,):
            watch.calls += 1
            link.send(_dump(answer(module, entry_point, call), limit))
