"""Our samples in the real EvalPlus: its own loader, its own evaluator, in a process of its own."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from coderm_tasks.datasets import load_problems
from coderm_tasks.errors import InputError, StoreError
from coderm_tasks.groundtruth import grade
from coderm_tasks.hosts.evalplus import result_files, write_samples
from coderm_tasks.metrics import mean_pass_at_k
from coderm_tasks.model import Problem, Solution
from executor.fake import FakeExecutor

pytestmark = pytest.mark.usefixtures("tiny_datasets")


def references(problems: tuple[Problem, ...]) -> list[Solution]:
    return [Solution(problem.task_id, problem.truth.reference) for problem in problems]


def evaluate(dataset: str, samples: Path) -> Mapping[str, list[dict[str, Any]]]:
    """Run ``evalplus.evaluate`` with caches of its own; return its records by task id."""
    environment = os.environ | {"XDG_CACHE_HOME": str(samples.parent / "cache"), "EVALPLUS_MAX_MEMORY_BYTES": "-1"}
    command = [
        sys.executable,
        "-m",
        "evalplus.evaluate",
        "--dataset",
        dataset,
        "--samples",
        str(samples),
        "--parallel",
        "2",
    ]
    subprocess.run(command, env=environment, check=True, timeout=240, stdin=subprocess.DEVNULL, capture_output=True)
    found: Mapping[str, list[dict[str, Any]]] = json.loads(result_files(samples)[0].read_text())["eval"]
    return found


def test_there_is_one_line_per_problem_in_data_set_order(tmp_path: Path) -> None:
    problems = load_problems("humaneval_plus")
    file = tmp_path / "samples.jsonl"
    write_samples(file, problems, references(problems)[::-1])
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [line["task_id"] for line in lines] == [problem.task_id for problem in problems]
    assert all(line.keys() == {"task_id", "solution"} for line in lines)


def test_text_that_no_locale_can_hold_survives(tmp_path: Path) -> None:
    from evalplus.data import load_solutions

    problems = load_problems("humaneval_plus")[:1]
    code = "x = 'é\ud800\u2028'\r\n\t# end"
    write_samples(tmp_path / "samples.jsonl", problems, [Solution(problems[0].task_id, code)])
    (sample,) = load_solutions(str(tmp_path / "samples.jsonl"))
    assert sample["solution"] == code
    assert (tmp_path / "samples.jsonl").read_bytes().isascii()


@pytest.mark.parametrize("name", ["samples.json", "samples.jsonl.gz", "samples"])
def test_a_name_that_evalplus_does_not_take_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"takes \.jsonl files only"):
        write_samples(tmp_path / name, (), [])
    assert list(tmp_path.iterdir()) == []


def test_missing_unknown_and_repeated_solutions_are_refused(tmp_path: Path) -> None:
    problems = load_problems("humaneval_plus")
    whole = references(problems)
    for solutions, what in (
        (whole[1:], "missing: HumanEval/0;"),
        ([], "missing: HumanEval/0, HumanEval/1, HumanEval/2 and 2 more;"),
        ([*whole, Solution("HumanEval/7", "")], "unknown: HumanEval/7"),
        ([*whole, whole[0]], "got 6 solutions for 5 problems"),
    ):
        with pytest.raises(InputError, match=what):
            write_samples(tmp_path / "samples.jsonl", problems, solutions)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="missing"):
        write_samples(tmp_path / "missing" / "samples.jsonl", (), [])


def test_results_of_earlier_samples_are_put_aside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    problems = load_problems("humaneval_plus")
    file, stale = tmp_path / "samples.jsonl", tmp_path / "samples_eval_results.json"
    for content in ("first", "second"):
        stale.write_text(content)
        with caplog.at_level(logging.WARNING):
            write_samples(file, problems, references(problems))
        assert not stale.exists()
    assert (tmp_path / "samples_eval_results.json.bak").read_text() == "first"
    assert (tmp_path / "samples_eval_results.json.bak.bak").read_text() == "second"
    assert caplog.text.count("would be reused by evalplus") == 2


def test_result_files_are_where_evalplus_looks_for_them() -> None:
    assert result_files(Path("out/r.jsonl")) == (Path("out/r_eval_results.json"),)
    assert result_files(Path("my.jsonl.d/r.jsonl")) == (
        Path("my_eval_results.json.d/r_eval_results.json"),
        Path("my.jsonl.d/r_eval_results.json"),
    )


SOLUTIONS: dict[str, dict[str, list[str]]] = {
    "humaneval": {
        "HumanEval/0": [
            "def total(n):\n    return sum(n)\n",
            "def total(n):\n    return len(n)\n",
            "",
            "def total(n):\n    return sum(n)\n\nimport doctest\ndoctest.testmod()\n",
            "def total(n):\n    return sum(n)\n\nif __name__ == '__main__':\n    import doctest\n    doctest.testmod()\n",
        ],
        "HumanEval/1": [
            "def halve(n):\n    return [x / 2 + 1e-9 for x in n]\n",
            "def halve(n):\n    return [x // 2 for x in n]\n",
            "def halve(n):\n    return tuple(x / 2 for x in n)\n",
        ],
        "HumanEval/2": [
            "def ring(a, b):\n    return 3.14159265358979 * (a * a - b * b)\n",
            "def ring(a, b):\n    return 3.14 * (a * a - b * b)\n",
            "def ring(a, b):\n    return None\n",
        ],
        "HumanEval/3": [
            "def smallest_first(items):\n    return sorted(items)\n",
            "def smallest_first(items):\n    return items.sort()\n",
            "def smallest_first(items):\n    items.sort()\n    return [1, 2, 3]\n",
        ],
        "HumanEval/32": [
            "def find_zero(xs):\n    return -xs[0] / xs[1]\n",
            "def find_zero(xs):\n    return 'x'\n",
            "x",
        ],
    },
    "mbpp": {
        "Mbpp/2": [
            "def similar_elements(a, b):\n    return [x for x in a if x in b] * 2\n",
            "def similar_elements(a, b):\n    return a\n",
            "def similar_elements(a, b):\n    return (x for x in a if x in b)\n",
        ],
        "Mbpp/164": [
            "def are_equivalent(a, b):\n    return 'yes'\n",
            "def are_equivalent(a, b):\n    return 1 / 0\n",
            "def are_equivalent(a, b):\n    return object()\n",
        ],
        "Mbpp/295": [
            "def sum_div(n):\n    return 0\n",
            "def sum_div(n):\n    return 1\n",
            "def sum_div(n):\n    return 7 if n == 8 else 16\n",
        ],
        "Mbpp/434": [
            "import re\ndef text_match_three(t):\n    return re.search('ab+', t)\n",
            "def text_match_three(t):\n    return 'ab' in t\n",
            "def text_match_three(t):\n    return t\n",
        ],
        "Mbpp/252": [
            "import cmath\ndef convert(z):\n    return (abs(z), cmath.phase(z) + 1e-9)\n",
            "def convert(z):\n    return [abs(z), 0.0]\n",
            "def convert(z):\n    return abs(z)\n",
        ],
        "Mbpp/558": [
            "def digit_distance_nums(a, b):\n    return sum(abs(int(x) - int(y)) for x, y in zip(str(a), str(b)))\n",
            "def digit_distance_nums(a, b):\n    return a - b\n",
            "def digit_distance_nums(a, b):\n    return sum(map(int, str(abs(a - b))))\n",
        ],
        "Mbpp/581": [
            "def surface_Area(b, h):\n    return round(b * b + 2 * b * ((b / 2) ** 2 + h * h) ** 0.5)\n",
            "def surface_Area(b, s):\n    return b\n",
            "def surface_Area(b, s):\n    return 2.0 * b * s + b * b\n",
        ],
        "Mbpp/793": [
            "def last(items, x):\n    return max(i for i, y in enumerate(items) if y == x)\n",
            "def last(items, x):\n    return items.index(x)\n",
            "def last(items, x):\n    return True + 1\n",
        ],
    },
}


@pytest.mark.slow
@pytest.mark.parametrize("dataset", ["humaneval", "mbpp"])
def test_every_verdict_equals_that_of_the_real_evalplus(dataset: str, tmp_path: Path) -> None:
    problems = load_problems(f"{dataset}_plus")
    codes = [SOLUTIONS[dataset][problem.task_id] for problem in problems]
    file = tmp_path / "many.jsonl"
    lines = [
        json.dumps({"task_id": problem.task_id, "solution": code})
        for problem, of_problem in zip(problems, codes, strict=True)
        for code in of_problem
    ]
    file.write_text("\n".join(lines) + "\n")
    theirs = evaluate(dataset, file)
    ours = grade(FakeExecutor(), problems, codes, evalplus_bug_compat=True)
    verdicts = [(each.base, each.plus) for of_problem in ours for each in of_problem]
    assert verdicts == [
        (each["base_status"] == "pass", each["base_status"] == each["plus_status"] == "pass")
        for problem in problems
        for each in theirs[problem.task_id]
    ]
    assert (True, True) in verdicts
    assert (False, False) in verdicts


@pytest.mark.slow
def test_written_samples_get_our_score_from_the_real_evalplus_and_a_changed_choice_its_own(tmp_path: Path) -> None:
    problems = load_problems("humaneval_plus")
    file = tmp_path / "reranked.jsonl"
    for choice, expected in (([0, 1, 0, 1, 0], 2 / 5), ([1, 1, 1, 1, 1], 0)):
        chosen = [
            Solution(problem.task_id, SOLUTIONS["humaneval"][problem.task_id][index])
            for problem, index in zip(problems, choice, strict=True)
        ]
        write_samples(file, problems, chosen)
        theirs = evaluate("humaneval", file)
        grades = grade(FakeExecutor(), problems, [[each.code] for each in chosen], evalplus_bug_compat=True)
        (ours,) = mean_pass_at_k([1] * len(problems), [int(each[0].correct) for each in grades], ks=[1])
        passed = sum(each["base_status"] == each["plus_status"] == "pass" for (each,) in theirs.values())
        assert ours.value == passed / len(problems) == expected
