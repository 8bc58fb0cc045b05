"""The model under evaluation as its own source of unit tests: it was asked in the same run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from coderm_tasks.generation.base import Generated, ProgressCallback
from coderm_tasks.generation.prompts import render
from coderm_tasks.hosts.lm_eval.answers import Answers, harvest_tests
from coderm_tasks.model import Problem

__all__ = ["SelfSource"]


class SelfSource:
    """A :class:`~coderm_tasks.generation.base.TestGenerator` over answers that lm-eval has already collected."""

    def __init__(self, answers: Sequence[Answers], prompt: str, *, chat: bool) -> None:
        self._answers = {one.task_id: one for one in answers}
        self._prompt = prompt
        self._chat = chat

    def check(self) -> None:
        """Nothing can fail: the answers are there."""

    def generate(
        self,
        problems: Sequence[Problem],
        candidates: Mapping[str, Sequence[str]],
        budget: Mapping[str, int],
        *,
        progress: ProgressCallback | None = None,
    ) -> Generated:
        """Up to ``budget[task_id]`` distinct tests from the answers, for which no candidate was known yet."""
        tests, dropped, completions = {}, Counter[str](), 0
        for problem in problems:
            one = self._answers[problem.task_id]
            prefix = render(self._prompt, problem, chat=self._chat).prefix
            harvest = harvest_tests(one, problem.entry_point, budget[problem.task_id], prefix=prefix)
            tests[problem.task_id] = harvest.tests
            dropped.update(harvest.dropped)
            completions += len(one.tests)
        short = {task: len(found) for task, found in tests.items() if len(found) < budget[task]}
        return Generated(
            tests=tests, dropped=dict(dropped), finish_reasons={}, failed={}, short=short, completions=completions
        )
