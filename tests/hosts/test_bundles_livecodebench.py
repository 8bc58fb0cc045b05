"""Bundles of a part of LiveCodeBench: a window or a release is taken from the run, stated, and verified as such."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from bundle_runs import STATED, bundle, checks, contents, lines, needs_sandbox, zipped
from lm_eval_replay import ReplayLM, run

from coderm_tasks.cli import main
from coderm_tasks.hosts.bundles.archive import MANIFEST, manifest_of

CODES = {
    "own_2": "class Solution:\n    def countPairs(self, nums, k):\n        return sum(a + b == k for a, b in combinations(nums, 2))\n",
    "own_3": "class Solution:\n    def splitInTwo(self, s):\n        m = (len(s) + 1) // 2\n        return s[:m], s[m:]\n",
    "own_4": "class Solution:\n    def nestingDepth(self, items):\n        return 1 + max((self.nestingDepth(x) for x in items if isinstance(x, list)), default=0)\n",
    "own_a": "n = input()\nprint(sum(map(int, input().split())))\n",
    "own_b": "import sys\nfor line in sys.stdin:\n    print(int(line) / 2)\n",
    "own_c": "from itertools import groupby\ninput()\nn = max(len(list(g)) for _, g in groupby(input().split()))\nprint(n, 'odd' if n % 2 else 'even', sep='\\n')\n",
}
TESTS = {
    "own_2": "assert countPairs([0, 1], 1) == 1",
    "own_3": "assert list(splitInTwo('abc')) == ['ab', 'c']",
    "own_4": "assert nestingDepth([[]]) == 2",
    "own_a": "assert run_program('2\\n3 4\\n') == '7'",
    "own_b": "assert run_program('3\\n') == '1.50'",
    "own_c": "assert run_program('2\\n1 1\\n') == '2\\neven'",
}
WINDOW = ("own_2", "own_3", "own_4", "own_c")
"""From 2024-03-01."""


@pytest.fixture(autouse=True)
def _data(livecodebench_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needs_sandbox()
    monkeypatch.setenv("LIVECODEBENCH_PATH", str(livecodebench_folder))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.delenv("CODERM_CONFIG", raising=False)


def reranked(folder: Path, *part: str) -> Path:
    """Rerank a part; the samples and tests are of the whole."""
    wrong = "def f(x):\n    return x\n"
    samples = [{"task_id": t, "solution": code} for t, right in CODES.items() for code in (wrong, right)]
    words = ["--samples", str(lines(folder / "samples.jsonl", *samples)), "--workers", "1"]
    tests = lines(folder / "tests.jsonl", *({"task_id": t, "test": test} for t, test in TESTS.items()))
    words += ["--tests", str(tests), "--output", str(folder / "best.jsonl"), "--matrix", str(folder / "matrix.jsonl")]
    assert main(["rerank", "--dataset", "livecodebench", *words, *part]) == 0
    return folder / "best.jsonl"


def test_the_record_of_a_run_says_which_problems_it_was_about(tmp_path: Path) -> None:
    record = json.loads(reranked(tmp_path, "--livecodebench-from", "2024-03-01").with_suffix(".run.json").read_text())
    part = {name: value for name, value in record["settings"].items() if name.startswith("livecodebench")}
    assert part == {"livecodebench_release": None, "livecodebench_from": "2024-03-01", "livecodebench_to": None}
    assert [Path(one["path"]).name for one in record["data_files"]] == ["test.jsonl", "test2.jsonl"]
    assert all(len(one["sha256"]) == 64 for one in record["data_files"])


def test_a_window_is_bundled_stated_and_verified_by_the_whole_data_set(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "b.zip"
    assert bundle("livecodebench", reranked(tmp_path, "--livecodebench-from", "2024-03-01"), output) == 0
    files = contents(output)
    method = json.loads(files["method.json"])
    assert (method["slice"], method["problems"]) == (
        {"release": "release_v2", "start": "2024-03-01", "end": None},
        4,
    )
    assert "| part of the data set | release_v2, contests from 2024-03-01: 4 problems |" in files["METHOD.md"].decode()
    assert "| --release_version release_v2 --start_date 2024-03-01 |" in files["METHOD.md"].decode()
    for name in ("samples", "tests", "matrix", "selection"):
        records = map(json.loads, files[f"records/{name}.jsonl"].splitlines())
        assert {record["task_id"] for record in records} == set(WINDOW)
    code, found = checks(capsys, output, "--rerun", "1")
    assert code == 0, found
    assert {one["status"] for one in found.values()} == {"pass"}
    assert found["complete"]["detail"] == (
        "each of 4 problems once, by livecodebench (release_v2, contests from 2024-03-01)"
    )


def test_a_release_is_a_part_as_well(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_of = reranked(tmp_path, "--livecodebench-release", "release_v1")
    assert bundle("livecodebench", run_of, tmp_path / "b.zip") == 0
    method = json.loads(contents(tmp_path / "b.zip")["method.json"])
    assert (method["slice"]["release"], method["problems"]) == ("release_v1", 3)
    code, found = checks(capsys, tmp_path / "b.zip", "--rerun", "0")
    assert (code, found["complete"]["status"]) == (0, "pass")


@pytest.mark.parametrize(("stated", "told"), [(b'"2024-03-01"', b'"2024-05-20"'), (b'"release_v2"', b'"v2"')])
def test_another_part_than_the_runs_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], stated: bytes, told: bytes
) -> None:
    assert bundle("livecodebench", reranked(tmp_path, "--livecodebench-from", "2024-03-01"), tmp_path / "b.zip") == 0
    files = contents(tmp_path / "b.zip")
    assert stated in files["method.json"]
    files["method.json"] = files["method.json"].replace(stated, told)
    del files[MANIFEST]
    path = zipped(tmp_path / "forged.zip", {**files, MANIFEST: manifest_of(files)})
    code, found = checks(capsys, path, "--rerun", "0")
    assert (code, found["complete"]["status"]) == (1, "fail")
    assert " unknown: own_" in found["complete"]["detail"]


def test_a_run_that_lacks_problems_of_its_own_window_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record_file = reranked(tmp_path, "--livecodebench-from", "2024-03-01").with_suffix(".run.json")
    record = json.loads(record_file.read_text())
    record["settings"]["livecodebench_from"] = "2024-02-01"
    record_file.write_text(json.dumps(record))
    assert bundle("livecodebench", tmp_path / "best.jsonl", tmp_path / "b.zip") == 2
    error = capsys.readouterr().err
    assert "the run lacks 1 problem (own_b) of livecodebench (release_v2, contests from 2024-02-01)" in error


def test_a_record_without_a_window_is_told_to_be_made_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As ``coderm rerank`` wrote it before its record named the part."""
    record_file = reranked(tmp_path, "--livecodebench-from", "2024-03-01").with_suffix(".run.json")
    record = json.loads(record_file.read_text())
    record["settings"] = {k: v for k, v in record["settings"].items() if not k.startswith("livecodebench")}
    del record["data_files"]
    record_file.write_text(json.dumps(record))
    for file in ("samples.jsonl", "tests.jsonl"):
        kept = [one for one in map(json.loads, (tmp_path / file).read_text().splitlines()) if one["task_id"] in WINDOW]
        lines(tmp_path / file, *kept)
    from coderm_tasks.files import sha256_of

    record["files"]["samples"]["sha256"] = sha256_of(tmp_path / "samples.jsonl")
    record["files"]["tests"]["sha256"] = sha256_of(tmp_path / "tests.jsonl")
    record_file.write_text(json.dumps(record))
    assert bundle("livecodebench", tmp_path / "best.jsonl", tmp_path / "b.zip") == 2
    assert "where the run had a window or a release, run coderm rerank again with it" in capsys.readouterr().err


def test_the_data_set_is_found_where_the_run_had_it_or_where_the_flag_says(
    tmp_path: Path,
    livecodebench_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("LIVECODEBENCH_PATH")
    place = ["--livecodebench-path", str(livecodebench_folder)]
    assert bundle("livecodebench", reranked(tmp_path, *place), tmp_path / "a.zip") == 0
    assert bundle("livecodebench", tmp_path / "best.jsonl", tmp_path / "b.zip", *place) == 0
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    code, found = checks(capsys, tmp_path / "a.zip", "--rerun", "1", *place)
    assert (code, {one["status"] for one in found.values()}) == (0, {"pass"})


def test_a_data_set_that_cannot_be_had_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bundle("livecodebench", reranked(tmp_path), tmp_path / "b.zip") == 0
    monkeypatch.setenv("LIVECODEBENCH_PATH", str(tmp_path / "nowhere"))
    monkeypatch.setenv("COLUMNS", "500")  # no words broken over lines
    assert main(["bundle", "verify", str(tmp_path / "b.zip"), "--rerun", "1"]) == 0
    printed = capsys.readouterr().out
    assert printed.count("does not exist") == 1
    assert printed.rstrip().endswith("2 checks were skipped: not a full verification")


def test_labels_are_graded_again_by_the_hidden_tests(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = reranked(tmp_path, "--livecodebench-from", "2024-03-01")
    words = ["--dataset", "livecodebench", "--samples", str(tmp_path / "samples.jsonl"), "--workers", "1"]
    assert main(["evaluate", *words, "--output", str(tmp_path / "labels.jsonl")]) == 0
    words = ["bundle", "hf", str(output), "--output", str(tmp_path / "b.zip"), *STATED[:-1]]
    words += ["--labels", str(tmp_path / "labels.jsonl"), "--hub-dataset", "org/set", "--hub-task", "main"]
    assert main(words) == 0
    code, found = checks(capsys, tmp_path / "b.zip", "--rerun", "1", "--seed", "7")
    assert code == 0, found
    assert found["labels"]["detail"] == "4 samples of 4 problems graded again, 0 otherwise (seed 7)"


def test_a_windowed_run_of_lm_eval_is_bundled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("lm_eval.evaluator.add_env_info", lambda results: None)
    settings = {"n_samples": 2, "budget": 1, "workers": 1, "livecodebench_from": "2024-03-01"}
    settings["records"] = str(tmp_path / "records")

    def answer(request: object, times: int) -> str:
        return "        return 1\n```"

    results = run(ReplayLM(answer), settings, task="livecodebench_coderm", limit=None)
    folder = results["configs"]["livecodebench_coderm"]["metadata"]["coderm_run"]["records"]
    words = ["bundle", "livecodebench", folder, "--output", str(tmp_path / "b.zip"), "--model", "Org/Model"]
    assert main([*words, "--acknowledge-not-for-board"]) == 0
    method = json.loads(contents(tmp_path / "b.zip")["method.json"])
    assert (method["slice"]["start"], method["problems"]) == ("2024-03-01", 4)
    code, found = checks(capsys, tmp_path / "b.zip", "--rerun", "1")
    assert code == 0, found
