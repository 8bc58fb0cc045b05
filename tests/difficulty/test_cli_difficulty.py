"""``coderm difficulty`` as a user runs it, on problems made from the embedded HumanEval."""

from __future__ import annotations

import json

import msgspec
import pytest

import difficulty
from coderm_tasks.cli import main
from coderm_tasks.datasets import load_problems
from coderm_tasks.store import MatrixRecord
from executor.fake import FakeExecutor

PROBLEMS = 24


@pytest.fixture(scope="module")
def problems():
    """The first problems of HumanEval."""
    return load_problems("humaneval")[:PROBLEMS]


@pytest.fixture(autouse=True)
def few_problems(problems, tmp_path, monkeypatch):
    """Make EvalPlus read a HumanEval+ of those problems alone."""
    path = tmp_path / "humaneval_plus.jsonl"
    records = [
        {
            "task_id": problem.task_id,
            "prompt": problem.prompt,
            "entry_point": problem.entry_point,
            "canonical_solution": "    pass\n",
            "contract": "",
            "base_input": [[1]],
            "plus_input": [[2]],
            "atol": 0,
        }
        for problem in problems
    ]
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    monkeypatch.setenv("HUMANEVAL_OVERRIDE_PATH", str(path))


@pytest.fixture
def files(problems, tmp_path):
    """Samples, labels and a matrix: of four samples, as many are right (and alike) as the problem's number says."""
    samples, labels, matrix = [], [], []
    for number, problem in enumerate(problems):
        right = number % 5
        for place in range(4):
            answer = "None" if place < right else place
            code = f"def {problem.entry_point}(*values):\n    return {answer}\n"
            samples.append({"task_id": problem.task_id, "solution": code})
            labels.append({"task_id": problem.task_id, "plus": "pass" if place < right else "fail"})
        rows = tuple("PPF" if place < right else "PFF" for place in range(4))
        matrix.append(MatrixRecord(task_id=problem.task_id, solutions=4, tests=3, verdicts=rows))
    paths = {name: tmp_path / f"{name}.jsonl" for name in ("samples", "labels", "matrix")}
    for name, records in (("samples", samples), ("labels", labels), ("matrix", matrix)):
        paths[name].write_bytes(b"".join(msgspec.json.encode(record) + b"\n" for record in records))
    return paths


def run(*words, dataset=("--dataset", "humaneval")):
    """Run ``coderm difficulty`` on humaneval and return the exit code."""
    verb, *rest = words
    return main(["difficulty", verb, *dataset, *map(str, rest)])


def inputs(files, *names):
    """Flags that name those files."""
    return [word for name in names for word in (f"--{name}", files[name])]


def complaint(capsys):
    """The one line on standard error."""
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    return lines[0]


def test_train_writes_a_classifier_and_its_card(files, tmp_path, capsys):
    model = tmp_path / "mine.skops"
    assert run("train", *inputs(files, "samples", "labels"), "--blocks", "samples", "--output", model) == 0
    assert model.exists()
    assert "samples samples.jsonl" in model.with_suffix(".md").read_text(encoding="utf-8")
    assert "Spearman" in capsys.readouterr().out


def test_predict_lists_the_problems_hardest_first(files, tmp_path, capsys):
    model = tmp_path / "mine.skops"
    run("train", *inputs(files, "samples", "labels"), "--blocks", "samples", "--output", model)
    capsys.readouterr()
    assert run("predict", "--model", model, *inputs(files, "samples"), "--json") == 0
    rows = json.loads(capsys.readouterr().out)
    assert len(rows) == PROBLEMS
    rates = [row["pass_rate"] for row in rows]
    assert rates == sorted(rates)
    assert int(rows[0]["task_id"].split("/")[1]) % 5 < int(rows[-1]["task_id"].split("/")[1]) % 5


def test_predict_with_what_ships_plans_the_budget(capsys):
    assert run("predict", "--budget", 3, "--cap", 9, "--json") == 0
    assert sum(row["tests"] for row in json.loads(capsys.readouterr().out)) == 3 * PROBLEMS


def test_predict_prints_a_table_for_people(capsys):
    assert run("predict") == 0
    table = capsys.readouterr().out
    assert "hardest first" in table
    assert "HumanEval/7" in table


def test_a_classifier_trained_with_a_matrix_can_allocate_by_gain(files, tmp_path, capsys):
    model = tmp_path / "mine.skops"
    words = ("--blocks", "samples", "--reach", 4, "--draws", 5, "--output", model)
    assert run("train", *inputs(files, "samples", "labels", "matrix"), *words) == 0
    capsys.readouterr()
    planned = ("--model", model, "--budget", 2, "--allocation", "gain", "--json")
    assert run("predict", *inputs(files, "samples"), *planned) == 0
    assert sum(row["tests"] for row in json.loads(capsys.readouterr().out)) == 2 * PROBLEMS


def test_evaluate_scores_blocks_together_and_alone(files, capsys):
    words = ("--blocks", "text,samples", "--kind", "logistic", "--json")
    assert run("evaluate", *inputs(files, "samples", "labels"), *words) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["scores"]["rows"] == PROBLEMS
    assert [part["blocks"] for part in found["ablation"]] == [["text"], ["samples"]]
    assert found["ablation"][1]["scores"]["spearman"] > 0.5


def test_an_excluded_problem_is_no_row(files, capsys):
    words = ("--blocks", "samples", "--kind", "logistic", "--exclude", "HumanEval/3", "--json")
    assert run("evaluate", *inputs(files, "samples", "labels"), *words) == 0
    assert json.loads(capsys.readouterr().out)["scores"]["rows"] == PROBLEMS - 1


def test_labels_of_other_samples_are_refused_with_their_line(files, capsys):
    lines = files["labels"].read_text().splitlines(keepends=True)
    files["labels"].write_text("".join([*lines[:4], *lines[5:], lines[4]]))
    assert run("evaluate", *inputs(files, "samples", "labels")) == 2
    assert "labels.jsonl:8: got a label of 'HumanEval/2'; expected one of 'HumanEval/1'" in complaint(capsys)


def test_too_few_labels_are_refused_with_both_numbers(files, capsys):
    lines = files["labels"].read_text().splitlines(keepends=True)
    files["labels"].write_text("".join(lines[:-1]))
    assert run("evaluate", *inputs(files, "samples", "labels")) == 2
    assert "got 95 labels for 96 samples" in complaint(capsys)


def test_a_label_without_verdict_is_refused_with_its_line(files, capsys):
    text = files["labels"].read_text()
    files["labels"].write_text(text.replace('"pass"', '"perhaps"', 1))
    assert run("evaluate", *inputs(files, "samples", "labels")) == 2
    assert "labels.jsonl:5: got verdict 'perhaps'" in complaint(capsys)


def test_fewer_than_twenty_problems_are_refused(files, capsys):
    left_out = [word for number in range(5) for word in ("--exclude", f"HumanEval/{number}")]
    assert run("evaluate", *inputs(files, "samples", "labels"), "--blocks", "samples", *left_out) == 2
    assert "19 problems, expected at least 20" in complaint(capsys)


def test_one_class_only_is_refused(files, capsys):
    files["labels"].write_text(files["labels"].read_text().replace('"pass"', '"fail"'))
    assert run("evaluate", *inputs(files, "samples", "labels"), "--blocks", "samples") == 2
    assert "one class only" in complaint(capsys)


def test_a_matrix_of_other_samples_is_refused(files, capsys):
    text = files["matrix"].read_text()
    files["matrix"].write_text(text.replace('"solutions":4', '"solutions":3', 1))
    assert run("evaluate", *inputs(files, "samples", "labels", "matrix"), "--blocks", "behaviour") == 2
    assert "HumanEval/0 has 3 rows for 4 samples" in complaint(capsys)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--blocks", "sample"), "unknown feature block 'sample' (did you mean 'samples'?)"),
        (("--blocks", "behaviour"), "feature block 'behaviour' needs --matrix"),
        (("--blocks", "hidden"), "feature block 'hidden' needs --hidden-model"),
        (("--blocks", ""), "feature blocks are none"),
        (("--kind", "forest"), "model 'forest' is unknown: expected one of network, logistic"),
        (("--exclude", "HumanEval/9999"), "--exclude 'HumanEval/9999' is no problem of humaneval"),
        (("--labels", "more.jsonl"), "got 1 --samples, 2 --labels, 0 --matrix"),
    ],
)
def test_flags_that_cannot_be_met_are_refused(files, capsys, words, message):
    assert run("evaluate", *inputs(files, "samples", "labels"), *words) == 2
    assert message in complaint(capsys)


def test_a_folder_that_cannot_be_written_is_refused_before_training(files, tmp_path, capsys):
    assert run("train", *inputs(files, "samples", "labels"), "--output", tmp_path / "none" / "mine.skops") == 2
    assert "none" in complaint(capsys)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--budget", 0.5), "raise the budget"),
        (("--budget", 4, "--cap", 0), "raise the cap or lower the minimum"),
        (("--budget", 4, "--allocation", "sequential"), "plans nothing beforehand"),
        (("--budget", 4, "--allocation", "fair"), "expected one of equal, coderm, gain"),
        (("--model", "none.skops"), "none.skops: no such file"),
    ],
)
def test_predictions_that_cannot_be_made_are_refused(capsys, words, message):
    assert run("predict", *words) == 2
    assert message in complaint(capsys)


def test_the_data_set_is_told_by_the_task_ids(files, capsys):
    words = ("--blocks", "samples", "--kind", "logistic", "--json")
    assert run("evaluate", *inputs(files, "samples", "labels"), *words, dataset=()) == 0
    assert json.loads(capsys.readouterr().out)["scores"]["rows"] == PROBLEMS


def test_a_data_set_that_nothing_tells_is_asked_for(tmp_path, capsys):
    samples = tmp_path / "samples.jsonl"
    samples.write_text('{"task_id": "Toy/1", "solution": ""}\n')
    assert run("predict", dataset=()) == 2
    assert "give --dataset" in complaint(capsys)
    assert run("predict", "--samples", samples, dataset=()) == 2
    assert "samples.jsonl:1: got task_id 'Toy/1'" in complaint(capsys)


def test_outputs_of_samples_are_a_block_like_any_other(files, problems, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("coderm_tasks.difficulty_job.open_executor", lambda **_: FakeExecutor())
    tests = tmp_path / "tests.jsonl"
    lines = [
        json.dumps({"task_id": one.task_id, "test": f"assert {one.entry_point}({number}) is None"}) + "\n"
        for one in problems
        for number in range(2)
    ]
    tests.write_text("".join(lines))
    words = ("--tests", tests, "--blocks", "outputs", "--kind", "logistic", "--json")
    assert run("evaluate", *inputs(files, "samples", "labels"), *words) == 0
    assert json.loads(capsys.readouterr().out)["scores"]["spearman"] > 0.5


def with_logprobs(files, values):
    """Write ``mean_logprob`` into the samples, in turn; None leaves it out."""
    records = [json.loads(line) for line in files["samples"].read_text().splitlines()]
    for number, record in enumerate(records):
        if values[number % len(values)] is not None:
            record["mean_logprob"] = values[number % len(values)]
    files["samples"].write_text("".join(json.dumps(record) + "\n" for record in records))


def test_log_probabilities_come_with_the_samples(files, capsys):
    with_logprobs(files, [-0.1, -0.5])
    words = ("--blocks", "logprob", "--kind", "logistic", "--json")
    assert run("evaluate", *inputs(files, "samples", "labels"), *words) == 0
    assert json.loads(capsys.readouterr().out)["scores"]["rows"] == PROBLEMS


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([-0.1, None], "samples.jsonl:2: got a sample without mean_logprob"),
        ([0.5], "samples.jsonl:1: got mean_logprob 0.5"),
        ([float("nan")], "samples.jsonl:1: got mean_logprob nan"),
        ([True], "samples.jsonl:1: got mean_logprob True"),
        ([None], "HumanEval/0: block 'logprob' got no log-probabilities"),
    ],
)
def test_log_probabilities_that_are_none_are_refused(files, capsys, values, message):
    with_logprobs(files, values)
    assert run("evaluate", *inputs(files, "samples", "labels"), "--blocks", "logprob") == 2
    assert message in complaint(capsys)


def test_the_calibration_can_be_drawn(files, tmp_path, capsys):
    pytest.importorskip("matplotlib", reason="matplotlib is missing: pip install 'coderm-tasks[report]'")
    picture = tmp_path / "calibration.svg"
    words = ("--blocks", "samples", "--kind", "logistic", "--plot", picture)
    assert run("evaluate", *inputs(files, "samples", "labels"), *words) == 0
    assert "<svg" in picture.read_text()


@pytest.mark.parametrize(
    ("name", "message"), [("calibration.txt", "expected one of .png, .svg, .pdf"), ("none/cal.png", "none")]
)
def test_a_picture_that_cannot_be_drawn_is_refused_before_training(files, tmp_path, capsys, name, message):
    pytest.importorskip("matplotlib", reason="matplotlib is missing: pip install 'coderm-tasks[report]'")
    assert run("evaluate", *inputs(files, "samples", "labels"), "--plot", tmp_path / name) == 2
    assert message in complaint(capsys)


def test_a_classifier_trained_with_a_matrix_has_a_belief_of_its_own(files, tmp_path):
    model = tmp_path / "mine.skops"
    words = ("--blocks", "samples", "--kind", "logistic", "--reach", 2, "--draws", 2, "--output", model)
    assert run("train", *inputs(files, "samples", "labels", "matrix"), *words) == 0
    assert difficulty.load(model).belief != difficulty.BeliefModel()
    assert "belief: consensus" in model.with_suffix(".md").read_text()
