"""Worker processes and the work in flight: hand out shards, take answers as they come, replace workers that die."""

from __future__ import annotations

import contextlib
import logging
import queue
import subprocess
import threading
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import msgspec

from executor import child_process
from executor.cgroup import GroupHome, WorkerGroup, group_homes, limits_of, remove_leftovers
from executor.errors import SandboxError
from executor.inside.frames import pack, read_frame, write_all
from executor.worker import Failure, Request, Response, Setup

__all__ = ["Crew", "Worker"]

_log = logging.getLogger(__name__)
_RESPONSES = msgspec.msgpack.Decoder(Response)
_ATTEMPTS = 2
"""Times a shard is tried when the worker itself dies under it."""


class Worker:
    """One worker process, used by one thread. It starts with :meth:`warm` or its first shard and stays warm until
    :meth:`close`."""

    def __init__(self, setup: Setup, homes: list[GroupHome]) -> None:
        self._setup = setup
        self._process: subprocess.Popen[bytes] | None = None
        self._homes = homes
        self._group = WorkerGroup(())
        self.closed = False
        self.busy = threading.Lock()
        """Held while a shard is served: a run that was abandoned may still have one with this worker."""

    def ask(self, shard: Request) -> Response:
        """Have the shard served; raises OSError or EOFError where the process dies."""
        answer: Response = _RESPONSES.decode(self.exchange(msgspec.msgpack.encode(shard)))
        return answer

    def exchange(self, shard: bytes) -> bytes:
        """The same, with shard and answer as MessagePack. Raises SandboxError, too, once it is closed."""
        process = self._started()
        assert process.stdin is not None
        assert process.stdout is not None
        write_all(process.stdin.fileno(), pack(shard))
        frame = read_frame(process.stdout.fileno())
        if frame is None:
            raise EOFError("the worker process ended")
        return frame

    def warm(self) -> None:
        """Start the process ahead of its first shard. Raises nothing: what fails here is tried again for the shard."""
        if self.busy.acquire(blocking=False):
            try:
                self._started()
            except (OSError, SandboxError) as error:
                _log.debug("a worker process does not start yet: %s", error)
                self.kill()  # it may have started and not have been told how to work
            finally:
                self.busy.release()

    def _started(self) -> subprocess.Popen[bytes]:
        if self.closed:
            raise SandboxError("this executor is closed; open another")
        if self._process is None:
            self._process = child_process.start("executor.worker")
            assert self._process.stdin is not None
            if not self._group.folders:
                self._group = WorkerGroup.make(uuid4().hex[:8], limits_of(self._setup.limits), self._homes)
            # Before it hears how to make boxes: they shall all be in the group.
            self._group.enter(self._process.pid)
            write_all(self._process.stdin.fileno(), pack(msgspec.msgpack.encode(self._setup)))
        return self._process

    def close(self) -> None:
        """Kill the process, for good. Idempotent."""
        self.closed = True
        self.kill()
        self._group.remove()

    def kill(self) -> None:
        """Kill the process; its boxes die with it, and the next shard starts another."""
        process, self._process = self._process, None
        if process is not None:
            child_process.end(process)


class Crew:
    """Workers, each driven by a thread. Processes start with the first shard, or with :meth:`warm`, and stay warm until
    :meth:`close`."""

    def __init__(self, size: int, setup: Setup) -> None:
        homes = group_homes()
        remove_leftovers(homes)
        self._workers = [Worker(setup, homes) for _ in range(size)]

    def warm(self) -> None:
        """Have all processes and their boxes start now, while the caller does something else. Raises nothing."""
        for worker in self._workers:
            worker.warm()

    def map(self, tickets: Iterator[tuple[Any, Request | None]]) -> Iterator[tuple[Any, Response | None]]:
        """Serve ``(ticket, shard)`` pairs, yield ``(ticket, answer)`` in order of completion.

        At most two shards per worker are taken from ``tickets`` ahead of their answers. A pair without a shard comes
        back at once.

        Raises:
            SandboxError: a box, or a worker, failed for good.
        """
        todo: queue.SimpleQueue[tuple[Any, Request] | None] = queue.SimpleQueue()
        done: queue.SimpleQueue[tuple[Any, Response | BaseException]] = queue.SimpleQueue()
        threads = [
            threading.Thread(target=_drive, args=(worker, todo, done), daemon=True, name=f"coderm-worker-{number}")
            for number, worker in enumerate(self._workers)
        ]
        for thread in threads:
            thread.start()
        try:
            yield from _pump(tickets, todo, done, ahead=2 * len(threads))
        finally:
            # Not joined: after an error or an interrupt a thread may still wait for its worker, and nobody for it.
            with contextlib.suppress(queue.Empty):
                while True:
                    todo.get_nowait()
            for _ in threads:
                todo.put(None)

    def close(self) -> None:
        """Kill all workers. Idempotent."""
        for worker in self._workers:
            worker.close()


def _pump(
    tickets: Iterator[tuple[Any, Request | None]],
    todo: queue.SimpleQueue[tuple[Any, Request] | None],
    done: queue.SimpleQueue[tuple[Any, Response | BaseException]],
    ahead: int,
) -> Iterator[tuple[Any, Response | None]]:
    in_flight = 0
    more = True
    while more or in_flight:
        while more and in_flight < ahead:
            try:
                ticket, shard = next(tickets)
            except StopIteration:
                more = False
                break
            if shard is None:
                yield ticket, None
            else:
                todo.put((ticket, shard))
                in_flight += 1
        if in_flight:
            ticket, answer = done.get()
            in_flight -= 1
            if isinstance(answer, BaseException):
                raise answer
            yield ticket, answer


def _drive(
    worker: Worker,
    todo: queue.SimpleQueue[tuple[Any, Request] | None],
    done: queue.SimpleQueue[tuple[Any, Response | BaseException]],
) -> None:
    while (item := todo.get()) is not None:
        ticket, shard = item
        try:
            done.put((ticket, _insist(worker, shard)))
        except Exception as error:  # noqa: BLE001 - the thread's errors belong to whoever waits for its answers
            done.put((ticket, error))


def _insist(worker: Worker, shard: Request) -> Response:
    """Serve a shard; where the worker process dies under it, once more with a new one."""
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            with worker.busy:
                answer = worker.ask(shard)
        except (OSError, EOFError, ValueError, msgspec.MsgspecError) as error:
            worker.kill()
            if worker.closed:
                raise SandboxError("this executor was closed while it worked") from error
            _log.warning("a worker process died (%s), attempt %d of %d", error, attempt, _ATTEMPTS)
            continue
        if isinstance(answer, Failure):
            raise SandboxError(answer.message)
        return answer
    raise SandboxError("worker processes die under the same work; see their messages above, and run: coderm doctor")
