"""Requests made up from the service's own OpenAPI document, by schemathesis, against the real service."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys

import pytest
from serve_bench import PATIENCE, TOKEN


@pytest.mark.slow
def test_no_made_up_request_finds_an_error_or_an_answer_that_the_document_does_not_name(start, tmp_path):
    if importlib.util.find_spec("schemathesis") is None:
        pytest.skip("schemathesis makes up the requests: pip install 'coderm-tasks[test]'")
    service = start()
    found = subprocess.run(
        [
            sys.executable, "-m", "schemathesis.cli", "run", f"{service.url}/openapi.json",
            "--header", f"Authorization: Bearer {TOKEN}", "--phases", "examples,coverage,fuzzing",
            "--max-examples", "40", "--seed", "1", "--no-shrink", "--checks", "all",
            # A schema cannot say that a test must mention its entry point, nor how many there may be.
            "--exclude-checks", "positive_data_acceptance",
        ],
        capture_output=True, text=True, timeout=PATIENCE, cwd=tmp_path, env={**os.environ, "NO_COLOR": "1"},
    )  # fmt: skip
    assert found.returncode == 0, found.stdout[-4000:] + found.stderr[-2000:]
    assert "Tested: 4" in found.stdout
    answered = service.http.get("/metrics").text
    assert 'status="5' not in answered
    assert 'coderm_requests_total{route="/v1/rewards",status="200"}' in answered
    assert service.process.poll() is None
