"""The parts of the Ray engine that need no cluster."""

from __future__ import annotations

import logging
import sys
from concurrent.futures import Future
from pathlib import Path
from typing import cast

import msgspec
import pytest

from executor import ClusterError, SandboxError, SandboxMissing, open_executor
from executor.ray_crew import _DEPTH, _LARGEST_PARCEL, _Hands, _Pace, _Parcel, _Run, _Shard
from executor.ray_nodes import Node, NodeFacts, choose_nodes, facts_of_this_node
from executor.ray_staff import Hand, Staff, _are, _left_over, _places
from executor.shards import ShardCells
from executor.worker import Failure

OURS = NodeFacts(package="0.1.0", python="3.11.7", ray="2.60.0", numpy="2.0.0", machine="x86_64", code="abc")


def node(name: str, *, cpus: int = 1, **changes: str) -> Node:
    return Node(node_id=name, name=name, cpus=cpus, facts=msgspec.structs.replace(OURS, **changes))


def test_nodes_like_this_one_get_work() -> None:
    nodes = [node("a"), node("b")]
    assert choose_nodes(nodes, OURS) == nodes


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"package": "9.9.9"}, "coderm-tasks 9.9.9 (here 0.1.0)"),
        ({"python": "3.11.8"}, "Python 3.11.8 (here 3.11.7)"),
        ({"ray": "2.1"}, "Ray 2.1 (here 2.60.0)"),
        ({"numpy": "1.26.0"}, "numpy 1.26.0 (here 2.0.0)"),
        ({"machine": "aarch64"}, "processors aarch64 (here x86_64)"),
        ({"code": "xyz"}, "executor code xyz (here abc)"),
    ],
)
def test_a_node_with_another_version_is_an_error_that_names_both(change: dict[str, str], said: str) -> None:
    with pytest.raises(ClusterError) as caught:
        choose_nodes([node("a"), node("b", **change)], OURS)
    assert f"node b has {said}" in str(caught.value)
    assert "node a" not in str(caught.value)


def test_a_node_without_a_sandbox_gets_no_work_and_is_named(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert choose_nodes([node("a"), node("b", complaint="no bwrap; pip install it")], OURS) == [node("a")]
    assert "node b gets no work" in caplog.text
    assert "no bwrap; pip install it" in caplog.text


def test_a_node_without_our_package_gets_no_work_whatever_else_it_has(caplog: pytest.LogCaptureFixture) -> None:
    assert choose_nodes([node("a"), node("b", package="", numpy="1.0", code="")], OURS) == [node("a")]
    assert "coderm-tasks is not installed there; pip install 'coderm-tasks[ray]==0.1.0'" in caplog.text


def test_where_no_node_has_a_sandbox_each_is_named_with_its_remedy() -> None:
    with pytest.raises(SandboxMissing) as caught:
        choose_nodes([node("a", complaint="no bwrap"), node("b", package="")], OURS)
    assert "node a: no bwrap" in str(caught.value)
    assert "node b: coderm-tasks is not installed" in str(caught.value)


def test_this_machine_knows_its_versions() -> None:
    facts = facts_of_this_node(sandbox=False)
    assert all((facts.package, facts.python, facts.numpy, facts.machine, facts.code))
    assert facts.python == ".".join(map(str, sys.version_info[:3]))
    assert facts == facts_of_this_node(sandbox=False)


def test_a_change_of_the_code_changes_its_digest(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import executor.ray_nodes as module

    digests = set()
    for text in ("x = 1\n", "x = 2\n"):
        (tmp_path / "model.py").write_text(text)
        module._code_digest.cache_clear()
        with monkeypatch.context() as patch:
            patch.setattr(module, "__file__", str(tmp_path / "ray_nodes.py"))
            digests.add(module._code_digest())
    module._code_digest.cache_clear()
    assert len(digests) == 2


def test_workers_are_spread_over_the_nodes_and_no_node_gets_more_than_it_has_processors() -> None:
    nodes = [node("a", cpus=3), node("b", cpus=1)]
    assert [place.name for place in _places(nodes, 0)] == ["a", "b", "a", "a"]
    assert [place.name for place in _places(nodes, 2)] == ["a", "b"]
    assert _places([], 0) == []


def test_processors_that_this_process_has_already_are_no_places() -> None:
    a, b = node("a", cpus=3), node("b")
    left = _left_over([a, b], [Hand(one, None, None) for one in (a, b, a)])
    assert [place.name for place in _places(left, 0)] == ["a"]


def test_an_idle_hand_is_taken_before_a_busy_one_and_none_beyond_its_depth() -> None:
    hands, a, b = _Hands(), Hand(node("a"), None, None), Hand(node("b"), None, None)
    hands.add(a)
    hands.add(b)
    taken = [hands.take() for _ in range(2 * _DEPTH + 1)]
    assert set(taken[:2]) == {a, b}
    assert taken.count(a) == taken.count(b) == _DEPTH
    assert taken[-1] is None
    hands.give_back(b)
    assert hands.take() is b
    a.gone = True
    hands.remove_gone()
    hands.give_back(a)  # the answer of a shard that was under way
    assert hands.take() is None
    assert len(hands) == 1


def test_a_parcel_holds_what_takes_a_quarter_of_a_second_and_one_shard_where_that_is_not_known() -> None:
    pace = _Pace()
    assert pace.most == 1
    pace.note(1, 0.05)
    assert pace.most == 5
    for _ in range(50):
        pace.note(5, 0.005)
    assert pace.most == _LARGEST_PARCEL
    for _ in range(50):
        pace.note(2, 8.0)
    assert pace.most == 1


def test_shards_that_are_pruned_are_sent_one_by_one() -> None:
    pace = _Pace()
    pace.note(1, 0.001)
    pace.one_by_one = True
    assert pace.most == 1


def test_answers_that_are_fewer_than_the_shards_of_their_parcel_end_the_run() -> None:
    hand = Hand(node("a"), None, None)
    shards = [_Shard(ticket, b"") for ticket in (1, 2)]
    done: Future[tuple[list[bytes], float]] = Future()
    done.set_result(([msgspec.msgpack.encode(ShardCells(("P",), ("l",), ("",)))], 0.1))
    with pytest.raises(ValueError, match="shorter"):
        list(_Run(cast("Staff", None))._answers(_Parcel(hand, shards), done))


def test_a_failure_of_a_sandbox_is_an_error_that_names_its_node_and_no_verdict() -> None:
    done: Future[tuple[list[bytes], float]] = Future()
    done.set_result(([msgspec.msgpack.encode(Failure("no box"))], 0.1))
    parcel = _Parcel(Hand(node("a"), None, None), [_Shard(1, b"")])
    with pytest.raises(SandboxError, match="node a: no box"):
        list(_Run(cast("Staff", None))._answers(parcel, done))


def test_without_ray_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ClusterError, match=r"pip install 'coderm-tasks\[ray\]'"):
        open_executor(engine="ray")


def test_there_is_no_other_engine() -> None:
    with pytest.raises(ValueError, match="engine is 'dask': expected local or ray"):
        open_executor(engine="dask")


@pytest.mark.parametrize(
    ("count", "said"), [(0, "0 workers are left"), (1, "1 worker is left"), (2, "2 workers are left")]
)
def test_workers_that_are_left_are_counted_in_words_that_fit(count: int, said: str) -> None:
    assert f"{count} worker{_are(count)} left" == said
