"""What a task is told: its YAML, ``--metadata`` and ``--gen_kwargs`` -> one checked set of settings. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

import msgspec
from msgspec import Struct

from coderm_tasks.config import Config, load_config
from coderm_tasks.errors import ConfigError, did_you_mean

__all__ = [
    "TASK_KEY",
    "USER_KEY",
    "TaskSettings",
    "read_settings",
    "sampling_kwargs",
    "settle_sampling",
    "unit_test_kwargs",
]

USER_KEY = "coderm"
"""Key of ``--metadata`` that holds the user's settings (:class:`coderm_tasks.config.Config`)."""
TASK_KEY = "coderm_task"
"""Key of a YAML's metadata that says which data set the task asks, and whether its prompt is a chat message."""

_SAMPLING = ("temperature", "top_p", "max_gen_toks")
# Settings that no model takes as an argument: outside the "coderm" key they are a mistake. lm-eval mixes the model's
# arguments into the metadata, so the others (seed, temperature, ...) may rightly stand there.
_MISPLACED = (
    "livecodebench_path",
    "livecodebench_release",
    "livecodebench_from",
    "livecodebench_to",
    "n_samples",
    "budget",
    "allocation",
    "classifier",
    "test_prompt",
    "test_max_gen_toks",
)
# Names that backends give the token limit; lm-eval prefers max_gen_toks over them, which would hide the user's value.
_LIMIT_ALIASES = ("max_new_tokens", "max_tokens", "max_completion_tokens")


class TaskSettings(Struct, frozen=True, kw_only=True):
    """Settings of one task."""

    dataset: str
    """Name that :func:`coderm_tasks.datasets.load_problems` takes."""
    chat: bool
    """The task's own prompt is a message to a chat model."""
    config: Config


def read_settings(task: Mapping[str, Any]) -> TaskSettings:
    """Read the settings of a task from its configuration (YAML merged with ``--metadata``).

    ``--metadata`` wins over ``CODERM_CONFIG``, and that over the defaults. A YAML that includes one of ours may set
    ``repeats`` and sampling parameters in ``generation_kwargs`` in lm-eval's way; the metadata wins over these too.

    Raises:
        ConfigError: an unknown or misplaced setting, or a value that cannot be used.
    """
    metadata = task.get("metadata") or {}
    _refuse_misplaced(metadata)
    own = metadata.get(TASK_KEY)
    if not isinstance(own, Mapping) or set(own) != {"dataset", "chat"}:
        expected = f"{TASK_KEY}: {{dataset: humaneval, chat: false}}"
        raise ConfigError(f"task {task.get('task')!r}: metadata.{TASK_KEY} is {own!r}: expected e.g. {expected}")
    given = metadata.get(USER_KEY)
    if given is not None and not isinstance(given, Mapping):
        raise ConfigError(f"metadata key {USER_KEY!r} is {given!r}: expected a mapping such as {{'budget': 20}}")
    config = load_config({**_yaml_sampling(task), **(given or {})})
    return TaskSettings(dataset=str(own["dataset"]), chat=bool(own["chat"]), config=config)


def _refuse_misplaced(metadata: Mapping[str, Any]) -> None:
    for key, value in metadata.items():
        if key in _MISPLACED:
            remedy = f"write {{'{USER_KEY}': {{'{key}': ...}}}}"
            raise ConfigError(f"metadata key {key!r} belongs under {USER_KEY!r}: {remedy}")
        # Model arguments stand here too, but seldom hold a mapping: one with a name like ours is a slip.
        if isinstance(value, Mapping) and key not in (USER_KEY, TASK_KEY) and (hint := did_you_mean(key, [USER_KEY])):
            raise ConfigError(f"unknown metadata key {key!r}{hint}")


def _yaml_sampling(task: Mapping[str, Any]) -> dict[str, Any]:
    kwargs = task.get("generation_kwargs") or {}
    found = {name: kwargs[name] for name in _SAMPLING if name in kwargs}
    if "repeats" in task:
        found["n_samples"] = task["repeats"]
    return found


def sampling_kwargs(config: Config, kwargs: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the ``generation_kwargs`` that sample a solution: ``kwargs`` with the settings filled in."""
    return {
        **(kwargs or {}),
        # transformers refuses to sample at temperature 0; lm-eval reads a missing do_sample as greedy.
        "do_sample": config.temperature > 0,
        "temperature": config.temperature,
        "top_p": config.top_p,
        "max_gen_toks": config.max_gen_toks,
    }


def settle_sampling(config: Config, kwargs: Mapping[str, Any]) -> tuple[Config, dict[str, Any]]:
    """Bring settings and ``generation_kwargs`` together after ``--gen_kwargs`` has had its say; ``--gen_kwargs`` wins.

    Returns:
        The settings as they will be used, and the ``generation_kwargs`` to send.

    Raises:
        ConfigError: ``n`` (lm-eval drops or trips over further choices), or a value out of range.
    """
    given = dict(kwargs)
    if "n" in given:
        raise ConfigError(
            "gen_kwargs has n: lm-eval keeps one answer per request; set n_samples in the metadata instead"
        )
    aliases = [given.pop(name) for name in _LIMIT_ALIASES if name in given]
    if aliases:
        given["max_gen_toks"] = aliases[0]
    if given.get("do_sample") is False:
        given["temperature"] = 0.0
    used = {name: given[name] for name in _SAMPLING if name in given}
    try:
        settled = msgspec.convert({**msgspec.to_builtins(config), **used}, Config)
    except msgspec.ValidationError as error:
        raise ConfigError(f"gen_kwargs: {error}") from error
    return settled, sampling_kwargs(settled, given)


def unit_test_kwargs(kwargs: Mapping[str, Any], stop: Sequence[str], max_gen_toks: int) -> dict[str, Any]:
    """Return the ``generation_kwargs`` with which the model writes unit tests.

    ``kwargs`` are those of its solutions: tests are sampled in the same way, but end elsewhere and have a token limit
    of their own. Without stops of its own the prompt keeps those of the solutions.
    """
    until = list(stop) or list(kwargs.get("until") or [])
    return {**deepcopy(dict(kwargs)), "until": until, "max_gen_toks": max_gen_toks}
