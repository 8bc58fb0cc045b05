"""Files from users, and the atomic writer: what is tolerated, what is refused, and in which words."""

from __future__ import annotations

import gzip
import json
import os
import stat
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coderm_tasks.errors import InputError, StoreError
from coderm_tasks.files import SampleRef, atomic_writer, check_writable, read_jsonl, read_samples
from coderm_tasks.model import GroundTruth, Problem


def problem(task_id: str) -> Problem:
    return Problem(
        task_id=task_id, dataset="humaneval", prompt="def f(x):\n", entry_point="f", truth=GroundTruth(check="x")
    )


PROBLEMS = {task_id: problem(task_id) for task_id in ("HumanEval/0", "HumanEval/1")}


def lines(*records: object) -> bytes:
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "samples.jsonl"


def refused(path: Path, content: bytes, *, samples: bool = False) -> str:
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_samples(path, PROBLEMS) if samples else list(read_jsonl(path))
    message = str(caught.value)
    assert "\n" not in message
    return message.replace(str(path), "FILE")


def test_records_come_with_their_line_numbers(path: Path) -> None:
    path.write_bytes(lines({"a": 1}, {"a": 2}))
    assert list(read_jsonl(path)) == [(1, {"a": 1}), (2, {"a": 2})]


def test_blank_lines_are_skipped_and_still_counted(path: Path) -> None:
    path.write_bytes(b'\n{"a": 1}\n   \n{"a": 2}\n\n')
    assert [number for number, _ in read_jsonl(path)] == [2, 4]


@pytest.mark.parametrize(
    "content",
    [b'\xef\xbb\xbf{"a": "\xc3\xa9"}\n', b'{"a": "\xc3\xa9"}\r\n', b'{"a": "\xc3\xa9"}', b'  {"a": "\\u00e9"}  \n'],
    ids=["byte-order mark", "Windows newline", "no last newline", "spaces"],
)
def test_harmless_differences_are_tolerated(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    assert [record for _, record in read_jsonl(path)] == [{"a": "é"}]


def test_unicode_line_separators_do_not_end_a_line(path: Path) -> None:
    path.write_text('{"a": "x\u2028y\x85z"}\n', encoding="utf-8", newline="")
    assert [record for _, record in read_jsonl(path)] == [{"a": "x\u2028y\x85z"}]


def test_gzip_is_told_by_content_and_not_by_name(tmp_path: Path) -> None:
    packed, plain = tmp_path / "packed.jsonl", tmp_path / "plain.jsonl.gz"
    packed.write_bytes(gzip.compress(lines({"a": 1})))
    plain.write_bytes(lines({"a": 1}))
    assert list(read_jsonl(packed)) == list(read_jsonl(plain)) == [(1, {"a": 1})]


def test_an_empty_file_has_no_records(path: Path) -> None:
    path.write_bytes(b"")
    assert list(read_jsonl(path)) == []


def test_a_missing_file_is_named(path: Path) -> None:
    with pytest.raises(InputError, match=r"samples\.jsonl: no such file; expected a JSONL file"):
        list(read_jsonl(path))


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a folder"):
        list(read_jsonl(tmp_path))


def test_a_line_that_is_not_json_is_refused_with_its_line_and_column(path: Path) -> None:
    assert refused(path, b'{"a": 1}\n{"a": }\n').startswith(
        "FILE:2: got a line that is not JSON (Expecting value at column 7)"
    )


@pytest.mark.parametrize(("text", "kind"), [(b"[1]", "array"), (b'"x"', "string"), (b"null", "null"), (b"3", "number")])
def test_json_that_is_no_object_is_refused(path: Path, text: bytes, kind: str) -> None:
    assert refused(path, text).startswith(f"FILE:1: got a JSON {kind}; expected an object")


def test_bytes_that_are_not_utf8_are_refused(path: Path) -> None:
    assert refused(path, b'{"a": 1}\n{"a": "\xff"}\n').startswith("FILE:2: got bytes that are not UTF-8 (byte 7)")


def test_bottomless_nesting_is_refused(path: Path) -> None:
    assert refused(path, b"[" * 100_000).startswith("FILE:1: got JSON that is nested too deeply")


def test_a_number_of_ten_thousand_digits_is_refused(path: Path) -> None:
    assert refused(path, b'{"a": ' + b"9" * 10_000 + b"}").startswith("FILE:1: got JSON that is nested too deeply or")


def test_a_torn_gzip_file_is_refused_after_its_last_whole_line(path: Path) -> None:
    content = gzip.compress(b"".join(lines({"a": os.urandom(30).hex()}) for _ in range(200)))
    assert "got damaged gzip data" in refused(path, content[:-100])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=200))
def test_whatever_the_bytes_reading_ends_in_records_or_an_input_error(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    outcome: object = None
    try:
        outcome = [record for _, record in read_jsonl(path)]
    except InputError as error:
        outcome = str(error)
    assert isinstance(outcome, list) or str(outcome).startswith(f"{path}:")


def test_samples_are_grouped_by_problem_in_sample_order(path: Path) -> None:
    path.write_bytes(
        lines(
            {"task_id": "HumanEval/1", "solution": "a"},
            {"task_id": "HumanEval/0", "solution": "b"},
            {"task_id": "HumanEval/1", "solution": "c"},
        )
    )
    samples = read_samples(path, PROBLEMS)
    assert samples.codes("HumanEval/1") == ("a", "c")
    assert samples.order == (
        SampleRef("HumanEval/1", 0, 1),
        SampleRef("HumanEval/0", 0, 2),
        SampleRef("HumanEval/1", 1, 3),
    )


def test_a_problem_without_samples_has_none(path: Path) -> None:
    path.write_bytes(lines({"task_id": "HumanEval/1", "solution": "a"}))
    assert read_samples(path, PROBLEMS).of("HumanEval/0") == ()


def test_a_completion_continues_the_prompt(path: Path) -> None:
    path.write_bytes(lines({"task_id": "HumanEval/0", "completion": "    return x\n"}))
    assert read_samples(path, PROBLEMS).codes("HumanEval/0") == ("def f(x):\n    return x\n",)


def test_solution_wins_over_completion_as_in_evalplus(path: Path) -> None:
    path.write_bytes(lines({"task_id": "HumanEval/0", "completion": "no", "solution": "yes"}))
    assert read_samples(path, PROBLEMS).codes("HumanEval/0") == ("yes",)


def test_other_keys_are_left_alone(path: Path) -> None:
    path.write_bytes(b'{"task_id": "HumanEval/0", "solution": "", "logprob": NaN, "run": {"t": [1]}}\n')
    assert read_samples(path, PROBLEMS).codes("HumanEval/0") == ("",)


def test_a_sample_without_solution_is_refused_with_its_line(path: Path) -> None:
    content = lines({"task_id": "HumanEval/0", "solution": "a"}, {"task_id": "HumanEval/0", "code": "b"})
    message = refused(path, content, samples=True)
    assert message.startswith(
        "FILE:2: got a sample of HumanEval/0 with only code, task_id; expected the key 'solution'"
    )


def test_an_unknown_task_id_is_refused_with_the_closest_one(path: Path) -> None:
    message = refused(path, lines({"task_id": "HumanEvil/1", "solution": ""}), samples=True)
    assert message.startswith("FILE:1: got unknown task_id 'HumanEvil/1' (did you mean 'HumanEval/1'?)")


@pytest.mark.parametrize(
    "record", [{"solution": "a"}, {"task_id": 3, "solution": "a"}, {"task_id": None, "solution": ""}]
)
def test_a_sample_without_the_text_of_a_task_id_is_refused(path: Path, record: object) -> None:
    assert "expected the text of a task id" in refused(path, lines(record), samples=True)


@pytest.mark.parametrize("value", [None, ["a", "b"], 3, {"code": "a"}])
def test_a_solution_that_is_not_text_is_refused(path: Path, value: object) -> None:
    message = refused(path, lines({"task_id": "HumanEval/0", "solution": value}), samples=True)
    assert message.startswith("FILE:1: got solution as a JSON ")


def test_half_a_surrogate_pair_is_refused(path: Path) -> None:
    message = refused(path, b'{"task_id": "HumanEval/0", "solution": "ab\\ud800"}\n', samples=True)
    assert message.startswith("FILE:1: got solution with half a surrogate pair (character 2)")


def test_a_file_without_samples_is_refused(path: Path) -> None:
    assert refused(path, b"\n\n", samples=True).startswith("FILE: got no sample")


def test_the_atomic_writer_replaces_the_file_whole(path: Path) -> None:
    path.write_text("old")
    with atomic_writer(path) as stream:
        stream.write("née\n")
        assert path.read_text() == "old"
    assert path.read_bytes() == b"n\xc3\xa9e\n"
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("name", ["out.jsonl", "out.jsonl.gz"])
def test_an_error_while_writing_leaves_the_old_file_and_nothing_else(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text("old")

    def write_half() -> None:
        with atomic_writer(path) as stream:
            stream.write("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_a_name_that_ends_in_gz_gets_gzip_and_the_same_bytes_each_time(tmp_path: Path) -> None:
    written = []
    for _ in range(2):
        with atomic_writer(tmp_path / "out.jsonl.gz") as stream:
            stream.write("text\n")
        written.append((tmp_path / "out.jsonl.gz").read_bytes())
    assert gzip.decompress(written[0]) == b"text\n"
    assert written[0] == written[1]


def test_a_link_stays_and_the_file_behind_it_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    link = tmp_path / "link.jsonl"
    link.symlink_to(tmp_path / "there" / "file.jsonl")
    with atomic_writer(link) as stream:
        stream.write("text")
    assert link.is_symlink()
    assert (tmp_path / "there" / "file.jsonl").read_text() == "text"


def test_the_new_file_has_the_mode_that_the_umask_asks_for(path: Path) -> None:
    before = os.umask(0o027)
    try:
        with atomic_writer(path):
            pass
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_checking_an_output_leaves_nothing_behind(path: Path) -> None:
    check_writable(path)
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("absent/out.jsonl", "its folder .* does not exist; expected a folder; create it"),
        (".", "is a folder; expected the name of a file"),
        ("loop", "is a link that leads nowhere|cannot be written"),
        ("pipe", "is a device or pipe; expected an ordinary file"),
    ],
)
def test_an_output_that_cannot_be_written_is_refused(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(StoreError, match=message):
        check_writable(tmp_path / name)


def test_a_folder_that_takes_no_files_is_refused() -> None:
    with pytest.raises(StoreError, match=r"/proc/out\.jsonl: cannot be written"):
        check_writable("/proc/out.jsonl")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, a device of Linux that is always full")
def test_a_device_is_never_replaced_by_a_file() -> None:
    with pytest.raises(StoreError, match="is a device or pipe"):
        check_writable("/dev/full")
    assert stat.S_ISCHR(Path("/dev/full").stat().st_mode)
