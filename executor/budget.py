"""How much time the calls of one solution may still take."""

from __future__ import annotations

import msgspec

from executor.model import Limits

__all__ = ["Budget"]

_LEAST_CPU_S = 0.01


class Budget:
    """Limits of one solution's calls, which shrink after its first timeout and end with :attr:`Limits.max_timeouts`."""

    def __init__(self, limits: Limits, *, one_process: bool = False) -> None:
        """Args:
        limits: those of the first calls.
        one_process: the calls belong in one process, so where it ends, however it ends, none is made after it.
        """
        self.limits = limits
        """Limits of the next call."""
        self.letter = ""
        """Verdict of the last call that did not come back."""
        self.shrunk = False
        """True where later calls have less time than the first."""
        self._timeouts = 0
        self._patience = limits.patience
        self._one_process = one_process

    def note(self, letter: str) -> None:
        """Take note of a call that did not come back: it timed out, used up its memory, or ended its process."""
        self.letter = letter
        if letter == "E" and not self._one_process:
            return
        self._timeouts += 1
        if letter == "T" and self._patience < 1.0:
            self.shrunk = True
            cpu_s = max(_LEAST_CPU_S, self._patience * self.limits.cpu_s)
            self.limits = msgspec.structs.replace(self.limits, cpu_s=cpu_s)
            self._patience = 1.0

    @property
    def spent(self) -> bool:
        """True where no further call is to be made."""
        if self._one_process and self._timeouts:
            return True
        return self.limits.max_timeouts is not None and self._timeouts >= self.limits.max_timeouts
