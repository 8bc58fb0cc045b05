"""Problem -> predicted pass rate -> tests per problem. Knows neither the plugin nor the executor; takes plain values.

::

    plan_tests(prompts, entry_points, *, dataset, average, allocation, cap=None, samples=None, model=None) -> list[int]
    predict_default(dataset, prompts, entry_points, samples=None) -> NDArray[float64]          shape (n,)
    predict(model, problems) -> list[Prediction]
    budgets(name, rates, *, average, minimum=1, cap=None, curves=None) -> NDArray[int64]       shape (n,)
    believe(passed, copies, rate, model) -> Belief             the right class, and whether more tests may change it
    next_round(change, tests, *, left, cap, options) -> NDArray[int64]       shape (n,), sequential allocation
    train(data, *, blocks, options=None, ...) -> DifficultyModel
    load(path) -> DifficultyModel        save(model, path) -> None

Whatever goes wrong raises a :class:`DifficultyError` whose message is one line.
"""

from difficulty.allocation import ALLOCATIONS, budgets
from difficulty.artifact import load, save
from difficulty.belief import Belief, believe
from difficulty.classifier import MODELS, FitOptions
from difficulty.errors import ArtifactError, BudgetError, DifficultyError, FeatureError, TrainingDataError
from difficulty.features import BLOCKS, extract_features
from difficulty.model import (
    BeliefModel,
    Difficulty,
    DifficultyModel,
    Evidence,
    Features,
    GainCurves,
    Prediction,
    classify,
)
from difficulty.prediction import load_default, plan_tests, predict, predict_default
from difficulty.sequential import SequentialOptions, next_round
from difficulty.sources import program_key
from difficulty.training import Evaluation, TrainingSet, evaluate, train

__all__ = [
    "ALLOCATIONS",
    "BLOCKS",
    "MODELS",
    "ArtifactError",
    "Belief",
    "BeliefModel",
    "BudgetError",
    "Difficulty",
    "DifficultyError",
    "DifficultyModel",
    "Evaluation",
    "Evidence",
    "FeatureError",
    "Features",
    "FitOptions",
    "GainCurves",
    "Prediction",
    "SequentialOptions",
    "TrainingDataError",
    "TrainingSet",
    "believe",
    "budgets",
    "classify",
    "evaluate",
    "extract_features",
    "load",
    "load_default",
    "next_round",
    "plan_tests",
    "predict",
    "predict_default",
    "program_key",
    "save",
    "train",
]
