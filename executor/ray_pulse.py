"""Whether the head of a cluster still answers.

Ray's core waits a minute for a head that is gone, within whatever call needs it first, and then ends the process
without a word of ours. So the head's port is looked at before such a call, and a run is ended in time to say why.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import time
from collections.abc import Callable

from executor.errors import ClusterError

__all__ = ["Pulse", "listens"]

_log = logging.getLogger(__name__)
_LOOK_EVERY_S = 5.0
_LOOK_AGAIN_S = 1.0
"""Once it did not answer."""
_CONNECT_S = 2.0
_RAYS_PATIENCE = "RAY_gcs_rpc_server_reconnect_timeout_s"
_RAYS_DEFAULT_S = 60.0


class Pulse:
    """Looks at one head, now and then. From one thread."""

    def __init__(
        self, address: str, *, patience_s: float | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Args:
        address: HOST:PORT of the head.
        patience_s: seconds for which it may be silent, as one that restarts is; None: half of what Ray's core waits.
        """
        self.address = address
        self._patience_s = _patience_s() if patience_s is None else patience_s
        self._clock = clock
        self._looked = clock()
        self._silent_since: float | None = None

    def beats(self, *, now: bool = False) -> bool:
        """Tell whether the head answered when it was last looked at; ``now``: look at once.

        Raises:
            ClusterError: it has been silent for too long.
        """
        again = _LOOK_EVERY_S if self._silent_since is None else _LOOK_AGAIN_S
        if now or self._clock() - self._looked >= again:
            self._look()
        return self._silent_since is None

    def _look(self) -> None:
        self._looked = self._clock()
        if listens(self.address):
            if self._silent_since is not None:
                _log.warning("the head of the Ray cluster at %s answers again", self.address)
            self._silent_since = None
            return
        if self._silent_since is None:
            self._silent_since = self._looked
            _log.warning(
                "the head of the Ray cluster at %s does not answer; waiting %g s for it",
                self.address,
                self._patience_s,
            )
        if self._looked - self._silent_since >= self._patience_s:
            raise ClusterError(
                f"the head of the Ray cluster at {self.address} is gone: start it again (ray start --head), and run "
                "the same command; what is judged is kept"
            )


def listens(address: str) -> bool:
    """Whether anybody takes connections at HOST:PORT."""
    host, _, port = address.rpartition(":")
    with contextlib.suppress(OSError), socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_S):
        return True
    return False


def _patience_s() -> float:
    with contextlib.suppress(ValueError):
        return float(os.environ.get(_RAYS_PATIENCE, _RAYS_DEFAULT_S)) / 2
    return _RAYS_DEFAULT_S / 2
