"""Which user a box runs as that root started: another one each time.

The kernel counts threads by user over the whole machine (RLIMIT_NPROC, setrlimit(2)). Boxes of one user would have one
budget of them: what a solution takes in one box, or anybody else as nobody, solutions in others would lack.
"""

from __future__ import annotations

import random
from pathlib import Path

__all__ = ["NOBODY", "free_user"]

NOBODY = 65534
_FAR = range(2_100_000_000, 2_116_000_000)
"""Beyond what systemd gives to containers (up to 1,879,048,191, its UIDS-GIDS.md) and what SSSD maps users of a
directory to by default (up to 2,000,200,000, sssd-ldap(5)), and below 2**31, where programs err."""
_NEAR = range(61184, 65520)
"""Where root is one of a container that has no more than 65,536 users: those that systemd gives to services for as long
as they run (UIDS-GIDS.md of systemd)."""
_random = random.SystemRandom()


def free_user(uid_map: str | None = None) -> int:
    """Draw a user id that most likely nobody has; that of nobody where no range of them can be had.

    ``uid_map``: content of ``/proc/self/uid_map``; None: read it.
    """
    try:
        lines = (Path("/proc/self/uid_map").read_text() if uid_map is None else uid_map).splitlines()
        mapped = [(int(start), int(start) + int(count)) for start, _, count in map(str.split, lines)]
    except (OSError, ValueError):
        return NOBODY
    for users in (_FAR, _NEAR):
        if any(start <= users.start and users.stop <= stop for start, stop in mapped):
            return _random.choice(users)
    return NOBODY
