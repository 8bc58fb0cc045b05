"""The command as a whole: help, version, verbs, exit codes, what it does not import."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import coderm_tasks
from coderm_tasks import cli
from coderm_tasks.cli import build_app, main
from coderm_tasks.errors import InputError
from executor import SandboxMissing
from executor.cache import ResultCache

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
VERBS = [verb.name for verb in cli._VERBS]


def python(*words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, env=environment, timeout=120)


def test_the_version_is_the_distributions() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == coderm_tasks.__version__
    assert python("-m", "coderm_tasks", "--version").stdout == f"coderm-tasks {coderm_tasks.__version__}\n"


def test_help_lists_every_verb_and_ends_well(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    printed = capsys.readouterr().out
    assert [verb for verb in VERBS if verb not in printed] == []


def test_no_arguments_print_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert "Usage: coderm" in capsys.readouterr().out


@pytest.mark.parametrize("verb", VERBS)
def test_the_help_of_every_verb_can_be_printed(capsys: pytest.CaptureFixture[str], verb: str) -> None:
    assert main([verb, "--help"]) == 0
    printed = capsys.readouterr().out
    assert f"Usage: coderm {verb}" in printed


@pytest.mark.parametrize("verb", ["rerank", "generate", "sample", "evaluate", "doctor", "task-path"])
def test_the_help_of_a_verb_shows_an_example(capsys: pytest.CaptureFixture[str], verb: str) -> None:
    main([verb, "--help"])
    assert "Example:" in capsys.readouterr().out


def test_the_full_tree_can_be_built() -> None:
    app = build_app()
    names = [command.name for command in app.registered_commands] + [group.name for group in app.registered_groups]
    assert sorted(str(name) for name in names) == sorted(VERBS)


def test_help_loads_neither_numpy_nor_a_host_nor_the_executor() -> None:
    heavy = ("numpy", "executor", "lm_eval", "evalplus", "torch", "sklearn", "rich.progress")
    program = (
        "import sys\nfrom coderm_tasks.cli import main\nmain(['--help'])\n"
        f"print('LOADED', sorted(set({heavy!r}) & sys.modules.keys()))"
    )
    run = python("-c", program)
    assert run.stdout.splitlines()[-1] == "LOADED []"


def test_importing_the_package_imports_nothing_of_it() -> None:
    program = "import sys, coderm_tasks; print(sorted(name for name in sys.modules if name.startswith('coderm_tasks')))"
    assert python("-c", program).stdout == "['coderm_tasks']\n"


def test_an_unknown_verb_is_refused_with_the_closest_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rernk"]) == 2
    error = capsys.readouterr().err
    assert "rerank" in error
    assert error.count("\n") == 1


def test_task_path_prints_a_folder_with_task_files(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["task-path"]) == 0
    folder = Path(capsys.readouterr().out.rstrip("\n"))
    assert list(folder.glob("*.yaml"))


def test_a_damaged_cache_can_be_cleared(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = tmp_path / "coderm-tasks"
    with ResultCache(folder) as cache:
        path = cache.path
    path.write_bytes(b"no database" * 1000)
    assert main(["cache", "info"]) == 2
    assert "coderm cache clear" in capsys.readouterr().err
    assert main(["cache", "clear"]) == 0
    assert "could not be read; its files are deleted" in capsys.readouterr().out
    assert main(["cache", "info", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["cells"] == 0


def test_the_cache_can_be_looked_at_and_cleared(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with ResultCache(tmp_path / "coderm-tasks") as cache:
        cache.put({b"s" * 20: [(b"t" * 12, "P", "l"), (b"u" * 12, "F", "l")]})
    assert main(["cache", "info", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["cells"] == 2
    assert main(["cache", "clear"]) == 0
    assert capsys.readouterr().out.startswith("2 verdicts ")
    assert main(["cache", "info", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["cells"] == 0


def test_a_group_without_a_verb_prints_its_help_and_exits_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cache"]) == 2
    printed = capsys.readouterr()
    assert "Usage: coderm cache" in printed.out + printed.err


def raising(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def task_path() -> None:
        raise error

    monkeypatch.setattr("coderm_tasks.cli.task_path.task_path", task_path)


@pytest.mark.parametrize("error", [InputError("a file:\nis\n  wrong"), SandboxMissing("a file:\nis\n  wrong")])
def test_an_error_of_ours_or_of_the_executor_is_one_line_and_exit_code_2(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    raising(monkeypatch, error)
    assert main(["task-path"]) == 2
    assert capsys.readouterr().err == "coderm: a file: is wrong\n"


def test_a_bug_is_not_dressed_up_as_an_error_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    raising(monkeypatch, ZeroDivisionError("a bug"))
    with pytest.raises(ZeroDivisionError):
        main(["task-path"])


def test_an_interruption_is_one_line_and_exit_code_130(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    raising(monkeypatch, KeyboardInterrupt())
    assert main(["task-path"]) == 130
    error = capsys.readouterr().err
    assert error.startswith("coderm: interrupted")
    assert error.count("\n") == 1
