"""What the box may see of this machine: one Python interpreter, its standard library, its shared libraries.

Found by asking the interpreter and its dynamic loader, not by assuming a layout: a virtual environment, pyenv, conda,
uv or the distribution's Python all resolve to the base interpreter behind them.
"""

from __future__ import annotations

import functools
import importlib.util
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

from msgspec import Struct

from executor.errors import SandboxMissing

__all__ = ["View", "interpreter_view"]

_UNUSED_EXTENSIONS = (
    "_tkinter",
    "_curses",
    "readline",
    "_dbm",
    "_gdbm",
    "nis",
    "ossaudiodev",
    "spwd",
    "_test",
    "xxlimited",
)
_HIDDEN = ("site-packages", "dist-packages", "test", "idlelib", "ensurepip", "tkinter", "turtledemo")
_LDD_PATH = re.compile(r"(?:=>\s*)?(/\S+)\s+\(0x")


class View(Struct, frozen=True, kw_only=True):
    """Paths of the host that a box sees, at the same place and read-only."""

    python: str
    """Real path of the interpreter's executable."""
    paths: tuple[str, ...]
    """Files and folders to show."""
    hidden: tuple[str, ...]
    """Folders below ``paths`` that are covered by an empty one (site-packages above all)."""
    packages: tuple[str, ...] = ()
    """Folders of third-party packages, to be shown side by side in one folder of the box."""


@functools.lru_cache(maxsize=4)
def interpreter_view(packages: tuple[str, ...] = ()) -> View:
    """Describe the interpreter that runs this code, without its virtual environment.

    Args:
        packages: top-level packages solutions may import (``numpy``); those not installed here are left out.

    Raises:
        SandboxMissing: the interpreter's parts cannot be found.
    """
    base = getattr(sys, "_base_executable", None) or sys.executable
    python = Path(base).resolve()
    libraries = {_base_library(name) for name in ("stdlib", "platstdlib")}
    missing = [str(path) for path in (python, *libraries) if not path.exists()]
    if missing:
        raise SandboxMissing(
            f"this interpreter's {missing[0]} does not exist; run with a Python whose standard library is on disk"
        )
    extensions = [path for library in libraries for path in (library / "lib-dynload").glob("*.so")]
    wanted = [path for path in extensions if not path.name.startswith(_UNUSED_EXTENSIONS)]
    folders = [folder for name in packages for folder in _package_folders(name)]
    wanted += [path for folder in folders for path in folder.rglob("*.so*")]
    shared = _shared_libraries([python, *wanted])
    inside = tuple(f"{folder}/" for folder in (*libraries, *folders))
    outside = {path for path in shared if not path.startswith(inside)}
    hidden = [library / name for library in libraries for name in _HIDDEN if (library / name).is_dir()]
    return View(
        python=str(python),
        paths=tuple(str(path) for path in (python, *sorted(libraries), *sorted(outside))),
        hidden=tuple(str(path) for path in sorted(hidden)),
        packages=tuple(str(folder) for folder in folders),
    )


def _base_library(name: str) -> Path:
    """Folder of the standard library of the base interpreter, also where this code runs in a virtual environment."""
    base = dict.fromkeys(("base", "installed_base"), sys.base_prefix)
    platform_base = dict.fromkeys(("platbase", "installed_platbase"), sys.base_exec_prefix)
    return Path(sysconfig.get_path(name, vars={**base, **platform_base})).resolve()


def _package_folders(name: str) -> list[Path]:
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        return []
    folder = Path(next(iter(spec.submodule_search_locations))).resolve()
    bundled = folder.with_name(f"{name}.libs")
    return [folder, bundled] if bundled.is_dir() else [folder]


def _shared_libraries(binaries: list[Path]) -> set[str]:
    """Ask the dynamic loader which files these binaries need, the loader itself included."""
    try:
        found = subprocess.run(["ldd", *map(str, binaries)], capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SandboxMissing(f"ldd does not run ({error}); install it (Debian: apt-get install libc-bin)") from error
    return {path for path in _LDD_PATH.findall(found.stdout) if Path(path).is_file()}
