"""Prompts for contest questions in prose (LiveCodeBench): what the policy model and the test generator are told.

The parts are those of the official runner's prompts (question, format with the starter code, answer), in words of our
own; scores of single samples may differ a little from those made with its text.
"""

from __future__ import annotations

from coderm_tasks.model import Problem

__all__ = ["asserts_request", "described", "solution_text"]

_PROGRAM = (
    "Write a whole program that reads its input from standard input and prints the answer to standard output. Do not "
    "run it on the sample inputs. Put it between these delimiters."
)
_STARTED = "Complete this starter code, names and signature as given, and put all of it between these delimiters."
_RUN = (
    "The program is tested through `run_program(stdin)`, which is given: it takes the whole standard input as one "
    "string, with `\\n` between the lines, runs the program on it, and returns all that it prints as one string. Space "
    "at the ends of lines and of the output does not count."
)


def solution_text(problem: Problem, *, chat: bool) -> str:
    """The prompt that asks for a solution; for a base model it ends where the code begins."""
    asked = f"### Question\n{problem.prompt.strip()}\n\n"
    starter = problem.starter.rstrip()
    if not chat:
        return f"{asked}### Answer\n```python\n{starter}\n" if starter else f"{asked}### Answer\n```python\n"
    head = "Solve this question with a correct Python program; hidden tests check it. Reply with the program only."
    words, code = (_STARTED, starter) if starter else (_PROGRAM, "# your program")
    if not starter and problem.form == "method":
        words = f"Write a class `Solution` with the method `{problem.entry_point}`. Put it between these delimiters."
    return f"{head}\n\n{asked}### Format\n{words}\n```python\n{code}\n```\n\n### Answer\n"


def described(problem: Problem) -> str:
    """The question in words, with how a unit test is to call a solution."""
    text = problem.prompt.strip()
    if problem.form == "stdin":
        return f"{text}\n\n{_RUN}"
    return text if problem.entry_point in text else f"Write a function named `{problem.entry_point}`. {text}"


def asserts_request(problem: Problem, *, chat: bool) -> tuple[str, str]:
    """The prompt that asks for bare asserts, and the end of it that belongs to the answer."""
    name = problem.entry_point
    shape = f'assert {name}("...") == "..."' if problem.form == "stdin" else f"assert {name}(...) == ..."
    asked = f"### Question\n{described(problem)}\n\n"
    starter = f"```python\n{problem.starter.rstrip()}\n```\n\n" if problem.starter.strip() else ""
    if not chat:
        prefix = f"assert {name}("
        return (
            f"{asked}{starter}### Assertions that a correct answer satisfies, one a line\n```python\n{prefix}",
            prefix,
        )
    words = (
        "Write ten assert statements that a correct answer to this question satisfies, from simple inputs to corner "
        f"cases. Each stands on one line: `{shape}`. Take the expected values from the question, and do not define or "
        f"import `{name}`. Reply with the asserts in one Markdown code block."
    )
    return f"{words}\n\n{asked}{starter}".rstrip(), ""
