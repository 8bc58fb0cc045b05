"""How fast the service answers, and so when a client that was sent away should come again."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

__all__ = ["LEAST_S", "MOST_S", "Pace"]

LEAST_S, MOST_S = 1, 60
"""Bounds of Retry-After, seconds."""
_WEIGHT = 0.3
"""Of the last answer in the running mean."""


class Pace:
    """Seconds of the whole service, all workers together, per item answered. Used on the event loop alone."""

    def __init__(self, longest_s: float = MOST_S, clock: Callable[[], float] = time.monotonic) -> None:
        """Args:
        longest_s: seconds in which everything accepted is answered, whatever the pace.
        """
        self._most_s = max(LEAST_S, min(MOST_S, math.ceil(longest_s)))
        self._clock = clock
        self._since = clock()
        """The last answer, or when there was something to do again."""
        self._seconds: float | None = None

    def begin(self) -> None:
        """There was nothing to do, and now there is."""
        self._since = self._clock()

    def answered(self, items: int) -> None:
        """A request with this many items was judged."""
        now = self._clock()
        each = (now - self._since) / max(1, items)
        self._since = now
        self._seconds = each if self._seconds is None else (1 - _WEIGHT) * self._seconds + _WEIGHT * each

    def retry_after_s(self, queued: int) -> int:
        """Whole seconds in which so many items should be answered, at the pace of late.

        Where nothing has been answered for longer than that, as long as this has lasted: what is at work takes long.
        """
        needed = queued * (self._seconds or 0.0)
        return max(LEAST_S, min(self._most_s, math.ceil(max(needed, self._clock() - self._since))))
