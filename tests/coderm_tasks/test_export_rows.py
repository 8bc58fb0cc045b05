"""Rows of training data out of one problem of a run."""

from __future__ import annotations

import json

import numpy as np
import pytest

from coderm_tasks.errors import ConfigError
from coderm_tasks.export.model import Case, Rewards
from coderm_tasks.export.pairs import PairRules, choose_pairs, distinct
from coderm_tasks.export.rewards import VOTES, rewards_of
from coderm_tasks.export.rows import preference_rows, reward_rows, unit_test_rows
from coderm_tasks.model import GroundTruth, Problem
from executor import PassMatrix

PROBLEM = Problem(
    task_id="Tiny/0", dataset="own", prompt="Double x.", entry_point="f",
    truth=GroundTruth(reference="def f(x):\n    return 2 * x\n"),
)  # fmt: skip
SOLUTIONS = tuple(f"def f(x):\n    return {value} * x\n" for value in (2, 3, 4, 5))


def case(*rows: str, labels: tuple[bool | None, ...] = (), solutions: tuple[str, ...] = SOLUTIONS) -> Case:
    matrix = PassMatrix.from_rows("Tiny/0", rows)
    tests = tuple(f"assert f({number}) == {2 * number}" for number in range(matrix.letters.shape[1]))
    return Case(problem=PROBLEM, solutions=solutions[: len(rows)], tests=tests, matrix=matrix, labels=labels)


def test_the_reward_of_votes_is_the_share_of_usable_tests_passed() -> None:
    rewards = rewards_of(case("PPFI", "PFEI", "TRFI"), VOTES, None)
    assert rewards.values == pytest.approx([2 / 3, 1 / 3, 0])
    assert rewards.tests_used == 3


def test_a_problem_without_usable_tests_gives_no_row() -> None:
    nothing = case("II", "II")
    rewards = rewards_of(nothing, VOTES, None)
    assert rewards.note
    assert not preference_rows(nothing, rewards, PairRules(), chat=False).rows
    assert not reward_rows(nothing, rewards, chat=False).rows


def test_pairs_differ_by_the_margin_and_the_better_one_is_good_enough() -> None:
    rewards = np.array([1.0, 0.75, 0.5, 0.25, 0.0])
    rules = PairRules(margin=0.5, least_chosen=0.75, most=100)
    pairs = set(choose_pairs("t", rewards, rules))
    assert pairs == {(0, 2), (0, 3), (0, 4), (1, 3), (1, 4)}


def test_pairs_are_capped_balanced_and_the_same_for_the_same_seed() -> None:
    rewards = np.array([1.0] * 4 + [0.0] * 4)
    rules = PairRules(most=4)
    pairs = choose_pairs("t", rewards, rules)
    assert len(pairs) == 4
    assert sorted(better for better, _ in pairs) == [0, 1, 2, 3]
    assert sorted(worse for _, worse in pairs) == [4, 5, 6, 7]
    assert pairs == choose_pairs("t", rewards, rules)
    others = [choose_pairs("t", rewards, PairRules(most=4, seed=seed)) for seed in range(1, 8)]
    assert any(other != pairs for other in others)


def test_only_confirmed_pairs_are_of_a_correct_and_a_wrong_solution() -> None:
    rewards = np.array([1.0, 0.9, 0.0, 0.1])
    labels = [True, False, False, None]
    assert set(choose_pairs("t", rewards, PairRules(confirmed=True), labels)) == {(0, 2)}


@pytest.mark.parametrize("settings", [{"margin": 0.0}, {"margin": 1.1}, {"least_chosen": -0.1}, {"most": 0}])
def test_rules_out_of_range_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="expected"):
        PairRules(**settings)


def test_solutions_that_differ_in_comments_are_one_and_empty_ones_none() -> None:
    assert distinct(["def f(x): return 1", "", "# again\ndef f(x):\n    return 1\n", "def f(x): return 2"]) == [0, 3]


def test_a_preference_row_says_where_it_comes_from() -> None:
    given = case("PP", "FF", labels=(True, False))
    made = preference_rows(given, rewards_of(given, VOTES, None), PairRules(), chat=False)
    (row,) = made.rows
    assert (row.chosen, row.rejected) == tuple(f"```python\n{code.strip()}\n```" for code in SOLUTIONS[:2])
    assert "Double x." in row.prompt
    assert (row.chosen_reward, row.rejected_reward, row.tests_used) == (1.0, 0.0, 2)
    assert (row.chosen_correct, row.rejected_correct) == (True, False)
    assert made.counts["pairs that the labels confirm"] == 1


def test_chat_rows_are_messages() -> None:
    given = case("PP", "FF")
    (row,) = preference_rows(given, rewards_of(given, VOTES, None), PairRules(), chat=True).rows
    assert [message.role for message in (*row.prompt, *row.chosen, *row.rejected)] == ["user", "assistant", "assistant"]


def test_every_sample_has_a_reward_row_copies_included() -> None:
    given = case("PF", "PF", "FF", solutions=(SOLUTIONS[0], SOLUTIONS[0], SOLUTIONS[1]))
    rows = reward_rows(given, Rewards(np.array([0.5, 0.5, 0.0]), 2), chat=False).rows
    assert [(row.sample, row.reward, row.tests_passed, row.tests_used) for row in rows] == [
        (0, 0.5, 1, 2), (1, 0.5, 1, 2), (2, 0.0, 0, 2),
    ]  # fmt: skip


def test_rates_of_a_test_are_those_computed_by_hand() -> None:
    # Test 0 passes both correct solutions and one of two wrong ones; test 1 one correct one; test 2 tests nothing.
    given = case("PPI", "PFI", "PFI", "FFI", labels=(True, True, False, False))
    (row,) = unit_test_rows(given).rows
    first, second = json.loads(row.unit_tests)
    assert (first["false_acceptance_rate"], first["false_rejection_rate"]) == (0.5, 0.0)
    assert (second["false_acceptance_rate"], second["false_rejection_rate"]) == (0.0, 0.5)
    # The paper's own: wrong among the accepted, correct among the rejected.
    assert (first["FAR"], first["FRR"]) == pytest.approx((1 / 3, 0.0))
    assert (second["FAR"], second["FRR"]) == pytest.approx((0.0, 1 / 3))
    assert [one["sol_id"] for one in json.loads(row.code_generate)] == [0, 1, 2, 3]
    assert row.code_ground_truth == PROBLEM.truth.reference


def test_samples_without_a_label_do_not_rate_tests() -> None:
    given = case("P", "P", "F", labels=(True, None, False))
    (row,) = unit_test_rows(given).rows
    assert [one["sol_id"] for one in json.loads(row.code_generate)] == [0, 2]
