"""Saved classifiers: what was saved comes back, and files that are not ours are refused in one line."""

from __future__ import annotations

import contextlib
import io
import json
import os
import zipfile
from pathlib import Path

import msgspec
import numpy as np
import pytest
import skops.io

from difficulty import ArtifactError, Evidence, GainCurves, TrainingSet, load, predict, save, train
from difficulty import artifact as subject


def labelled(count=24):
    """Problems whose hidden state tells their pass rate."""
    rng = np.random.default_rng(0)
    states = rng.normal(size=(count, 3))
    rates = 1 / (1 + np.exp(-states[:, 0]))
    problems = tuple(
        Evidence(task_id=f"Toy/{number}", prompt="add", entry_point="add", hidden=state)
        for number, state in enumerate(states)
    )
    return TrainingSet(problems=problems, rates=rates)


@pytest.fixture(scope="module")
def model():
    """A fitted classifier with gain curves."""
    fitted = train(labelled(), blocks=["text", "hidden"], title="Toy", sources=["24 toys"], made="2025-01-31")
    curves = GainCurves(np.array([0.5]), np.array([[0.1, 0.4, 0.5], [0.8, 0.9, 0.95]]))
    return msgspec.structs.replace(fitted, curves=curves)


@pytest.fixture
def saved(model, tmp_path):
    """The path of that classifier, saved."""
    path = tmp_path / "model.skops"
    save(model, path)
    return path


def tampered(path, *, body=None, arrays=None):
    """Write the artifact again with some entries of its description or arrays changed; None deletes one."""
    state = skops.io.load(path, trusted=[])
    description = {**json.loads(state["body"]), **(body or {})}
    state["body"] = json.dumps({name: value for name, value in description.items() if value is not None})
    for name, array in (arrays or {}).items():
        if array is None:
            del state["arrays"][name]
        else:
            state["arrays"][name] = array
    skops.io.dump(state, path)
    return path


def test_a_saved_classifier_predicts_as_before(model, saved):
    problems = labelled().problems
    assert predict(load(saved), problems) == predict(model, problems)


def test_gain_curves_and_card_come_back(model, saved):
    loaded = load(saved)
    assert loaded.curves.accuracy.tolist() == model.curves.accuracy.tolist()
    assert loaded.card == model.card


def test_the_card_beside_it_names_data_metrics_date_and_licence(saved):
    card = subject.card_path(saved).read_text(encoding="utf-8")
    for part in ("# Toy", "24 toys", "Spearman", "Brier", "2025-01-31", "Apache-2.0", "text, hidden"):
        assert part in card


def test_saving_over_an_old_file_leaves_nothing_else_behind(model, saved):
    save(model, saved)
    assert sorted(path.name for path in saved.parent.iterdir()) == ["model.md", "model.skops"]


def test_a_folder_that_does_not_exist_is_refused(model, tmp_path):
    with pytest.raises(ArtifactError, match="cannot be written"):
        save(model, tmp_path / "nowhere" / "model.skops")


def test_a_missing_file_is_refused_with_the_remedy(tmp_path):
    with pytest.raises(ArtifactError, match=r"none.skops: no such file; .*coderm difficulty train"):
        load(tmp_path / "none.skops")


def test_a_file_that_is_no_archive_is_refused(tmp_path):
    path = tmp_path / "model.skops"
    path.write_bytes(b"\x80\x04cos\nsystem\n.")
    with pytest.raises(ArtifactError, match="cannot be read as a skops file"):
        load(path)


def test_a_truncated_file_is_refused(saved):
    saved.write_bytes(saved.read_bytes()[:-200])
    with pytest.raises(ArtifactError, match="cannot be read as a skops file"):
        load(saved)


def test_an_artifact_of_another_version_is_refused_with_both_versions(saved):
    with pytest.raises(ArtifactError, match="has version 99, expected 2; train it again"):
        load(tampered(saved, body={"version": 99, "news": 1}))


def test_an_artifact_of_another_kind_is_refused(saved):
    with pytest.raises(ArtifactError, match="has format 'other'"):
        load(tampered(saved, body={"format": "other"}))


def test_an_unknown_feature_is_refused_by_name(saved, model):
    names = ["text/shoe_size", *model.features[1:]]
    with pytest.raises(ArtifactError, match=r"feature 'text/(shoe_size|log_words)' is unknown or missing"):
        load(tampered(saved, body={"features": names}))


def test_features_out_of_order_are_refused(saved, model):
    with pytest.raises(ArtifactError, match="out of order"):
        load(tampered(saved, body={"features": [model.features[1], model.features[0], *model.features[2:]]}))


def test_an_unknown_block_is_refused_with_the_known_ones(saved):
    with pytest.raises(ArtifactError, match="wants feature block 'weather', known are text, ngrams"):
        load(tampered(saved, body={"blocks": ["weather"]}))


@pytest.mark.parametrize(
    "arrays",
    [
        {"weights0": None},
        {"weights0": np.zeros((2, 2))},
        {"weights1": np.zeros((8, 2))},
        {"bias0": np.zeros(8, dtype=np.int64)},
        {"centre": np.full(22, np.nan)},
        {"scale": np.zeros(22)},
        {"edges": np.array([0.1, 0.2])},
        {"accuracy": np.zeros((2, 1))},
        {"weights0": [[1.0]]},
    ],
    ids=["missing", "shape", "outputs", "dtype", "nan", "scale", "edges", "short curves", "list"],
)
def test_arrays_that_do_not_fit_are_refused(saved, arrays):
    with pytest.raises(ArtifactError, match="train it again"):
        load(tampered(saved, arrays=arrays))


@pytest.mark.parametrize("body", [{"card": None}, {"layers": "two"}, {"extra": 1}, {"slope": -1.0}, {"layers": 0}])
def test_a_description_that_does_not_fit_is_refused(saved, body):
    with pytest.raises(ArtifactError, match="train it again"):
        load(tampered(saved, body=body))


def test_an_artifact_that_names_a_function_is_refused_before_it_is_built(saved, tmp_path):
    trace = tmp_path / "trace"
    node = {
        "__class__": "mkdir", "__module__": "os", "__loader__": "FunctionNode", "__id__": 1,
        "content": str(trace),
    }  # fmt: skip
    with zipfile.ZipFile(saved) as archive:
        schema = json.loads(archive.read("schema.json"))
    schema["content"]["body"] = node
    with zipfile.ZipFile(saved, "w") as archive:
        archive.writestr("schema.json", json.dumps(schema))
    with pytest.raises(ArtifactError, match=r"holds a os\.mkdir, expected plain data only"):
        load(saved)
    assert not trace.exists()


def test_an_estimator_is_refused_though_skops_trusts_it(tmp_path):
    from sklearn.linear_model import LogisticRegression

    path = tmp_path / "model.skops"
    skops.io.dump(LogisticRegression(), path)
    with pytest.raises(ArtifactError, match="LogisticRegression, expected plain data only"):
        load(path)


def test_a_file_that_unpacks_to_too_much_is_refused(tmp_path):
    path = tmp_path / "model.skops"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("schema.json", b" " * (65 * 2**20))
    assert path.stat().st_size < 2**20
    with pytest.raises(ArtifactError, match="unpacks to more than 64 MiB"):
        load(path)


def test_plain_data_that_is_no_classifier_is_refused(tmp_path):
    path = tmp_path / "model.skops"
    skops.io.dump({"weights": [1]}, path)
    with pytest.raises(ArtifactError, match="holds no classifier"):
        load(path)


@pytest.mark.parametrize("cut", range(0, 4000, 250))
def test_a_damaged_byte_is_an_error_or_harmless(saved, cut):
    data = bytearray(saved.read_bytes())
    data[cut % len(data)] ^= 0xFF
    saved.write_bytes(bytes(data))
    with contextlib.suppress(ArtifactError):  # anything else would end the test
        assert load(saved).features


def test_an_unreadable_file_is_refused(saved):
    if os.geteuid() == 0:
        folder = saved.parent / "folder.skops"
        folder.mkdir()
        saved = folder
    else:
        saved.chmod(0)
    with pytest.raises(ArtifactError, match="cannot be read"):
        load(saved)


def test_no_artifact_that_ships_is_large():
    folder = Path(subject.__file__).parent / "data"
    shipped = list(folder.glob("*.skops"))
    assert shipped
    assert sum(path.stat().st_size for path in folder.iterdir()) < 1_000_000


def test_what_ships_holds_weights_and_no_prose():
    folder = Path(subject.__file__).parent / "data"
    for path in folder.glob("*.skops"):
        with zipfile.ZipFile(path) as archive:
            others = [name for name in archive.namelist() if name != "schema.json"]
            for name in others:
                assert np.load(io.BytesIO(archive.read(name)), allow_pickle=False).dtype == np.float64
        assert set(skops.io.load(path, trusted=[])) == {"body", "arrays"}
