"""The ``coderm`` filter: shows one pipeline's view of an evaluation that ran once for all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from lm_eval.api.filter import Filter

from coderm_tasks.errors import ConfigError, did_you_mean
from coderm_tasks.hosts.lm_eval.scores import PIPELINES

__all__ = ["FILTER_NAME", "Answers", "CoderMFilter", "ExtractedFilter"]

FILTER_NAME = "coderm"

Answers = Callable[[str], Mapping[str, dict[str, Any]]]
"""Pipeline name -> task id -> what the filter answers for that problem."""


class CoderMFilter(Filter):  # type: ignore[misc]
    """Replaces the sampled answers of a problem by its score under one pipeline.

    Args:
        pipeline: ``first``, ``mean``, ``reranked`` or ``oracle``.
        answers: given by the task, not by the YAML.

    Raises:
        ConfigError: no such pipeline, or a task of another class, which has no problems to judge by.
    """

    def __init__(self, pipeline: str = "reranked", answers: Answers | None = None, **unknown: Any) -> None:
        if unknown:
            raise ConfigError(f"filter {FILTER_NAME!r}: unknown argument {min(unknown)!r}: it takes 'pipeline' only")
        if pipeline not in PIPELINES:
            hint = did_you_mean(str(pipeline), PIPELINES)
            known = ", ".join(PIPELINES)
            raise ConfigError(f"filter {FILTER_NAME!r}: unknown pipeline {pipeline!r}{hint}: expected one of {known}")
        if answers is None:
            remedy = (
                "add `class: !function coderm_tasks.hosts.lm_eval.task.CoderMTask`, or include one of its YAML files"
            )
            raise ConfigError(f"filter {FILTER_NAME!r} needs a task of coderm-tasks: {remedy}")
        super().__init__()
        self._pipeline = pipeline
        self._answers = answers

    def apply(self, resps: Sequence[Any] | Iterable[Any], docs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Return one answer per request, in order: the problem's, for its first; nothing for its request for tests."""
        answers = dict(self._answers(self._pipeline))
        return [answers.pop(doc["task_id"], {}) for doc in docs]


class ExtractedFilter(Filter):  # type: ignore[misc]
    """For ``--predict_only``: replaces a problem's answers by the code of each sample. Executes nothing.

    Args:
        codes: task id -> code of each sample.
    """

    def __init__(self, codes: Mapping[str, Sequence[str]]) -> None:
        super().__init__()
        self._codes = codes

    def apply(self, resps: Sequence[Any] | Iterable[Any], docs: Sequence[Mapping[str, Any]]) -> list[list[str]]:
        """Return the samples' code for each request, in order."""
        return [list(self._codes[doc["task_id"]]) for doc in docs]
