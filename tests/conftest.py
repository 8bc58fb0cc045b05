"""Fixtures that several rooms' tests share."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from ray_cluster import RayCluster, cluster

# A loaded machine is no failure: how long an example takes is nothing that a test asserts.
settings.register_profile("coderm", deadline=None)
settings.load_profile("coderm")
# A suite that a script starts in its background ignores SIGINT, and so would all that it starts and interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)

HERE = Path(__file__).resolve().parent


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep tests away from the user's cache of results."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real solutions, tests and labels beside the checkout; the test is skipped where it is missing."""
    folder = HERE.parent.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}: put the project's shared/data folder beside the checkout to run this")
    return folder


@pytest.fixture(scope="session")
def tiny_humaneval_file() -> Path:
    """Five problems in the form of HumanEval+, written for these tests; HumanEval/32 is EvalPlus's special case."""
    return HERE / "data" / "humaneval_tiny.jsonl"


@pytest.fixture(scope="session")
def tiny_mbpp_file() -> Path:
    """Eight problems in the form of MBPP+, written for these tests, with the ids that EvalPlus treats specially."""
    return HERE / "data" / "mbpp_tiny.jsonl"


@pytest.fixture(scope="session")
def livecodebench_folder() -> Path:
    """Six problems in the form of LiveCodeBench, written for these tests: programs and methods, all difficulties."""
    return HERE / "data" / "livecodebench"


@pytest.fixture
def tiny_datasets(tiny_humaneval_file: Path, tiny_mbpp_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let EvalPlus's loader read the tiny data sets."""
    monkeypatch.setenv("HUMANEVAL_OVERRIDE_PATH", str(tiny_humaneval_file))
    monkeypatch.setenv("MBPP_OVERRIDE_PATH", str(tiny_mbpp_file))


@pytest.fixture(scope="session")
def two_nodes() -> Iterator[RayCluster]:
    """A Ray cluster on this machine: a head without processors, and two nodes with one each. No test may harm it."""
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'coderm-tasks[ray]' to run this")
    with cluster(1, 1) as opened:
        yield opened
