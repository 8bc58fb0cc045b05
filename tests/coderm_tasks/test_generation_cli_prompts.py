"""``coderm prompts``: prompts on standard output, as a model gets them."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from coderm_tasks.cli.prompts import app
from coderm_tasks.errors import ConfigError, InputError


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def test_the_list_names_every_prompt_with_its_version():
    lines = run("list").splitlines()
    assert [line.split()[:2] for line in lines] == [["coderm", "v1"], ["asserts", "v1"], ["unittest-blind", "v1"]]


def test_a_prompt_is_shown_for_the_problem_that_was_named():
    shown = run("show", "coderm", "--task", "HumanEval/2")
    assert "Write a function named `truncate_number`." in shown
    assert "### code solution\n{code in function format}\n" in shown


def test_the_candidate_comes_from_a_file(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("def truncate_number(number):\n    return number % 1\n", encoding="utf-8")
    assert "return number % 1" in run("show", "coderm", "--task", "HumanEval/2", "--candidate", str(path))


def test_the_base_form_of_a_prompt_is_text_to_continue():
    assert run("show", "asserts", "--base").rstrip("\n").endswith("assert has_close_elements(")


def test_the_prompt_for_solutions_is_shown_too():
    assert "has_close_elements" in run("show", "solution")


@pytest.mark.parametrize(
    ("arguments", "kind", "said"),
    [
        (["show", "codrm"], ConfigError, "did you mean 'coderm'"),
        (["show", "coderm", "--task", "HumanEval/164"], InputError, "--task HumanEval/164: no such problem"),
        (["show", "coderm", "--candidate", "nowhere.py"], InputError, "--candidate nowhere.py: cannot be read"),
    ],
)
def test_a_wrong_argument_is_refused_in_one_line(arguments, kind, said):
    with pytest.raises(kind, match=said) as caught:
        run(*arguments)
    assert "\n" not in str(caught.value)
