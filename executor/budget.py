"""How much time the calls of one solution may still take."""

from __future__ import annotations

import msgspec

from executor.model import Limits

__all__ = ["Budget"]

_LEAST_CPU_S = 0.01


class Budget:
    """Limits of one solution's calls, which shrink after its first timeout and end with :attr:`Limits.max_timeouts`."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        """Limits of the next call."""
        self.letter = ""
        """Verdict of the last call that did not come back."""
        self._ends = 0
        self._patience = limits.patience

    def note(self, letter: str) -> None:
        """Count a call that did not come back: it timed out, or ended its process."""
        self._ends += 1
        self.letter = letter
        if letter == "T" and self._patience < 1.0:
            cpu_s = max(_LEAST_CPU_S, self._patience * self.limits.cpu_s)
            self.limits = msgspec.structs.replace(self.limits, cpu_s=cpu_s)
            self._patience = 1.0

    @property
    def spent(self) -> bool:
        """True where no further call is to be made."""
        return self.limits.max_timeouts is not None and self._ends >= self.limits.max_timeouts
