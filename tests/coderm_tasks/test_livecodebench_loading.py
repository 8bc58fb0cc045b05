"""LiveCodeBench's files -> problems."""

from __future__ import annotations

import gzip
import json
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
from livecodebench_files import cases, packed, record, write

from coderm_tasks.datasets import Slice, cli_dataset, load_problems
from coderm_tasks.datasets.livecodebench import PATH_VARIABLE, Case, load_livecodebench, read_cases
from coderm_tasks.datasets.livecodebench.slice import RELEASED_FILES
from coderm_tasks.errors import ConfigError, DatasetError


@pytest.fixture(autouse=True)
def _no_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PATH_VARIABLE, raising=False)


def ids(**chosen: Any) -> list[str]:
    return [problem.task_id for problem in load_livecodebench(Slice(**chosen))]


def test_the_environment_names_the_data_set_as_evalplus_overrides_do(
    livecodebench_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PATH_VARIABLE, str(livecodebench_folder))
    assert len(load_problems(cli_dataset("livecodebench"))) == 6


def test_problems_come_in_the_official_runners_order_by_question_id(livecodebench_folder: Path) -> None:
    assert ids(path=str(livecodebench_folder)) == ["own_2", "own_3", "own_4", "own_a", "own_b", "own_c"]


def test_a_problem_with_a_function_name_is_one_of_a_method_all_others_are_programs(livecodebench_folder: Path) -> None:
    problems = {problem.task_id: problem for problem in load_livecodebench(Slice(path=str(livecodebench_folder)))}
    assert [problems[name].form for name in ("own_2", "own_a")] == ["method", "stdin"]
    assert [problems[name].entry_point for name in ("own_2", "own_a")] == ["countPairs", "run_program"]
    assert [problems[name].difficulty for name in ("own_2", "own_b", "own_c")] == ["easy", "medium", "hard"]
    assert problems["own_2"].starter.startswith("class Solution:")


def test_public_tests_are_the_problems_examples_as_asserts(livecodebench_folder: Path) -> None:
    problems = {problem.task_id: problem for problem in load_livecodebench(Slice(path=str(livecodebench_folder)))}
    assert problems["own_2"].examples == ("assert countPairs([1, 2, 3], 4) == 1",)
    assert problems["own_a"].examples == ("assert run_program('3\\n1 2 3\\n') == '6\\n'",)


def test_hidden_tests_are_read_when_asked_for_packed_or_plain(livecodebench_folder: Path) -> None:
    problems = {problem.task_id: problem for problem in load_livecodebench(Slice(path=str(livecodebench_folder)))}
    assert read_cases(problems["own_2"]).private[1] == Case(([2, 2, 2], 4), 3)
    assert read_cases(problems["own_c"]).private[0] == Case(("1\n9\n",), "1\nodd\n")  # plain JSON in the file
    assert len(read_cases(problems["own_a"]).public) == 1


def test_a_file_a_gzip_file_and_several_files_are_read(livecodebench_folder: Path, tmp_path: Path) -> None:
    first, second = (livecodebench_folder / name for name in ("test.jsonl", "test2.jsonl"))
    gz = tmp_path / "anything.jsonl.gz"
    gz.write_bytes(gzip.compress(b"\xef\xbb\xbf" + second.read_bytes()))
    assert ids(path=str(first)) == ["own_2", "own_a", "own_b"]
    assert ids(path=os.pathsep.join(map(str, (first, gz)))) == ids(path=str(livecodebench_folder))
    problems = load_livecodebench(Slice(path=str(gz)))
    assert [len(read_cases(problem).private) for problem in problems] == [3, 3, 2]


def test_a_release_is_everything_up_to_it_and_a_part_what_it_added(livecodebench_folder: Path) -> None:
    folder = str(livecodebench_folder)
    assert ids(path=folder, release="release_v1") == ["own_2", "own_a", "own_b"]
    assert ids(path=folder, release="v2") == ["own_3", "own_4", "own_c"]
    assert len(ids(path=folder, release="release_v2")) == len(ids(path=folder, release="v1_v2")) == 6
    assert Slice(release="release_v6").files() == Slice().files() == RELEASED_FILES
    assert Slice(release="v5_v6").files() == ("test5.jsonl", "test6.jsonl")


def test_a_window_holds_both_of_its_midnights(livecodebench_folder: Path) -> None:
    folder = str(livecodebench_folder)
    assert ids(path=folder, start="2024-03-02", end="2024-05-18") == ["own_2", "own_c"]
    assert ids(path=folder, start="2024-06-02") == ["own_4"]
    assert ids(path=folder, end="2024-02-09") == ["own_a"]


def test_a_contest_later_on_the_last_day_is_out_as_in_the_official_runner(tmp_path: Path) -> None:
    file = write(tmp_path / "x.jsonl", record("noon", contest_date="2024-01-02T12:00:00"), record("midnight"))
    assert ids(path=str(file), end="2024-01-02") == ["midnight"]


@pytest.mark.parametrize(
    ("chosen", "complaint"),
    [
        ({"start": "2024-1-32"}, "livecodebench-from is '2024-1-32': expected a date"),
        ({"end": "tomorrow"}, "livecodebench-to is 'tomorrow': expected a date"),
        ({"start": "2024-02-01", "end": "2024-01-01"}, "ends no earlier than it begins"),
        ({"release": "release_v9"}, "livecodebench-release is 'release_v9': expected"),
        ({"release": "v3_v2"}, "livecodebench-release is 'v3_v2'"),
        ({"release": "newest"}, "livecodebench-release is 'newest'"),
    ],
)
def test_a_slice_that_makes_no_sense_is_refused(chosen: dict[str, str], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        Slice(**chosen)


def test_a_window_without_a_contest_says_what_there_is(livecodebench_folder: Path) -> None:
    with pytest.raises(
        DatasetError, match=r"from 2030-01-01: the 6 problems at hand are from 2024-01-06 to 2024-06-15"
    ):
        ids(path=str(livecodebench_folder), start="2030-01-01")


def test_a_path_that_is_not_there_is_named_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"none does not exist: .*give --livecodebench-path, or set LIVECODEBENCH_P"):
        ids(path=str(tmp_path / "none"))
    with pytest.raises(DatasetError, match=r"holds no \*.jsonl file"):
        ids(path=str(tmp_path))


def test_a_release_that_the_folder_does_not_hold_is_named(livecodebench_folder: Path) -> None:
    with pytest.raises(DatasetError, match=r"lacks test3.jsonl, a file of release_v3"):
        ids(path=str(livecodebench_folder), release="release_v3")
    with pytest.raises(DatasetError, match=r"test.jsonl is no file of v2"):
        ids(path=str(livecodebench_folder / "test.jsonl"), release="v2")


def test_without_a_network_the_hub_gives_one_line_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(DatasetError) as caught:
        ids()
    assert "test.jsonl of livecodebench/code_generation_lite cannot be downloaded" in str(caught.value)
    assert "set LIVECODEBENCH_PATH" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_the_hubs_client_has_downloaded_is_read_without_a_network(
    livecodebench_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub.constants

    repository = tmp_path / "datasets--livecodebench--code_generation_lite"
    snapshot = repository / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("0" * 40)
    (snapshot / "test.jsonl").write_bytes((livecodebench_folder / "test.jsonl").read_bytes())
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    assert ids(release="release_v1") == ["own_2", "own_a", "own_b"]
    with pytest.raises(DatasetError, match=r"test2.jsonl of livecodebench/code_generation_lite cannot be downloaded"):
        ids(release="release_v2")


def test_a_question_id_that_stands_twice_is_named_with_both_places(tmp_path: Path) -> None:
    file = write(tmp_path / "x.jsonl", record("q_1"), record("q_2"), record("q_1"))
    with pytest.raises(DatasetError, match=r"x.jsonl:3: got question_id 'q_1' of .*x.jsonl:1 again"):
        ids(path=str(file))


@pytest.mark.parametrize("column", ["question_id", "question_content", "contest_date", "difficulty", "metadata"])
def test_a_missing_column_is_named_with_file_and_line(column: str, tmp_path: Path) -> None:
    file = write(tmp_path / "x.jsonl", record("q_1"), record(**{"question_id": "q_2", column: None}))
    with pytest.raises(DatasetError, match=rf"x.jsonl:2: got no record of LiveCodeBench .*`{column}`"):
        ids(path=str(file))


@pytest.mark.parametrize(
    ("columns", "complaint"),
    [
        ({"difficulty": "insane"}, "q_1: difficulty is 'insane': expected one of easy, medium, hard"),
        ({"contest_date": "soon"}, "q_1: contest_date is 'soon'"),
        ({"question_content": " "}, "q_1: question_content is empty"),
        ({"metadata": "{"}, "q_1: metadata is no JSON"),
        ({"metadata": '{"func_name": "a b"}'}, "q_1: metadata names the function 'a b'"),
        ({"metadata": '{"func_name": "lambda"}'}, "q_1: metadata names the function 'lambda'"),
        ({"metadata": '{"func_name": 3}'}, "q_1: metadata names the function 3"),
        ({"public_test_cases": "["}, "q_1: public_test_cases cannot be read"),
        ({"public_test_cases": '[{"input": "x"}]'}, "q_1: public_test_cases cannot be read .*`output`"),
        ({"metadata": '{"func_name": "f"}', "public_test_cases": cases(("x", "1"))}, "q_1: a test of f cannot be read"),
        ({"question_id": 3}, "got no record of LiveCodeBench .*question_id"),
    ],
)
def test_a_value_that_cannot_be_used_is_named_with_its_problem(
    columns: dict[str, Any], complaint: str, tmp_path: Path
) -> None:
    file = write(tmp_path / "x.jsonl", record(**columns))
    with pytest.raises(DatasetError, match=f"x.jsonl:1: {complaint}"):
        ids(path=str(file))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [("", "holds no problem"), ("{\n", "x.jsonl:1: got no record"), ("[]\n", "x.jsonl:1: got no record")],
)
def test_a_file_that_is_no_data_set_is_refused(text: str, complaint: str, tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text(text)
    with pytest.raises(DatasetError, match=complaint):
        ids(path=str(tmp_path / "x.jsonl"))


def test_integers_are_read_up_to_the_official_evaluators_length(tmp_path: Path) -> None:
    long = "9" * 40_000
    columns = {"metadata": '{"func_name": "f"}', "public_test_cases": cases((long, long), ("1", "NaN"), ("1", "[2]"))}
    file = write(tmp_path / "x.jsonl", record(private_test_cases=cases((long, "1")), **columns))
    (problem,) = load_livecodebench(Slice(path=str(file)))
    assert read_cases(problem).private == (Case((10**40_000 - 1,), 1),)
    assert problem.examples == ("assert f(1) == [2]",)  # what Python cannot write is no example
    write(file, record(private_test_cases="[]", **{**columns, "public_test_cases": cases(("1" * 50_001, "1"))}))
    with pytest.raises(DatasetError, match="an integer of more than 50000 digits"):
        load_livecodebench(Slice(path=str(file)))


class Runs:
    """Unpickled by Python's pickle it runs a command."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (self.command,)


def test_a_hostile_blob_is_refused_with_file_and_problem_and_nothing_is_run(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    blob = packed(pickle.dumps(Runs(f"touch {canary}")))
    (problem,) = load_livecodebench(Slice(path=str(write(tmp_path / "x.jsonl", record(private_test_cases=blob)))))
    with pytest.raises(
        DatasetError, match=r"x.jsonl:1: q_1: private_test_cases holds a pickle that is not just a text"
    ):
        read_cases(problem)
    assert not canary.exists()


@pytest.mark.parametrize(
    ("blob", "complaint"),
    [
        (packed(pickle.dumps("[]"))[:-2], "is no base64"),
        (packed(pickle.dumps("{}")), "cannot be read"),
        (packed(pickle.dumps('[{"input": 3}]')), "cannot be read"),
        ("[", "cannot be read"),
        (None, "got no record of LiveCodeBench"),
        (17, "is no text"),
    ],
)
def test_private_tests_that_are_not_what_they_claim_are_refused(blob: Any, complaint: str, tmp_path: Path) -> None:
    file = write(tmp_path / "x.jsonl", record(private_test_cases=blob))
    with pytest.raises(DatasetError, match=complaint) as caught:
        [read_cases(problem) for problem in load_livecodebench(Slice(path=str(file)))]
    assert "x.jsonl:1" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_bomb_is_refused_at_the_bound(tmp_path: Path) -> None:
    file = write(tmp_path / "x.jsonl", record(private_test_cases=packed(b"\0" * (1 << 24))))
    (problem,) = load_livecodebench(Slice(path=str(file)))
    with pytest.raises(DatasetError, match="unpacks to more than 65,536 bytes"):
        read_cases(problem, largest=1 << 16)


def test_a_problem_without_any_test_is_refused_where_it_would_be_graded(tmp_path: Path) -> None:
    file = write(tmp_path / "x.jsonl", record(public_test_cases="[]", private_test_cases="[]"))
    (problem,) = load_livecodebench(Slice(path=str(file)))
    with pytest.raises(DatasetError, match="q_1 has no test"):
        read_cases(problem)


def test_a_file_that_was_changed_since_is_noticed(tmp_path: Path) -> None:
    file = write(tmp_path / "x.jsonl", record("q_1"))
    (problem,) = load_livecodebench(Slice(path=str(file)))
    write(file, record("q_2"))
    with pytest.raises(DatasetError, match="held q_1 and now holds q_2"):
        read_cases(problem)
    file.unlink()
    with pytest.raises(DatasetError, match="cannot be read any more"):
        read_cases(problem)


def test_the_settings_of_a_run_choose_the_slice(livecodebench_folder: Path) -> None:
    from coderm_tasks.config import load_config

    config = load_config({"livecodebench_path": str(livecodebench_folder), "livecodebench_from": "2024-06-01"}, {})
    assert [problem.task_id for problem in load_problems("livecodebench", config.livecodebench)] == ["own_3", "own_4"]
    with pytest.raises(ConfigError, match="livecodebench-to is 'x'"):
        load_config({"livecodebench_to": "x"}, {})
    with pytest.raises(ConfigError, match="did you mean 'livecodebench_from'"):
        load_config({"livecodebench_fromm": "2024-01-01"}, {})


def test_ground_truth_stays_in_the_file_until_it_is_needed(livecodebench_folder: Path) -> None:
    for problem in load_livecodebench(Slice(path=str(livecodebench_folder))):
        hidden = problem.truth.hidden
        assert hidden is not None
        line = Path(hidden.path).read_bytes()[hidden.offset :].split(b"\n")[0]
        assert json.loads(line)["question_id"] == problem.task_id
