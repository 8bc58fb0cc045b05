"""``coderm compare``: two selections of the same samples."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from coderm_tasks.cli import main
from coderm_tasks.compare_job import compare_selections
from coderm_tasks.errors import InputError
from coderm_tasks.model import Selection
from coderm_tasks.store import SelectionRecord, write_records


def write(path: Path, *records: object) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


def selections(path: Path, ties: dict[int, tuple[int, ...]], strategy: str, samples: int = 2) -> Path:
    chosen = (
        Selection(task_id=f"Mbpp/{n}", index=tied[0], ties=tied, scores=(0.0,) * samples, strategy=strategy)
        for n, tied in ties.items()
    )
    write_records(path, (SelectionRecord.of(one, 3) for one in chosen))
    return path


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three problems of two samples; the second sample is right."""
    monkeypatch.chdir(tmp_path)
    selections(tmp_path / "a.selection.jsonl", {0: (1,), 1: (0, 1), 2: (0,)}, "accord")
    selections(tmp_path / "b.selection.jsonl", {0: (0,), 1: (0, 1), 2: (0,)}, "coderm")
    labels = [{"task_id": f"Mbpp/{n}", "plus": word} for n in range(3) for word in ("fail", "pass")]
    write(tmp_path / "l.jsonl", *labels)
    return tmp_path


def test_ties_count_as_the_mean_of_the_tied(folder: Path) -> None:
    found = compare_selections(folder / "a.selection.jsonl", folder / "b.selection.jsonl", folder / "l.jsonl")
    assert found.first.value == pytest.approx(1.5 / 3)
    assert found.second.value == pytest.approx(0.5 / 3)
    assert found.difference.value == pytest.approx(1 / 3)
    assert (found.better, found.worse) == (("Mbpp/0",), ())
    assert found.strategies == ("accord", "coderm")
    assert found.notes == ()


def test_a_samples_file_stands_for_the_selection_beside_it(folder: Path) -> None:
    write(folder / "a.jsonl", {"task_id": "Mbpp/0", "solution": "x"})
    found = compare_selections(folder / "a.jsonl", folder / "b.selection.jsonl", folder / "l.jsonl")
    assert found.first.value == pytest.approx(0.5)


def test_problems_of_only_one_side_or_without_labels_are_left_out_and_named(folder: Path) -> None:
    selections(folder / "b.selection.jsonl", {0: (0,), 1: (1,), 7: (0,)}, "coderm")
    write(folder / "l.jsonl", *({"task_id": "Mbpp/0", "plus": word} for word in ("fail", "pass")))
    found = compare_selections(folder / "a.selection.jsonl", folder / "b.selection.jsonl", folder / "l.jsonl")
    assert found.difference.problems == 1
    assert found.notes == (
        "1 problems only in a.selection.jsonl, left out: Mbpp/2",
        "1 problems only in b.selection.jsonl, left out: Mbpp/7",
        "1 problems without a label for each of their samples, left out: Mbpp/1",
    )


def test_the_command_prints_the_difference(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "a.selection.jsonl", "b.selection.jsonl", "--labels", "l.jsonl"]) == 0
    printed = capsys.readouterr().out
    assert "+33.3" in printed
    assert "1 problems: Mbpp/0" in printed
    assert main(["compare", "a.selection.jsonl", "b.selection.jsonl", "--labels", "l.jsonl", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["better"] == ["Mbpp/0"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "x.jsonl: is empty; expected the selections"),
        ([{"task_id": "Mbpp/0", "solution": "x"}], "x.jsonl: holds no selections, and there is no x.selection.jsonl"),
    ],
)
def test_a_file_that_is_no_selection_is_refused(folder: Path, content: list[object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        compare_selections(write(folder / "x.jsonl", *content), folder / "b.selection.jsonl", folder / "l.jsonl")


def test_selections_among_other_numbers_of_samples_are_refused(folder: Path) -> None:
    selections(folder / "b.selection.jsonl", {0: (0,)}, "coderm", samples=3)
    with pytest.raises(InputError, match=r"got 3 samples of Mbpp/0, .* has 2; expected two selections among the same"):
        compare_selections(folder / "a.selection.jsonl", folder / "b.selection.jsonl", folder / "l.jsonl")


def test_a_problem_selected_twice_is_refused(folder: Path) -> None:
    path = folder / "a.selection.jsonl"
    path.write_text(path.read_text() * 2)
    with pytest.raises(InputError, match="selects from Mbpp/0 twice"):
        compare_selections(path, folder / "b.selection.jsonl", folder / "l.jsonl")


def test_labels_of_other_problems_are_refused_in_one_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder / "l.jsonl", {"task_id": "HumanEval/0", "plus": "pass"})
    assert main(["compare", "a.selection.jsonl", "b.selection.jsonl", "--labels", "l.jsonl"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("coderm: l.jsonl: labels all samples of no problem that is in both")
    assert error.count("\n") == 1
