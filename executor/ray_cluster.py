"""The connection to a Ray cluster: find it, connect quietly or say at once why not, and let go of it."""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator
from typing import Any

from executor.errors import ClusterError
from executor.ray_probe import refusal

__all__ = ["AUTO", "Connection", "import_ray"]

AUTO = "auto"
"""The cluster that RAY_ADDRESS names, or else the one that runs on this machine."""
_CONNECT_S = 5.0
_SHOWN = 500
_REMEDY = "start one (ray start --head, then ray start --address=HOST:PORT on each node) or give its --ray-address"
_PORT = "expected the port that ray start --head names (6379 unless told otherwise), not the dashboard's or ray:// one"
_log = logging.getLogger(__name__)
_lock = threading.Lock()
_held: list[Connection] = []
"""Connections that are open. The first of them connected this process, the last to be closed disconnects it."""
_rays_own: list[Any] = []
"""The function of Ray's in whose place ours is while this process is connected."""
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_SETTINGS = 4
"""Type of the frame that either side of an HTTP/2 connection sends first (RFC 9113, section 3.4)."""


def import_ray() -> Any:
    """Return the module ``ray``.

    Raises:
        ClusterError: it is not installed.
    """
    try:
        return importlib.import_module("ray")
    except ImportError as error:
        raise ClusterError(
            f"the ray engine needs Ray, which cannot be imported ({error}); pip install 'coderm-tasks[ray]'"
        ) from error


class Connection:
    """This process as a driver of a cluster. Whoever had connected it before keeps the connection after us."""

    def __init__(self, address: str = AUTO) -> None:
        """Args:
        address: ``auto``, or HOST:PORT of the cluster's head.

        Raises:
            ClusterError: Ray is not installed, the address is none, no cluster answers there, or it has another
                version of Ray or Python.
        """
        self.ray = import_ray()
        self._ours: bool
        """We connected this process."""
        with _lock:
            if self.ray.is_initialized():
                _check_same(self.ray, address)
                self._ours = bool(_held) and _held[0]._ours
            else:
                _connect(self.ray, _reachable(address))
                self._ours = True
            _held.append(self)

    def close(self) -> None:
        """Disconnect, unless somebody else still needs the connection. Idempotent."""
        with _lock:
            if self in _held:
                _held.remove(self)
                if self._ours and not _held:
                    self.ray.shutdown()
                    _let_ray_print()


def _connect(ray: Any, address: str) -> None:
    _divert_messages()
    with _own_signals():
        try:
            # Standard output is the verbs' own: what workers print stays in the logs of their nodes.
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, namespace="coderm")
        except (ConnectionError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
            _let_ray_print()
            said = " ".join(str(error).split())[:_SHOWN]
            if said.startswith("Version mismatch"):
                raise ClusterError(
                    f"the Ray cluster at {address} has other versions than this process: {said}; expected the same "
                    "Ray and Python everywhere; install those of the cluster here, or these on every node"
                ) from error
            raise ClusterError(
                f"the Ray cluster at {address} cannot be used ({said}; Ray's own lines may say more); {_PORT}; "
                "or start one: ray start --head"
            ) from error


def _divert_messages() -> None:
    """Have Ray tell our log what it tells drivers: it prints that on standard output, and has no switch for it."""
    from ray._private import worker

    def tell(data: Any, *rest: Any, **named: Any) -> None:
        _log.info("Ray says: %s", " ".join(" ".join(data["lines"]).split())[:_SHOWN])

    _rays_own.append(worker.print_to_stdstream)
    worker.print_to_stdstream = tell


def _let_ray_print() -> None:
    """Undo it: whoever connects this process after us may want to see it."""
    from ray._private import worker

    while _rays_own:
        worker.print_to_stdstream = _rays_own.pop()


def _check_same(ray: Any, address: str) -> None:
    connected = ray.get_runtime_context().gcs_address
    if address == AUTO:
        return
    host, port = _endpoint(address)
    if host.startswith("127."):
        host = ray.util.get_node_ip_address()  # under which Ray knows this machine
    if (host, port) != _endpoint(connected):
        raise ClusterError(
            f"this process is connected to the Ray cluster at {connected}, got --ray-address {address}; expected one "
            "cluster; leave the address out, or call ray.shutdown() first"
        )


def _endpoint(address: str) -> tuple[str, int]:
    """Host, as an IP where it can be found, and port."""
    host, _, port = address.rpartition(":")
    if not host or "//" in address or not port.isdecimal() or not 0 < int(port) < 65536:
        hint = "; a ray:// client is not supported: start the command on a node" if "//" in address else ""
        raise ClusterError(f"--ray-address is {address!r}: expected {AUTO}, or HOST:PORT of the cluster's head{hint}")
    try:
        found = socket.gethostbyname(host.strip("[]"))
    except OSError:
        found = host
    return found, int(port)


def _reachable(address: str) -> str:
    """Return HOST:PORT, where something listens. Ray itself would try for two minutes, and then end the process."""
    resolved = _resolve_auto() if address == AUTO else address
    endpoint = _endpoint(resolved)
    try:
        with socket.create_connection(endpoint, timeout=_CONNECT_S) as connection:
            if not _speaks_http2(connection):
                raise ClusterError(f"no Ray cluster: who listens at {resolved} is not the head of one; {_PORT}")
    except OSError as error:
        said = f"nobody listens at {resolved}: {error.strerror or error}"
        if address == AUTO:
            said = f"got --ray-address {AUTO}, whose last known cluster is gone ({said})"
        raise ClusterError(f"no Ray cluster: {said}; {_REMEDY}") from error
    _check_head(resolved)
    return resolved


def _check_head(address: str) -> None:
    """Ray's other ports speak gRPC too, and a head may want a token: Ray would try either for twenty seconds."""
    if (found := refusal(address)) is None:
        return
    said, remedy = found
    if remedy:
        raise ClusterError(f"the Ray cluster at {address} refuses this process: {said[:_SHOWN]}; {remedy}")
    raise ClusterError(f"no Ray cluster: who listens at {address} is not the head of one ({said[:_SHOWN]}); {_PORT}")


def _speaks_http2(connection: socket.socket) -> bool:
    """Whether the other side may be Ray's head, which speaks gRPC. Other servers would keep Ray waiting for minutes."""
    if os.environ.get("RAY_USE_TLS", "0").lower() in ("1", "true"):
        return True  # it says nothing before a handshake
    try:
        connection.sendall(_PREFACE + bytes((0, 0, 0, _SETTINGS, 0, 0, 0, 0, 0)))
        return connection.recv(4)[3:] == bytes((_SETTINGS,))
    except OSError:
        return False


def _resolve_auto() -> str:
    named = os.environ.get("RAY_ADDRESS")
    if named and named != AUTO:
        return named
    from ray._private.services import canonicalize_bootstrap_address, find_gcs_addresses

    with contextlib.suppress(AttributeError):
        find_gcs_addresses.cache_clear()
    try:
        return str(canonicalize_bootstrap_address(AUTO))
    except (ConnectionError, ValueError) as error:
        raise ClusterError(
            f"no Ray cluster: none runs on this machine, and RAY_ADDRESS is not set; {_REMEDY}"
        ) from error


@contextlib.contextmanager
def _own_signals() -> Iterator[None]:
    """Keep our handler of SIGTERM: Ray sets one of its own, which would leave our boxes and files behind."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
