"""Unit tests from a model: ask until every problem has its budget of usable, distinct ones."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from coderm_tasks.errors import ConfigError, DatasetError
from coderm_tasks.extract import Drop, extract_tests, fingerprint
from coderm_tasks.generation.asking import CHUNK, Asker, Book, Question, Tally, for_each, settings_of, together
from coderm_tasks.generation.base import Backend, Generated, ProgressCallback, PromptRefusedError
from coderm_tasks.generation.log import Answer, AnswerLog, Commits
from coderm_tasks.generation.prompts import BLIND, prompt_info, render
from coderm_tasks.generation.questions import has_question
from coderm_tasks.model import Problem
from coderm_tasks.model_config import GeneratorConfig

__all__ = ["TestPlan", "check_prompt", "log_settings", "open_log", "write_tests"]

log = logging.getLogger(__name__)

_OVERDRAW = 2  # answers per wanted test before a problem is given up
_LONGEST = 3  # prompts whose length is checked before anything is asked
_LEAST_YIELD = 0.25  # tests per answer that are counted on, however few came so far
_ANY = "{any candidate}"


class TestPlan(Struct, frozen=True, kw_only=True):
    """What is to be written."""

    config: GeneratorConfig
    problems: tuple[Problem, ...]
    candidates: Mapping[str, Sequence[str]]
    """Sampled solutions by task id, for prompts that show one; a problem without any gets the blind prompt."""
    budget: Mapping[str, int]
    seed: int
    dataset: str
    any_candidate: bool = False
    """Whether a stored answer counts that was asked with another candidate of the same problem: for hosts that sample
    anew in every run."""

    @property
    def wanted(self) -> tuple[Problem, ...]:
        """The problems that get tests."""
        return tuple(problem for problem in self.problems if self.budget.get(problem.task_id, 0) > 0)

    def longest_prompts(self) -> list[str]:
        """The longest prompts of the plan, longest first."""
        texts = [question.prompt.text for question in (_Draft(self, problem).question(0) for problem in self.wanted)]
        return sorted(texts, key=len, reverse=True)[:_LONGEST]


def check_prompt(config: GeneratorConfig, problems: Sequence[Problem]) -> None:
    """Refuse what cannot be asked, before anything is.

    Raises:
        ConfigError: an unknown prompt, or one that shows a candidate where none may be shown.
        DatasetError: a problem without question text.
    """
    info = prompt_info(config.prompt)
    if info.needs_candidate and config.condition == "none":
        raise ConfigError(
            f"prompt {config.prompt!r} shows a candidate solution, and condition is 'none': "
            f"set condition to 'first' or 'rotate', or use the prompt {BLIND!r}"
        )
    mute = [problem.task_id for problem in problems if not has_question(problem)]
    if mute:
        others = f" and {len(mute) - 1} more" if len(mute) > 1 else ""
        raise DatasetError(
            f"{mute[0]}{others}: the prompt holds no question text: expected a docstring or a text that says what to "
            "do; add it to the data set, or leave the problem out"
        )


def log_settings(plan: TestPlan) -> Mapping[str, Any]:
    """What the file of answers is written with: a run with other settings may not add to it."""
    config, info = plan.config, prompt_info(plan.config.prompt)
    return settings_of(
        config,
        kind="tests",
        dataset=plan.dataset,
        prompt=f"{config.prompt}/{info.version}",
        condition=config.condition if info.needs_candidate else "none",
        seed=plan.seed,
        candidates="any" if plan.any_candidate else "as shown",
    )


def open_log(plan: TestPlan, store: Path) -> AnswerLog:
    """The file of answers. Raises StoreError where it belongs to other settings, or cannot be used."""
    return AnswerLog(store, log_settings(plan))


async def write_tests(
    plan: TestPlan,
    backend: Backend,
    answers: AnswerLog,
    sink: Callable[[str, tuple[str, ...]], None],
    progress: ProgressCallback | None = None,
) -> Generated:
    """Hand up to ``budget`` distinct tests of each problem to ``sink(task_id, tests)``, in the order of the problems.

    Asking ends per problem once its budget is met, or after twice as many answers.

    Raises:
        ConfigError: wrong key, model or URL.
        GenerationError: the backend failed for good, or refused every problem.
        StoreError: an answer cannot be stored.
    """
    async with Commits(answers) as commits:
        asker = Asker(plan.config, backend, answers, commits, plan.seed)
        run = _Run(plan, asker, sink, progress)
        await for_each(plan.wanted, run.fill, plan.config.concurrency)
    return asker.tally.generated(len(plan.wanted))


class _Draft:
    """Tests of one problem while they come in."""

    def __init__(self, plan: TestPlan, problem: Problem) -> None:
        self.problem = problem
        self.budget = plan.budget[problem.task_id]
        self._plan = plan
        self._shows = prompt_info(plan.config.prompt).needs_candidate
        given = plan.candidates.get(problem.task_id, ()) if self._shows and plan.config.condition != "none" else ()
        self.candidates = _distinct(given) if plan.config.condition == "rotate" else _first(given)
        self.tests: dict[str, str] = {}
        self.completions = 0
        self.requests = 0
        self.answered = 0
        """Requests that were not refused."""
        self.refusal = ""

    @property
    def blind(self) -> bool:
        """Whether the prompt would show a candidate and there is none."""
        return self._shows and not self.candidates

    def next_requests(self) -> list[tuple[Question, int]]:
        """The questions that the missing tests should take, each with how many answers; none if it is not worth it.

        The first is alone: its yield tells how many more are needed, and it warms the server's prefix cache for them.
        """
        missing = self.budget - len(self.tests)
        allowed = _OVERDRAW * self.budget - self.completions
        if missing <= 0 or allowed <= 0 or self.requests >= self._most_requests():
            return []
        size = 1 if self._plan.config.temperature == 0 else CHUNK
        if not self.answered:
            hopeless = self.refusal and self.requests >= len(self.candidates)
            return [] if hopeless else self._questions([min(size, missing)])
        rate = max(len(self.tests) / self.completions, _LEAST_YIELD)
        count = min(allowed, math.ceil(missing / rate))
        # Some servers give one answer, however many are asked for.
        given = max(1.0, min(self.completions / self.answered, size))
        number = min(math.ceil(count / given), self._most_requests() - self.requests)
        return self._questions([min(size, max(1, count - size * turn)) for turn in range(number)])

    def _questions(self, sizes: Sequence[int]) -> list[tuple[Question, int]]:
        first = self.requests
        self.requests += len(sizes)
        return [(self.question(first + turn), size) for turn, size in enumerate(sizes)]

    def _most_requests(self) -> int:
        if self._plan.config.temperature == 0:  # one answer is all that a prompt has
            return max(1, len(self.candidates))
        return _OVERDRAW * self.budget

    def question(self, index: int) -> Question:
        """The question with this number."""
        config, name = self._plan.config, BLIND if self.blind else self._plan.config.prompt
        candidate = self.candidates[index % len(self.candidates)] if self.candidates else None
        prompt = render(name, self.problem, candidate=candidate, chat=config.chat)
        identity = prompt.text
        if candidate is not None and self._plan.any_candidate:
            identity = render(name, self.problem, candidate=_ANY, chat=config.chat).text
        return Question(
            task_id=self.problem.task_id, index=index, prompt=prompt, identity=identity, shown=candidate or ""
        )

    def take(self, answer: Answer, tally: Tally) -> int:
        """Keep the new tests of an answer; returns how many they are."""
        before = len(self.tests)
        self.answered += 1
        for text, reason in zip(answer.texts, answer.finish_reasons, strict=True):
            found = extract_tests(text, self.problem.entry_point, truncated=reason == "length")
            tally.dropped.update(found.dropped)
            tally.usable += bool(found.tests)
            self.completions += 1
            for test in found.tests:
                mark = fingerprint(test)
                if mark in self.tests:
                    tally.dropped[Drop.DUPLICATE.value] += 1
                elif len(self.tests) < self.budget:
                    self.tests[mark] = test
                else:
                    tally.dropped[Drop.BEYOND.value] += 1
        return len(self.tests) - before


class _Run:
    """One call of :func:`write_tests`."""

    def __init__(
        self,
        plan: TestPlan,
        asker: Asker,
        sink: Callable[[str, tuple[str, ...]], None],
        progress: ProgressCallback | None,
    ) -> None:
        self._plan = plan
        self._asker = asker
        self._book = Book([plan.budget[problem.task_id] for problem in plan.wanted], asker.tally, sink, progress)

    async def fill(self, position: int, problem: Problem) -> None:
        """Ask until the problem has its budget or is given up."""
        draft, task_id, tally = _Draft(self._plan, problem), problem.task_id, self._asker.tally
        if draft.blind:
            log.warning("%s: no candidate solution to show: asking with %r", task_id, BLIND)
        while wanted := draft.next_requests():
            for answer in await together(self._asker.ask_or_refuse(*pair) for pair in wanted):
                if isinstance(answer, PromptRefusedError):  # prompts with other candidates may still be short enough
                    draft.refusal = str(answer)
                else:
                    self._book.advance(draft.take(answer, tally))
        missing = draft.budget - len(draft.tests)
        if missing:
            tally.give_up(task_id, len(draft.tests), draft.budget, draft.refusal)
        self._book.finish(position, task_id, tuple(draft.tests.values()), missing)


def _first(codes: Sequence[str]) -> tuple[str, ...]:
    return tuple(code.strip() for code in codes if code.strip())[:1]


def _distinct(codes: Sequence[str]) -> tuple[str, ...]:
    """Codes that differ in more than comments and formatting, the first of each kind, in order."""
    kinds: dict[str, str] = {}
    for code in codes:
        if code.strip():
            kinds.setdefault(fingerprint(code), code.strip())
    return tuple(kinds.values())
