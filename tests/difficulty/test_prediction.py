"""Prediction with classifiers that ship, and the plan of tests the task asks for."""

from __future__ import annotations

import subprocess
import sys
from importlib import resources

import msgspec
import numpy as np
import pytest

import difficulty
from difficulty import BudgetError, Evidence, FeatureError, TrainingSet
from difficulty.prediction import default_name

PROMPTS = [
    'def add(a, b):\n    """ Add two numbers.\n    >>> add(1, 2)\n    3\n    """\n',
    '"""\nWrite a function to find the longest palindromic subsequence.\nassert lps("abca") == 3\n"""\n',
    'def shift(values, by):\n    """ Shift a list of lists.\n    >>> shift([[1], [2]], 1)\n    [[2], [1]]\n    """\n',
]
NAMES = ["add", "lps", "shift"]
SAMPLES = [("def add(a, b): return a + b",) * 4, ("def lps(", "x = 1"), ("def shift(v, b): return v",)]


@pytest.mark.parametrize("dataset", ["humaneval", "humaneval_plus", "mbpp_plus", "something_else"])
@pytest.mark.parametrize("samples", [None, SAMPLES])
def test_what_ships_predicts_a_rate_between_nought_and_one(dataset, samples):
    rates = difficulty.predict_default(dataset, PROMPTS, NAMES, samples)
    assert rates.shape == (3,)
    assert ((rates > 0) & (rates < 1)).all()


def test_samples_that_agree_look_easier_than_samples_that_do_not_parse():
    rates = difficulty.predict_default("humaneval_plus", PROMPTS, NAMES, SAMPLES)
    assert rates[0] > rates[1]


@pytest.mark.parametrize(("dataset", "own"), [("humaneval", "HumanEval+"), ("mbpp", "MBPP+")])
@pytest.mark.parametrize("samples", [False, True])
def test_no_benchmark_is_in_the_training_data_of_its_own_classifier(dataset, own, samples):
    card = difficulty.load_default(dataset, samples=samples).card
    assert card.data
    assert not any(own in line for line in card.data)


@pytest.mark.parametrize("dataset", ["humaneval", "mbpp", "other"])
@pytest.mark.parametrize("samples", [False, True])
def test_what_ships_has_gain_curves_and_a_belief_of_its_own(dataset, samples):
    model = difficulty.load_default(dataset, samples=samples)
    assert model.curves is not None
    assert model.curves.accuracy.shape[1] == 65
    assert model.belief != difficulty.BeliefModel()


def test_all_that_ships_is_under_a_megabyte():
    files = resources.files("difficulty").joinpath("data").iterdir()
    assert sum(len(file.read_bytes()) for file in files) < 1_000_000


def test_a_data_set_without_a_classifier_of_its_own_gets_the_common_one():
    assert default_name("livecodebench") == "other-text.skops"


@pytest.mark.parametrize("allocation", ["equal", "coderm", "gain"])
def test_a_plan_spends_the_whole_budget(allocation):
    plan = difficulty.plan_tests(PROMPTS, NAMES, dataset="humaneval_plus", average=10, allocation=allocation, cap=25)
    assert sum(plan) == 30
    assert all(isinstance(count, int) and 1 <= count <= 25 for count in plan)


def test_a_plan_follows_the_prediction():
    plan = difficulty.plan_tests(
        PROMPTS, NAMES, dataset="humaneval_plus", average=10, allocation="coderm", samples=SAMPLES
    )
    rates = difficulty.predict_default("humaneval_plus", PROMPTS, NAMES, SAMPLES)
    assert plan == difficulty.budgets("coderm", rates, average=10).tolist()


def without_curves():
    """A classifier that was trained without matrices."""
    return msgspec.structs.replace(difficulty.load_default("humaneval"), curves=None)


def test_gain_without_curves_says_what_to_train():
    with pytest.raises(BudgetError, match="coderm difficulty train --matrix"):
        difficulty.plan_tests(PROMPTS, NAMES, dataset="humaneval", average=4, allocation="gain", model=without_curves())


def test_gain_follows_the_curves_of_a_classifier_that_has_them():
    problems = tuple(
        Evidence(task_id=str(number), prompt=f"word {'a ' * (number % 7)}", entry_point="f") for number in range(40)
    )
    rates = np.array([0.1 + 0.1 * (number % 7) for number in range(40)])
    accuracy = np.linspace(rates, np.maximum(rates, 0.6), 9).T
    model = difficulty.train(TrainingSet(problems=problems, rates=rates, accuracy=accuracy), blocks=["text"])
    plan = difficulty.plan_tests(
        ["word", "word a a a a a a"], ["f", "f"], dataset="humaneval", average=4, allocation="gain", model=model
    )
    assert plan[0] > plan[1]
    assert sum(plan) == 8


def test_no_problems_need_no_plan():
    assert difficulty.plan_tests([], [], dataset="humaneval", average=4, allocation="coderm") == []


def test_an_unknown_allocation_is_refused_with_the_known_ones():
    with pytest.raises(BudgetError, match="expected one of equal, coderm, gain"):
        difficulty.plan_tests(PROMPTS, NAMES, dataset="humaneval", average=4, allocation="fair")


def test_prompts_without_entry_points_are_refused():
    with pytest.raises(FeatureError, match="3 prompts, 2 entry points"):
        difficulty.predict_default("humaneval", PROMPTS, NAMES[:2])


def test_a_problem_without_samples_is_refused_by_its_number():
    with pytest.raises(FeatureError, match="problem 1: block 'samples' got no sampled solutions"):
        difficulty.predict_default("humaneval", PROMPTS, NAMES, [SAMPLES[0], (), SAMPLES[2]])


def test_hidden_states_of_another_width_are_refused():
    rng = np.random.default_rng(0)
    problems = tuple(
        Evidence(task_id=str(number), prompt="", entry_point="f", hidden=state)
        for number, state in enumerate(rng.normal(size=(20, 3)))
    )
    model = difficulty.train(TrainingSet(problems=problems, rates=rng.random(20)), blocks=["hidden"])
    wrong = Evidence(task_id="x", prompt="", entry_point="f", hidden=np.zeros(2))
    with pytest.raises(FeatureError, match="hidden states of the model and layer it was trained on"):
        difficulty.predict(model, [wrong])


@pytest.mark.parametrize(
    ("rate", "name"),
    [(0.0, "hard"), (0.333, "hard"), (0.334, "medium"), (0.666, "medium"), (0.667, "easy"), (1, "easy")],
)
def test_classes_are_thirds(rate, name):
    assert difficulty.classify(rate).value == name


def test_importing_loads_neither_torch_nor_sklearn_nor_a_host():
    script = (
        "import sys, difficulty; "
        "print([name for name in ('torch', 'transformers', 'sklearn', 'skops', 'scipy', 'lm_eval', 'executor', "
        "'coderm_tasks') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
