"""The box's command line: a pure function of what was found on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from executor.guests import NOBODY
from executor.view import View

__all__ = ["INSIDE", "BoxPlan", "box_argv"]

INSIDE = "/box/inside"
"""Where :mod:`executor.inside` appears in the box."""
FILTER = "/box-filter.bpf"
"""Where the cell's seccomp program appears in the box."""
PACKAGES = "/packages"
"""Where third-party packages that solutions may import appear in the box."""
# Without -I, which would ignore PYTHONHASHSEED. The environment holds nothing of the host's, and the working folder is
# not on the path.
_BOOT = "import sys; sys.path[:1] = ['/box']; from inside.zygote import main; main(sys.argv[1:])"
_DEVICES = ("/dev/null", "/dev/urandom")
_ENVIRONMENT = {
    "PYTHONHASHSEED": "0",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "LC_ALL": "C.UTF-8",
    "HOME": "/",
}


class BoxPlan(Struct, frozen=True, kw_only=True):
    """Everything that decides a box's command line."""

    bwrap: str
    view: View
    inside: str
    """Folder of :mod:`executor.inside` on the host."""
    cell_filter: str
    """File with the cell's seccomp program on the host."""
    privileged: bool
    """Started by a root that may make namespaces without a user namespace: the zygote then drops to a real
    unprivileged user (:mod:`executor.guests`). Otherwise a user namespace maps the caller to nobody."""
    environment: Mapping[str, str] = {}


def box_argv(plan: BoxPlan, seccomp_fd: int, user: int = NOBODY) -> list[str]:
    """Return the argument vector that starts one box.

    ``seccomp_fd`` holds the box's own seccomp program. ``user``: whom a box that root starts runs as.
    """
    return [
        plan.bwrap,
        *_namespaces(plan.privileged),
        *("--die-with-parent", "--new-session", "--as-pid-1"),
        *_capabilities(plan.privileged),
        *_environment(plan),
        *_mounts(plan),
        *("--remount-ro", "/", "--chdir", "/"),
        *("--seccomp", str(seccomp_fd)),
        *("--", plan.view.python, "-s", "-S", "-B", "-X", "utf8", "-c", _BOOT),
        *(FILTER, str(user), str(NOBODY), PACKAGES),
    ]


def _namespaces(privileged: bool) -> list[str]:
    common = ["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"]
    common += ["--hostname", "box"]
    if privileged:
        return common
    return ["--unshare-user", "--uid", str(NOBODY), "--gid", str(NOBODY), *common]


def _capabilities(privileged: bool) -> list[str]:
    keep = ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"] if privileged else []
    return ["--cap-drop", "ALL", *keep]


def _environment(plan: BoxPlan) -> list[str]:
    argv = ["--clearenv"]
    for name, value in {**_ENVIRONMENT, **plan.environment}.items():
        argv += ["--setenv", name, value]
    return argv


def _mounts(plan: BoxPlan) -> list[str]:
    """Parents before children; no mount point below a writable bind (CVE-2026-87766), because there is none."""
    shown = [(path, path) for path in sorted(plan.view.paths, key=lambda path: (len(Path(path).parts), path))]
    shown += [(path, f"{PACKAGES}/{Path(path).name}") for path in plan.view.packages]
    shown += [(plan.inside, INSIDE), (plan.cell_filter, FILTER)]
    argv = _folders([guest for _, guest in shown])
    for host, guest in shown:
        argv += ["--ro-bind", host, guest]
    for path in plan.view.hidden:
        argv += ["--perms", "0755", "--tmpfs", path, "--remount-ro", path]
    for device in _DEVICES:
        argv += ["--dev-bind", device, device]
    return argv


def _folders(guests: list[str]) -> list[str]:
    """Make the folders above the mount points ourselves: bubblewrap makes them readable for its own user only."""
    parents = {parent for guest in (*guests, *_DEVICES) for parent in Path(guest).parents if parent != Path("/")}
    argv = []
    for parent in sorted(parents, key=lambda parent: len(parent.parts)):
        argv += ["--perms", "0755", "--dir", str(parent)]
    return argv
