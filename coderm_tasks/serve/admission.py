"""How much the service has taken on: items, and bytes of bodies. Used on the event loop alone."""

from __future__ import annotations

from coderm_tasks.serve.pace import MOST_S, Pace

__all__ = ["Admission", "Place"]


class Admission:
    """Counts what was accepted and not yet answered."""

    def __init__(self, *, items: int, body_bytes: int, longest_s: float = MOST_S) -> None:
        """Args:
        items: how many there may be.
        body_bytes: how much their requests' bodies may take together.
        longest_s: seconds in which whatever is accepted is answered.
        """
        self.limit = items
        self.pace = Pace(longest_s)
        self.items = 0
        self.draining = False
        """Nothing more is accepted: the service is about to end."""
        self.body_limit = body_bytes
        self.body_bytes = 0
        self.places = 0
        """Requests accepted and not yet answered."""

    def enter(self) -> Place | None:
        """Accept a request, as one item until it is known how many it holds; None: there is no room."""
        if self.items >= self.limit or self.body_bytes >= self.body_limit:
            return None
        if not self.places:
            self.pace.begin()
        self.items += 1
        self.places += 1
        return Place(self)

    def retry_after_s(self) -> int:
        """Whole seconds after which who is sent away now should come again."""
        return self.pace.retry_after_s(self.items)


class Place:
    """One request's share."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._items = 1
        self._bytes = 0
        self._left = False

    def take_items(self, count: int) -> bool:
        """Take room for this many items in all; False: there is none."""
        more = max(0, count - self._items)
        if self._admission.items + more > self._admission.limit:
            return False
        self._items += more
        self._admission.items += more
        return True

    def take_bytes(self, count: int) -> bool:
        """Take room for more of the body; False: there is none."""
        if self._admission.body_bytes + count > self._admission.body_limit:
            return False
        self._bytes += count
        self._admission.body_bytes += count
        return True

    def judged(self) -> None:
        """What the request asked for is there."""
        self._admission.pace.answered(self._items)

    def leave(self) -> None:
        """Give the room back. Idempotent."""
        if not self._left:
            self._left = True
            self._admission.items -= self._items
            self._admission.body_bytes -= self._bytes
            self._admission.places -= 1
