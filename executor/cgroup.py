"""A control group for each worker, where this machine lets us make one: one bound on all its boxes together.

The limits of single processes (:mod:`executor.inside.lockdown`) hold everywhere; a group also bounds what several
processes of a box, and kernel memory on their behalf, may take in sum. Both hierarchies are used: version 2 where the
parent hands its controllers down (systemd's ``Delegate=yes``), version 1 where we may write to it (root, mostly).

Several containers may share a hierarchy, each with process ids of its own. A group is therefore named after the
namespace of process ids and the process of the engine that made it, ``coderm-<namespace>-<pid>-<worker>``: no two
engines make the same one, and no engine takes the group of another container's for that of a dead one.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from uuid import uuid4

from msgspec import Struct

from executor.model import Limits

__all__ = ["GroupHome", "GroupLimits", "WorkerGroup", "group_homes", "limits_of", "remove_leftovers"]

ROOT = Path("/sys/fs/cgroup")
_PREFIX = "coderm-"
_SWAP = "memory.swap.max"
"""Version 2 bounds swap apart from memory."""
_PROCESSES = 512
_WORKER_MIB = 512
"""The worker itself and the interpreters of its two boxes."""
_BOXES = 2
_PATIENCE_S = 2.0


class GroupLimits(Struct, frozen=True):
    """What all processes of one worker may take together."""

    memory_bytes: int
    processes: int


def limits_of(limits: Limits) -> GroupLimits:
    """Room for one cell in each box, and for the worker."""
    return GroupLimits((_BOXES * limits.memory_mb + _WORKER_MIB) << 20, _PROCESSES)


class GroupHome(Struct, frozen=True):
    """A folder in which groups can be made, and the files that hold their limits."""

    folder: Path
    files: Mapping[str, str]
    """Field of :class:`GroupLimits` -> file."""


_V1_FILES = {"memory": {"memory_bytes": "memory.limit_in_bytes"}, "pids": {"processes": "pids.max"}}
_V2_FILES = {"memory_bytes": "memory.max", "processes": "pids.max"}


def group_homes(root: Path = ROOT, membership: str | None = None) -> list[GroupHome]:
    """Where groups can be made on this machine; empty where nowhere.

    Args:
        root: where the hierarchies are mounted.
        membership: contents of /proc/self/cgroup; None: read it.
    """
    if membership is None:
        try:
            membership = Path("/proc/self/cgroup").read_text(encoding="utf-8")
        except OSError:
            return []
    homes = []
    for line in membership.splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers and (root / "cgroup.controllers").exists():
            homes += _delegated(root / path.lstrip("/"), root)
        for controller in controllers.split(","):
            folder = root / controller / path.lstrip("/")
            if controller in _V1_FILES and os.access(folder, os.W_OK) and (folder / "cgroup.procs").exists():
                homes.append(GroupHome(folder, _V1_FILES[controller]))
    return homes


def _delegated(own: Path, root: Path) -> list[GroupHome]:
    """Our own group, or the one above it, if its controllers are handed down to groups made in it."""
    with contextlib.suppress(OSError):
        if not _hands_down(own):
            # Fails where processes sit in the group itself: the kernel wants them in its leaves.
            (own / "cgroup.subtree_control").write_text("+memory +pids", encoding="ascii")
    for folder in (own, own.parent):
        # Of the group above only what was handed down to us by whoever manages it is used, and nothing is changed.
        if folder != root.parent and os.access(folder, os.W_OK) and _hands_down(folder):
            return [GroupHome(folder, _V2_FILES)]
    return []


def _hands_down(folder: Path) -> bool:
    try:
        return {"memory", "pids"} <= set((folder / "cgroup.subtree_control").read_text(encoding="ascii").split())
    except OSError:
        return False


class WorkerGroup:
    """The groups of one worker. Made by the engine, entered by the worker, removed when the worker has ended."""

    def __init__(self, folders: tuple[Path, ...]) -> None:
        self.folders = folders

    @classmethod
    def make(cls, name: str, limits: GroupLimits, homes: list[GroupHome]) -> WorkerGroup:
        """Make a group in each home, as far as that can be done."""
        folders = []
        for home in homes:
            folder = home.folder / f"{_own_prefix()}{os.getpid()}-{name}"
            try:
                folder.mkdir()
                for field, file in home.files.items():
                    (folder / file).write_text(str(getattr(limits, field)), encoding="ascii")
                if (folder / _SWAP).exists():
                    (folder / _SWAP).write_text("0", encoding="ascii")
            except OSError:
                with contextlib.suppress(OSError):
                    folder.rmdir()
                continue
            folders.append(folder)
        return cls(tuple(folders))

    def enter(self, pid: int) -> None:
        """Put a process, and with it all that it will start, into the groups. Where that fails its own limits hold."""
        for folder in self.folders:
            with contextlib.suppress(OSError):
                (folder / "cgroup.procs").write_text(str(pid), encoding="ascii")

    def remove(self) -> None:
        """Remove the groups once their processes are gone, for which they get a moment. Idempotent, raises nothing."""
        deadline = time.monotonic() + _PATIENCE_S
        while self.folders:
            self.folders = tuple(folder for folder in self.folders if not _removed(folder))
            if time.monotonic() > deadline:
                break
            if self.folders:
                time.sleep(0.01)


def remove_leftovers(homes: list[GroupHome]) -> None:
    """Remove the empty groups of engines that were killed, of this namespace of process ids alone."""
    for home in homes:
        for folder, pid in _groups_in(home.folder):
            if not Path(f"/proc/{pid}").exists():
                _removed(folder)


def _own_prefix() -> str:
    try:
        namespace = Path("/proc/self/ns/pid").stat().st_ino
    except OSError:  # no /proc, or one that hides it: nobody's groups are ours to remove then
        return f"{_PREFIX}{uuid4().hex}-"
    return f"{_PREFIX}{namespace}-"


def _groups_in(folder: Path) -> Iterator[tuple[Path, int]]:
    with contextlib.suppress(OSError):
        prefix = _own_prefix()
        for path in sorted(folder.glob(f"{prefix}*-*")):
            pid = path.name[len(prefix) :].split("-")[0]
            if pid.isdigit():
                yield path, int(pid)


def _removed(folder: Path) -> bool:
    try:
        folder.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True
