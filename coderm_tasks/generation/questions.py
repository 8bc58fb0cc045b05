"""A problem as a question in words."""

from __future__ import annotations

import ast
import re

from coderm_tasks.extract.source import definitions, parse
from coderm_tasks.generation.contest_prompts import described
from coderm_tasks.model import Problem

__all__ = ["has_question", "question", "stub"]

_EXAMPLE = re.compile(r"^[ \t]*>>>", re.MULTILINE)


def question(problem: Problem) -> str:
    """The problem as CodeRM's own inputs render it (github.com/RUCKBReasoning/CodeRM, data/benchmark, ``*_ut.jsonl``).

    HumanEval: the function's name and the docstring, prose in one paragraph and doctests one a line; no signature.
    MBPP: the text of the prompt with its example assertion, which names the function.
    LiveCodeBench, and any other prompt in prose: the text as it stands, after a sentence that names the function where
    the text does not; of a whole program it is said how a test runs it.
    """
    if problem.form != "function":
        return described(problem)
    signature, text = _parts(problem)
    if signature:
        return f"{_named(problem)} {_flowing(text)}".strip()
    return text if problem.entry_point in text else f"{_named(problem)} {text}".strip()


def has_question(problem: Problem) -> bool:
    """Whether the prompt says in words what to do, beyond naming the function."""
    return any(character.isalpha() for character in _parts(problem)[1])


def _named(problem: Problem) -> str:
    return f"Write a function named `{problem.entry_point}`."


def _parts(problem: Problem) -> tuple[bool, str]:
    """Whether the prompt is the start of the function, and its words."""
    if problem.form != "function":
        return False, problem.prompt.strip()
    tree = _tree(problem)
    if tree is None:
        return False, problem.prompt.strip()
    functions = [node for node in definitions(tree, problem.entry_point) if hasattr(node, "body")]
    if functions:
        return True, ast.get_docstring(functions[-1]) or ""  # type: ignore[arg-type]
    return False, (ast.get_docstring(tree) or problem.prompt).strip()


def stub(problem: Problem) -> str:
    """The prompt as code that loads: with ``pass`` where it ends in a signature."""
    prompt = problem.prompt.rstrip()
    for ending in ("", "\n    pass"):
        tree = parse(prompt + ending)
        if tree is not None and not (not ending and definitions(tree, problem.entry_point)):
            return prompt + ending + "\n"
    return prompt + "\n    pass\n"


def _tree(problem: Problem) -> ast.Module | None:
    return parse(problem.prompt) or parse(problem.prompt.rstrip() + "\n    pass\n")


def _flowing(text: str) -> str:
    """Prose before the first doctest as one paragraph; doctests and what follows them line by line."""
    example = _EXAMPLE.search(text)
    prose, examples = (text[: example.start()], text[example.start() :]) if example else (text, "")
    lines = [line.strip() for line in examples.split("\n") if line.strip()]
    return "\n".join([" ".join(prose.split()), *lines]).strip()
