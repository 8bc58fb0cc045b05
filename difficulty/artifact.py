"""Saved classifiers: a skops file without pickle, and a model card beside it.

The file holds plain data only: one JSON text and float64 arrays. It is refused before anything of it is built if it
names any other kind of object, and after that if version, features, shapes or values are not what this package wrote.
"""

from __future__ import annotations

import contextlib
import io
import json
import math
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from difficulty.card import render_card
from difficulty.errors import ArtifactError
from difficulty.features import BLOCKS
from difficulty.model import BeliefModel, Card, DifficultyModel, GainCurves, Layer, Network

__all__ = ["VERSION", "card_path", "load", "save"]

VERSION = 2
"""Of the file layout and of the meaning of every feature; a file of another version is refused."""
_FORMAT = "coderm-difficulty"
_LARGEST = 64 * 2**20
_PLAIN = {
    ("DictNode", "builtins", "dict"),
    ("ListNode", "builtins", "list"),
    ("JsonNode", "builtins", "str"),
    ("TypeNode", "builtins", "str"),  # what a dict says of its keys
    ("NdArrayNode", "numpy", "ndarray"),
}
_AGAIN = "train it again with 'coderm difficulty train'"
_BROKEN = (
    ValueError, TypeError, KeyError, IndexError, AttributeError, EOFError, OSError, MemoryError, RecursionError,
    NotImplementedError, ImportError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip

Array = NDArray[np.float64]


class _Head(Struct, frozen=True):
    format: str
    version: int


class _Body(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    format: str
    version: int
    blocks: tuple[str, ...]
    features: tuple[str, ...]
    layers: int
    slope: float
    offset: float
    curves: bool
    belief: BeliefModel
    card: Card


def card_path(path: Path | str) -> Path:
    """Where the model card of the artifact ``path`` lies."""
    return Path(path).with_suffix(".md")


def save(model: DifficultyModel, path: Path | str) -> None:
    """Write the classifier and its card, each whole or not at all.

    Raises:
        ArtifactError: the folder is missing or not writable.
    """
    import skops.io

    path = Path(path)
    network = model.network
    body = _Body(
        format=_FORMAT, version=VERSION, blocks=model.blocks, features=model.features, layers=len(network.layers),
        slope=network.slope, offset=network.offset, curves=model.curves is not None, belief=model.belief,
        card=model.card,
    )  # fmt: skip
    arrays = {"centre": network.centre, "scale": network.scale}
    for number, layer in enumerate(network.layers):
        arrays |= {f"weights{number}": layer.weights, f"bias{number}": layer.bias}
    if model.curves is not None:
        arrays |= {"edges": model.curves.edges, "accuracy": model.curves.accuracy}
    state = {"body": msgspec.json.encode(body).decode(), "arrays": arrays}
    _write(path, skops.io.dumps(state, compression=zipfile.ZIP_DEFLATED))
    _write(card_path(path), render_card(model).encode())


def load(path: Path | str) -> DifficultyModel:
    """Read a classifier that :func:`save` wrote.

    Raises:
        ArtifactError: no such file, not such a file, another version, features this version does not compute, or
            arrays that do not fit.
    """
    path = Path(path)
    state = _plain_state(path)
    text, arrays = state.get("body"), state.get("arrays")
    if not isinstance(text, str) or not isinstance(arrays, dict):
        raise ArtifactError(f"{path}: holds no classifier of {_FORMAT}; {_AGAIN}")
    body = _body(path, text)
    _check_features(path, body)
    take = _Taker(path, arrays)
    width = len(body.features)
    layers, inputs = [], width
    for number in range(body.layers):
        weights = take(f"weights{number}", (inputs, None))
        layers.append(Layer(weights, take(f"bias{number}", (weights.shape[1],))))
        inputs = weights.shape[1]
    if inputs != 1 or not layers:
        raise ArtifactError(f"{path}: its last layer has {inputs} outputs, expected 1; {_AGAIN}")
    network = Network(
        centre=take("centre", (width,)), scale=take("scale", (width,)), layers=tuple(layers), slope=body.slope,
        offset=body.offset,
    )  # fmt: skip
    if not (network.scale > 0).all() or network.slope < 0:
        raise ArtifactError(f"{path}: a scale is not positive or the calibration falls; {_AGAIN}")
    _check_belief(path, body.belief)
    return DifficultyModel(
        blocks=body.blocks, features=body.features, network=network, card=body.card,
        curves=_curves(take) if body.curves else None, belief=body.belief,
    )  # fmt: skip


def _check_belief(path: Path, belief: BeliefModel) -> None:
    if not (belief.consensus >= 0 and 0 < belief.odds < math.inf and 0 < belief.redundancy <= 1):
        raise ArtifactError(f"{path}: its belief is {belief}, which is out of range; {_AGAIN}")


class _Taker:
    """Takes arrays out of the state and holds each to its shape; None in a shape stands for any length above 0."""

    def __init__(self, path: Path, arrays: dict[str, Any]) -> None:
        self.path = path
        self._arrays = arrays

    def __call__(self, name: str, shape: tuple[int | None, ...]) -> Array:
        array = self._arrays.get(name)
        if not isinstance(array, np.ndarray) or array.dtype != np.float64 or array.ndim != len(shape):
            raise ArtifactError(f"{self.path}: array {name!r} is missing or of the wrong kind; {_AGAIN}")
        wrong = any(has != want if want is not None else has < 1 for has, want in zip(array.shape, shape, strict=True))
        if wrong or not np.isfinite(array).all():
            raise ArtifactError(f"{self.path}: array {name!r} has a wrong shape or value; {_AGAIN}")
        return array


def _curves(take: _Taker) -> GainCurves:
    accuracy = take("accuracy", (None, None))
    edges = take("edges", (len(accuracy) - 1,))
    if accuracy.shape[1] < 2 or (np.diff(edges) < 0).any():
        raise ArtifactError(f"{take.path}: its gain curves are too short or their bins out of order; {_AGAIN}")
    return GainCurves(edges, accuracy)


def _plain_state(path: Path) -> dict[str, Any]:
    import skops.io

    try:
        data = _bytes(path)
        _refuse_objects(path, data)
        state = skops.io.loads(data, trusted=[])
    except FileNotFoundError as error:
        raise ArtifactError(f"{path}: no such file; expected a saved classifier; check the path or {_AGAIN}") from error
    except _BROKEN as error:
        reason = " ".join(str(error).split())[:200]
        raise ArtifactError(
            f"{path}: cannot be read as a skops file ({type(error).__name__}: {reason}); {_AGAIN}"
        ) from error
    if not isinstance(state, dict):
        raise ArtifactError(f"{path}: holds a {type(state).__name__}, expected a classifier of {_FORMAT}; {_AGAIN}")
    return state


def _bytes(path: Path) -> bytes:
    if path.stat().st_size > _LARGEST:
        raise ArtifactError(f"{path}: has more than {_LARGEST // 2**20} MiB, no classifier of ours is that large")
    return path.read_bytes()


def _refuse_objects(path: Path, data: bytes) -> None:
    """Hold the file to an allowlist of node kinds. skops trusts whole libraries by default; these kinds suffice."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        if sum(member.file_size for member in archive.infolist()) > _LARGEST:
            raise ArtifactError(f"{path}: unpacks to more than {_LARGEST // 2**20} MiB, no classifier is that large")
        schema = json.loads(archive.read("schema.json"))
    for node in _nodes(schema):
        kind = (node["__loader__"], node.get("__module__"), node.get("__class__"))
        if kind not in _PLAIN:
            raise ArtifactError(
                f"{path}: holds a {kind[1]}.{kind[2]}, expected plain data only; do not trust this file"
            )


def _nodes(tree: object) -> Iterator[dict[str, Any]]:
    stack = [tree]
    while stack:
        value = stack.pop()
        if isinstance(value, dict):
            if "__loader__" in value:
                yield value
            stack.extend(value.values())
        elif isinstance(value, list):
            stack.extend(value)


def _body(path: Path, text: str) -> _Body:
    try:
        head = msgspec.json.decode(text, type=_Head)
        if head.format != _FORMAT:
            raise ArtifactError(f"{path}: has format {head.format!r}, expected {_FORMAT!r}; check the path")
        if head.version != VERSION:
            raise ArtifactError(
                f"{path}: has version {head.version}, expected {VERSION}; {_AGAIN}, or install the release that made it"
            )
        return msgspec.json.decode(text, type=_Body)
    except msgspec.DecodeError as error:
        raise ArtifactError(f"{path}: its description cannot be read ({error}); {_AGAIN}") from error


def _check_features(path: Path, body: _Body) -> None:
    expected: list[str] = []
    for name in body.blocks:
        if name not in BLOCKS:
            raise ArtifactError(f"{path}: wants feature block {name!r}, known are {', '.join(BLOCKS)}; {_AGAIN}")
        width = sum(feature.startswith(f"{name}/") for feature in body.features)
        expected += [f"{name}/{part}" for part in BLOCKS[name].names or map(str, range(width))]
    if list(body.features) != expected:
        odd = sorted(set(body.features) ^ set(expected))
        what = f"feature {odd[0]!r} is unknown or missing" if odd else "the features are out of order"
        raise ArtifactError(f"{path}: {what} in this version; {_AGAIN}")


def _write(path: Path, data: bytes) -> None:
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as stream:
            part = Path(stream.name)
            try:
                stream.write(data)
                stream.flush()
                part.chmod(0o644)
                part.replace(path)
            finally:
                with contextlib.suppress(FileNotFoundError):  # gone: it was renamed
                    part.unlink()
    except OSError as error:
        raise ArtifactError(f"{path}: cannot be written ({error.strerror}); name a folder that can be") from error
