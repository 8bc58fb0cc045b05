"""Examples read from a problem's text."""

from __future__ import annotations

import pytest

from coderm_tasks.examples import examples_of
from coderm_tasks.model import GroundTruth, Problem


def examples(docstring: str, name: str = "f") -> tuple[str, ...]:
    prompt = f'def {name}(x):\n    """{docstring}\n    """\n'
    truth = GroundTruth(check="")
    return examples_of(
        Problem(task_id="HumanEval/0", dataset="humaneval", prompt=prompt, entry_point=name, truth=truth)
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Add.\n    >>> f(1)\n    2", ("assert f(1) == 2",)),
        (
            "\n    >>> f('a')\n    'b'\n    >>> f([1, 2])\n    [2, 3]",
            ("assert f('a') == 'b'", "assert f([1, 2]) == [2, 3]"),
        ),
        ("\n    >>> round(f(1), 2) # one\n    -0.5", ("assert round(f(1), 2) == -0.5",)),
        ("\n    >>> f(1) == 2", ("assert f(1) == 2",)),
        ("\n    f(1) -> 2\n    f(2) ==> 3", ("assert f(1) == 2", "assert f(2) == 3")),
        ("For example: f((1, 2)) should return 'x'.", ("assert f((1, 2)) == 'x'",)),
        ("f(5) => true", ("assert f(5) == True",)),
        ("f(5) = [1] # sorted", ("assert f(5) == [1]",)),
        ('f(")") == 1', ('assert f(")") == 1',)),
        ("For n = 3 the output should be 4", ("assert f(3) == 4",)),
        ("For lst = [1, 2] the output should be 3.", ("assert f([1, 2]) == 3",)),
        ("For s = 'ab', c = 'b' the result should be ('a', False)", ("assert f('ab', 'b') == ('a', False)",)),
        ("Example 1:\n        Input: [4, 2]\n\n        Output: [2, 1]", ("assert f([4, 2]) == [2, 1]",)),
        ("\n    Input: arr = [1], k = 4\n    Output: 24 # sum", ("assert f([1], 4) == 24",)),
    ],
)
def test_the_usual_notations_are_read(text: str, expected: tuple[str, ...]) -> None:
    assert examples(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "f(1) returns the sum of x and one.",
        "\n    >>> f(1)\n    Traceback (most recent call last):",
        "\n    >>> f(1)\n\n    >>> f(2)",
        "\n    >>> print(2)\n    2",
        "f(x) -> x + 1",
        "f(1 -> 2",
        "g(1) -> 2",
        "\n    Input: n\n    Output: 2",
        "\n    Input: 3\n    Explanation: none\n    Output: 2",
        "",
    ],
)
def test_prose_and_what_is_no_literal_is_not_taken_for_an_example(text: str) -> None:
    assert examples(text) == ()


def test_equal_examples_count_once_and_at_most_twenty() -> None:
    assert len(examples("\n".join(f"    f({n}) -> {n}" for n in range(30)) + "\n    f(0) -> 0")) == 20


def test_the_assert_in_an_mbpp_prompt_is_its_example() -> None:
    prompt = '"""\nWrite a function.\nassert g((1, 2)) == {1}\n"""\n'
    problem = Problem(task_id="Mbpp/2", dataset="mbpp", prompt=prompt, entry_point="g", truth=GroundTruth(check=""))
    assert examples_of(problem) == ("assert g((1, 2)) == {1}",)


def test_examples_of_a_helper_before_the_entry_point_are_not_its_own() -> None:
    prompt = 'def g(x):\n    """\n    f(1) -> 9\n    """\n\ndef f(x):\n    """\n    f(1) -> 2\n    """\n'
    problem = Problem(
        task_id="HumanEval/0", dataset="humaneval", prompt=prompt, entry_point="f", truth=GroundTruth(check="")
    )
    assert examples_of(problem) == ("assert f(1) == 2",)
