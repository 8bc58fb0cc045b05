"""All attacks, in the order of the threat list."""

from __future__ import annotations

import attacks_files
import attacks_forgery
import attacks_host
import attacks_kernel
import attacks_limits
import attacks_protocol
from escape_attack import Attack

__all__ = ["BATTERY", "CASES"]

BATTERY: tuple[Attack, ...] = (
    *attacks_files.ATTACKS,
    *attacks_kernel.ATTACKS,
    *attacks_limits.ATTACKS,
    *attacks_forgery.ATTACKS,
    *attacks_protocol.ATTACKS,
    *attacks_host.ATTACKS,
)
CASES: tuple[tuple[Attack, str], ...] = tuple((attack, mode) for attack in BATTERY for mode in attack.modes)
"""Every attack in every mode it is made in."""
