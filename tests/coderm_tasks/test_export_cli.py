"""``coderm export``: files in, a folder of data out; killed runs; what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from coderm_tasks.cli import main
from coderm_tasks.export.growing import Growing

PROBLEMS = [f"Own/{number}" for number in range(6)]


def lines(path: Path, records: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Six problems with three samples and two tests each."""
    monkeypatch.chdir(tmp_path)
    lines(
        Path("problems.jsonl"),
        [{"task_id": t, "question": f"Add {n}.", "code_ground_truth": f"def f(x):\n    return x + {n}\n"}
         for n, t in enumerate(PROBLEMS)],
    )  # fmt: skip
    lines(
        Path("samples.jsonl"),
        [{"task_id": t, "solution": f"def f(x):\n    return x + {n + wrong}\n"}
         for wrong in range(3) for n, t in enumerate(PROBLEMS)],
    )  # fmt: skip
    tests = [{"task_id": t, "test": f"assert f({x}) == {x + n}"} for n, t in enumerate(PROBLEMS) for x in range(2)]
    lines(Path("tests.jsonl"), tests)
    lines(
        Path("matrix.jsonl"),
        [{"task_id": t, "solutions": 3, "tests": 2, "verdicts": ["PP", "PF", "FE"], "shared": 0} for t in PROBLEMS],
    )
    lines(
        Path("labels.jsonl"),
        [{"task_id": t, "index": wrong, "base": word, "plus": word, "reason": ""}
         for wrong, word in enumerate(("pass", "fail", "fail")) for t in PROBLEMS],
    )  # fmt: skip
    return tmp_path


def arguments(kind: str, *more: str) -> list[str]:
    files = [word for name in ("problems", "samples", "tests", "matrix") for word in (f"--{name}", f"{name}.jsonl")]
    return ["export", kind, *files, "--output", "out", *more]


def read(path: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]


@pytest.mark.usefixtures("folder")
def test_each_export_writes_its_file_and_a_card(capsys: pytest.CaptureFixture[str]) -> None:
    for kind, more, rows in (
        ("preferences", ["--labels", "labels.jsonl"], 18),
        ("rewards", [], 18),
        ("unittest-sft", ["--labels", "labels.jsonl"], 6),
    ):
        assert main([*arguments(kind), *more, "--output", kind, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["rows"] == rows
        assert len(read(f"{kind}/{kind}.jsonl")) == rows
        card = Path(kind, "README.md").read_text(encoding="utf-8")
        assert card.startswith("---\n")
        assert f"{kind}.jsonl" in card
        assert sorted(path.name for path in Path(kind).iterdir()) == ["README.md", f"{kind}.jsonl"]


@pytest.mark.usefixtures("folder")
def test_rewards_lie_between_0_and_1_and_follow_the_matrix() -> None:
    assert main(arguments("rewards")) == 0
    assert [row["reward"] for row in read("out/rewards.jsonl")] == [1.0, 0.5, 0.0] * 6


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("stop", [1, 3, 5])
def test_a_killed_run_goes_on_to_the_same_bytes(stop: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(arguments("preferences")) == 0
    whole = Path("out/preferences.jsonl").read_bytes()
    card = Path("out/README.md").read_bytes()
    for path in Path("out").iterdir():
        path.unlink()
    add: Callable[..., None] = Growing.add
    seen: list[str] = []

    def killed(self: Growing, task_id: str, rows: Any, counts: Any) -> None:
        if len(seen) == stop:
            # A part of a row is on the disk, and no word of it in the progress: as a kill may leave it.
            with Path("out/preferences.jsonl.part").open("ab") as part:
                part.write(b'{"prompt": "half a ro')
            raise KeyboardInterrupt
        seen.append(task_id)
        add(self, task_id, rows, counts)

    monkeypatch.setattr(Growing, "add", killed)
    assert main(arguments("preferences")) == 130
    assert not Path("out/preferences.jsonl").exists()
    monkeypatch.setattr(Growing, "add", add)
    assert main(arguments("preferences")) == 0
    assert Path("out/preferences.jsonl").read_bytes() == whole
    assert Path("out/README.md").read_bytes() == card


@pytest.mark.usefixtures("folder")
def test_other_settings_begin_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    add: Callable[..., None] = Growing.add

    def killed(self: Growing, task_id: str, rows: Any, counts: Any) -> None:
        add(self, task_id, rows, counts)
        raise KeyboardInterrupt

    monkeypatch.setattr(Growing, "add", killed)
    assert main(arguments("preferences")) == 130
    monkeypatch.setattr(Growing, "add", add)
    assert main(arguments("preferences", "--margin", "1.0")) == 0
    assert len(read("out/preferences.jsonl")) == 6


def dropped(name: str, number: int) -> None:
    records = read(f"{name}.jsonl")
    del records[number]
    lines(Path(f"{name}.jsonl"), records)


def changed(name: str, number: int, **columns: Any) -> None:
    records = read(f"{name}.jsonl")
    records[number] |= columns
    lines(Path(f"{name}.jsonl"), records)


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (lambda: dropped("matrix", 5), "got no matrix for 1 of 6 problems (Own/5)"),
        (lambda: changed("matrix", 1, task_id="Own/0"), "matrix.jsonl:2: got a second matrix of Own/0"),
        (lambda: changed("matrix", 1, task_id="Own/9"), "which is no problem of the set"),
        (lambda: dropped("tests", 0), "matrix.jsonl:1: got a matrix of 3 x 2 for Own/0; expected 3 x 1"),
        (lambda: changed("matrix", 2, verdicts=["PP", "PF", "F-"]), "matrix.jsonl:3: got 1 cells of Own/2"),
        (lambda: changed("problems", 1, task_id="Own/0"), "problems.jsonl:2: got task_id 'Own/0' twice"),
        (lambda: dropped("labels", 0), "labels.jsonl: got no label for 1 samples of 1 problems (Own/0)"),
        (lambda: Path("matrix.jsonl").write_text(""), "matrix.jsonl: holds no matrix"),
    ],
)
def test_a_run_that_does_not_fit_together_is_refused_in_one_line(
    spoil: Callable[[], None], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil()
    assert main(arguments("preferences", "--labels", "labels.jsonl")) == 2
    error = capsys.readouterr().err
    assert complaint in error
    assert len(error.strip().splitlines()) == 1
    assert not Path("out/preferences.jsonl").exists()


@pytest.mark.usefixtures("folder")
def test_unequal_numbers_of_samples_need_a_word(capsys: pytest.CaptureFixture[str]) -> None:
    dropped("samples", 17)
    changed("matrix", 5, solutions=2, verdicts=["PP", "PF"])
    assert main(arguments("rewards")) == 2
    assert "got 2 samples of Own/5 and 3 of" in capsys.readouterr().err
    assert main(arguments("rewards", "--allow-partial")) == 0
    assert len(read("out/rewards.jsonl")) == 17


@pytest.mark.usefixtures("folder")
def test_a_readme_of_somebody_else_is_left_alone(capsys: pytest.CaptureFixture[str]) -> None:
    Path("out").mkdir()
    Path("out/README.md").write_text("mine")
    assert main(arguments("rewards")) == 2
    assert "is left untouched; name another folder" in capsys.readouterr().err
    assert Path("out/README.md").read_text() == "mine"


@pytest.mark.usefixtures("folder")
def test_data_of_somebody_else_is_left_alone(capsys: pytest.CaptureFixture[str]) -> None:
    Path("out").mkdir()
    Path("out/rewards.jsonl").write_text("mine")
    assert main(arguments("rewards")) == 2
    assert "out/rewards.jsonl: no earlier 'rewards' export wrote it: it is left untouched" in capsys.readouterr().err
    assert [path.name for path in Path("out").iterdir()] == ["rewards.jsonl"]
    assert Path("out/rewards.jsonl").read_text() == "mine"
    assert main(arguments("preferences")) == 0, "the other kinds of data have other names"


@pytest.mark.usefixtures("folder")
def test_what_a_refused_run_had_begun_goes_again(capsys: pytest.CaptureFixture[str]) -> None:
    changed("matrix", 0, verdicts=["P-", "PF", "FP"])
    assert main(arguments("rewards")) == 2
    assert "got 1 cells of Own/0" in capsys.readouterr().err
    assert not Path("out").exists()
    dropped("tests", 1)
    Path("out").mkdir()
    assert main(arguments("rewards")) == 2
    assert not list(Path("out").iterdir()), "a folder that was there stays, as it was"


@pytest.mark.usefixtures("folder")
def test_rating_tests_needs_labels(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments("unittest-sft")) == 2
    assert "--labels" in capsys.readouterr().err
