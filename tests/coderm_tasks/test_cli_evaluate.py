from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from coderm_tasks.cli import main

pytestmark = pytest.mark.usefixtures("tiny_datasets")

RIGHT = "def total(numbers):\n    return sum(numbers)\n"
BASE_ONLY = "def total(numbers):\n    return max(0, sum(numbers)) if len(numbers) < 3 else 0\n"
WRONG = "def total(numbers):\n    return 1\n"
HALVE = "    return [number / 2 for number in numbers]\n"


@pytest.fixture
def samples(tmp_path: Path) -> Path:
    """Five samples of two problems, out of order."""
    file = tmp_path / "samples.jsonl"
    lines = [
        {"task_id": "HumanEval/1", "completion": HALVE},
        {"task_id": "HumanEval/0", "solution": RIGHT},
        {"task_id": "HumanEval/0", "solution": BASE_ONLY},
        {"task_id": "HumanEval/1", "solution": ""},
        {"task_id": "HumanEval/0", "solution": WRONG},
    ]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return file


def run(samples: Path, output: Path, *more: str) -> int:
    return main(["evaluate", "--dataset", "humaneval", "--samples", str(samples), "--output", str(output), *more])


def test_there_is_one_label_per_sample_in_the_order_of_the_file(samples: Path, tmp_path: Path) -> None:
    output = tmp_path / "labels.jsonl"
    assert run(samples, output, "--workers", "1") == 0
    labels = [json.loads(line) for line in output.read_text().splitlines()]
    assert [(x["task_id"], x["index"], x["base"], x["plus"]) for x in labels] == [
        ("HumanEval/1", 0, "pass", "pass"),
        ("HumanEval/0", 0, "pass", "pass"),
        ("HumanEval/0", 1, "pass", "fail"),
        ("HumanEval/1", 1, "fail", "fail"),
        ("HumanEval/0", 2, "fail", "fail"),
    ]
    assert labels[2]["reason"] == "plus input 1: returned 0, expected 15"


def test_json_goes_to_stdout_and_the_table_to_stderr(
    samples: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(samples, tmp_path / "labels.jsonl", "--workers", "1", "--json") == 0
    out, err = capsys.readouterr()
    result = json.loads(out)
    assert (result["samples"], result["problems"]) == (5, 2)
    assert result["problems_without_samples"] == ["HumanEval/2", "HumanEval/3", "HumanEval/32"]
    (base,), (plus,) = result["base"], result["plus"]
    assert base["value"] == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert plus["value"] == pytest.approx((1 / 3 + 1 / 2) / 2)
    assert "pass@1" in err
    assert "3 problems have no samples" in err


def test_without_json_nothing_is_printed_on_stdout(
    samples: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(samples, tmp_path / "labels.jsonl", "--workers", "1") == 0
    assert capsys.readouterr().out == ""


def test_gzipped_samples_are_read_and_gzipped_labels_written(samples: Path, tmp_path: Path) -> None:
    packed, output = tmp_path / "samples.jsonl.gz", tmp_path / "labels.jsonl.gz"
    packed.write_bytes(gzip.compress(samples.read_bytes()))
    assert run(packed, output, "--workers", "1") == 0
    assert len(gzip.decompress(output.read_bytes()).splitlines()) == 5


def test_bug_compatibility_is_a_flag(tmp_path: Path) -> None:
    file, output = tmp_path / "samples.jsonl", tmp_path / "labels.jsonl"
    code = "def find_zero(xs):\n    return -xs[0] / xs[1]\n"
    file.write_text(json.dumps({"task_id": "HumanEval/32", "solution": code}) + "\n")
    for flags, verdict in (([], "pass"), (["--evalplus-bug-compat"], "fail")):
        assert run(file, output, "--workers", "1", *flags) == 0
        assert json.loads(output.read_text())["plus"] == verdict


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (["--workers", "0"], "--workers is 0: expected at least 1"),
        (["--cpu-limit", "0"], "--cpu-limit is 0.0: expected a value from 0.01 to 3600; leave --cpu-limit out"),
        (["--dataset", "humanevel"], "did you mean 'humaneval'"),
        (["--samples", "none.jsonl"], "none.jsonl: no such file"),
        (["--output", "no/such/folder/labels.jsonl"], "no/such/folder"),
    ],
)
def test_bad_input_is_one_line_with_exit_code_2_and_nothing_written(
    flags: list[str], complaint: str, samples: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "labels.jsonl"
    assert run(samples, output, *flags) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert complaint in err
    assert len(err.strip().splitlines()) == 1
    assert not output.exists()


def test_labels_do_not_take_the_place_of_the_samples(
    samples: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = samples.read_bytes()
    link = tmp_path / "link.jsonl"
    link.symlink_to(samples)
    for output in (samples, link):
        assert run(samples, output) == 2
        assert "is both --samples and --output" in capsys.readouterr().err
    assert samples.read_bytes() == before


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("{", ":1: got a line that is not JSON"),
        ('{"task_id": "HumanEval/99", "solution": ""}', ":1: got unknown task_id 'HumanEval/99'"),
        ('{"task_id": "HumanEval/0"}', ":1: got a sample of HumanEval/0 with only"),
        ("", "got no sample"),
    ],
)
def test_bad_samples_are_named_with_file_and_line(
    line: str, complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, output = tmp_path / "bad.jsonl", tmp_path / "labels.jsonl"
    file.write_text(line + "\n")
    assert run(file, output, "--workers", "1") == 2
    err = capsys.readouterr().err
    assert complaint in err
    assert str(file) in err
    assert not output.exists()


def test_a_second_run_takes_its_outputs_from_the_cache(
    samples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert run(samples, tmp_path / "first.jsonl", "--workers", "1") == 0

    def refuse(*arguments: object) -> None:
        raise AssertionError("a shard was run")

    monkeypatch.setattr("executor.crew._insist", refuse)
    assert run(samples, tmp_path / "second.jsonl", "--workers", "1") == 0
    assert (tmp_path / "second.jsonl").read_text() == (tmp_path / "first.jsonl").read_text()


def test_without_the_cache_nothing_is_kept(samples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert run(samples, tmp_path / "labels.jsonl", "--workers", "1", "--no-cache") == 0
    assert not (tmp_path / "cache").exists()
