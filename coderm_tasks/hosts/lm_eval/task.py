"""The task class behind every YAML of coderm-tasks."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from copy import deepcopy
from functools import partial
from typing import Any

import datasets
import msgspec
from lm_eval.api.filter import FilterEnsemble
from lm_eval.api.instance import Instance
from lm_eval.api.registry import filter_registry, register_filter
from lm_eval.api.task import ConfigurableTask

from coderm_tasks.datasets import load_problems
from coderm_tasks.generation.prompts import render
from coderm_tasks.hosts.lm_eval.answers import by_problem
from coderm_tasks.hosts.lm_eval.evaluation import Evaluation, evaluate
from coderm_tasks.hosts.lm_eval.filters import FILTER_NAME, CoderMFilter, ExtractedFilter
from coderm_tasks.hosts.lm_eval.plan import Ranks, RunPlan, make_plan
from coderm_tasks.hosts.lm_eval.requests import CHAT_STOPS, document, solution_request, tests_request
from coderm_tasks.hosts.lm_eval.settings import TASK_KEY, USER_KEY, read_settings, sampling_kwargs, settle_sampling

__all__ = ["RESULT_KEY", "CoderMTask"]

# lm-eval prints only what is logged under its own name.
logger = logging.getLogger(f"lm_eval.{__name__}")

RESULT_KEY = "coderm_run"
"""Key of the task's metadata in lm-eval's results that holds what the run did."""


class CoderMTask(ConfigurableTask):  # type: ignore[misc]
    """Samples N solutions per problem, gets M unit tests, and scores the solution that the tests choose.

    Order of a run: settings are read when the task is made; sandbox, files and endpoint are checked when the requests
    are built, so before the first token; answers are evaluated once, when the filters ask.

    With several ranks each evaluates its own problems. lm-eval evens out the ranks by repeating the last request, whose
    surplus answers are cut off here. It counts requests and not repeats, so backends that must run in step (FSDP) need
    ``n_samples`` equal to ``budget`` and ``allocation: equal``.
    """

    def __init__(
        self,
        data_dir: str | None = None,
        cache_dir: str | None = None,
        download_mode: Any = None,
        config: Mapping[str, Any] | None = None,
    ) -> None:
        """Read the settings and load the problems.

        Raises:
            ConfigError: an unknown setting, or a value that cannot be used.
            DatasetError: the data set cannot be loaded.
        """
        given = dict(config or {})
        # lm-eval leaves its own key for the class in, which its configuration then refuses.
        given.pop("class", None)
        self._settings = read_settings(given)
        self._predict_only = False
        self._chat = self._settings.chat
        self._system: str | None = None
        self._plan: RunPlan | None = None
        self._evaluation: Evaluation | None = None
        self._own_stops = deepcopy((given.get("generation_kwargs") or {}).get("until"))
        given["repeats"] = self._settings.config.n_samples
        given["generation_kwargs"] = sampling_kwargs(self._settings.config, given.get("generation_kwargs"))
        given["metadata"] = self._own_metadata(given.get("metadata") or {})
        if FILTER_NAME not in filter_registry:
            register_filter(FILTER_NAME)(CoderMFilter)
        super().__init__(data_dir, cache_dir, download_mode, given)
        for ensemble in self._filters:
            ensemble.filters = [self._bound(build) for build in ensemble.filters]

    def _own_metadata(self, metadata: Mapping[str, Any]) -> dict[str, Any]:
        # lm-eval mixes the model's arguments into the metadata, keys and headers among them, and writes all of it into
        # the results. Ours keeps to what describes the task.
        kept = {key: metadata[key] for key in ("version", TASK_KEY, "config_source") if key in metadata}
        return {**kept, USER_KEY: msgspec.to_builtins(self._settings.config)}

    def _bound(self, build: Callable[[], Any]) -> Callable[[], Any]:
        if isinstance(build, partial) and build.func is CoderMFilter:
            return partial(build, answers=self._answers)
        return build

    def download(self, *_: Any, **__: Any) -> None:
        """Load the problems through :mod:`coderm_tasks.datasets`. Ground truth stays out of lm-eval's documents."""
        problems = load_problems(self._settings.dataset, self._settings.config.livecodebench)
        self._problems = {problem.task_id: problem for problem in problems}
        self.dataset = {"test": datasets.Dataset.from_list([document(problem) for problem in problems])}

    def override_metric(self, metric_name: str) -> None:
        """lm-eval's hook for ``--predict_only``: the metric becomes ``bypass``, and nothing may be executed."""
        super().override_metric(metric_name)
        self._predict_only = metric_name == "bypass"

    def build_all_requests(
        self,
        *,
        limit: int | None = None,
        samples: list[int] | None = None,
        rank: int = 0,
        world_size: int = 1,
        cache_requests: bool = False,
        system_instruction: str | None = None,
        apply_chat_template: bool = False,
        **others: Any,
    ) -> None:
        """Check all that can be checked before the first token, then build the requests.

        Raises:
            SandboxMissing, CoderMError: see :func:`coderm_tasks.hosts.lm_eval.plan.make_plan`.
        """
        if cache_requests:
            # lm-eval's key leaves out sampling parameters and repeats: an old temperature would stay in force.
            logger.warning("%s: --cache_requests is not used: building these requests takes no time", self.task_name)
        self._chat = self._settings.chat or apply_chat_template
        self._system = system_instruction
        self._evaluation = None
        self._settle()
        chosen = [doc["task_id"] for _, doc in self.doc_iterator(limit=limit, samples=samples)]
        self._plan = make_plan(
            self.task_name,
            self._settings.dataset,
            self._settings.config,
            tuple(self._problems.values()),
            chosen,
            chat=self._chat,
            ranks=Ranks(rank, world_size),
            predict_only=self._predict_only,
        )
        super().build_all_requests(
            limit=limit,
            samples=samples,
            rank=rank,
            world_size=world_size,
            system_instruction=system_instruction,
            apply_chat_template=apply_chat_template,
            **others,
        )

    def _settle(self) -> None:
        """Let ``--gen_kwargs`` have its say, and write what will be used where lm-eval records it."""
        config, kwargs = settle_sampling(self._settings.config, self.config.generation_kwargs or {})
        if self._chat and not self._settings.chat and kwargs.get("until") == self._own_stops:
            logger.warning(
                "%s asks for a continuation but a chat template is applied: %s_instruct suits chat models better",
                self.task_name,
                self.task_name,
            )
            # The stops of a continuation would cut a chat answer at its first "def".
            kwargs["until"] = list(CHAT_STOPS)
        if config.temperature == 0 and config.n_samples > 1:
            logger.warning(
                "%s: greedy decoding gives %d copies of one sample: set n_samples to 1, or a temperature",
                self.task_name,
                config.n_samples,
            )
        self._settings = msgspec.structs.replace(self._settings, config=config)
        self.config.generation_kwargs = kwargs
        self.config.metadata[USER_KEY] = msgspec.to_builtins(config)

    def construct_requests(self, doc: Mapping[str, Any], ctx: str, **kwargs: Any) -> list[Instance]:
        """Build one request for solutions and, where the model writes its own tests, one for tests.

        Nothing is sampled yet, so a prompt for tests shows the problem alone.
        """
        plan = self._planned()
        task_name, doc_id, repeats = kwargs["metadata"]
        solutions = solution_request(doc, ctx, self.config.generation_kwargs, (task_name, doc_id), repeats)
        if not plan.self_written:
            return [solutions]
        task_id = doc["task_id"]
        prompt = render(plan.config.test_prompt, plan.problems[task_id], chat=self._chat)
        turn = partial(self._turn, kwargs.get("chat_template"))
        limit, budget = plan.config.test_max_gen_toks, plan.planned.tests[task_id]
        return [solutions, tests_request(solutions, prompt, turn, max_gen_toks=limit, budget=budget)]

    def _turn(self, chat_template: Callable[..., str] | None, text: str) -> str:
        if chat_template is None:
            return f"{self._system}\n\n{text}" if self._system else text
        system = [{"role": "system", "content": self._system}] if self._system else []
        return chat_template([*system, {"role": "user", "content": text}], add_generation_prompt=True)

    def apply_filters(self) -> None:
        """Evaluate once, then let the pipelines show it.

        Raises:
            SandboxError, CoderMError: see :func:`coderm_tasks.hosts.lm_eval.evaluation.evaluate`.
        """
        for request in self._instances:
            del request.resps[request.repeats :]  # answers to the copies that evened out the ranks
        answers = by_problem((request.doc["task_id"], request.resps) for request in self._instances)
        evaluation = evaluate(self._planned(), answers)
        self._evaluation = evaluation
        self.config.metadata[RESULT_KEY] = evaluation.facts
        if self._predict_only:
            self._filters = [FilterEnsemble("extracted", [partial(ExtractedFilter, evaluation.codes)])]
        super().apply_filters()

    def _answers(self, pipeline: str) -> Mapping[str, dict[str, Any]]:
        if self._evaluation is None:
            raise RuntimeError(f"{self.task_name}: the filters ran before the answers were evaluated")
        return self._evaluation.answers(pipeline)

    def _planned(self) -> RunPlan:
        if self._plan is None:
            raise RuntimeError(f"{self.task_name}: requests were built before build_all_requests made its plan")
        return self._plan
