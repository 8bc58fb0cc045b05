"""Ask the model to mend the unit tests that the reference fails, with the interpreter's words before it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from coderm_tasks.extract import extract_tests, fingerprint
from coderm_tasks.generation.asking import Asker, Question, settings_of, together
from coderm_tasks.generation.base import PromptRefusedError
from coderm_tasks.generation.log import Answer, AnswerLog
from coderm_tasks.generation.prompts import Prompt
from coderm_tasks.generation.questions import question
from coderm_tasks.model import Problem
from coderm_tasks.model_config import GeneratorConfig
from coderm_tasks.synth.model import Draft

__all__ = ["Broken", "Mended", "mend_all", "open_repair_log", "render_repair"]

_NAME, _VERSION = "repair", 1
_PLACES = 1_000_000
"""Questions of one problem and round that can be told apart."""


class Broken(Struct, frozen=True):
    """A test that the reference fails, and what Python says of it."""

    problem: Problem
    draft: Draft
    report: str


class Mended(Struct, frozen=True):
    """What came of one round of one problem."""

    drafts: tuple[Draft, ...]
    lost: dict[str, int]
    """Reason -> tests for which no other one came back."""


def open_repair_log(path: Path, config: GeneratorConfig, dataset: str, seed: int) -> AnswerLog:
    """The file of answers. Raises StoreError where it belongs to other settings, or cannot be used."""
    settings = settings_of(config, kind="repairs", dataset=dataset, prompt=f"{_NAME}/{_VERSION}", seed=seed)
    return AnswerLog(path, settings)


def render_repair(broken: Broken, *, chat: bool) -> Prompt:
    """The prompt that shows question, code, test and report, and asks for the test that was meant."""
    problem = broken.problem
    text = (
        f"The unit test below fails on code that is known to be correct, so the test is wrong. Write the corrected "
        f"test: keep what it checks, and change what the report shows to be wrong. Call `{problem.entry_point}` "
        "directly, and do not define or import it. Reply with the whole test in one Markdown code block.\n\n"
        f"### question\n{question(problem)}\n\n"
        f"### code solution\n{problem.truth.reference.strip()}\n\n"
        f"### unit test\n```python\n{broken.draft.code.strip()}\n```\n\n"
        f"### report\n{broken.report}"
    )
    if chat:
        return Prompt(text=text, stop=(), name=_NAME, version=_VERSION)
    return Prompt(text=f"{text}\n\n### corrected unit test\n```python\n", stop=("\n```",), name=_NAME, version=_VERSION)


async def mend_all(
    asker: Asker, broken: Sequence[Broken], known: Mapping[str, set[str]], turn: int, *, chat: bool
) -> dict[str, Mended]:
    """One round: ask once about each broken test, and keep the first new test of each answer.

    Args:
        known: marks of the tests that each problem has had, by task id; those of new ones are added.
        turn: number of the round, from 1: part of what tells questions apart.

    Raises:
        ConfigError, GenerationError, StoreError: as :meth:`coderm_tasks.generation.asking.Asker.ask`.
    """
    asked = [(one, _question(one, number, turn, chat=chat)) for number, one in _numbered(broken)]
    answers = await together(asker.ask_or_refuse(wanted, 1) for _, wanted in asked)
    drafts: dict[str, list[Draft]] = {one.problem.task_id: [] for one in broken}
    lost: dict[str, Counter[str]] = {task_id: Counter() for task_id in drafts}
    for (one, _), answer in zip(asked, answers, strict=True):
        task_id = one.problem.task_id
        found, reason = _first_new(answer, one.problem, known[task_id])
        if found:
            drafts[task_id].append(Draft(found, turn))
        else:
            lost[task_id][reason] += 1
    return {task_id: Mended(tuple(drafts[task_id]), dict(lost[task_id])) for task_id in drafts}


def _numbered(broken: Sequence[Broken]) -> list[tuple[int, Broken]]:
    """Each with its number among the broken tests of its problem."""
    counts: Counter[str] = Counter()
    numbered = []
    for one in broken:
        numbered.append((counts[one.problem.task_id], one))
        counts[one.problem.task_id] += 1
    return numbered


def _question(broken: Broken, number: int, turn: int, *, chat: bool) -> Question:
    prompt = render_repair(broken, chat=chat)
    # The report is left out of what tells questions apart: the order of a set must not make a stored answer unusable.
    identity = render_repair(Broken(broken.problem, broken.draft, ""), chat=chat).text
    return Question(task_id=broken.problem.task_id, index=turn * _PLACES + number, prompt=prompt, identity=identity)


def _first_new(answer: Answer | PromptRefusedError, problem: Problem, known: set[str]) -> tuple[str, str]:
    """The first test of an answer that the problem has not had; else why there is none."""
    if isinstance(answer, PromptRefusedError):
        return "", "the model refused to answer"
    tests: list[Any] = []
    for text, reason in zip(answer.texts, answer.finish_reasons, strict=True):
        tests += extract_tests(text, problem.entry_point, truncated=reason == "length").tests
    for test in tests:
        mark = fingerprint(test)
        if mark not in known:
            known.add(mark)
            return test, ""
    return "", "no other test than before" if tests else "no test in the answer"
