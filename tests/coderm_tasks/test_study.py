"""A study end to end on the fake executor (same contract as the sandbox), trusted code; then its parts."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from coderm_tasks.cli import main
from coderm_tasks.errors import ConfigError, InputError
from coderm_tasks.rerank import Strategy, StrategyInput
from coderm_tasks.store import matrix_record, write_records
from coderm_tasks.study.cases import Candidate, find_cases
from coderm_tasks.study.figures import draw
from coderm_tasks.study.job import StudyRequest, compute, execute, prepare, steps_of, to_json
from coderm_tasks.study.record import Study
from coderm_tasks.study.report import render
from executor import PassMatrix
from executor.fake import FakeExecutor

RIGHT, OTHER_RIGHT = "def f(x):\n    return x + 1\n", "def f(x):\n    return 1 + x\n"
WRONG, WORSE = "def f(x):\n    return x + 2\n", "def f(x):\n    return 2\n"
TESTS = ("assert f(1) == 2", "assert f(0) == 1", "assert f(-1) == 0", "assert f(5) == 7")


def write(path: Path, *records: object) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


def problem(number: int) -> dict[str, Any]:
    return {
        "task_id": f"HumanEval/{number}",
        "prompt": 'def f(x):\n    """Return x + 1.\n    >>> f(3)\n    4\n    """\n',
        "entry_point": "f",
        "canonical_solution": "    return x + 1\n",
        "contract": "",
        "base_input": [[1]],
        "plus_input": [[2], [3]],
        "atol": 0,
    }


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Six problems: five with samples, tests and labels; the last has nothing."""
    data = write(tmp_path / "data.jsonl", *(problem(number) for number in range(6)))
    monkeypatch.setenv("HUMANEVAL_OVERRIDE_PATH", str(data))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    pools = [
        [WRONG, RIGHT, WORSE],
        [RIGHT] * 3,
        [WORSE, WRONG, WRONG],
        [WRONG, RIGHT, OTHER_RIGHT],
        [WORSE, WORSE, RIGHT],
    ]
    samples = [(number, code) for number, pool in enumerate(pools) for code in pool]
    write(tmp_path / "s.jsonl", *({"task_id": f"HumanEval/{n}", "solution": code} for n, code in samples))
    right = (RIGHT, OTHER_RIGHT)
    write(
        tmp_path / "l.jsonl",
        *({"task_id": f"HumanEval/{n}", "plus": "pass" if code in right else "fail"} for n, code in samples),
    )
    write(tmp_path / "t.jsonl", *({"task_id": f"HumanEval/{n}", "test": test} for n in range(5) for test in TESTS))
    return tmp_path


def request(folder: Path, **changed: Any) -> StudyRequest:
    given: dict[str, Any] = {
        "dataset": "humaneval",
        "samples": folder / "s.jsonl",
        "tests": folder / "t.jsonl",
        "labels": folder / "l.jsonl",
        "output": folder / "out",
        "strategies": ("random", "coderm", "accord", "srank", "oracle"),
        "featured": "accord",
        "draws": 6,
        "slow_draws": 2,
        **changed,
    }
    return StudyRequest(**given)


def study_of(folder: Path, **changed: Any) -> Study:
    plan = prepare(request(folder, **changed))
    with FakeExecutor() as executor:
        return compute(plan, execute(plan, executor))


def drop_lines(path: Path, *numbers: int) -> None:
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for number, line in enumerate(lines) if number not in numbers))


def test_a_study_scores_every_strategy_and_the_ceiling_on_the_same_problems(folder: Path) -> None:
    study = study_of(folder)
    found = {row.name: row.accuracy.value for row in study.strategies}
    # Uniform picks: 1/3, 1, 0, 2/3, 1/3. The tests find the right one wherever there is one.
    assert found == pytest.approx({"random": 7 / 15, "coderm": 0.8, "accord": 0.8, "srank": 0.8, "oracle": 0.8})
    assert study.mean.value == pytest.approx(7 / 15)
    assert {row.over_reference.problems for row in study.strategies} == {5}
    assert study.setup.cells == 60


def test_curves_end_at_what_the_table_says_and_start_at_one_test(folder: Path) -> None:
    study = study_of(folder)
    table = {row.name: row.accuracy.value for row in study.strategies}
    assert {curve.strategy for curve in study.by_tests} == {"coderm", "accord"}
    for curve in study.by_tests:
        assert curve.points[0].size == 1
        assert curve.points[-1].size is None
        assert curve.points[-1].mean_size == 4
        assert curve.points[-1].accuracy.value == pytest.approx(table[curve.strategy])
    assert study.grid.accuracy[-1][-1] == pytest.approx(table["coderm"])
    oracle = next(curve for curve in study.by_solutions if curve.strategy == "oracle")
    assert [point.accuracy.value for point in oracle.points] == pytest.approx([0.2, 0.8])  # the first sample; all


def test_quintiles_go_from_hard_to_easy_and_hold_each_problem_once(folder: Path) -> None:
    quintiles = study_of(folder).quintiles
    assert [part.low for part in quintiles] == sorted(part.low for part in quintiles)
    assert sum(part.problems for part in quintiles) == 5
    assert [part.solvable for part in quintiles] == [0, 1, 1, 1, 1]


def test_test_quality_counts_what_the_reference_says(folder: Path) -> None:
    quality = study_of(folder).quality
    assert (quality.tests, quality.individual.pairs) == (20, 60)
    assert quality.inputs is not None
    assert quality.inputs.output_accuracy == pytest.approx(3 / 4)  # f(5) == 7 is wrong
    assert quality.inputs.attack_rate is not None
    # x + 2 differs on all four inputs, "return 2" on all but f(1): 4 samples of the former, 4 of the latter.
    assert quality.inputs.attack_rate == pytest.approx((4 * 4 + 4 * 3) / 32)


def test_rescued_problems_show_the_tests_that_decided(folder: Path) -> None:
    case = next(case for case in study_of(folder).cases if case.kind == "rescued")
    assert case.task_id == "HumanEval/0"
    assert case.chosen == RIGHT
    assert {test.code for test in case.deciding} <= set(TESTS)
    assert case.deciding[0].chosen == "P"


def test_a_lost_problem_shows_the_correct_sample_that_was_passed_over() -> None:
    matrix = PassMatrix.from_rows("Mbpp/2", ["PP", "PF", "PF"])
    problem = StrategyInput(task_id="Mbpp/2", solutions=("a", "b", "c"), matrix=matrix, labels=(False, True, True))
    (case,) = find_cases("coderm", [Candidate(problem, ("t0", "t1"))])
    assert (case.kind, case.chosen, case.rival, case.pass_rate) == ("lost", "a", "b", pytest.approx(2 / 3))
    assert [(test.code, test.chosen, test.rival) for test in case.deciding] == [("t1", "P", "F")]


def test_progress_is_told_as_often_as_announced(folder: Path) -> None:
    plan = prepare(request(folder))
    heard: list[int] = []
    with FakeExecutor() as executor:
        compute(plan, execute(plan, executor), heard.append)
    assert sum(heard) == steps_of(plan)


def test_the_same_study_is_the_same_to_the_byte(folder: Path) -> None:
    first, second = study_of(folder), study_of(folder)
    assert to_json(first) == to_json(second)
    assert [figure.svg for figure in draw(first)] == [figure.svg for figure in draw(second)]


def test_study_json_reads_back_as_the_study(folder: Path) -> None:
    study = study_of(folder)
    assert msgspec.json.decode(to_json(study), type=Study) == study


def test_labels_missing_for_some_samples_leave_these_out_and_say_so(folder: Path) -> None:
    drop_lines(folder / "l.jsonl", 14)
    study = study_of(folder)
    assert study.setup.solutions == 14
    assert any("with samples that have no label (1 samples, left out): HumanEval/4" in note for note in study.notes)
    assert any("from 2 to 3 labelled samples" in note for note in study.notes)


def test_problems_without_tests_count_and_problems_without_samples_do_not(folder: Path) -> None:
    drop_lines(folder / "t.jsonl", *range(4))
    study = study_of(folder)
    assert study.setup.problems == 5
    assert any("1 of 6 problems without unit tests" in note and "HumanEval/0" in note for note in study.notes)
    assert any("1 of 6 problems without samples, left out: HumanEval/5" in note for note in study.notes)


def test_labels_with_an_index_may_stand_in_any_order(folder: Path) -> None:
    before = to_json(study_of(folder))
    records = [json.loads(line) for line in (folder / "l.jsonl").read_text().splitlines()]
    numbered = [{**record, "index": number % 3} for number, record in enumerate(records)]
    write(folder / "l.jsonl", *reversed(numbered))
    assert to_json(study_of(folder)) == before


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ({"task_id": "HumanEvil/0", "plus": "pass"}, r"l.jsonl:16: got a label of 'HumanEvil/0' \(did you mean"),
        (
            {"task_id": "HumanEval/0", "plus": "pass"},
            "l.jsonl:16: got a label of 'HumanEval/0' without an index; expected no more labels than there are samples",
        ),
        ({"task_id": "HumanEval/0", "plus": "maybe", "index": 0}, "l.jsonl:16: got a second label of sample 0"),
        (
            {"task_id": "HumanEval/0", "plus": "pass", "index": 3},
            "l.jsonl:16: got a label of sample 3 of HumanEval/0, of",
        ),
        (
            {"task_id": "HumanEval/5", "plus": "pass", "index": 0},
            "l.jsonl:16: got a label of sample 0 of HumanEval/5, of",
        ),
    ],
)
def test_a_damaged_label_is_refused_with_its_line(folder: Path, line: object, message: str) -> None:
    with (folder / "l.jsonl").open("a") as stream:
        stream.write(json.dumps(line) + "\n")
    with pytest.raises(InputError, match=message):
        prepare(request(folder))


def test_labels_of_other_samples_do_not_pass_for_those_of_these(folder: Path) -> None:
    drop_lines(folder / "l.jsonl", 1)
    with pytest.raises(InputError, match=r"l.jsonl:3: got a label of 'HumanEval/1' without an index; expected one of"):
        prepare(request(folder))


def test_a_verdict_that_is_none_is_refused(folder: Path) -> None:
    write(folder / "l.jsonl", {"task_id": "HumanEval/0", "plus": "maybe"})
    with pytest.raises(InputError, match=r"l.jsonl:1: got verdict 'maybe'; expected plus \(or base\) to be 'pass'"):
        prepare(request(folder))


def test_labels_of_no_sample_are_refused(folder: Path) -> None:
    write(folder / "l.jsonl")
    with pytest.raises(InputError, match="labels no sample of"):
        prepare(request(folder))


def test_a_recorded_matrix_stands_in_for_execution(folder: Path) -> None:
    before = to_json(study_of(folder))
    plan = prepare(request(folder))
    with FakeExecutor() as executor:
        data = execute(plan, executor)
    write_records(folder / "m.jsonl", [matrix_record(one.matrix) for one in data.problems])
    assert to_json(study_of(folder, matrix=folder / "m.jsonl")) == before


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["PPPP"] * 2, r"m.jsonl:1: got a matrix of 2 x 4 for HumanEval/0; expected 3 x 4 \(samples x tests\)"),
        (["PP"] * 3, r"m.jsonl:1: got a matrix of 3 x 2 for HumanEval/0; expected 3 x 4"),
        (["PPPP"] * 3, r"m.jsonl: got no matrix of 4 problems \(HumanEval/1"),
    ],
)
def test_a_matrix_of_another_shape_is_refused(folder: Path, rows: list[str], message: str) -> None:
    write_records(folder / "m.jsonl", [matrix_record(PassMatrix.from_rows("HumanEval/0", rows))])
    with pytest.raises(InputError, match=message):
        prepare(request(folder, matrix=folder / "m.jsonl"))


def test_a_strategy_of_another_package_that_raises_is_left_out_and_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(problem: StrategyInput) -> np.ndarray[Any, np.dtype[np.float64]]:
        raise ZeroDivisionError("of its own")

    class Point:
        name, value = "faulty", "others:faulty"

        @staticmethod
        def load() -> Strategy:
            return Strategy(name="faulty", score=fail, summary="")

    monkeypatch.setattr("coderm_tasks.rerank.registry._plugins", lambda: [Point])
    study = study_of(folder, strategies=("coderm", "faulty"))
    assert [row.name for row in study.strategies if row.name == "faulty"] == []
    assert any("strategy faulty left out: strategy 'faulty' failed on HumanEval/0" in note for note in study.notes)


def test_without_outputs_the_strategies_that_need_them_are_left_out_and_named(folder: Path) -> None:
    study = study_of(folder, outputs=False)
    assert "srank" not in {row.name for row in study.strategies}
    assert "strategy srank left out: it needs the outputs of calls, which were not run" in study.notes
    assert study.quality.inputs is None


def test_an_unknown_strategy_is_refused_before_anything_is_executed(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"unknown strategy 'codrem' \(did you mean 'coderm'\?\)"):
        prepare(request(folder, strategies=("codrem",)))


class Page(HTMLParser):
    """Collects what a page would load, its ids and its inner links."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.scripts = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.scripts += tag == "script"
        self.loads += [
            value or "" for name, value in attrs if name in ("src", "srcset") or (name == "href" and tag == "link")
        ]
        if "id" in given:
            self.ids.append(given["id"] or "")
        for name in ("href", "xlink:href"):
            if tag != "link" and name in given:
                self.links.append(given[name] or "")


def test_the_report_loads_nothing_and_its_links_stay_within_it(folder: Path) -> None:
    study = study_of(folder)
    page = Page()
    html = render(study, draw(study))
    page.feed(html)
    assert page.scripts == 0
    assert page.loads == ["data:,"]
    assert len(page.ids) == len(set(page.ids))
    assert {link.removeprefix("#") for link in page.links} <= set(page.ids)
    assert set(re.findall(r"url\(#([^)]*)\)", html)) <= set(page.ids)
    assert "@import" not in html


def test_text_of_the_users_files_is_escaped_in_the_report(folder: Path) -> None:
    study = study_of(folder)
    nasty = msgspec.structs.replace(study.cases[0], chosen="<script>alert(1)</script>", task_id="<b>x</b>")
    html = render(msgspec.structs.replace(study, cases=(nasty,), notes=("<i>n</i>",)), draw(study))
    assert "<script>" not in html
    assert "<b>x</b>" not in html
    assert "&lt;i&gt;n&lt;/i&gt;" in html


def test_every_figure_is_well_formed_and_says_what_it_shows(folder: Path) -> None:
    for figure in draw(study_of(folder)):
        ET.fromstring(figure.svg)
        assert figure.png.startswith(b"\x89PNG")
        assert figure.text.endswith(".")


def arguments(**changed: str) -> list[str]:
    given = {"dataset": "humaneval", "samples": "s.jsonl", "tests": "t.jsonl", "labels": "l.jsonl", "output": "out"}
    return ["study", *(word for name, value in {**given, **changed}.items() for word in (f"--{name}", value))]


def test_the_command_writes_its_files_and_prints_the_record(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("executor.open_executor", lambda **_: FakeExecutor())
    assert main([*arguments(), "--draws", "3", "--slow-draws", "1", "--strategies", "coderm,auto", "--json"]) == 0
    printed = capsys.readouterr()
    assert [row["name"] for row in json.loads(printed.out)["strategies"]] == ["coderm", "accord"]
    assert "report.html" in printed.err
    names = {"by-tests", "by-solutions", "by-difficulty", "strategies", "grid"}
    figures = {f"{name}.{kind}" for name in names for kind in ("png", "svg")}
    assert {path.name for path in (folder / "out").iterdir()} == {"study.json", "report.html", *figures}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"labels": "absent.jsonl"}, "coderm: absent.jsonl: no such file"),
        ({"strategies": "codrem"}, "coderm: unknown strategy 'codrem'"),
        ({"dataset": "humanevil"}, "coderm: unknown --dataset 'humanevil'"),
        ({"output": "s.jsonl"}, "coderm: s.jsonl: cannot be made a folder"),
        ({"draws": "0"}, "coderm: --draws is 0: expected at least 1"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_bad_input_is_one_line_and_exit_code_2(
    capsys: pytest.CaptureFixture[str], changed: dict[str, str], message: str
) -> None:
    assert main(arguments(**changed)) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(message)
    assert printed.err.count("\n") == 1
