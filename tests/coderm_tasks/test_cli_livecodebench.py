"""LiveCodeBench on the command line: the same verbs, the same files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from generation_server import MODEL, Server

from coderm_tasks.cli import main
from coderm_tasks.cli.livecodebench_flags import chosen_slice
from coderm_tasks.datasets import Slice

RIGHT = {
    "own_2": "class Solution:\n    def countPairs(self, nums: List[int], k: int):\n        return sum(a + b == k for a, b in combinations(nums, 2))\n",
    "own_3": "class Solution:\n    def splitInTwo(self, s):\n        m = (len(s) + 1) // 2\n        return s[:m], s[m:]\n",
    "own_4": "class Solution:\n    def nestingDepth(self, items):\n        return 1 + max((self.nestingDepth(x) for x in items if isinstance(x, list)), default=0)\n",
    "own_a": "n = input()\nprint(sum(map(int, input().split())))\n",
    "own_b": "import sys\nfor line in sys.stdin:\n    print(int(line) / 2)\n",
    "own_c": "from itertools import groupby\ninput()\nn = max(len(list(g)) for _, g in groupby(input().split()))\nprint(n, 'odd' if n % 2 else 'even', sep='\\n')\n",
}
WRONG = {name: "print(6)\n" if name in ("own_a", "own_b", "own_c") else "def f(x):\n    return x\n" for name in RIGHT}
TESTS = {
    "own_2": "class T(unittest.TestCase):\n    def test_a(self):\n        self.assertEqual(Solution().countPairs([0, 1], 1), 1)",
    "own_3": "assert list(splitInTwo('abc')) == ['ab', 'c']",
    "own_4": "assert nestingDepth([[]]) == 2",
    "own_a": "assert run_program('2\\n3 4\\n') == '7'",
    "own_b": "assert run_program('3\\n') == '1.50'",
    "own_c": "assert run_program('2\\n1 1\\n') == '2\\neven'",
}


@pytest.fixture(autouse=True)
def _data(livecodebench_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("LIVECODEBENCH_PATH", str(livecodebench_folder))
    monkeypatch.delenv("CODERM_CONFIG", raising=False)
    return


def lines(path: Path, *records: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(one) + "\n" for one in records))
    return path


@pytest.fixture
def samples(tmp_path: Path) -> Path:
    both = [{"task_id": name, "solution": codes[name]} for name in RIGHT for codes in (WRONG, RIGHT)]
    return lines(tmp_path / "samples.jsonl", *both)


@pytest.fixture
def tests(tmp_path: Path) -> Path:
    return lines(tmp_path / "tests.jsonl", *({"task_id": name, "test": test} for name, test in TESTS.items()))


def run(verb: str, samples: Path, output: Path, *more: str) -> int:
    words = [verb, "--dataset", "livecodebench", "--samples", str(samples), "--output", str(output)]
    return main([*words, "--workers", "1", *more])


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_evaluate_labels_public_and_all_tests_and_sums_up_by_difficulty(
    samples: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("evaluate", samples, tmp_path / "labels.jsonl", "--json") == 0
    out, err = capsys.readouterr()
    labels = read(tmp_path / "labels.jsonl")
    assert [label["plus"] for label in labels] == ["fail", "pass"] * 6
    assert {label["task_id"]: label["base"] for label in labels[::2]}["own_a"] == "pass"
    found = json.loads(out)
    assert {name: (one[0]["value"], one[0]["problems"]) for name, one in found["by_difficulty"].items()} == {
        "easy": (0.5, 2),
        "medium": (0.5, 2),
        "hard": (0.5, 2),
    }
    assert "pass@1 hard (2 problems)" in " ".join(err.split())
    assert "public tests" in err


def test_rerank_finds_the_right_samples_and_evaluate_agrees(
    samples: Path, tests: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "best.jsonl"
    assert run("rerank", samples, output, "--tests", str(tests), "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["summary"]["by_difficulty"] == {"easy": 2, "medium": 2, "hard": 2}
    assert report["summary"]["shared"] == 0
    chosen = {record["task_id"]: record["solution"] for record in read(output)}
    assert chosen == RIGHT
    assert list(chosen) == sorted(RIGHT)
    assert run("evaluate", output, tmp_path / "labels.jsonl", "--json") == 0
    assert json.loads(capsys.readouterr().out)["plus"][0]["value"] == 1.0


def test_output_based_strategies_and_explanations_work_on_programs(
    samples: Path, tests: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("rerank", samples, tmp_path / "best.jsonl", "--tests", str(tests), "--strategy", "auto") == 0
    assert {record["task_id"]: record["solution"] for record in read(tmp_path / "best.jsonl")} == RIGHT
    capsys.readouterr()
    words = ["rerank", "--dataset", "livecodebench", "--samples", str(samples), "--tests", str(tests)]
    assert main([*words, "--explain", "own_a", "--workers", "1"]) == 0
    assert "own_a" in capsys.readouterr().out


def test_a_study_is_made_of_programs_and_methods(samples: Path, tests: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is missing: pip install 'coderm-tasks[report]'")
    labels = tmp_path / "labels.jsonl"
    assert run("evaluate", samples, labels) == 0
    more = ["--tests", str(tests), "--labels", str(labels), "--draws", "2", "--slow-draws", "1"]
    assert run("study", samples, tmp_path / "study", *more) == 0
    assert (tmp_path / "study" / "report.html").exists()


def test_a_window_leaves_out_samples_tests_and_labels_of_other_problems(
    samples: Path, tests: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    window = ["--livecodebench-from", "2024-03-02", "--livecodebench-to", "2024-05-18"]
    assert run("evaluate", samples, tmp_path / "labels.jsonl", *window, "--json") == 0
    assert json.loads(capsys.readouterr().out)["problems"] == 2
    assert {label["task_id"] for label in read(tmp_path / "labels.jsonl")} == {"own_2", "own_c"}
    assert run("rerank", samples, tmp_path / "best.jsonl", "--tests", str(tests), *window) == 0
    assert [record["task_id"] for record in read(tmp_path / "best.jsonl")] == ["own_2", "own_c"]


def test_without_a_window_an_unknown_problem_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = lines(tmp_path / "samples.jsonl", {"task_id": "own_x", "solution": "print(1)"})
    assert run("evaluate", file, tmp_path / "labels.jsonl") == 2
    assert "got unknown task_id 'own_x'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (["--livecodebench-from", "yesterday"], "livecodebench-from is 'yesterday': expected a date"),
        (["--livecodebench-from", "2031-01-01"], "no contest from 2031-01-01"),
        (["--livecodebench-release", "v9"], "livecodebench-release is 'v9'"),
        (["--livecodebench-path", "nowhere"], "nowhere does not exist"),
    ],
)
def test_bad_flags_are_one_line_with_exit_code_2(
    flags: list[str], complaint: str, samples: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("evaluate", samples, tmp_path / "labels.jsonl", *flags) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert complaint in err
    assert len(err.strip().splitlines()) == 1


@pytest.mark.parametrize("verb", ["evaluate", "rerank", "study"])
def test_a_flag_of_livecodebench_beside_another_data_set_is_refused(
    verb: str, samples: Path, tests: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = {"evaluate": [], "rerank": ["--tests", str(tests)], "study": ["--tests", str(tests), "--labels", "x"]}[verb]
    words = [verb, "--dataset", "humaneval", "--samples", str(samples), "--output", str(tmp_path / "o.jsonl"), *more]
    assert main([*words, "--livecodebench-to", "2024-01-01"]) == 2
    assert "--livecodebench-to is given with --dataset humaneval" in capsys.readouterr().err


def test_the_configuration_file_chooses_the_slice_and_means_no_other_data_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "coderm.toml").write_text('livecodebench_path = "here"\nlivecodebench_from = "2024-01-01"\n')
    monkeypatch.setenv("CODERM_CONFIG", str(tmp_path / "coderm.toml"))
    assert chosen_slice("humaneval", None, None, None, None) == Slice()
    chosen = chosen_slice("livecodebench", None, None, "2024-02-02", None)
    assert (chosen.path, chosen.start) == ("here", "2024-02-02")


def _answer(body: dict[str, Any], number: int) -> str:
    asked = body["messages"][0]["content"]
    if "assert statements" in asked or "test cases" in asked or "unit tests" in asked:
        return f"```python\nassert run_program('1\\n{number}\\n') == '{number}'\n```"
    return f"```python\n{RIGHT['own_a']}```"


def test_a_model_samples_programs_and_writes_tests_of_them(server: Server, tmp_path: Path) -> None:
    server.write = _answer
    samples, tests = tmp_path / "samples.jsonl", tmp_path / "tests.jsonl"
    ask = ["--dataset", "livecodebench", "--base-url", server.url, "--model", MODEL, "--livecodebench-to", "2024-01-06"]
    assert main(["sample", *ask, "--output", str(samples), "--n", "2"]) == 0
    assert [record["solution"] for record in read(samples)] == [RIGHT["own_a"]] * 2
    assert "### Question\nThe first line holds a number N" in server.asked[0]["messages"][0]["content"]
    assert main(["generate", *ask, "--samples", str(samples), "--output", str(tests), "--n", "3"]) == 0
    assert len(read(tests)) == 3
    shown = server.asked[-1]["messages"][0]["content"]
    assert "run_program(stdin)" in shown
    assert RIGHT["own_a"].strip() in shown


@pytest.mark.parametrize(
    ("name", "words"),
    [("solution", "standard input"), ("asserts", "assert run_program("), ("unittest-blind", "call `run_program`")],
)
def test_prompts_of_a_program_are_shown(name: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prompts", "show", name, "--task", "own_a"]) == 0
    assert words in capsys.readouterr().out


def test_the_prompt_of_a_method_shows_its_starter_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prompts", "show", "solution", "--task", "own_2", "--base"]) == 0
    assert capsys.readouterr().out.rstrip().endswith("def countPairs(self, nums: List[int], k: int) -> int:")
