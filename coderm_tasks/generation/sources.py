"""Sources of unit tests that a host asks: a model that writes them, or a bank of ready ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from coderm_tasks.generation.asking import run_to_end
from coderm_tasks.generation.backends import make_backend, opened, survey
from coderm_tasks.generation.base import Generated, ProgressCallback
from coderm_tasks.generation.log import content_key
from coderm_tasks.generation.unit_tests import TestPlan, check_prompt, log_settings, open_log, write_tests
from coderm_tasks.model import Problem
from coderm_tasks.model_config import GeneratorConfig

__all__ = ["BankSource", "ModelSource"]


class BankSource:
    """A :class:`~coderm_tasks.generation.base.TestGenerator` that hands out what is written already."""

    def __init__(self, bank: Mapping[str, tuple[str, ...]]) -> None:
        self.bank = bank

    def check(self) -> None:
        """Nothing can fail: the bank is read."""

    def generate(
        self,
        problems: Sequence[Problem],
        candidates: Mapping[str, Sequence[str]],
        budget: Mapping[str, int],
        *,
        progress: ProgressCallback | None = None,
    ) -> Generated:
        """The first ``budget`` tests of each problem, in the order of the bank."""
        tests = {one.task_id: self.bank.get(one.task_id, ())[: budget.get(one.task_id, 0)] for one in problems}
        short = {task: len(found) for task, found in tests.items() if len(found) < budget.get(task, 0)}
        return Generated(tests=tests, dropped={}, finish_reasons={}, failed={}, short=short)


class ModelSource:
    """A :class:`~coderm_tasks.generation.base.TestGenerator` over any backend; answers are kept in ``store``.

    Args:
        config: the model and how it is asked.
        store: JSONL file of answers, created if missing; a later run asks only for what it lacks. With
            ``any_candidate`` the settings' hash is added to its name.
        dataset: part of what the file is for.
        seed: the requests' seeds derive from it. Servers need not repeat themselves: the file is what can be repeated.
        any_candidate: see :class:`~coderm_tasks.generation.unit_tests.TestPlan`.
    """

    def __init__(
        self, config: GeneratorConfig, store: Path, *, dataset: str = "", seed: int = 0, any_candidate: bool = False
    ) -> None:
        self.config = config
        self._store = store
        self.dataset = dataset
        self.seed = seed
        self.any_candidate = any_candidate

    @property
    def store(self) -> Path:
        """The file of answers."""
        if not self.any_candidate:
            return self._store
        # A host is run again and again with other settings; each set of them gets a file of its own.
        mark = content_key(**log_settings(self._plan((), {}, {})))[:8]
        return self._store.with_name(f"{self._store.stem}_{mark}{self._store.suffix}")

    def check(self, problems: Sequence[Problem] = ()) -> None:
        """Find a dead endpoint, a wrong model, a missing key, a short context or a store of other settings.

        Raises:
            ConfigError, DatasetError: what has to be set differently.
            GenerationError: nothing, or no model server, answers at the URL.
            StoreError: the store cannot be used, or holds answers to other settings.
        """
        check_prompt(self.config, problems)
        # What will be sampled is not known yet: the prompts are measured without candidates.
        plan = self._plan(problems, {}, {problem.task_id: 1 for problem in problems})
        open_log(plan, self.store).close()
        run_to_end(survey(self.config, plan.longest_prompts()))

    def generate(
        self,
        problems: Sequence[Problem],
        candidates: Mapping[str, Sequence[str]],
        budget: Mapping[str, int],
        *,
        progress: ProgressCallback | None = None,
    ) -> Generated:
        """Up to ``budget[task_id]`` distinct unit tests per problem.

        Every answer is on disk before it counts, under the hash of all that it was asked with, so a run that was killed
        goes on where it stopped and asks nothing twice.

        Raises:
            ConfigError: wrong key, model or URL.
            GenerationError: the backend failed for good, or refused every problem.
            StoreError: the store cannot be used, or holds answers to other settings.
        """
        check_prompt(self.config, problems)
        plan = self._plan(problems, candidates, budget)
        tests: dict[str, tuple[str, ...]] = {problem.task_id: () for problem in problems}

        async def run() -> Generated:
            with open_log(plan, self.store) as answers:
                # Not checked again: a server that is just being restarted deserves the patience of a request.
                async with opened(make_backend(self.config)) as backend:
                    return await write_tests(plan, backend, answers, tests.__setitem__, progress)

        generated = run_to_end(run())
        generated.tests.update(tests)
        return generated

    def _plan(
        self, problems: Sequence[Problem], candidates: Mapping[str, Sequence[str]], budget: Mapping[str, int]
    ) -> TestPlan:
        return TestPlan(
            config=self.config,
            problems=tuple(problems),
            candidates=candidates,
            budget=budget,
            seed=self.seed,
            dataset=self.dataset,
            any_candidate=self.any_candidate,
        )
