"""Answers to contest questions: whole programs and Solution classes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coderm_tasks.extract import extract_solution, extract_tests
from coderm_tasks.extract.programs import extract_program
from coderm_tasks.model import GroundTruth, Problem

PROGRAM = "n = int(input())\nprint(2 * n)\n"
METHOD = "class Solution:\n    def double(self, x: int) -> int:\n        return 2 * x\n"
STARTER = "class Solution:\n    def double(self, x: int) -> int:\n        "


def problem(form: str) -> Problem:
    return Problem(
        task_id="q",
        dataset="livecodebench",
        prompt="Double the number.",
        entry_point="double" if form == "method" else "run_program",
        truth=GroundTruth(),
        form=form,  # type: ignore[arg-type]
        starter=STARTER if form == "method" else "",
        context="from typing import List\n",
    )


@pytest.mark.parametrize(
    "text",
    [
        PROGRAM,
        f"```python\n{PROGRAM}```",
        f"Here it is:\n\n```\n{PROGRAM}```\n\nFor the input\n\n```\n4\n```\n\nit prints\n\n```\n8\n```",
        f"First try:\n```python\nprint(input())\n```\nBetter:\n```python\n{PROGRAM}```",
        f"```python\n{PROGRAM}```\nThe helper alone is:\n```python\ndef f(x):\n    return 2 * x\n```",
        f"<think>\n```python\nprint(input() * 3)\n```\n</think>\n```python\n{PROGRAM}```",
        f"```python\n{PROGRAM}",
        f"Sure! This doubles the number.\n\n{PROGRAM}\nIt runs in constant time.",
        f"```cpp\nint main() {{}}\n```\n```python\n{PROGRAM}```",
    ],
)
def test_the_program_of_an_answer_is_found_and_kept_whole(text: str) -> None:
    assert extract_solution(text, problem("stdin"), chat=True) == PROGRAM


def test_everything_at_the_top_level_of_a_program_stays() -> None:
    code = "import sys\nsys.setrecursionlimit(10**6)\n\ndef main():\n    print(input())\n\nif __name__ == '__main__':\n    main()\n"
    assert extract_program(f"```python\n{code}```") == code


def test_a_program_that_breaks_off_keeps_what_parses() -> None:
    assert extract_program(f"```python\n{PROGRAM}for i in range(") == PROGRAM


def test_a_continuation_is_the_program_itself() -> None:
    assert extract_solution(PROGRAM, problem("stdin"), chat=False) == PROGRAM


@pytest.mark.parametrize("text", ["", "I cannot help with that.", "```python\nx = 1\n```", "```\n4\n```", "\0" * 10])
def test_an_answer_without_a_program_gives_none(text: str) -> None:
    assert extract_program(text) == ""


@given(st.text(st.sampled_from("ab:=()\n `'\"print(input)# \t"), max_size=300))
def test_any_text_gives_a_program_that_parses_or_none(text: str) -> None:
    compile(extract_program(text), "<program>", "exec", dont_inherit=True) if extract_program(text) else None


@pytest.mark.parametrize(
    ("text", "chat"),
    [
        (f"```python\n{METHOD}```", True),
        (f"```python\n{METHOD}\nprint(Solution().double(2))\n```", True),
        (f"Old:\n```python\n{METHOD.replace('2 *', '3 *')}```\nNew:\n```python\n{METHOD}```", True),
        (METHOD, False),
        ("        return 2 * x\n", False),
    ],
)
def test_the_class_of_an_answer_is_found_or_continued(text: str, chat: bool) -> None:
    assert extract_solution(text, problem("method"), chat=chat) == METHOD


def test_a_bare_function_will_do_where_there_is_no_class() -> None:
    code = "def double(x):\n    return 2 * x\n"
    assert extract_solution(f"```python\n{code}```", problem("method"), chat=True) == code


def test_the_helpers_and_imports_of_a_class_come_along() -> None:
    code = (
        f"from math import gcd\n\n\ndef twice(x):\n    return gcd(2 * x, 0)\n\n\n{METHOD.replace('2 * x', 'twice(x)')}"
    )
    assert extract_solution(f"```python\n{code}```", problem("method"), chat=True) == code


@pytest.mark.parametrize(
    "text",
    [
        "```python\nassert run_program('2\\n') == '4'\n```",
        "```python\nfrom program import run_program\n\nassert run_program('2\\n') == '4'\n```",
        "```python\ndef run_program(stdin):\n    return str(2 * int(stdin))\n\nassert run_program('2\\n') == '4'\n```",
    ],
)
def test_tests_of_a_program_are_found(text: str) -> None:
    assert extract_tests(text, "run_program").tests == ("assert run_program('2\\n') == '4'",)


def test_calls_through_an_instance_become_calls_of_the_function() -> None:
    text = "```python\nsol = Solution()\nassert sol.double(2) == 4\nassert Solution().double(3) == 6\n```"
    assert extract_tests(text, "double").tests == ("assert double(2) == 4", "assert double(3) == 6")
