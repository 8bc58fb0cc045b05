"""All attacks, in the order of the threat list."""

from __future__ import annotations

import attacks_files
import attacks_forgery
import attacks_host
import attacks_kernel
import attacks_limits
import attacks_protocol
from escape_attack import DENIED, FROM_TEST, Attack

__all__ = ["BATTERY", "CASES"]

BATTERY: tuple[Attack, ...] = (
    *attacks_files.ATTACKS,
    *attacks_kernel.ATTACKS,
    *attacks_limits.ATTACKS,
    *attacks_forgery.ATTACKS,
    *attacks_protocol.ATTACKS,
    *attacks_host.ATTACKS,
)
LENT_TO_TESTS = "import the harness and its packages"
"""A judge lends tests a few words of pytest."""
CASES: tuple[tuple[Attack, str], ...] = (
    *((attack, mode) for attack in BATTERY for mode in attack.modes),
    *(
        (attack, FROM_TEST)
        for attack in BATTERY
        if attack.expected == DENIED
        and attack.kind in ("files", "network", "processes", "kernel")
        and attack.name != LENT_TO_TESTS
    ),
)
"""Every attack in every mode it is made in; those on the machine come from a test as well."""
