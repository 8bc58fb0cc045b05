"""Allocation: exactness against brute force, the budget spent in full, bounds, determinism, speed, refusals."""

from __future__ import annotations

import heapq
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from difficulty import allocation
from difficulty.errors import BudgetError
from difficulty.model import GainCurves

rates_lists = st.lists(st.floats(0, 1), min_size=1, max_size=30)
curves = st.lists(
    st.lists(st.floats(0, 1), min_size=6, max_size=6),
    min_size=1,
    max_size=4,
).map(lambda rows: GainCurves(np.linspace(0, 1, len(rows) + 1)[1:-1], np.array(rows)))


def brute_force(values: NDArray[np.float64], total: int, minimum: int, cap: int) -> float:
    """Best sum of values[i, b_i] over all counts within minimum..cap that add up to total, by dynamic programming."""
    best = {0: 0.0}
    for row in values:
        reached: dict[int, float] = {}
        for spent, value in best.items():
            for tests in range(minimum, cap + 1):
                key = spent + tests
                reached[key] = max(reached.get(key, -np.inf), value + row[tests])
        best = reached
    return best[total]


@st.composite
def small_cases(draw: st.DrawFn) -> tuple[NDArray[np.float64], int, int, int]:
    """Rates, total, minimum and cap of a case that dynamic programming can check."""
    rates = np.array(draw(st.lists(st.floats(0, 1), min_size=1, max_size=5)))
    minimum = draw(st.integers(1, 3))
    cap = draw(st.integers(minimum, 7))
    total = draw(st.integers(minimum * len(rates), cap * len(rates)))
    return rates, total, minimum, cap


@given(small_cases())
def test_the_greedy_rule_is_as_good_as_brute_force(case):
    rates, total, minimum, cap = case
    counts = allocation.coderm(rates, average=total / len(rates), minimum=minimum, cap=cap)
    believed = np.clip(rates, allocation.RATE_FLOOR, 1)
    values = 1 - (1 - believed[:, None]) ** np.arange(cap + 1)
    reached = values[np.arange(len(rates)), counts].sum()
    assert reached == pytest.approx(brute_force(values, total, minimum, cap), abs=1e-8)


@given(rates_lists, st.floats(1, 40), st.one_of(st.none(), st.integers(1, 60)))
def test_the_threshold_gives_what_a_heap_would_pop(rates, average, cap):
    total = round(average * len(rates))
    if cap is not None and total > cap * len(rates):
        cap = 60
    believed = np.clip(np.array(rates), allocation.RATE_FLOOR, 1 - 1e-9)
    counts = np.ones(len(rates), dtype=np.int64)

    def entry(index: int) -> tuple[float, int, int]:
        tests = int(counts[index]) + 1
        gain = allocation.log_marginal_gain(believed[index : index + 1], np.array([tests]))[0]
        return -float(gain), tests, index

    heap = [entry(index) for index in range(len(rates))]
    heapq.heapify(heap)
    while counts.sum() < total:
        _, _, index = heapq.heappop(heap)
        if cap is not None and counts[index] >= cap:
            continue
        counts[index] += 1
        heapq.heappush(heap, entry(index))
    found = allocation.coderm(np.array(rates), average=average, cap=cap)
    assert found.tolist() == counts.tolist()


@given(small_cases(), curves)
def test_gain_is_as_good_as_brute_force_on_the_concave_curves(case, learned):
    rates, total, minimum, cap = case
    counts = allocation.gain(rates, learned, average=total / len(rates), minimum=minimum, cap=cap)
    concave = np.stack([allocation.concave_majorant(row) for row in learned.accuracy])
    padded = np.pad(concave, ((0, 0), (0, 8)), mode="edge")[np.searchsorted(learned.edges, rates, side="right")]
    reached = padded[np.arange(len(rates)), counts].sum()
    assert reached == pytest.approx(brute_force(padded, total, minimum, cap), abs=1e-9)


@given(rates_lists, st.floats(1, 50), st.sampled_from(allocation.ALLOCATIONS), curves)
def test_every_rule_spends_the_budget_to_the_last_test(rates, average, name, learned):
    counts = allocation.budgets(name, np.array(rates), average=average, curves=learned)
    assert counts.sum() == round(average * len(rates))


@given(small_cases(), st.sampled_from(allocation.ALLOCATIONS), curves)
def test_every_rule_stays_within_minimum_and_cap(case, name, learned):
    rates, total, minimum, cap = case
    average = total / len(rates)
    counts = allocation.budgets(name, rates, average=average, minimum=minimum, cap=cap, curves=learned)
    assert counts.min() >= minimum
    assert counts.max() <= cap


@given(rates_lists, st.integers(1, 20))
def test_a_lower_pass_rate_never_gets_fewer_tests_once_all_are_likely(rates, average):
    # q's marginal gain at the second test, lambda (1 - lambda), falls with lambda from 1/2 on.
    likely = np.sort(0.5 + np.array(rates) / 2)
    counts = allocation.coderm(likely, average=average)
    assert (np.diff(counts) <= 1).all()


def test_equal_gives_the_rest_to_the_first_problems():
    assert allocation.equal(4, average=2.5).tolist() == [3, 3, 2, 2]


def test_a_problem_that_nobody_solves_still_gets_tests():
    counts = allocation.coderm(np.array([0.0, 0.9, 0.9, 0.9]), average=8)
    assert counts[0] > counts[1]


def test_gain_gives_the_tests_where_the_curve_rises():
    flat, steep = np.full(11, 0.9), np.linspace(0, 1, 11)
    learned = GainCurves(np.array([0.5]), np.stack([flat, steep]))
    counts = allocation.gain(np.array([0.2, 0.8, 0.2, 0.8]), learned, average=4)
    assert counts.tolist() == [1, 7, 1, 7]


def test_tests_that_add_nothing_are_spread_evenly():
    learned = GainCurves(np.array([]), np.array([[0.2, 0.5]]))
    assert allocation.gain(np.array([0.1, 0.5, 0.9]), learned, average=5).tolist() == [5, 5, 5]


def test_the_majorant_bridges_a_dent():
    assert allocation.concave_majorant(np.array([0.0, 0.1, 0.8, 0.8])).tolist() == pytest.approx([0, 0.4, 0.8, 0.8])


def test_the_majorant_never_falls():
    assert allocation.concave_majorant(np.array([0.5, 0.9, 0.3])).tolist() == [0.5, 0.9, 0.9]


@pytest.mark.parametrize("name", allocation.ALLOCATIONS)
def test_no_problems_need_no_tests(name):
    learned = GainCurves(np.array([]), np.array([[0.2, 0.5]]))
    assert allocation.budgets(name, np.array([]), average=4, curves=learned).tolist() == []


@pytest.mark.parametrize("name", allocation.ALLOCATIONS)
@settings(deadline=None)
@given(seed=st.integers(0, 3))
def test_a_hundred_thousand_problems_take_less_than_a_second_of_processor_time(name, seed):
    rng = np.random.default_rng(seed)
    learned = GainCurves(np.array([0.25, 0.5, 0.75]), np.sort(rng.random((4, 65)), axis=1))
    rates = rng.random(100_000)
    start = time.process_time()
    counts = allocation.budgets(name, rates, average=16, cap=64, curves=learned)
    assert time.process_time() - start < 1
    assert counts.sum() == 1_600_000


@pytest.mark.parametrize("bad", [np.nan, -0.1, 1.5, np.inf])
@pytest.mark.parametrize("name", ["coderm", "gain"])
def test_a_rate_that_is_none_is_refused_with_its_place(name, bad):
    learned = GainCurves(np.array([]), np.array([[0.2, 0.5]]))
    with pytest.raises(BudgetError, match="pass rate of problem 1 is"):
        allocation.budgets(name, np.array([0.5, bad]), average=4, curves=learned)


@pytest.mark.parametrize(
    ("demands", "message"),
    [
        ({"average": 0.5}, "expected at least 1 for each; raise the budget"),
        ({"average": 2, "minimum": 3}, "expected at least 3 for each; raise the budget"),
        ({"average": 4, "minimum": 3, "cap": 2}, "raise the cap or lower the minimum"),
        ({"average": 4, "cap": 3}, "raise the cap or lower the budget"),
        ({"average": 4, "minimum": 0}, "minimum is 0 tests per problem"),
        ({"average": float("nan")}, "budget is nan tests per problem"),
    ],
)
@pytest.mark.parametrize("name", allocation.ALLOCATIONS)
def test_demands_that_cannot_be_met_are_refused_with_the_remedy(name, demands, message):
    learned = GainCurves(np.array([]), np.array([[0.2, 0.5]]))
    with pytest.raises(BudgetError, match=message):
        allocation.budgets(name, np.array([0.5, 0.6]), curves=learned, **demands)


def test_an_unknown_rule_is_refused_with_the_known_ones():
    with pytest.raises(BudgetError, match="'greedy' is unknown: expected one of equal, coderm, gain"):
        allocation.budgets("greedy", np.array([0.5]), average=4)


def test_gain_without_curves_says_how_to_get_them():
    with pytest.raises(BudgetError, match="coderm difficulty train --matrix"):
        allocation.budgets("gain", np.array([0.5]), average=4)


def test_a_floor_outside_the_open_interval_is_refused():
    with pytest.raises(BudgetError, match="rate floor is 0"):
        allocation.coderm(np.array([0.5]), average=4, floor=0)
