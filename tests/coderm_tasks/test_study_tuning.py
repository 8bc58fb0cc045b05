"""Choosing accord's weights: nothing of a held-out problem is seen, and held-out scores are those of the chosen weights."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from coderm_tasks.rerank import Behaviours, StrategyInput
from coderm_tasks.rerank.accord import AccordWeights, score_accord
from coderm_tasks.study.tuning import cross_validate
from executor import PassMatrix

GRID = tuple(AccordWeights(twins=twins, peers=peers, examples=5.0) for twins in (0.0, 1.0) for peers in (0.0, 6.0))


def problem(number: int, random: np.random.Generator) -> StrategyInput:
    rows = ["".join(random.choice(list("PPF"), 6)) for _ in range(8)]
    codes = random.integers(0, 3, (8, 4)).astype(np.int32)
    return StrategyInput(
        task_id=f"Mbpp/{number}",
        solutions=tuple(map(str, range(8))),
        matrix=PassMatrix.from_rows(f"Mbpp/{number}", rows),
        behaviours=Behaviours(codes, codes >= 0, np.ones((6, 4), dtype=np.bool_)),
        labels=tuple(bool(x) for x in random.random(8) < 0.4),
    )


@pytest.fixture
def policies() -> dict[str, list[StrategyInput]]:
    random = np.random.default_rng(3)
    return {name: [problem(number, random) for number in range(12)] for name in ("one", "two")}


def accuracy(one: StrategyInput, weights: AccordWeights) -> float:
    scores = score_accord(one, weights)
    return float(np.array(one.labels)[scores >= scores.max() - 1e-9].mean())


def test_held_out_scores_are_those_of_the_weights_chosen_on_the_other_folds(
    policies: dict[str, list[StrategyInput]],
) -> None:
    found = cross_validate(policies, (None,), folds=4, grid=GRID)
    table = {name: np.array([[accuracy(one, point) for point in GRID] for one in of]) for name, of in policies.items()}
    assert len(found.chosen) == 4
    for name, held_out in found.held_out.items():
        for row, value in enumerate(held_out[:, 0]):
            assert value in [table[name][row, GRID.index(point)] for point in found.chosen]
    best = np.mean([of.mean(axis=0) for of in table.values()], axis=0).argmax()
    assert found.all_data == GRID[best]


def test_the_labels_of_a_held_out_problem_change_nothing_of_what_it_is_scored_by(
    policies: dict[str, list[StrategyInput]],
) -> None:
    before = cross_validate(policies, (2, None), folds=12, grid=GRID)
    turned = [
        msgspec.structs.replace(one, labels=tuple(not label for label in one.labels or ())) for one in policies["one"]
    ]
    for place in range(12):
        changed = {
            "one": [turned[place] if row == place else one for row, one in enumerate(policies["one"])],
            "two": policies["two"],
        }
        after = cross_validate(changed, (2, None), folds=12, grid=GRID)
        same = [a == b for a, b in zip(before.chosen, after.chosen, strict=True)]
        assert any(same)  # the fold that holds the problem, at least
        fold = order_of(policies, 12)[place]
        assert same[fold]


def order_of(policies: dict[str, list[StrategyInput]], folds: int) -> list[int]:
    """The fold of each problem, by the rule that the docstring states: a seeded permutation of the sorted task ids."""
    tasks = sorted({one.task_id for of in policies.values() for one in of})
    order = np.random.default_rng(0).permutation(len(tasks))
    fold = {tasks[place]: number % folds for number, place in enumerate(order)}
    return [fold[one.task_id] for one in policies["one"]]


def test_a_problem_is_in_one_fold_with_all_its_policies(policies: dict[str, list[StrategyInput]]) -> None:
    # With one fold per problem and one point in the grid, held-out scores are plain scores.
    found = cross_validate(policies, (None,), folds=12, grid=GRID[:1])
    for name, of in policies.items():
        assert found.held_out[name][:, 0] == pytest.approx([accuracy(one, GRID[0]) for one in of])
