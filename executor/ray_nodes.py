"""The nodes of a Ray cluster: what each has installed, whether boxes start there, and which get work."""

from __future__ import annotations

import functools
import hashlib
import logging
import platform
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

from msgspec import Struct, convert, structs

from executor.errors import ClusterError, SandboxMissing

__all__ = [
    "Node",
    "NodeFacts",
    "ask",
    "choose_nodes",
    "facts_of_this_node",
    "living_nodes",
    "on_node",
    "survey",
    "with_facts",
]

_log = logging.getLogger(__name__)
_PACKAGE = "coderm-tasks"
_ANSWER_S = 90.0
"""A node may have to start a Python that imports Ray first."""
_NAMES = {
    "package": _PACKAGE,
    "python": "Python",
    "ray": "Ray",
    "numpy": "numpy",
    "machine": "processors",
    "code": "executor code",
}


class NodeFacts(Struct, frozen=True, kw_only=True):
    """What was found on a node."""

    package: str = ""
    """Version of coderm-tasks; empty: not installed."""
    python: str = ""
    ray: str = ""
    numpy: str = ""
    machine: str = ""
    """Its processors' architecture."""
    code: str = ""
    """Digest of this package's sources and seccomp programs: checkouts may differ under one version."""
    complaint: str = ""
    """Why no box starts there, and what mends it; empty where one does."""


class Node(Struct, frozen=True, kw_only=True):
    """A node of the cluster that has processors."""

    node_id: str
    name: str
    """For messages: its name, host and address."""
    cpus: int
    facts: NodeFacts = NodeFacts()


def facts_of_this_node(*, sandbox: bool = True) -> NodeFacts:
    """Look at this machine, as Ray started us on it. Raises nothing.

    ``sandbox``: start a box, too.
    """
    from executor.doctor import require_sandbox

    complaint = ""
    if sandbox:
        try:
            require_sandbox()
        except SandboxMissing as error:
            complaint = str(error)
    return NodeFacts(
        package=_version(_PACKAGE),
        python=platform.python_version(),
        ray=_version("ray"),
        numpy=_version("numpy"),
        machine=platform.machine(),
        code=_code_digest(),
        complaint=complaint,
    )


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


@functools.lru_cache(maxsize=1)
def _code_digest() -> str:
    digest = hashlib.sha256()
    folder = Path(__file__).parent
    for path in sorted(path for pattern in ("*.py", "*.bpf") for path in folder.rglob(pattern)):
        digest.update(f"{path.relative_to(folder)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


def living_nodes(ray: Any) -> list[Node]:
    """The nodes of the cluster that are alive and have processors, not looked at yet."""
    return [node for node in map(_node, ray.nodes()) if node is not None]


def survey(ray: Any, expected: NodeFacts) -> list[Node]:
    """Look at every living node that has processors, at all of them at the same time.

    Args:
        ray: the module, connected.
        expected: what this process has.

    Raises:
        ClusterError: no node has processors.
    """
    nodes = living_nodes(ray)
    if not nodes:
        raise ClusterError(
            "the Ray cluster has no living node with CPUs; expected at least one; start one: ray start --address=..."
        )
    asked = [ask(ray, node, expected.package) for node in nodes]
    ray.wait(asked, num_returns=len(asked), timeout=_ANSWER_S)
    return [_looked_at(ray, node, answer) for node, answer in zip(nodes, asked)]


def ask(ray: Any, node: Node, package: str) -> Any:
    """Have a node looked at; returns the reference of its answer, for :func:`with_facts`."""
    # Without processors of its own: it has to run on nodes that are busy, too.
    options = {"num_cpus": 0, "max_retries": 1, "name": "coderm doctor"}
    return ray.remote(_make_looker()).options(scheduling_strategy=on_node(node), **options).remote(package)


def on_node(node: Node) -> Any:
    """Ray's scheduling strategy for what has to run on this node and no other."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    return NodeAffinitySchedulingStrategy(node.node_id, soft=False)


def _make_looker() -> Any:
    """Make the function that runs on the node. It is defined in here so that Ray ships its code, not its name."""

    def look(expected: str) -> dict[str, str]:
        import importlib.metadata
        import platform

        found = {"python": platform.python_version()}
        for key, package in (("package", "coderm-tasks"), ("ray", "ray"), ("numpy", "numpy")):
            try:
                found[key] = importlib.metadata.version(package)
            except importlib.metadata.PackageNotFoundError:
                found[key] = ""
        if found["package"] != expected:
            return found
        try:
            from executor.ray_nodes import facts_of_this_node
        except ImportError as error:
            return {**found, "complaint": f"{error}; pip install 'coderm-tasks[ray]' there"}
        facts = facts_of_this_node()
        return {name: getattr(facts, name) for name in facts.__struct_fields__}

    return look


def _node(record: dict[str, Any]) -> Node | None:
    cpus = int(record.get("Resources", {}).get("CPU", 0))
    if not record["Alive"] or cpus < 1:
        return None
    parts = (record.get("NodeName"), record.get("NodeManagerHostname"), record.get("NodeManagerAddress"))
    name, *where = dict.fromkeys(part for part in parts if part)
    node_id = record["NodeID"]
    return Node(node_id=node_id, name=f"{name} ({', '.join((*where, node_id[:8]))})", cpus=cpus)


def _looked_at(ray: Any, node: Node, answer: Any) -> Node:
    if ray.wait([answer], timeout=0)[0]:
        return with_facts(ray, node, answer.future())
    ray.cancel(answer)
    return structs.replace(
        node, facts=NodeFacts(complaint=f"it did not answer within {_ANSWER_S:.0f} s; see its Ray logs")
    )


def with_facts(ray: Any, node: Node, answer: Any) -> Node:
    """Return the node with what was found there.

    ``answer``: a future of :func:`ask`'s, done or about to be.
    """
    try:
        facts = convert(answer.result(), NodeFacts)
    except ray.exceptions.RayError as error:
        facts = NodeFacts(complaint=f"it could not be looked at ({_last_line(error)}); see its Ray logs")
    return structs.replace(node, facts=facts)


def _last_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


def choose_nodes(nodes: Iterable[Node], expected: NodeFacts) -> list[Node]:
    """Return the nodes that can work; warn of those that have no sandbox.

    Raises:
        ClusterError: a node has other versions than this process: its verdicts might differ.
        SandboxMissing: no node has a sandbox; names each of them and what mends it.
    """
    nodes = list(nodes)
    other = [f"node {node.name} has {said}" for node in nodes if (said := _differences(node.facts, expected))]
    if other:
        raise ClusterError(
            f"{'; '.join(other)}; expected the same on every node, or verdicts may differ; "
            f"install coderm-tasks[ray]=={expected.package} and what it runs on alike"
        )
    without = [(node.name, _complaint(node.facts, expected)) for node in nodes]
    without = [(name, complaint) for name, complaint in without if complaint]
    if len(without) == len(nodes):
        named = "; ".join(f"node {name}: {complaint}" for name, complaint in without)
        raise SandboxMissing(f"no node of the Ray cluster can run the sandbox: {named}")
    for name, complaint in without:
        _log.warning("node %s gets no work, as it cannot run the sandbox: %s", name, complaint)
    return [node for node in nodes if not _complaint(node.facts, expected)]


def _complaint(facts: NodeFacts, expected: NodeFacts) -> str:
    if not facts.package and not facts.complaint:
        return f"{_PACKAGE} is not installed there; pip install '{_PACKAGE}[ray]=={expected.package}'"
    return facts.complaint


def _differences(facts: NodeFacts, expected: NodeFacts) -> str:
    """Which versions differ, where both are known and the node could work."""
    if not facts.package:
        return ""
    pairs = [(text, getattr(facts, name), getattr(expected, name)) for name, text in _NAMES.items()]
    return ", ".join(f"{text} {its} (here {ours})" for text, its, ours in pairs if its and its != ours)
