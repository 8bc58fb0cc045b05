"""Packed private tests: what is read, and that nothing else is, let alone run."""

from __future__ import annotations

import base64
import contextlib
import io
import os
import pickle
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from livecodebench_files import packed

from coderm_tasks.datasets.livecodebench.blob import BlobError, pickled_text, unpack


class Runs:
    """Unpickled by Python's pickle it runs a command."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (self.command,)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("text", ["", "[]", "x" * 255, "x" * 256, "é" * 70_000, "a" * 1_000_000])
def test_a_pickled_text_is_read_whatever_the_protocol(text: str, protocol: int) -> None:
    assert unpack(packed(pickle.dumps(text, protocol))) == text


@given(st.text(st.characters(exclude_categories=["Cs"])), st.sampled_from([2, 3, 4, 5]))
def test_the_reader_agrees_with_pickle_on_every_text(text: str, protocol: int) -> None:
    assert pickled_text(pickle.dumps(text, protocol)) == text


def test_the_python_written_pickler_is_read_too() -> None:
    stream = io.BytesIO()
    pickle._Pickler(stream, 4).dump("x" * 100_000)  # type: ignore[attr-defined]
    assert len(pickled_text(stream.getvalue())) == 100_000


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_hostile_pickle_is_refused_and_not_run(protocol: int, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    hostile = pickle.dumps(Runs(f"touch {canary}"), protocol)
    with pytest.raises(BlobError, match=r"not just a text: byte .* it was not run"):
        unpack(packed(hostile))
    assert not canary.exists()
    pickle.loads(hostile)  # the payload is real
    assert canary.exists()


def test_a_command_after_an_honest_text_is_refused_and_not_run(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    hostile = pickle.dumps("[]", 4)[:-1] + b"0" + pickle.dumps(Runs(f"touch {canary}"), 4)[2:]
    with pytest.raises(BlobError, match="not just a text"):
        unpack(packed(hostile))
    assert not canary.exists()
    pickle.loads(hostile)
    assert canary.exists()


@pytest.mark.parametrize("value", [None, 1, b"[]", ["[]"], ("[]",), {"a": "b"}, 1.5, True])
def test_anything_but_a_text_is_refused(value: object) -> None:
    with pytest.raises(BlobError):
        unpack(packed(pickle.dumps(value)))


@given(st.binary(max_size=64))
def test_any_bytes_give_a_text_or_the_one_error(data: bytes) -> None:
    with contextlib.suppress(BlobError):
        assert isinstance(pickled_text(b"\x80\x04" + data), str)


@given(st.data())
def test_a_pickle_that_is_cut_or_changed_never_gives_more_than_a_text(data: st.DataObject) -> None:
    whole = bytearray(pickle.dumps("[1, 2]", 4))
    whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(BlobError):
        assert isinstance(pickled_text(bytes(whole[: data.draw(st.integers(0, len(whole)))])), str)


@pytest.mark.parametrize(
    ("blob", "complaint"),
    [
        ("***", "is no base64"),
        (packed(pickle.dumps("[]"))[:-3], "is no base64"),
        (base64.b64encode(b"plain").decode(), "is no zlib data"),
        (base64.b64encode(zlib.compress(pickle.dumps("x" * 999))[:-9]).decode(), "is cut short"),
        (base64.b64encode(zlib.compress(pickle.dumps("x")) + b"more").decode(), "after the end of its compressed data"),
        (packed(b""), "holds no pickle"),
        (packed(b"\x80\x04."), "without a text"),
        (packed(pickle.dumps("x") + b"more"), "data after its end"),
        (packed(pickle.dumps("x" * 300)[:-20]), "cut short"),
        (packed(b"\x80\x04\x8c\x02\xff\xfe."), "not UTF-8"),
        (packed(b"Vx\np0\n."), "holds no pickle of protocol 2"),
    ],
)
def test_a_damaged_blob_is_told_from_a_hostile_one(blob: str, complaint: str) -> None:
    with pytest.raises(BlobError, match=complaint):
        unpack(blob)


def test_a_bomb_is_refused_while_it_unpacks() -> None:
    bomb = packed(b"\0" * (1 << 26))
    assert len(bomb) < 100_000
    with pytest.raises(BlobError, match="unpacks to more than 1,000 bytes"):
        unpack(bomb, largest=1000)


def test_the_bound_lets_through_what_just_fits() -> None:
    pickled = pickle.dumps("x" * 1000)
    assert unpack(packed(pickled), largest=len(pickled)) == "x" * 1000
    with pytest.raises(BlobError, match="unpacks to more"):
        unpack(packed(pickled), largest=len(pickled) - 1)
