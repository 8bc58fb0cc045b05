"""Accuracy of the selection against the average number of unit tests: the study of docs/difficulty.md.

    python benchmarks/difficulty/budgets.py --data ../shared/data --matrices out/matrices [--draws 100]

Everything is cross-validated: the classifier, the gain curves and the belief that set a problem's budget learned from
other problems. Each of the five folds is a small benchmark of its own with the same average budget. Per draw, a
problem's tests come in one random order, drawn with replacement as CodeRM draws them, and an allocation takes a prefix
of it, so allocations are compared on the same tests. Intervals are 95 % bootstrap intervals over draws and problems.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from cases import Case, Fold, belief_accuracy, own_curve, prepare, vote_accuracy
from labelled_data import POLICIES, use_prompts
from msgspec import Struct
from numpy.typing import NDArray

from difficulty import GainCurves, SequentialOptions, believe, budgets, next_round
from difficulty.allocation import concave_majorant

BUDGETS = (1, 2, 4, 8, 16, 32, 64)
CAP = 4
"""No problem gets more than this many times the average, as in the tasks."""
LONGEST = CAP * BUDGETS[-1]
SHARES = (1.0, 0.6)
"""Sequential allocation may spend this much of each budget."""

Order = Sequence[NDArray[np.int64]]
Counts = NDArray[np.int64]
Array = NDArray[np.float64]


class Outcome(Struct, frozen=True, eq=False):
    """One allocation on all draws."""

    right: Array
    """Shape (draws, budgets, problems): expected correctness of the choice."""
    tests: Array
    """Shape (draws, budgets): tests per problem that were used, on average."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--matrices", type=Path, default=Path("out/matrices"))
    parser.add_argument("--draws", type=int, default=100)
    parser.add_argument("--policies", default="codex-davinci,codegen-16b,gpt-3.5-turbo-1106")
    given = parser.parse_args()
    use_prompts(given.data)
    for policy in given.policies.split(","):
        dataset = next(name for name, policies in POLICIES.items() if policy in policies)
        cases, folds = prepare(given.data, dataset, policy, given.matrices, BUDGETS, LONGEST)
        print(f"\n#### {policy}: {len(cases)} problems, {given.draws} draws\n")
        report(study(cases, folds, given.draws))


def study(cases: Sequence[Case], folds: Sequence[Fold], draws: int) -> dict[str, Outcome]:
    """Measure every allocation, with CodeRM's vote and with the belief as the rule that chooses."""
    plans = fixed_plans(cases, folds)
    found: dict[str, tuple[list[Array], list[Array]]] = {}
    for draw in range(draws):
        rng = np.random.default_rng([0, draw])
        order = [rng.integers(one.passed.shape[1], size=LONGEST) for one in cases]
        counts = {**plans, **sequential_plans(cases, folds, order)}
        votes = Votes(cases, order)
        for name, of_one in counts.items():
            add(found, f"{name}, vote", votes.of(of_one), of_one)
            if name.startswith(("equal", "sequential")):
                add(found, f"{name}, belief", believed(cases, folds, order, of_one), of_one)
    return {name: Outcome(np.stack(right), np.stack(tests)) for name, (right, tests) in found.items()}


def add(found: dict[str, tuple[list[Array], list[Array]]], name: str, right: Array, counts: Counts) -> None:
    rights, tests = found.setdefault(name, ([], []))
    rights.append(right)
    tests.append(counts.mean(axis=1))


class Votes:
    """Accuracy of CodeRM's choice on prefixes of one draw; each prefix is judged once."""

    def __init__(self, cases: Sequence[Case], order: Order) -> None:
        self._cases = cases
        self._order = order
        self._known: dict[tuple[int, int], float] = {}

    def of(self, counts: Counts) -> Array:
        """Shape (budgets, problems), as ``counts``."""
        return np.array([[self._one(row, int(tests)) for row, tests in enumerate(of_one)] for of_one in counts])

    def _one(self, row: int, tests: int) -> float:
        if (row, tests) not in self._known:
            self._known[row, tests] = vote_accuracy(self._cases[row], self._order[row][:tests])
        return self._known[row, tests]


def believed(cases: Sequence[Case], folds: Sequence[Fold], order: Order, counts: Counts) -> Array:
    """Accuracy of the belief's choice, shape (budgets, problems); each fold with the parameters learned for it."""
    right = np.zeros(counts.shape)
    for fold in folds:
        for row in fold.members:
            for place in range(len(BUDGETS)):
                right[place, row] = belief_accuracy(cases[row], order[row][: counts[place, row]], fold.belief)
    return right


def fixed_plans(cases: Sequence[Case], folds: Sequence[Fold]) -> dict[str, Counts]:
    """Counts, shape (budgets, problems), of the allocations that do not look at verdicts: the same in every draw."""

    def rule(name: str, rates: Callable[[Fold], Array]) -> Counts:
        def of(fold: Fold, average: int) -> Counts:
            return budgets(name, rates(fold), average=average, cap=CAP * average, curves=fold.curves)

        return spread(cases, folds, of)

    return {
        "equal": rule("equal", lambda fold: fold.gold),
        "coderm (predicted)": rule("coderm", lambda fold: fold.predicted),
        "coderm (gold)": rule("coderm", lambda fold: fold.gold),
        "gain": rule("gain", lambda fold: fold.predicted),
        "gain (gold rates)": rule("gain", lambda fold: fold.gold),
        BOUND: own_curves_plan(cases, folds),
    }


def spread(cases: Sequence[Case], folds: Sequence[Fold], rule: Callable[[Fold, int], Counts]) -> Counts:
    """Let a rule spread each budget over each fold."""
    counts = np.zeros((len(BUDGETS), len(cases)), dtype=np.int64)
    for place, average in enumerate(BUDGETS):
        for fold in folds:
            counts[place, fold.members] = rule(fold, average)
    return counts


def own_curves_plan(cases: Sequence[Case], folds: Sequence[Fold]) -> Counts:
    """What could be had by static allocation if every problem's accuracy curve, labels and all, were known."""
    curves = np.stack([concave_majorant(own_curve(one, LONGEST)) for one in cases])

    def rule(fold: Fold, average: int) -> Counts:
        bins = len(fold.members)
        keys = (np.arange(bins) + 0.5) / bins  # one bin for each problem
        known = GainCurves(np.arange(1, bins) / bins, curves[fold.members])
        return budgets("gain", keys, average=average, cap=CAP * average, curves=known)

    return spread(cases, folds, rule)


def sequential_plans(cases: Sequence[Case], folds: Sequence[Fold], order: Order) -> dict[str, Counts]:
    """Counts of sequential allocation, with all of each budget and with part of it."""
    changes: dict[tuple[int, int], float] = {}

    def change(fold: Fold, place: int, tests: int) -> float:
        row = int(fold.members[place])
        if (row, tests) not in changes:
            passed = cases[row].passed[cases[row].programs][:, order[row][:tests]]
            found = believe(passed, cases[row].copies, float(fold.predicted[place]), fold.belief)
            changes[row, tests] = found.change
        return changes[row, tests]

    def rule(share: float) -> Callable[[Fold, int], Counts]:
        def of(fold: Fold, average: int) -> Counts:
            total = int(share * average * len(fold.members))
            tests = np.zeros(len(fold.members), dtype=np.int64)
            while True:
                chances = np.array([change(fold, place, int(count)) for place, count in enumerate(tests)])
                left = total - int(tests.sum())
                extra = next_round(chances, tests, left=left, cap=CAP * average, options=SequentialOptions())
                if not extra.any():
                    return tests
                tests = tests + extra

        return of

    return {named(share): spread(cases, folds, rule(share)) for share in SHARES}


def named(share: float) -> str:
    return "sequential" if share == 1 else f"sequential with {share:.0%}"


def area(right: Array) -> Array:
    """Mean accuracy over log2 of the budget (trapezoid rule), shape (draws, problems)."""
    return np.asarray((right[:, :-1] + right[:, 1:]).mean(axis=1) / 2)


def interval(values: Array, rng: np.random.Generator) -> str:
    """Mean of values of shape (draws, problems), in points, with its bootstrap interval over both."""
    draws, problems = values.shape
    means = [
        values[np.ix_(rng.integers(draws, size=draws), rng.integers(problems, size=problems))].mean()
        for _ in range(1_000)
    ]
    low, high = np.quantile(means, [0.025, 0.975])
    return f"{100 * values.mean():+.1f} ({100 * low:+.1f}, {100 * high:+.1f})"


def report(outcomes: Mapping[str, Outcome]) -> None:
    """Print three tables: accuracy, differences with intervals, tests that sequential needs."""
    table(
        ["allocation, choice", *map(str, BUDGETS), "area"],
        [
            [
                name,
                *(f"{100 * value:.1f}" for value in of.right.mean(axis=(0, 2))),
                f"{100 * area(of.right).mean():.2f}",
            ]
            for name, of in outcomes.items()
        ],
    )
    part = named(SHARES[1])
    pairs = [(name, "equal, vote") for name in outcomes if name.endswith(", vote") and not name.startswith("equal")]
    pairs += [("equal, belief", "equal, vote")]
    pairs += [(f"{name}, belief", f"equal, {rule}") for name in ("sequential", part) for rule in ("belief", "vote")]
    rng = np.random.default_rng(7)
    rows = []
    for name, base in pairs:
        one, other = outcomes[name].right, outcomes[base].right
        cells = [interval(one[:, place] - other[:, place], rng) for place in range(len(BUDGETS))]
        rows.append([f"{name} − {base}", *cells, interval(area(one) - area(other), rng)])
    table(["difference, points", *map(str, BUDGETS), "area"], rows)
    table(["tests needed", *map(str, BUDGETS)], [needed(outcomes, *pair) for pair in NEEDED])


BOUND = "bound: each problem's own curve"
NEEDED = (
    ("sequential, vote", "equal, vote"),
    ("sequential, belief", "equal, belief"),
    ("sequential, belief", "equal, vote"),
    (f"{BOUND}, vote", "equal, vote"),
)


def needed(outcomes: Mapping[str, Outcome], name: str, base: str) -> list[str]:
    """Share of equal's tests with which ``name`` is as accurate, by interpolation over log2 of the tests."""
    curves = [outcomes[one] for one in {name.replace("sequential", named(share)) for share in SHARES}]
    tests = np.concatenate([one.tests.mean(axis=0) for one in curves])
    right = np.concatenate([one.right.mean(axis=(0, 2)) for one in curves])
    order = np.argsort(tests)
    tests, right = tests[order], np.maximum.accumulate(right[order])
    cells = []
    for average, wanted in zip(BUDGETS, outcomes[base].right.mean(axis=(0, 2)), strict=True):
        place = int(np.searchsorted(right, wanted - 1e-12))
        if place == len(right):
            cells.append("not reached")
        elif place == 0:
            cells.append(f"≤ {tests[0] / average:.0%}")
        else:
            weight = (wanted - right[place - 1]) / (right[place] - right[place - 1])
            found = 2 ** ((1 - weight) * np.log2(tests[place - 1]) + weight * np.log2(tests[place]))
            cells.append(f"{found / average:.0%}")
    return [f"{name} for {base}", *cells]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a Markdown table."""
    for row in (head, ["---"] * len(head), *rows):
        print("|", " | ".join(row), "|")
    print(flush=True)


if __name__ == "__main__":
    main()
