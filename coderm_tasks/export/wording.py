"""What the cards say about each kind of training data."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msgspec import Struct

__all__ = ["BENCHMARK", "KINDS", "UNIT_TEST_COLUMNS", "Wording"]

BENCHMARK = (
    "The problems are those of a benchmark: a model trained on these rows has seen it, and a score of that model on "
    "the benchmark means nothing any more. For training data, take problems of your own (`--problems`)."
)
_HACKING = (
    "Rewards come from model-written unit tests, which are wrong at times; a solution can pass them and be wrong. See "
    "`coderm study` for how good the tests of this run are."
)
_UNREVIEWED = "Nobody has read the code. It is data: run it only in a sandbox."

_Counts = Callable[[dict[str, int], int], dict[str, int | float]]


class Wording(Struct, frozen=True, kw_only=True):
    """The fixed part of a card."""

    title: str
    summary: str
    tags: tuple[str, ...]
    columns: Mapping[str, str]
    caveats: tuple[str, ...]
    counts: _Counts
    """Totals and the number of rows, to what the card shows."""


def _plain(totals: dict[str, int], rows: int) -> dict[str, int | float]:
    return dict(totals)


def _preferences(totals: dict[str, int], rows: int) -> dict[str, int | float]:
    counts: dict[str, int | float] = dict(totals)
    for side in ("chosen", "rejected"):
        characters = counts.pop(f"characters of {side} code", 0)
        if rows:
            counts[f"mean length of {side} code, characters"] = round(characters / rows, 1)
    return counts


UNIT_TEST_COLUMNS = {
    "task_id": "the problem",
    "question": "what was asked, in words",
    "code_ground_truth": "the reference solution",
    "code_generate": 'JSON list of {"sol_id", "code"}: the solutions that the rates were measured on',
    "unit_tests": (
        'JSON list of {"ut_id", "code", "FAR", "FRR", "false_acceptance_rate", "false_rejection_rate"}. FAR and FRR as '
        "the paper's formulas print them: wrong ones among the solutions that pass, FP / (FP + TP), and correct ones "
        "among those that fail, FN / (FN + TN). The other two are the textbook's: the share of wrong solutions that "
        "pass, FP / (FP + TN), and of correct ones that fail, FN / (FN + TP). null where nothing is divided by"
    ),
}
_PROVENANCE = {
    "task_id": "the problem",
    "tests_used": "unit tests that the reward is by",
}

KINDS = {
    "preferences": Wording(
        title="Preference pairs from generated unit tests",
        summary=(
            "Pairs of model-written solutions to one problem of which one passes more model-written unit tests than "
            "the other, for DPO and reward models. Made by `coderm export preferences`."
        ),
        tags=("code", "dpo", "preference", "trl", "coderm"),
        columns={
            "prompt": "the problem, as `coderm sample` asks a chat model",
            "chosen": "the solution with the higher reward, in one Markdown code block",
            "rejected": "the one with the lower reward",
            **_PROVENANCE,
            "chosen_sample, rejected_sample": "number of the solution among those of the problem, from 0",
            "chosen_reward, rejected_reward": "in [0, 1]; they differ by the margin at least",
            "chosen_correct, rejected_correct": "by ground truth, where labels were given; else null",
        },
        caveats=(
            _HACKING,
            "Solutions with one syntax tree count once; empty ones are left out.",
            "Where the mean lengths of chosen and rejected code differ, DPO learns the length, too.",
            _UNREVIEWED,
        ),
        counts=_preferences,
    ),
    "rewards": Wording(
        title="Rewards of solutions from generated unit tests",
        summary=(
            "Model-written solutions, each with a reward in [0, 1] by model-written unit tests. Made by `coderm export "
            "rewards`."
        ),
        tags=("code", "reward", "coderm"),
        columns={
            "prompt": "the problem, as `coderm sample` asks a chat model",
            "completion": "the solution, in one Markdown code block; empty where the model wrote none",
            "reward": "in [0, 1]: share of the usable tests passed, or the strategy's score on a scale from the "
            "problem's lowest to its highest",
            **_PROVENANCE,
            "tests_passed": "usable tests that the solution passes",
            "sample": "number of the solution among those of the problem, from 0",
            "correct": "by ground truth, where labels were given; else null",
        },
        caveats=(_HACKING, "Every sample has its row: duplicates are part of what the policy does.", _UNREVIEWED),
        counts=_plain,
    ),
    "unittest-sft": Wording(
        title="Unit tests with their error rates",
        summary=(
            "Model-written unit tests of problems with a reference solution, each with its error rates on labelled "
            "solutions, in the columns of CodeRM-UnitTest. Made by `coderm export unittest-sft`."
        ),
        tags=("code", "unit-tests", "coderm"),
        columns=UNIT_TEST_COLUMNS,
        caveats=(
            "Whether the reference passes a test is not looked at: tests are as they were generated.",
            "Rates on few labelled solutions are rough; filter by them with that in mind.",
            _UNREVIEWED,
        ),
        counts=_plain,
    ),
}
