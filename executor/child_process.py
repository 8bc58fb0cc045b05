"""A process of our own that serves frames on its standard input and output, and ends when we do: both ends of it."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
import threading

__all__ = ["command", "end", "follow_parent", "start"]

_BOOT = "import sys; sys.path[:] = {path!r}; from {module} import main; main()"


def command(module: str) -> list[str]:
    """The command that runs ``main`` of a module in a new interpreter, which finds the same packages."""
    return [sys.executable, "-c", _BOOT.format(path=[path for path in sys.path if path], module=module)]


def start(module: str) -> subprocess.Popen[bytes]:
    """Run ``main`` of a module in a new interpreter that finds the same packages. Raises OSError."""
    return subprocess.Popen(
        command(module),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
        # Out of the terminal's process group: Ctrl-C is the parent's to handle, once.
        start_new_session=True,
    )


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill it, wait for it and close its pipes. No other thread may be using them."""
    process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()


def follow_parent() -> None:
    """In the child: end with the parent from now on, also in the middle of work; what the child started ends too."""
    threading.Thread(target=_wait_for_its_end, daemon=True).start()


def _wait_for_its_end() -> None:
    poller = select.poll()
    poller.register(0, 0)
    poller.poll()
    os._exit(1)
