"""Matrix and selection files: append, kill, resume, read back."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coderm_tasks.errors import StoreError
from coderm_tasks.model import Selection
from coderm_tasks.store import MatrixRecord, RecordLog, SelectionRecord, matrix_record, read_records, write_records
from executor import PassMatrix

ROOT = Path(__file__).parents[2]


def record(number: int) -> MatrixRecord:
    return MatrixRecord(task_id=f"HumanEval/{number}", solutions=2, tests=3, verdicts=("PFT", "EI-"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "matrix.jsonl"


def test_a_matrix_line_has_the_documented_form(path: Path) -> None:
    write_records(path, [record(0)])
    assert json.loads(path.read_text()) == {
        "task_id": "HumanEval/0",
        "solutions": 2,
        "tests": 3,
        "verdicts": ["PFT", "EI-"],
        "shared": 0,
    }


def test_a_matrix_comes_back_as_it_was() -> None:
    matrix = PassMatrix.from_rows("Mbpp/2", ["PFTRE", "I-PPP"])
    back = matrix_record(matrix).matrix()
    assert np.array_equal(back.letters, matrix.letters)
    assert back.job_id == "Mbpp/2"


@pytest.mark.parametrize(("rows", "tests"), [([], 0), ([], 4), (["", ""], 0)])
def test_an_empty_matrix_keeps_its_shape(rows: list[str], tests: int) -> None:
    matrix = PassMatrix.from_rows("Mbpp/2", rows, tests)
    assert matrix_record(matrix).matrix().letters.shape == (len(rows), tests)


def test_shared_cells_are_counted() -> None:
    matrix = PassMatrix.from_rows("Mbpp/2", ["PP", "PP"])
    shared = PassMatrix("Mbpp/2", matrix.letters, np.array([[True, False], [True, True]]))
    assert matrix_record(shared).shared == 3


@pytest.mark.parametrize("verdicts", [("PFT",), ("PFT", "PF"), ("PFT", "PFx")])
def test_a_matrix_of_the_wrong_shape_is_refused(verdicts: tuple[str, ...]) -> None:
    with pytest.raises(StoreError, match="matrix of Mbpp/2: "):
        MatrixRecord(task_id="Mbpp/2", solutions=2, tests=3, verdicts=verdicts).matrix()


def test_a_selection_comes_back_as_it_was(path: Path) -> None:
    selection = Selection(
        task_id="Mbpp/2", index=1, ties=(1, 2), scores=(0.0, 2.5, 2.5), strategy="coderm", tests_used=4, note=""
    )
    write_records(path, [SelectionRecord.of(selection, 6)])
    (back,) = read_records(path, SelectionRecord)
    assert back.selection() == selection
    assert back.tests == 6


def test_a_log_keeps_what_earlier_runs_wrote(path: Path) -> None:
    for number in range(3):
        with RecordLog(path, MatrixRecord) as log:
            log.append(record(number))
    assert list(read_records(path, MatrixRecord)) == [record(0), record(1), record(2)]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_wherever_a_write_was_cut_the_whole_records_are_kept(path: Path, data: st.DataObject) -> None:
    write_records(path, [record(0), record(1)])
    whole = path.read_bytes()
    cut = data.draw(st.integers(0, len(whole)))
    path.write_bytes(whole[:cut])
    kept = whole[:cut].count(b"\n")
    assert list(read_records(path, MatrixRecord)) == [record(0), record(1)][:kept]
    with RecordLog(path, MatrixRecord) as log:
        log.append(record(7))
    assert list(read_records(path, MatrixRecord)) == [*[record(0), record(1)][:kept], record(7)]


def test_a_partial_line_longer_than_a_block_is_cut_off(path: Path) -> None:
    write_records(path, [record(0)])
    with path.open("ab") as stream:
        stream.write(b"x" * 200_000)
    RecordLog(path, MatrixRecord).close()
    assert list(read_records(path, MatrixRecord)) == [record(0)]
    assert path.stat().st_size < 1000


def test_a_run_that_is_killed_keeps_every_record_it_reported(path: Path) -> None:
    program = (
        "import sys\nfrom coderm_tasks.store import MatrixRecord, RecordLog\n"
        f"log = RecordLog({str(path)!r}, MatrixRecord)\n"
        "for number in range(10_000):\n"
        "    log.append(MatrixRecord(task_id=str(number), solutions=1, tests=1, verdicts=('P',)))\n"
        "    print(number, flush=True)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) == 20:
                os.kill(process.pid, signal.SIGKILL)
                break
    kept = [int(one.task_id) for one in read_records(path, MatrixRecord)]
    assert kept == list(range(len(kept)))
    assert len(kept) >= 21


def test_two_runs_cannot_write_one_log(path: Path) -> None:
    with RecordLog(path, MatrixRecord), pytest.raises(StoreError, match="another run is writing it"):
        RecordLog(path, MatrixRecord)


def test_a_log_that_was_closed_can_be_opened_again(path: Path) -> None:
    log = RecordLog(path, MatrixRecord)
    log.close()
    log.close()
    RecordLog(path, MatrixRecord).close()


@pytest.mark.parametrize(
    "line", ["not json", '{"task_id": "x"}', '{"task_id": 1, "solutions": 1, "tests": 1, "verdicts": []}']
)
def test_a_damaged_line_is_refused_with_its_number(path: Path, line: str) -> None:
    write_records(path, [record(0)])
    with path.open("a") as stream:
        stream.write(line + "\n")
    with pytest.raises(StoreError, match=r"matrix\.jsonl:2: got a line that is no MatrixRecord"):
        list(read_records(path, MatrixRecord))


def test_a_missing_file_is_named(path: Path) -> None:
    with pytest.raises(StoreError, match=r"matrix\.jsonl: cannot be read \(No such file or directory\)"):
        list(read_records(path, MatrixRecord))


def test_a_log_in_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be opened"):
        RecordLog(tmp_path / "absent" / "log.jsonl", MatrixRecord)


def test_a_disk_that_fills_up_is_told_in_one_line_and_keeps_what_was_whole(path: Path) -> None:
    # A limit on file size stands in for the full disk: the second record is cut in the middle.
    program = (
        "import resource\nfrom coderm_tasks.errors import StoreError\n"
        "from coderm_tasks.store import MatrixRecord, RecordLog\n"
        f"log = RecordLog({str(path)!r}, MatrixRecord)\n"
        "record = MatrixRecord(task_id='x', solutions=1, tests=100, verdicts=('P' * 100,))\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (250, 250))\n"
        "log.append(record)\n"
        "try:\n    log.append(record)\nexcept StoreError as error:\n    print(error)\n"
    )
    run = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "cannot be written (File too large); free space and run again" in run.stdout
    assert len(list(read_records(path, MatrixRecord))) == 1
    assert path.read_bytes().endswith(b"\n")
