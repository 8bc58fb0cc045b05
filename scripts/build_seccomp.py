"""Build the shipped seccomp programs from executor/syscalls.py with libseccomp.

    python scripts/build_seccomp.py            write executor/data/*.bpf
    python scripts/build_seccomp.py --check    exit 1 where a shipped program differs

Needs the package pyseccomp and libseccomp (Debian: libseccomp2).
"""

from __future__ import annotations

import argparse
import errno
import sys
import tempfile
from pathlib import Path

import pyseccomp as seccomp

from executor.syscalls import ARCHITECTURES, BOX_ONLY, CELL, DENIED, program_name

TARGET = Path(__file__).parents[1] / "executor" / "data"
NUMBERS = {"x86_64": seccomp.Arch.X86_64, "aarch64": seccomp.Arch.AARCH64}

CLONE_THREAD = 0x10000
NEW_NAMESPACES = 0x7E020000 | 0x80
"""Every CLONE_NEW* flag, the time namespace included."""
TCGETS, FIONREAD, FIONBIO, FIOCLEX, FIONCLEX, TIOCGWINSZ = 0x5401, 0x541B, 0x5421, 0x5451, 0x5450, 0x5413


def build(kind: str, architecture: str) -> bytes:
    """Return the program of one kind for one architecture as BPF instructions."""
    program = seccomp.SyscallFilter(seccomp.ERRNO(errno.ENOSYS))
    wanted = NUMBERS[architecture]
    if seccomp.system_arch() != wanted:
        program.remove_arch(seccomp.Arch.NATIVE)
        program.add_arch(wanted)
    program.set_attr(seccomp.Attr.ACT_BADARCH, seccomp.KILL_PROCESS)
    allowed = CELL | BOX_ONLY if kind == "box" else CELL
    for name in sorted(allowed - {"clone", "ioctl", "prlimit64"}):
        program.add_rule(seccomp.ALLOW, name)
    for name in sorted(DENIED - allowed):
        program.add_rule(seccomp.ERRNO(errno.EPERM), name)
    add_by_argument(program, kind)
    return export(program)


def add_by_argument(program: seccomp.SyscallFilter, kind: str) -> None:
    """Rules that look at arguments."""
    for request in (TCGETS, FIONREAD, FIONBIO, FIOCLEX, FIONCLEX, TIOCGWINSZ):
        program.add_rule(seccomp.ALLOW, "ioctl", seccomp.Arg(1, seccomp.MASKED_EQ, 0xFFFFFFFF, request))
    if kind == "box":
        program.add_rule(seccomp.ALLOW, "prlimit64")
        program.add_rule(seccomp.ALLOW, "clone", seccomp.Arg(0, seccomp.MASKED_EQ, NEW_NAMESPACES & ~0x80, 0))
    else:
        program.add_rule(seccomp.ALLOW, "prlimit64", seccomp.Arg(2, seccomp.EQ, 0))
        program.add_rule(seccomp.ERRNO(errno.EPERM), "prlimit64", seccomp.Arg(2, seccomp.NE, 0))
        flags = NEW_NAMESPACES & ~0x80 | CLONE_THREAD
        program.add_rule(seccomp.ALLOW, "clone", seccomp.Arg(0, seccomp.MASKED_EQ, flags, CLONE_THREAD))
        program.add_rule(seccomp.ERRNO(errno.EPERM), "clone", seccomp.Arg(0, seccomp.MASKED_EQ, CLONE_THREAD, 0))


def export(program: seccomp.SyscallFilter) -> bytes:
    """Return the BPF instructions of a filter."""
    with tempfile.TemporaryFile() as file:
        program.export_bpf(file)
        file.seek(0)
        return file.read()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare, do not write")
    check = parser.parse_args().check
    stale = []
    for architecture in ARCHITECTURES:
        for kind in ("box", "cell"):
            path = TARGET / program_name(kind, architecture)
            code = build(kind, architecture)
            if check:
                stale += [path.name] if not path.is_file() or path.read_bytes() != code else []
            else:
                path.write_bytes(code)
                print(f"{path.name}: {len(code) // 8} instructions")
    if stale:
        print(f"stale: {', '.join(stale)}; run: make seccomp", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
