"""The load of ``make load`` in short: clients of every kind, every answer checked, processes killed meanwhile."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from serve_bench import PATIENCE, ROOT


@pytest.mark.slow
def test_under_load_and_with_processes_killed_at_random_every_accepted_request_is_answered_rightly():
    found = subprocess.run(
        [sys.executable, "benchmarks/serve_load.py", "--seconds", "6", "--clients", "16", "--chaos", "--kill-every", "1", "--verbose"],
        capture_output=True, text=True, timeout=PATIENCE, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert found.returncode == 0, found.stdout[-4000:] + found.stderr[-4000:]
    figures = json.loads(found.stdout)
    assert figures["wrong_or_other_errors"] == 0
    assert figures["killed"]
    assert min(figures["kinds"][kind]["answers"] for kind in ("rewards", "matrix")) > 0
    assert figures["answered_after_sigterm"] > 0
