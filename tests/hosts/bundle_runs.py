"""Help for the bundles' tests: a real run of ``coderm rerank`` on the tiny data set, and a bundle of it."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from coderm_tasks.cli import main
from executor import SandboxMissing
from executor.doctor import require_sandbox

CODES = {
    "HumanEval/0": ("def total(n):\n    return len(n)\n", "def total(n):\n    return sum(n)\n"),
    "HumanEval/1": (
        "def halve(n):\n    return [x // 2 for x in n]\n",
        "def halve(n):\n    return [x / 2 for x in n]\n",
    ),
    "HumanEval/2": (
        "def ring(a, b):\n    return 0\n",
        "def ring(a, b):\n    return 3.14159265358979 * (a * a - b * b)\n",
    ),
    "HumanEval/3": ("def smallest_first(n):\n    return n\n", "def smallest_first(n):\n    return sorted(n)\n"),
    "HumanEval/32": ("def find_zero(xs):\n    return 'x'\n", "def find_zero(xs):\n    return -xs[0] / xs[1]\n"),
}
TESTS = {
    "HumanEval/0": ("assert total([2, 3]) == 5", "assert total([7]) == 7"),
    "HumanEval/1": ("assert halve([3]) == [1.5]", "assert halve([]) == []"),
    "HumanEval/2": ("assert ring(1, 1) == 0", "assert ring(2, 1) > 9"),
    "HumanEval/3": ("assert smallest_first([2, 1]) == [1, 2]", "assert smallest_first([1]) == [1]"),
    "HumanEval/32": ("assert find_zero([1, 2]) == -0.5", "assert find_zero([0, 1]) == 0"),
}
STATED = ["--model", "Org/Model-1B", "--temperature", "0.8", "--acknowledge-not-for-board"]


def needs_sandbox() -> None:
    try:
        require_sandbox()
    except SandboxMissing as error:
        pytest.skip(f"needs the sandbox: {error}")


def lines(path: Path, *records: object) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


def rerank(folder: Path, *extra: str, codes: dict[str, tuple[str, ...]] = CODES) -> Path:
    """Run ``coderm rerank`` in ``folder``; return its output."""
    samples = lines(folder / "samples.jsonl", *({"task_id": t, "solution": c} for t, of in codes.items() for c in of))
    tests = lines(folder / "tests.jsonl", *({"task_id": t, "test": c} for t, of in TESTS.items() for c in of))
    output = folder / "best.jsonl"
    words = ["--samples", str(samples), "--tests", str(tests), "--output", str(output), "--workers", "1"]
    assert main(["rerank", "--dataset", "humaneval", *words, "--matrix", str(folder / "matrix.jsonl"), *extra]) == 0
    return output


def bundle(board: str, run: Path, output: Path, *extra: str) -> int:
    return main(["bundle", board, str(run), "--output", str(output), *STATED, *extra])


def contents(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def checks(capsys: pytest.CaptureFixture[str], path: Path, *extra: str) -> tuple[int, dict[str, Any]]:
    """Verify; return the exit code, and each check's status and detail."""
    capsys.readouterr()
    code = main(["bundle", "verify", str(path), "--workers", "1", "--json", *extra])
    printed = capsys.readouterr()
    return code, {one["name"]: one for one in json.loads(printed.out)["checks"]}
