"""The reward, and whole pass matrices, over HTTP: ``coderm serve`` (extra ``serve``).

::

    gate       token, size of the body, room in the queue: before a byte of the body is read
    readers    processes in which bodies are parsed and tests are read, so that no text holds up the service
    app        hands what was read to the scheduler of :mod:`coderm_tasks.reward`, and answers
    run        the process: socket, signals, a shutdown that answers what was accepted

Importing this package imports neither FastAPI nor uvicorn.
"""

from coderm_tasks.serve.options import ServeOptions

__all__ = ["ServeOptions"]
