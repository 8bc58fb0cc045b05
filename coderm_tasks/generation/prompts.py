"""Prompts, by name and version. The text of a prompt is part of a result: change one, and raise its version."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from coderm_tasks.errors import ConfigError, did_you_mean
from coderm_tasks.generation.contest_prompts import asserts_request, solution_text
from coderm_tasks.generation.questions import question, stub
from coderm_tasks.model import Problem

__all__ = ["BLIND", "Prompt", "PromptInfo", "list_prompts", "prompt_info", "render", "render_solution"]

BLIND = "unittest-blind"
"""The prompt that shows the question only."""

_CODE_STOPS = ("\nclass ", "\nif __name__", "\nprint(", "\n```")
_ASSERT_STOPS = ("\ndef ", "\nclass ", "\nif __name__", "\n```")
_FENCE_STOPS = ("\n```",)
# Chat endpoints take four stop strings at most; a chat model ends its turn by itself.
_NO_STOPS: tuple[str, ...] = ()


class Prompt(Struct, frozen=True, kw_only=True):
    """What a model is asked."""

    text: str
    """The user's message, or the raw text that the model continues."""
    stop: tuple[str, ...]
    """Strings at which generation may end; at most four."""
    name: str
    version: int
    prefix: str = ""
    """End of ``text`` that belongs to the answer: put it before the completion (:func:`extract_tests` also finds its
    way without it)."""


class PromptInfo(Struct, frozen=True):
    """One line of ``coderm prompts list``."""

    name: str
    version: int
    summary: str
    needs_candidate: bool


def list_prompts() -> tuple[PromptInfo, ...]:
    """The prompts for unit tests."""
    return tuple(entry.info for entry in _PROMPTS.values())


def prompt_info(name: str) -> PromptInfo:
    """What a prompt is. Raises ConfigError if there is none of that name."""
    if name not in _PROMPTS:
        hint = did_you_mean(name, _PROMPTS) or f"; known prompts: {', '.join(_PROMPTS)}"
        raise ConfigError(f"unknown prompt {name!r}{hint}")
    return _PROMPTS[name].info


def render(name: str, problem: Problem, *, candidate: str | None = None, chat: bool) -> Prompt:
    """The prompt that asks for unit tests of a problem.

    Args:
        candidate: source of the solution to show; only prompts that need one show it.
        chat: True for the user's message of a chat model, False for text that a base model continues.

    Raises:
        ConfigError: unknown name, or no candidate for a prompt that shows one.
    """
    info = prompt_info(name)
    if info.needs_candidate and not (candidate or "").strip():
        raise ConfigError(
            f"prompt {name!r} shows a candidate solution of {problem.task_id}, and there is none: "
            f"set condition to 'first' or 'rotate', or use the prompt {BLIND!r}"
        )
    text, stop, prefix = _PROMPTS[name].build(problem, (candidate or "").strip(), chat)
    return Prompt(text=text, stop=stop, name=name, version=info.version, prefix=prefix)


def render_solution(problem: Problem, *, chat: bool) -> Prompt:
    """The prompt that asks the policy model for a solution."""
    if problem.form != "function":
        text = solution_text(problem, chat=chat)
        return Prompt(text=text, stop=_NO_STOPS if chat else _FENCE_STOPS, name="solution", version=1)
    if not chat:
        return Prompt(text=problem.prompt.rstrip() + "\n", stop=_CODE_STOPS, name="solution", version=1)
    task = problem.prompt.strip()
    text = (
        "Solve the problem below with a self-contained Python program: all imports and helper functions included, the "
        f"function `{problem.entry_point}` named as given. Reply with the code in one Markdown code block.\n\n"
        f"```python\n{task}\n```"
    )
    return Prompt(text=text, stop=_NO_STOPS, name="solution", version=1)


_Built = tuple[str, tuple[str, ...], str]


def _coderm(problem: Problem, candidate: str, chat: bool) -> _Built:
    # The model card of KAKA22/CodeRM-8B, to the letter: the model was tuned on exactly this text.
    text = (
        "Below is a question and it's corresponding code answer. Please write test cases to check the correctness of "
        "the code answer. You need to use the unittest library in Python and create a test class for testing.\n\n"
        f"### question\n{question(problem)}\n\n"
        f"### code solution\n{candidate}\n\n"
        "Please add detailed comments to the test cases you write. You do not need to test the function's ability to "
        "throw exceptions."
    )
    return _opened(text, chat)


def _blind(problem: Problem, candidate: str, chat: bool) -> _Built:
    text = (
        "Write unit tests for the function that this question asks for. Use Python's unittest library and one test "
        f"class; call `{problem.entry_point}` directly, and do not define or import it. You have not seen the answer: "
        "take every expected value from the question. Reply with the code in one Markdown code block.\n\n"
        f"### question\n{question(problem)}"
    )
    return _opened(text, chat)


def _opened(text: str, chat: bool) -> _Built:
    if chat:
        return text, _NO_STOPS, ""
    prefix = "import unittest\n"
    return f"{text}\n\n### unit tests\n```python\n{prefix}", ("\n```", "\nif __name__"), prefix


def _asserts(problem: Problem, candidate: str, chat: bool) -> _Built:
    name = problem.entry_point
    if problem.form != "function":
        text, prefix = asserts_request(problem, chat=chat)
        return text, _NO_STOPS if chat else _FENCE_STOPS, prefix
    if chat:
        text = (
            f"Write ten assert statements that a correct `{name}` satisfies, from simple calls to corner cases. Each "
            f"stands on one line and calls the function: `assert {name}(...) == ...`. Do not define or import the "
            "function. Reply with the asserts in one Markdown code block.\n\n"
            f"```python\n{stub(problem).rstrip()}\n```"
        )
        return text, _NO_STOPS, ""
    # After CodeT (arXiv 2207.10397, section 2.1): the prompt with an empty body, a comment, the start of an assertion.
    prefix = f"assert {name}("
    return f"{stub(problem)}\n# assertions that a correct {name} satisfies, one a line\n{prefix}", _ASSERT_STOPS, prefix


class _Entry(Struct, frozen=True):
    info: PromptInfo
    build: Callable[[Problem, str, bool], _Built]


_PROMPTS = {
    entry.info.name: entry
    for entry in (
        _Entry(PromptInfo("coderm", 1, "CodeRM-8B's own format: question and candidate code, unittest", True), _coderm),
        _Entry(PromptInfo("asserts", 1, "bare asserts after the prompt, in CodeT's manner", False), _asserts),
        _Entry(PromptInfo(BLIND, 1, "a unittest class from the question alone", False), _blind),
    )
}
