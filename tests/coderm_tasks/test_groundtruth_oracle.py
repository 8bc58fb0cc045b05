from __future__ import annotations

import math
import multiprocessing
from collections import Counter
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coderm_tasks.groundtruth.oracle import accepts, expect, is_float_like, is_portable
from executor.inside.wire import Opaque, dumps, loads


def judge(
    output: Any,
    value: Any,
    *,
    dataset: str = "humaneval",
    name: str = "f",
    args: tuple[Any, ...] = (),
    atol: float = 0.0,
) -> bool:
    """Judge one output against the reference's on a problem with this single input."""
    (expected,) = expect(dataset, name, [args], [value], atol)
    return accepts(dataset, name, output, expected)


@pytest.mark.parametrize("output", [1, 1.0, True])
def test_equal_numbers_of_other_types_are_right(output: object) -> None:
    assert judge(output, 1)


@pytest.mark.parametrize(
    ("output", "value"), [((1, 2), [1, 2]), ("1", 1), (None, 0), ([1], [1, 2]), (0.1 + 0.2, "0.3")]
)
def test_other_values_are_wrong(output: object, value: object) -> None:
    assert not judge(output, value)


def test_an_expected_float_brings_its_own_tolerance() -> None:
    assert judge(0.1 + 0.2, 0.3)
    assert not judge(0.3001, 0.3)


def test_tolerance_is_relative_as_well() -> None:
    assert judge(1e9 + 50.0, 1e9)
    assert not judge(1e9 + 200.0, 1e9)


def test_without_a_float_expected_so_far_integers_must_be_equal() -> None:
    assert not judge([1, 2.0000001], [1, 2])


def test_tolerance_sticks_to_the_inputs_after_the_first_float() -> None:
    first, second, third = expect("humaneval", "f", [(), (), ()], [[1, 2], 0.5, [1, 2]], 0.0)
    assert (first.atol, second.atol, third.atol) == (0.0, 1e-06, 1e-06)
    assert not accepts("humaneval", "f", [1, 2.0000001], first)
    assert accepts("humaneval", "f", [1, 2.0000001], third)


def test_a_special_rule_sees_the_tolerance_from_before_its_input() -> None:
    (only,) = expect("mbpp", "surface_Area", [(3, 4)], [33.0], 0.0)
    assert (only.atol_before, only.atol) == (0.0, 1e-06)


def test_a_problems_own_tolerance_is_kept() -> None:
    assert judge(0.30005, 0.3, atol=1e-04)


def test_near_values_of_another_type_are_wrong() -> None:
    assert not judge([0.1 + 0.2], (0.3,))
    assert not judge(Fraction(3, 10), 0.30000001)


def test_infinity_is_near_itself_only() -> None:
    assert judge([math.inf, 0.1 + 0.2], [math.inf, 0.3])
    assert not judge(-math.inf, math.inf)
    assert not judge(1.0, math.inf)


def test_nan_is_never_right() -> None:
    assert not judge(float("nan"), float("nan"))
    assert not judge([float("nan")], [float("nan")])


@pytest.mark.parametrize(
    ("value", "answer"), [(1.0, True), ([1.0, 2.0], True), ((), False), ([1.0, 2], False), ([[1.0]], False), (1, False)]
)
def test_float_like_is_what_evalplus_means(value: object, answer: bool) -> None:
    from evalplus.eval import is_floats

    assert is_float_like(value) is answer
    assert bool(is_floats(value)) is answer


def test_set_tasks_ignore_order_type_and_repetition() -> None:
    assert judge([4, 5, 4], (5, 4), dataset="mbpp", name="similar_elements")
    assert not judge([4], (5, 4), dataset="mbpp", name="similar_elements")
    assert not judge([[4]], (4,), dataset="mbpp", name="similar_elements")


def test_an_iterator_shared_by_solutions_is_not_used_up_by_the_first() -> None:
    output = iter([4, 5])
    assert judge(output, (4, 5), dataset="mbpp", name="Diff")
    assert judge(output, (4, 5), dataset="mbpp", name="Diff")


def test_a_range_of_any_length_is_compared_at_once() -> None:
    assert judge(range(2), (0, 1), dataset="mbpp", name="Diff")
    assert not judge(range(10**15), (0, 1), dataset="mbpp", name="Diff")
    assert not judge(range(10**30), (0, 1), dataset="mbpp", name="Diff")


@pytest.mark.parametrize(
    ("output", "right"), [(Opaque("Match"), True), ("text", True), (True, True), (False, False), (None, False)]
)
def test_not_none_tasks_ask_whether_there_is_an_output(output: object, right: bool) -> None:
    assert judge(output, Opaque("Match"), dataset="mbpp", name="check_str") is right


def test_not_none_is_a_rule_of_mbpp_only() -> None:
    assert not judge("other", "text", dataset="humaneval", name="check_str")


def test_any_output_is_right_for_are_equivalent() -> None:
    assert judge(Opaque("Surprise"), True, dataset="mbpp", name="are_equivalent")


def test_sum_div_may_answer_zero() -> None:
    assert judge(0, 7, dataset="mbpp", name="sum_div")
    assert not judge(1, 7, dataset="mbpp", name="sum_div")


@pytest.mark.parametrize("args", [(3, 4), (1, 7), (4, 5), (2.5, 3)])
def test_both_readings_of_the_pyramid_are_right(args: tuple[float, float]) -> None:
    from evalplus.eval._special_oracle import _surface_Area

    assert judge(_surface_Area(*args), -1, dataset="mbpp", name="surface_Area", args=args)
    assert not judge(_surface_Area(*args) + 1, -1, dataset="mbpp", name="surface_Area", args=args)
    assert not judge("text", -1, dataset="mbpp", name="surface_Area", args=args)


@pytest.mark.parametrize("args", [(1, 2), (23, 5656), (999, 1000)])
def test_both_readings_of_the_digit_distance_are_right(args: tuple[int, int]) -> None:
    from evalplus.eval._special_oracle import _digit_distance_nums

    assert judge(_digit_distance_nums(*args), -1, dataset="mbpp", name="digit_distance_nums", args=args)
    assert not judge(_digit_distance_nums(*args) + 1, -1, dataset="mbpp", name="digit_distance_nums", args=args)


def test_any_zero_of_the_polynomial_is_right() -> None:
    roots = {"name": "find_zero", "args": ([-4, 0, 1],), "atol": 1e-4}
    assert judge(2.0, -2.0, **roots)
    assert judge(-2, -2.0, **roots)
    assert not judge(2.001, -2.0, **roots)


@pytest.mark.parametrize("output", ["2", None, [2.0], 1e300, 10**400, complex(2), float("nan"), Opaque("Root")])
def test_what_is_no_number_is_no_zero(output: object) -> None:
    assert not judge(output, 2.0, name="find_zero", args=([-4, 0, 1],), atol=1e-4)


def _nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("output", "value"),
    [
        (_nested(100_000), _nested(100_000)),
        ([10**400], [0.5]),
        (10**400, 0.5),
        ([1.0, [2.0]], [1.0, 2.0]),
        (["x" * 100_000] + [""] * 10_000, [0.5] * 10_001),
        ([[0.1]] * 20_000, [0.1] * 20_000),
        (Decimal("sNaN"), 0.5),
        ([None], [0.5]),
        ({"a": 0.1}, {"a": 0.3}),
        (Opaque("Liar"), 0.5),
    ],
    ids=["deep", "huge in list", "huge", "ragged", "wide text", "broadcast", "signalling", "none", "dict", "opaque"],
)
def test_what_cannot_be_compared_is_wrong(output: object, value: object) -> None:
    assert not judge(output, value, atol=1e-6)


def test_parts_that_did_not_cross_are_found_anywhere() -> None:
    assert is_portable({"a": [(1, {2})]})
    for value in (Opaque("A"), [Opaque("A")], {"a": (Opaque("A"),)}):
        assert not is_portable(value)


_PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.complex_numbers(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=2), inner, max_size=2)
    ),
    max_leaves=8,
)
_NAMES = ["f", "find_zero", "are_equivalent", "sum_div", "surface_Area", "digit_distance_nums", "Diff", "check_str"]


@given(_PLAIN, _PLAIN, st.sampled_from(["humaneval", "mbpp"]), st.sampled_from(_NAMES), st.sampled_from([0.0, 1e-6]))
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_judging_never_raises(output: Any, value: Any, dataset: str, name: str, atol: float) -> None:
    assert judge(output, value, dataset=dataset, name=name, args=([1, 2], 3), atol=atol) in (True, False)


_NUMBERS = st.floats(allow_nan=False) | st.integers(-(10**6), 10**6)


@given(st.data(), st.sampled_from([0.0, 1e-6, 1e-4]))
def test_the_tolerance_rule_agrees_with_evalplus_on_numbers(data: st.DataObject, atol: float) -> None:
    value = data.draw(_NUMBERS | st.lists(_NUMBERS, max_size=4))
    shift = data.draw(st.sampled_from([0, 1e-9, 1e-7, 1e-6, 1e-3, 1.0]))
    output = [item + shift for item in value] if isinstance(value, list) else value + shift
    assert judge(output, value, atol=atol) == _by_evalplus(output, value, atol)


def _by_evalplus(output: Any, value: Any, atol: float) -> bool:
    """The comparison of EvalPlus 0.3.1, in its order, for a problem without a special rule."""
    from evalplus.eval import is_floats

    exact = output == value
    if atol == 0 and is_floats(value):
        atol = 1e-6
    if exact or atol == 0:
        return bool(exact)
    if type(output) is not type(value) or (isinstance(value, list) and len(output) != len(value)):
        return False
    with np.errstate(all="ignore"):
        return bool(np.allclose(output, value, rtol=1e-07, atol=atol))


Case = tuple[str, str, float, list[Any], list[Any], str]

_CASES: list[Case] = [
    # data set, entry point, atol, inputs, what the reference returns, source of the solution's return value
    ("humaneval", "f", 0, [[1], [2]], [0.5, 1], "x / 2 + 1e-9"),
    ("humaneval", "f", 0, [[2], [1]], [1, 0.5], "x / 2 + 1e-9"),
    ("humaneval", "f", 0, [[1], [2]], [[0.5], [1, 2]], "[x / 2] if x == 1 else [1, 2 + 1e-8]"),
    ("humaneval", "f", 0, [[1]], [(1.0, 2.0)], "[1.0, 2.0 + 1e-9]"),
    ("humaneval", "f", 0, [[1]], [float("inf")], "float('inf')"),
    ("humaneval", "f", 0, [[1]], [float("nan")], "float('nan')"),
    ("humaneval", "f", 1e-4, [[1]], [[[1.0, 1.0]]], "[[1.0]]"),
    ("humaneval", "f", 0, [[1]], [1], "True"),
    ("humaneval", "f", 0, [[1]], [{"a": 0.5}], "{'a': 0.5}"),
    ("mbpp", "Diff", 0, [[1]], [[1, 2]], "(i for i in (2, 1, 1))"),
    ("mbpp", "Diff", 0, [[1]], [[1, 2]], "3"),
    ("mbpp", "check_str", 0, [[1]], [True], "'yes'"),
    ("mbpp", "check_str", 0, [[1]], [False], "False"),
    ("mbpp", "check_str", 0, [[1]], [True], "False"),
    ("mbpp", "sum_div", 0, [[1]], [5], "0"),
    ("mbpp", "are_equivalent", 0, [[1]], [5], "object()"),
    ("mbpp", "surface_Area", 0, [[3, 4]], [33.0], "34"),
    ("mbpp", "surface_Area", 0, [[3, 4]], [33.0], "33.0000001"),
    ("mbpp", "surface_Area", 0, [[3, 4]], [33.0], "'33'"),
    ("mbpp", "digit_distance_nums", 0, [[19, 20]], [1], "10"),
    ("mbpp", "digit_distance_nums", 0, [[-1, 20]], [3], "5"),
]


def _ask_evalplus(cases: list[Case], answers: Any) -> None:
    from evalplus.eval import untrusted_check

    for dataset, name, atol, inputs, values, source in cases:
        code = f"def {name}(x, *rest):\n    return {source}\n"
        status, _ = untrusted_check(dataset, code, inputs, name, values, atol, [0.1] * len(inputs), fast_check=True)
        answers.put(status)


@pytest.fixture(scope="module")
def statuses() -> list[str]:
    """What the real EvalPlus says of each case, asked in a process of its own, for it forks."""
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EVALPLUS_MAX_MEMORY_BYTES", "-1")
        process = context.Process(target=_ask_evalplus, args=(_CASES, answers))
        process.start()
    found = [answers.get(timeout=120) for _ in _CASES]
    process.join()
    return found


@pytest.mark.parametrize("number", range(len(_CASES)), ids=[f"{case[1]} {case[5]}" for case in _CASES])
def test_single_cases_agree_with_the_real_evalplus(number: int, statuses: list[str]) -> None:
    dataset, name, atol, inputs, values, source = _CASES[number]
    names: dict[str, Any] = {}
    exec(f"def {name}(x, *rest):\n    return {source}\n", names)
    # EvalPlus is given the booleans into which it turns the outputs of "not None" problems; we are given outputs, and
    # those come over the wire.
    reference = [(object() if value else None) if name == "check_str" else value for value in values]
    wants = expect(dataset, name, [tuple(args) for args in inputs], reference, atol)
    outputs = [loads(dumps(names[name](*args))) for args in inputs]
    ours = all(accepts(dataset, name, output, want) for output, want in zip(outputs, wants, strict=True))
    assert ours is (statuses[number] == "pass")


def test_counters_and_dicts_of_equal_content_are_equal() -> None:
    assert judge(Counter("aab"), {"a": 2, "b": 1})
