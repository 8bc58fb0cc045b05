"""What ``study.json`` holds. Accuracies and rates are in [0, 1]; gains are percentage points where they say so."""

from __future__ import annotations

from msgspec import Struct

from coderm_tasks.metrics import InputQuality, Interval, PassAtK, Quality, Step

__all__ = [
    "Case",
    "Curve",
    "CurvePoint",
    "DecidingTest",
    "Grid",
    "Quintile",
    "RankingQuality",
    "Setup",
    "StrategyRow",
    "Study",
    "TestQuality",
]


class Setup(Struct, frozen=True, kw_only=True):
    """What was studied."""

    dataset: str
    samples: str
    """Name of the file, without its folder."""
    tests: str
    labels: str
    problems: int
    solutions: int
    unit_tests: int
    cells: int
    draws: int
    seed: int
    versions: dict[str, str]


class StrategyRow(Struct, frozen=True, kw_only=True):
    """A strategy with all tests and all solutions."""

    name: str
    summary: str
    accuracy: Interval
    """Expected correctness over its ties, mean over problems."""
    over_mean: Interval
    """Paired difference to a uniform pick."""
    over_reference: Interval
    """Paired difference to the reference strategy, :attr:`Study.reference`."""
    tied: int
    """Problems whose pick is drawn among solutions of different pass sets, or among several solutions."""
    fallbacks: int
    """Problems in which it had nothing to go by and took the first sample."""


class CurvePoint(Struct, frozen=True, kw_only=True):
    """One budget."""

    size: int | None
    """Tests (or solutions) per problem; None is all there are."""
    mean_size: float
    """What a problem had on average: some have fewer than ``size``."""
    accuracy: Interval


class Curve(Struct, frozen=True, kw_only=True):
    """A strategy's accuracy against a budget."""

    strategy: str
    points: tuple[CurvePoint, ...]
    draws: int


class Quintile(Struct, frozen=True, kw_only=True):
    """A fifth of the problems by the policy's pass rate; the first is the hardest."""

    number: int
    low: float
    """Lowest pass rate in it."""
    high: float
    problems: int
    solvable: int
    """Problems with at least one correct solution: selection can do nothing for the others."""
    curve: Curve
    gain: Interval
    """Accuracy with all tests minus accuracy with one, paired."""


class Grid(Struct, frozen=True, kw_only=True):
    """Accuracy of the reference strategy for budgets of samples and of tests together."""

    solutions: tuple[int | None, ...]
    tests: tuple[int | None, ...]
    accuracy: tuple[tuple[float, ...], ...]
    """A row per budget of solutions, a column per budget of tests; mean over problems and draws."""
    draws: int


class RankingQuality(Struct, frozen=True, kw_only=True):
    """Scoring-Verifiers' metrics of the share of tests that a solution passes, mean over problems."""

    top_1: float
    bottom_1: float
    spearman: float
    kendall: float
    mae: float
    """Pooled over solutions."""
    problems: int


class TestQuality(Struct, frozen=True, kw_only=True):
    """Table 2 of CodeRM, and more."""

    __test__ = False  # tell pytest that this is no test class
    individual: Quality
    combined: Quality
    """The prediction is the set of solutions that CodeRM's vote puts first."""
    ranking: RankingQuality
    inputs: InputQuality | None
    """Pooled over problems; None where the reference solution was not run."""
    tests: int
    distinct: int
    telling: int


class DecidingTest(Struct, frozen=True, kw_only=True):
    """A test on which the chosen solution and its rival differ."""

    code: str
    chosen: str
    """Verdict on the chosen solution."""
    rival: str
    passed_share: float
    """Share of all solutions that pass it."""


class Case(Struct, frozen=True, kw_only=True):
    """A problem on which selection made the difference."""

    task_id: str
    kind: str
    """``rescued``: few samples are right and the selection is; ``lost``: some are right and the selection is wrong."""
    pass_rate: float
    accuracy: float
    chosen: str
    """Code of the chosen solution."""
    rival: str
    """Code of the best-placed solution of the other correctness."""
    chosen_votes: int
    rival_votes: int
    tests: int
    deciding: tuple[DecidingTest, ...]


class Study(Struct, frozen=True, kw_only=True):
    """Everything that ``coderm study`` found."""

    setup: Setup
    notes: tuple[str, ...]
    """What is missing, and what was left out because of it."""
    reference: str
    """The strategy that the others are compared with."""
    featured: str
    """The strategy that the examples are about."""
    mean: Interval
    """Accuracy of a uniform pick."""
    pass_at_k: tuple[PassAtK, ...]
    strategies: tuple[StrategyRow, ...]
    by_tests: tuple[Curve, ...]
    by_solutions: tuple[Curve, ...]
    quintiles: tuple[Quintile, ...]
    grid: Grid
    quality: TestQuality
    cost: tuple[Step, ...]
    """What a point costs, along the reference strategy's curve."""
    cases: tuple[Case, ...]
