"""Prompts: the words a model gets."""

from __future__ import annotations

import ast

import pytest

from coderm_tasks.errors import ConfigError
from coderm_tasks.generation.prompts import list_prompts, render, render_solution
from coderm_tasks.generation.questions import has_question, question, stub
from coderm_tasks.model import GroundTruth, Problem

HUMANEVAL = Problem(
    task_id="HumanEval/900",
    dataset="humaneval",
    prompt=(
        "from typing import List\n\n\ndef helper(x):\n    return x\n\n\n"
        "def largest_gap(numbers: List[int]) -> int:\n"
        '    """ Find the largest difference between\n    neighbours of a list.\n\n    Empty lists have none.\n'
        "    >>> largest_gap([1, 5])\n    4\n    >>> largest_gap([])\n    0\n"
        '    """\n'
    ),
    entry_point="largest_gap",
    truth=GroundTruth(),
)
MBPP = Problem(
    task_id="Mbpp/900",
    dataset="mbpp",
    prompt='"""\nWrite a function to double a number.\nassert double(2) == 4\n"""\n',
    entry_point="double",
    truth=GroundTruth(),
)


def test_a_humaneval_question_is_the_name_and_flowing_prose_with_doctests_a_line_each():
    assert question(HUMANEVAL) == (
        "Write a function named `largest_gap`. Find the largest difference between neighbours of a list. "
        "Empty lists have none.\n>>> largest_gap([1, 5])\n4\n>>> largest_gap([])\n0"
    )


def test_an_mbpp_question_is_the_text_of_the_prompt():
    assert question(MBPP) == "Write a function to double a number.\nassert double(2) == 4"


def in_prose(prompt: str) -> Problem:
    return Problem(task_id="X/0", dataset="livecodebench", prompt=prompt, entry_point="add", truth=GroundTruth())


def test_a_question_in_prose_is_the_text_after_the_functions_name():
    text = "Given two numbers, return their sum.\n\nInput: a = 1, b = 2\nOutput: 3"
    assert question(in_prose(text)) == f"Write a function named `add`. {text}"


def test_a_question_in_prose_that_names_the_function_stands_as_it_is():
    assert question(in_prose("Implement add(a, b).")) == "Implement add(a, b)."


@pytest.mark.parametrize(
    "prompt", ["def add(a, b):\n", 'def add(a, b):\n    """ \n    """\n', '"""\n"""\n', "", "  1 + 2"]
)
def test_a_prompt_without_words_has_no_question(prompt):
    assert not has_question(in_prose(prompt))


def test_a_docstring_and_prose_are_questions():
    assert has_question(HUMANEVAL)
    assert has_question(MBPP)
    assert has_question(in_prose("Add two numbers."))


def test_the_coderm_prompt_is_the_model_cards_to_the_letter():
    prompt = render("coderm", MBPP, candidate="\ndef double(x):\n    return 2 * x\n\n", chat=True)
    assert prompt.text == (
        "Below is a question and it's corresponding code answer. Please write test cases to check the correctness of "
        "the code answer. You need to use the unittest library in Python and create a test class for testing.\n\n"
        "### question\nWrite a function to double a number.\nassert double(2) == 4\n\n"
        "### code solution\ndef double(x):\n    return 2 * x\n\n"
        "Please add detailed comments to the test cases you write. You do not need to test the function's ability to "
        "throw exceptions."
    )


@pytest.mark.parametrize("candidate", [None, "", "  \n"])
def test_a_prompt_that_shows_a_candidate_refuses_to_go_without(candidate):
    with pytest.raises(ConfigError, match=r"coderm.*Mbpp/900.*condition.*unittest-blind"):
        render("coderm", MBPP, candidate=candidate, chat=True)


def test_an_unknown_prompt_is_refused_with_the_nearest_name():
    with pytest.raises(ConfigError, match="did you mean 'asserts'"):
        render("assert", MBPP, chat=True)


@pytest.mark.parametrize("problem", [HUMANEVAL, MBPP], ids=["humaneval", "mbpp"])
def test_the_base_prompt_for_asserts_is_a_program_that_breaks_off_in_an_assertion(problem):
    prompt = render("asserts", problem, chat=False)
    assert prompt.text.endswith(f"\nassert {problem.entry_point}(")
    assert prompt.prefix == f"assert {problem.entry_point}("
    ast.parse(prompt.text + "1) == 1")


@pytest.mark.parametrize("name", [info.name for info in list_prompts()])
@pytest.mark.parametrize("chat", [True, False], ids=["chat", "base"])
@pytest.mark.parametrize("problem", [HUMANEVAL, MBPP], ids=["humaneval", "mbpp"])
def test_every_prompt_names_the_function_and_keeps_to_four_stop_strings(name, chat, problem):
    prompt = render(name, problem, candidate="def largest_gap(numbers):\n    return double", chat=chat)
    assert problem.entry_point in prompt.text
    assert len(prompt.stop) <= 4
    assert prompt.text.endswith(prompt.prefix)
    assert (prompt.name, prompt.version) == (name, 1)


def test_blind_prompts_do_not_show_the_candidate():
    for name in ("asserts", "unittest-blind"):
        assert "SECRET" not in render(name, HUMANEVAL, candidate="SECRET = 1", chat=True).text


def test_the_chat_prompt_for_solutions_holds_the_problem_in_a_fence_and_the_base_prompt_is_the_problem():
    chat = render_solution(HUMANEVAL, chat=True)
    assert f"```python\n{HUMANEVAL.prompt.strip()}\n```" in chat.text
    assert chat.stop == ()
    assert render_solution(HUMANEVAL, chat=False).text == HUMANEVAL.prompt


def test_a_stub_is_code_that_loads():
    compile(stub(HUMANEVAL), "stub", "exec")
    compile(stub(MBPP), "stub", "exec")
