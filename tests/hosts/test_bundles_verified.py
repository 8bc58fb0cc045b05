"""``coderm bundle verify``: each way to tamper with a bundle fails its own check, even under a manifest made to fit."""

from __future__ import annotations

import json
import stat
import zipfile
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest
from bundle_runs import CODES, STATED, bundle, checks, contents, lines, needs_sandbox, rerank, zipped

from coderm_tasks.cli import main
from coderm_tasks.hosts.bundles import archive
from coderm_tasks.hosts.bundles.archive import MANIFEST, manifest_of

NAME = "Org--Model-1B--best-of-2-coderm_temp_0.8"
Files = dict[str, bytes]

pytestmark = pytest.mark.usefixtures("tiny_datasets")


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory, tiny_humaneval_file: Path) -> Path:
    """A bundle of a real run, which no test changes."""
    needs_sandbox()
    folder = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HUMANEVAL_OVERRIDE_PATH", str(tiny_humaneval_file))
        patch.delenv("CODERM_CONFIG", raising=False)
        assert bundle("evalplus", rerank(folder), folder / "sound.zip") == 0
    return folder / "sound.zip"


def forged(sound: Path, target: Path, change: Callable[[Files], None]) -> Path:
    """A bundle that someone changed, with a manifest that fits the change."""
    files = contents(sound)
    change(files)
    del files[MANIFEST]
    return zipped(target, {**files, MANIFEST: manifest_of(files)})


def replaced(name: str, old: bytes, new: bytes) -> Callable[[Files], None]:
    def change(files: Files) -> None:
        assert old in files[name]
        files[name] = files[name].replace(old, new)

    return change


def test_a_sound_bundle_passes_every_check_packed_and_unpacked(
    sound: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with zipfile.ZipFile(sound) as packed:
        packed.extractall(tmp_path / "folder")
    for path in (sound, tmp_path / "folder"):
        code, found = checks(capsys, path, "--rerun", "1", "--seed", "7")
        assert code == 0
        assert {one["status"] for one in found.values()} == {"pass"}
        assert found["verdicts"]["detail"] == "20 cells of 10 samples (seed 7) run again, 0 disagree"


def test_the_table_says_what_was_checked(sound: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bundle", "verify", str(sound), "--rerun", "0"]) == 0
    printed = capsys.readouterr().out
    assert "fine" in printed
    assert "nothing was to be run" in printed


def test_a_changed_an_added_and_a_removed_file_are_named(
    sound: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = contents(sound)
    files["METHOD.md"] += b"x"
    files["more.txt"] = b""
    del files["ISSUE.md"]
    code, found = checks(capsys, zipped(tmp_path / "b.zip", files), "--rerun", "0")
    assert code == 1
    assert found["hashes"]["detail"] == "1 changed: METHOD.md; 1 added: more.txt; 1 removed: ISSUE.md"


def swap_solution(files: Files) -> None:
    replaced(f"{NAME}.jsonl", b"sum(n)", b"len(n)")(files)


def select_another(files: Files) -> None:
    records = [json.loads(line) for line in files["records/selection.jsonl"].splitlines()]
    records[0] = {**records[0], "index": 0, "ties": [0]}
    files["records/selection.jsonl"] = b"".join(json.dumps(record).encode() + b"\n" for record in records)
    swap_solution(files)
    files[f"{NAME}/HumanEval_0/0.py"] = CODES["HumanEval/0"][0].encode()


def forge_verdicts(files: Files) -> None:
    """Let the wrong sample pass all tests, the right one none, and choose it."""
    records = [json.loads(line) for line in files["records/matrix.jsonl"].splitlines()]
    assert records[0]["verdicts"] == ["FF", "PP"]
    records[0]["verdicts"] = ["PP", "FF"]
    files["records/matrix.jsonl"] = b"".join(json.dumps(record).encode() + b"\n" for record in records)
    select_another(files)
    records = [json.loads(line) for line in files["records/selection.jsonl"].splitlines()]
    records[0]["scores"] = records[0]["scores"][::-1]
    files["records/selection.jsonl"] = b"".join(json.dumps(record).encode() + b"\n" for record in records)


def leave_out_the_rival(files: Files) -> None:
    """Let the right sample's cells not have been run, so that the wrong one wins the vote."""
    records = [json.loads(line) for line in files["records/matrix.jsonl"].splitlines()]
    records[0]["verdicts"] = ["FF", "--"]
    files["records/matrix.jsonl"] = b"".join(json.dumps(record).encode() + b"\n" for record in records)
    select_another(files)


def claim_that_it_was_pruned(files: Files) -> None:
    leave_out_the_rival(files)
    replaced("method.json", b'"pruned": false', b'"pruned": true')(files)


def drop_a_problem(files: Files) -> None:
    files[f"{NAME}.jsonl"] = b"".join(files[f"{NAME}.jsonl"].splitlines(keepends=True)[1:])


def repeat_a_problem(files: Files) -> None:
    files[f"{NAME}.jsonl"] += files[f"{NAME}.jsonl"].splitlines(keepends=True)[0]


def drop_a_row(files: Files) -> None:
    replaced("records/matrix.jsonl", b'"FF",', b"")(files)


def deep(files: Files) -> None:
    files["method.json"] = b'{"x":' * 100_000


@pytest.mark.parametrize(
    ("change", "check", "words"),
    [
        (swap_solution, "choice", "1 submitted solution is not the selected sample: HumanEval/0"),
        (select_another, "selection", "1 selection is not what coderm selects from the matrix: HumanEval/0"),
        (forge_verdicts, "verdicts", "HumanEval/0 sample 0 test 0: recorded P, now F"),
        (leave_out_the_rival, "method", "cells of 1 problem were not run (HumanEval/0)"),
        (claim_that_it_was_pruned, "verdicts", "passes 2 tests where the selected one passes 0"),
        (drop_a_problem, "complete", "1 problem missing: HumanEval/0"),
        (repeat_a_problem, "complete", "1 problem more than once: HumanEval/0"),
        (drop_a_row, "records", "has 1 rows in the matrix, and there are 2"),
        (replaced(f"{NAME}/HumanEval_1/0.py", b"/", b"//"), "files of the board", "is not as in the JSONL"),
        (replaced("method.json", b'"most": 2', b'"most": 1'), "records", "expected one"),
        (replaced("method.json", b'"seed": 0,\n  "pruned"', b'"seed": 0,\n  "x"'), "records", "pruned"),
        (replaced("method.json", b'"tied": 0', b'"tied": 3'), "method", "tied is 3 in method.json, 0 by the records"),
        (replaced("method.json", b"It is not greedy pass@1", b"It is pass@1"), "method", "no pass@1 is gone"),
        (
            replaced("METHOD.md", b"does NOT rank", b"ranks"),
            "texts",
            "METHOD.md: not what the records and method.json give",
        ),
        (replaced("method.json", b'"model": "Org/Model-1B"', b'"model": "Org-Model-1B"'), "records", "expected one"),
        (replaced("METHOD.md", b"not greedy pass@1", b"pass@1"), "texts", "METHOD.md"),
        (replaced("method.json", b'"unparsable": []', b'"unparsable": ["HumanEval/0"]'), "syntax", "declares 1"),
        (replaced("method.json", b'"cpu_s": 1.0', b'"cpu_s": 3000.0'), "verdicts", "check it by hand"),
        (replaced("method.json", b'"dataset": "humaneval_plus"', b'"dataset": "made_up"'), "complete", "made_up"),
        (replaced("method.json", b'"cpu_s": 1.0', b'"cpu_s": "x"'), "verdicts", "limits that cannot be"),
        (replaced("method.json", b'"strategy": "coderm"', b'"strategy": "oracle"'), "records", "expected one"),
        (deep, "records", "recursion"),
        (replaced("records/samples.jsonl", b'"task_id"', b'"task"'), "records", "no text under task_id"),
    ],
)
def test_a_forged_bundle_fails_even_under_a_manifest_that_fits(
    sound: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    change: Callable[[Files], None],
    check: str,
    words: str,
) -> None:
    code, found = checks(capsys, forged(sound, tmp_path / "b.zip", change), "--rerun", "1")
    assert code == 1
    assert found["hashes"]["status"] == "pass"
    assert found[check]["status"] == "fail"
    assert words in found[check]["detail"]


def test_a_solution_that_is_no_python_is_declared_and_passes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    needs_sandbox()
    run = rerank(tmp_path, codes={**CODES, "HumanEval/3": ("def (", "def (")})
    assert bundle("evalplus", run, tmp_path / "b.zip") == 0
    code, found = checks(capsys, tmp_path / "b.zip", "--rerun", "0")
    assert code == 0
    assert found["syntax"]["detail"] == "1 not Python, 0 without code, as declared"


def test_a_problem_without_samples_is_an_empty_solution_and_verifies(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    needs_sandbox()
    run = rerank(tmp_path, "--allow-missing", codes={**CODES, "HumanEval/3": ()})
    kept = [(t, i) for t, of in CODES.items() if t != "HumanEval/3" for i in range(len(of))]
    labels = lines(tmp_path / "labels.jsonl", *({"task_id": t, "plus": "pass" if i else "fail"} for t, i in kept))
    assert bundle("evalplus", run, tmp_path / "b.zip", "--allow-unequal", "--labels", str(labels)) == 0
    files = contents(tmp_path / "b.zip")
    assert files["Org--Model-1B--best-of-0-to-2-coderm_temp_0.8/HumanEval_3/0.py"] == b""
    assert json.loads(files["method.json"])["score"] == pytest.approx(4 / 5)
    code, found = checks(capsys, tmp_path / "b.zip", "--rerun", "1")
    assert code == 0, found


def test_a_strategy_that_looks_at_outputs_is_run_again_to_select_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    needs_sandbox()
    assert bundle("evalplus", rerank(tmp_path, "--strategy", "auto"), tmp_path / "b.zip") == 0
    assert checks(capsys, tmp_path / "b.zip", "--rerun", "0")[1]["selection"]["status"] == "skipped"
    code, found = checks(capsys, tmp_path / "b.zip", "--rerun", "0.5")
    assert code == 0
    assert found["selection"]["detail"] == "accord with seed 0 selects the same in 5 problems"


def link(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (zipfile.ZipInfo("../out.txt"), "leads out of the bundle"),
        (zipfile.ZipInfo("/etc/out.txt"), "leads out of the bundle"),
        (zipfile.ZipInfo("a\\..\\out.txt"), "leads out of the bundle"),
        (link("records/link"), "is a link or a device"),
        (zipfile.ZipInfo("METHOD.md"), "occurs twice"),
        (zipfile.ZipInfo("METHOD.md/x"), "cannot be unpacked"),
    ],
)
def test_a_dangerous_entry_is_refused_and_nothing_is_written_outside(
    sound: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], entry: zipfile.ZipInfo, words: str
) -> None:
    path = tmp_path / "b.zip"
    path.write_bytes(sound.read_bytes())
    doubled = pytest.warns(UserWarning, match="Duplicate name") if "twice" in words else nullcontext()
    with zipfile.ZipFile(path, "a") as packed, doubled:
        packed.writestr(entry, "/etc/passwd")
    assert main(["bundle", "verify", str(path)]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert sorted(one.name for one in tmp_path.iterdir()) == ["b.zip"]


def test_a_zip_bomb_is_refused_by_its_table(
    sound: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "MOST_BYTES", 1 << 20)
    path = zipped(tmp_path / "b.zip", {**contents(sound), "bomb": bytes(2 << 20)})
    assert path.stat().st_size < 1 << 16
    assert main(["bundle", "verify", str(path)]) == 2
    assert "a zip bomb?" in capsys.readouterr().err


def test_a_link_in_an_unpacked_bundle_is_refused(
    sound: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with zipfile.ZipFile(sound) as packed:
        packed.extractall(tmp_path)
    (tmp_path / "records" / "more").symlink_to("/etc/passwd")
    assert main(["bundle", "verify", str(tmp_path)]) == 2
    assert "is a link or a special file" in capsys.readouterr().err


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no zip", b"{}"])
def test_what_is_no_zip_is_refused(content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "b.zip").write_bytes(content)
    assert main(["bundle", "verify", str(tmp_path / "b.zip")]) == 2
    assert "is no sound zip file" in capsys.readouterr().err


def test_a_bundle_that_was_damaged_on_its_way_is_refused(
    sound: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = sound.read_bytes()
    place = whole.index(b"records/samples.jsonl") + 100
    (tmp_path / "b.zip").write_bytes(whole[:place] + bytes(50) + whole[place + 50 :])
    assert main(["bundle", "verify", str(tmp_path / "b.zip")]) == 2
    assert "is no sound zip file" in capsys.readouterr().err


@pytest.fixture(scope="module")
def hub_bundle(sound: Path) -> Path:
    labels = [{"task_id": t, "plus": "pass" if i else "fail"} for t, of in CODES.items() for i in range(len(of))]
    file = lines(sound.parent / "labels.jsonl", *labels)
    words = ["bundle", "hf", str(sound.parent / "best.jsonl"), "--output", str(sound.parent / "hub.zip"), *STATED[:-1]]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HUMANEVAL_OVERRIDE_PATH", str(Path(__file__).parents[1] / "data" / "humaneval_tiny.jsonl"))
        assert main([*words, "--labels", str(file), "--hub-dataset", "org/set", "--hub-task", "main"]) == 0
    return sound.parent / "hub.zip"


YAML = ".eval_results/main_best_of_2_coderm.yaml"


@pytest.mark.parametrize(
    ("change", "check", "words"),
    [
        (
            replaced(YAML, b"100.0", b"101.0"),
            "files of the board",
            "the value is 101.0, 100.0 by the records and labels",
        ),
        (
            replaced(YAML, b"NOT pass@1: best-of-2", b"pass@1"),
            "files of the board",
            "do not say that this is best-of-N",
        ),
        (replaced(YAML, b"- {", b"- [{"), "files of the board", ""),
        (
            replaced("records/labels.jsonl", b'"pass"', b'"fail"'),
            "method",
            "score is 1.0 in method.json, 0.0 by the records",
        ),
    ],
)
def test_a_forged_entry_for_the_hub_fails(
    hub_bundle: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    change: Callable[[Files], None],
    check: str,
    words: str,
) -> None:
    assert checks(capsys, hub_bundle, "--rerun", "0")[0] == 0
    code, found = checks(capsys, forged(hub_bundle, tmp_path / "b.zip", change), "--rerun", "0")
    assert words in found[check]["detail"]
    assert (found[check]["status"], code) == ("fail", 1)


def test_a_zip_that_is_no_bundle_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = zipped(tmp_path / "other.zip", {"a.txt": b"a"})
    assert main(["bundle", "verify", str(path)]) == 2
    assert f"{path}: has no MANIFEST.json" in capsys.readouterr().err


def test_a_missing_file_and_a_folder_that_is_no_bundle_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bundle", "verify", str(tmp_path / "b.zip")]) == 2
    assert "no such file" in capsys.readouterr().err
    assert main(["bundle", "verify", str(tmp_path)]) == 2
    assert "has no MANIFEST.json" in capsys.readouterr().err


def test_whoever_forges_a_bundle_cannot_know_which_samples_are_drawn(
    sound: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = [checks(capsys, sound, "--rerun", "0.1")[1]["verdicts"]["detail"] for _ in range(3)]
    seeds = [text.partition("(seed ")[2].partition(")")[0] for text in told]
    assert len(set(seeds)) == 3
    again = checks(capsys, sound, "--rerun", "0.1", "--seed", seeds[0])[1]["verdicts"]["detail"]
    assert again == told[0]


def test_a_share_that_is_none_is_refused(sound: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bundle", "verify", str(sound), "--rerun", "2"]) == 2
    assert "--rerun is 2.0: expected a share from 0 to 1" in capsys.readouterr().err


def test_names_in_a_bundle_cannot_draw_on_the_terminal(
    sound: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def change(files: Files) -> None:
        files[f"{NAME}.jsonl"] += json.dumps({"task_id": "\x1b[2J[red]x", "solution": ""}).encode() + b"\n"

    assert main(["bundle", "verify", str(forged(sound, tmp_path / "b.zip", change)), "--rerun", "0"]) == 1
    printed = capsys.readouterr().out
    assert "\x1b" not in printed
    assert "[red]x" in printed.replace("\n", "")
