"""``coderm bundle verify`` on statements that were falsified with care: page, entry and manifest all made to fit."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from bundle_runs import CODES, STATED, bundle, checks, contents, lines, needs_sandbox, rerank, zipped

from coderm_tasks.cli import main
from coderm_tasks.hosts.bundles.archive import MANIFEST, manifest_of
from coderm_tasks.hosts.bundles.method import Method, decode, encode
from coderm_tasks.hosts.bundles.method_page import method_page
from coderm_tasks.hosts.bundles.problem_sets import Part
from coderm_tasks.hosts.bundles.submissions import submission

Files = dict[str, bytes]
Change = Callable[[Files], None]
YAML = ".eval_results/main_best_of_2_coderm.yaml"

pytestmark = pytest.mark.usefixtures("tiny_datasets")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, tiny_humaneval_file: Path) -> Path:
    needs_sandbox()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HUMANEVAL_OVERRIDE_PATH", str(tiny_humaneval_file))
        patch.delenv("CODERM_CONFIG", raising=False)
        return rerank(tmp_path_factory.mktemp("run"))


@pytest.fixture
def sound(run: Path, tmp_path: Path) -> Path:
    assert bundle("evalplus", run, tmp_path / "sound.zip") == 0
    return tmp_path / "sound.zip"


@pytest.fixture
def hub(run: Path, tmp_path: Path) -> Path:
    """With the true labels: the second sample of each problem is right."""
    labels = [{"task_id": t, "plus": "pass" if i else "fail"} for t, of in CODES.items() for i in range(len(of))]
    file = lines(tmp_path / "labels.jsonl", *labels)
    words = ["bundle", "hf", str(run), "--output", str(tmp_path / "hub.zip"), *STATED[:-1], "--labels", str(file)]
    assert main([*words, "--hub-dataset", "org/set", "--hub-task", "main"]) == 0
    return tmp_path / "hub.zip"


def forged(path: Path, change: Change) -> Path:
    files = contents(path)
    change(files)
    files.pop(MANIFEST)
    return zipped(path.with_name("forged.zip"), {**files, MANIFEST: manifest_of(files)})


def facts(**changes: Any) -> Change:
    """Other facts in method.json, and every text written anew from them, as whoever has this package can do it."""

    def change(files: Files) -> None:
        restate(files, msgspec.structs.replace(decode(files["method.json"]), **changes))

    return change


def restate(files: Files, method: Method) -> None:
    files["method.json"] = encode(method)
    files["METHOD.md"] = method_page(method).encode()
    (top,) = [name for name in files if "/" not in name and name.endswith(".jsonl")]
    chosen = {one["task_id"]: one["solution"] for one in map(json.loads, files[top].splitlines())}
    for name, data in submission(method, chosen).items():
        files[name] = data


def replaced(name: str, old: bytes, new: bytes) -> Change:
    def change(files: Files) -> None:
        assert old in files[name]
        files[name] = files[name].replace(old, new)

    return change


def without(name: str) -> Change:
    return lambda files: files.pop(name) and None


def written(name: str, data: bytes) -> Change:
    return lambda files: files.update({name: data})


@pytest.mark.parametrize(
    ("change", "check", "words"),
    [
        (written("ISSUE.md", b"Title: [REQUEST] - Org/Model greedy pass@1 99%\n"), "texts", "ISSUE.md: not what"),
        (without("ISSUE.md"), "files of the board", "1 file missing: ISSUE.md"),
        (written("RESULT.md", b"pass@1 99%"), "files of the board", "1 file which no such bundle has: RESULT.md"),
        (written("records/notes.txt", b"pass@1"), "records", "records holds notes.txt"),
        (replaced("method.json", b'"format": 2', b'"pass@1": 99, "format": 2'), "texts", "method.json: not what"),
        (replaced("records/matrix.jsonl", b'"tests"', b'"pass@1":99,"tests"'), "texts", "records/matrix.jsonl"),
        (facts(dataset="made_up"), "method", "dataset is 'made_up', and the board is about humaneval_plus"),
        (facts(slice=Part(start="2024-03-01")), "method", "slice is stated of livecodebench and of nothing else"),
        (facts(fallbacks=3), "method", "fallbacks is 3 in method.json, 0 by the records"),
        (facts(board_ranks_best_of_n=True), "method", "board_ranks_best_of_n is true in method.json, false"),
        (facts(board_rule="ranks everything"), "method", 'board_rule is "ranks everything" in method.json'),
        (facts(board_source="my blog"), "method", "board_source"),
        (facts(sandbox="none"), "method", "sandbox is 'none', in which no run of this package executes anything"),
        (facts(tool="by hand"), "method", "tool is 'by hand', which writes no records"),
        (facts(budget=7.0), "method", "budget is 7.0 in method.json, 2.0 by the records"),
        (facts(statement="best-of-N, not greedy pass@1 (but nearly)"), "method", "statement"),
        (facts(score=0.5), "method", "score is 0.5 in method.json, null by the records"),
    ],
)
def test_a_falsified_statement_fails_whatever_was_made_to_fit_it(
    sound: Path, capsys: pytest.CaptureFixture[str], change: Change, check: str, words: str
) -> None:
    code, found = checks(capsys, forged(sound, change), "--rerun", "0")
    assert code == 1
    assert found["hashes"]["status"] == "pass"
    assert words in found[check]["detail"]
    assert found[check]["status"] == "fail"


@pytest.mark.parametrize("name", ["tests", "tests_used"])
def test_other_numbers_of_tests_than_the_records_fail(
    sound: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    def change(files: Files) -> None:
        method = decode(files["method.json"])
        restate(files, msgspec.structs.replace(method, **{name: type(method.tests)(99, 99.0, 99)}))

    code, found = checks(capsys, forged(sound, change), "--rerun", "0")
    assert (code, found["method"]["status"]) == (1, "fail")
    assert f"{name} is {{" in found["method"]["detail"]


def test_tests_used_are_derived_from_the_matrix(sound: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def change(files: Files) -> None:
        replaced("records/selection.jsonl", b'"tests_used":2', b'"tests_used":1')(files)
        method = decode(files["method.json"])
        restate(files, msgspec.structs.replace(method, tests_used=type(method.tests)(1, 1.0, 1)))

    code, found = checks(capsys, forged(sound, change), "--rerun", "0")
    assert (code, found["selection"]["status"]) == (1, "fail")


@pytest.mark.parametrize(
    ("change", "check", "words"),
    [
        (replaced(YAML, b"best-of-2", b"best-of-1 greedy, ranks as pass@1,"), "texts", YAML),
        (replaced(YAML, b"# This is best-of-N", b"# This is it"), "texts", YAML),
        (replaced(YAML, b"org/set", b"openai/other"), "files of the board", "the dataset is"),
        (replaced(YAML, b'"task_id": "main"', b'"task_id": "other"'), "files of the board", "the dataset is"),
        (replaced(YAML, b'"notes"', b'"date": "2026-01-01", "notes"'), "files of the board", "the date is"),
    ],
)
def test_a_falsified_entry_of_the_hub_fails(
    hub: Path, capsys: pytest.CaptureFixture[str], change: Change, check: str, words: str
) -> None:
    assert checks(capsys, hub, "--rerun", "0")[0] == 0
    code, found = checks(capsys, forged(hub, change), "--rerun", "0")
    assert (code, found[check]["status"]) == (1, "fail")
    assert words in found[check]["detail"]


def test_labels_that_are_true_are_graded_again_and_pass(hub: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, found = checks(capsys, hub, "--rerun", "1", "--seed", "7")
    assert code == 0, found
    assert {one["status"] for one in found.values()} == {"pass"}
    assert found["labels"]["detail"] == "5 samples of 5 problems graded again, 0 otherwise (seed 7)"


def test_a_label_that_is_false_fails_though_the_score_and_every_text_fit_it(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = [{"task_id": t, "plus": "pass"} for t, of in CODES.items() for _ in of]
    folder = rerank(tmp_path, codes={**CODES, "HumanEval/3": ("def smallest_first(n):\n    return n[::-1]\n",) * 2})
    words = ["bundle", "hf", str(folder), "--output", str(tmp_path / "b.zip"), *STATED[:-1]]
    file = lines(tmp_path / "labels.jsonl", *labels)
    assert main([*words, "--labels", str(file), "--hub-dataset", "org/set", "--hub-task", "main"]) == 0
    code, found = checks(capsys, tmp_path / "b.zip", "--rerun", "1")
    assert code == 1
    assert {name for name, one in found.items() if one["status"] != "pass"} == {"labels"}
    assert "HumanEval/3 sample 0: labelled correct, now wrong" in found["labels"]["detail"]


def test_labels_are_skipped_with_the_reason_where_there_is_no_ground_truth(
    hub: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUMANEVAL_OVERRIDE_PATH", str(hub.with_name("none.jsonl")))
    code, found = checks(capsys, hub, "--rerun", "1")
    assert code == 0
    assert found["labels"]["status"] == found["complete"]["status"] == "skipped"
    assert "none.jsonl" in found["complete"]["detail"]
    assert found["labels"]["detail"] == "as complete"


def test_checks_that_were_skipped_are_told_at_the_end(hub: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bundle", "verify", str(hub), "--rerun", "0"]) == 0
    printed = capsys.readouterr().out
    assert "fine as far as it was checked" in " ".join(printed.split())
    assert printed.rstrip().endswith("2 checks were skipped: not a full verification")


def test_the_words_of_another_version_are_not_judged_but_its_numbers_are(
    sound: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def change(files: Files) -> None:
        facts(bundled_with="0.0.9")(files)
        files["METHOD.md"] = files["METHOD.md"].replace(b"No ground truth was looked at.", b"In other words.")

    code, found = checks(capsys, forged(sound, change), "--rerun", "0")
    assert (code, found["texts"]["status"]) == (0, "skipped")
    assert "written by coderm-tasks 0.0.9, whose words may be others" in found["texts"]["detail"]

    def silent(files: Files) -> None:
        change(files)
        files["METHOD.md"] = b"pass@1: 99 %"

    assert checks(capsys, forged(sound, silent), "--rerun", "0")[1]["texts"]["status"] == "fail"

    def other(files: Files) -> None:
        facts(bundled_with="0.0.9", tied=3)(files)

    assert checks(capsys, forged(sound, other), "--rerun", "0")[1]["method"]["status"] == "fail"


def test_a_bundle_of_an_older_format_is_told_what_to_do(sound: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change = replaced("method.json", b'"format": 2', b'"format": 1')
    code, found = checks(capsys, forged(sound, change), "--rerun", "0")
    assert (code, found["records"]["status"]) == (1, "fail")
    assert "method.json has format 1" in found["records"]["detail"]


@pytest.mark.parametrize(("understated", "status"), [("HumanEval/32", "pass"), ("HumanEval/0", "fail")])
def test_a_label_may_understate_only_what_evalplus_fails_by_its_bug(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], understated: str, status: str
) -> None:
    labels = [
        {"task_id": t, "plus": "pass" if i and t != understated else "fail"}
        for t, of in CODES.items()
        for i in range(len(of))
    ]
    words = ["bundle", "hf", str(run), "--output", str(tmp_path / "b.zip"), *STATED[:-1], "--hub-dataset", "org/set"]
    file = lines(tmp_path / "labels.jsonl", *labels)
    assert main([*words, "--labels", str(file), "--hub-task", "main"]) == 0
    assert checks(capsys, tmp_path / "b.zip", "--rerun", "1")[1]["labels"]["status"] == status


@pytest.mark.parametrize(("slow", "status"), [(1, "pass"), (2, "fail")])
def test_a_label_that_a_limit_may_explain_is_told_and_several_fail(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], slow: int, status: str
) -> None:
    endless = "def {name}({arguments}):\n    while True:\n        pass\n"
    sources = {"HumanEval/3": endless.format(name="smallest_first", arguments="n")}
    name, arguments = CODES["HumanEval/0"][1].split("def ")[1].split(":")[0].rstrip(")").split("(")
    sources |= {"HumanEval/0": endless.format(name=name, arguments=arguments)} if slow == 2 else {}
    codes = {**CODES, **{task_id: (code,) * 2 for task_id, code in sources.items()}}
    folder = rerank(tmp_path, codes=codes)
    labels = [
        {"task_id": t, "plus": "pass" if i or t in sources else "fail"} for t, of in codes.items() for i in range(2)
    ]
    words = ["bundle", "hf", str(folder), "--output", str(tmp_path / "b.zip"), *STATED[:-1], "--hub-dataset", "org/set"]
    assert main([*words, "--labels", str(lines(tmp_path / "labels.jsonl", *labels)), "--hub-task", "main"]) == 0
    found = checks(capsys, tmp_path / "b.zip", "--rerun", "1")[1]["labels"]
    assert found["status"] == status
    assert "HumanEval/3 sample 0: labelled correct, now wrong (base input 0: timed out)" in found["detail"]
