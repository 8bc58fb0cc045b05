"""The reward as verl calls it: one completion at a time (``naive``) or the whole batch (``batch`` reward manager).

``ground_truth`` is a mapping, or its JSON text: ``{"entry_point": "add", "tests": ["assert add(1, 2) == 3"]}``, with
``context`` and ``weights`` where they are wanted; what it lacks is taken from ``extra_info``. In verl's configuration::

    custom_reward_function.path=pkg://coderm_tasks.reward.verl   # or the file's path
    custom_reward_function.name=compute_score
    +custom_reward_function.reward_kwargs.unjudged=0.0

verl has no completion without a reward: where there is none to be had, ``unjudged`` is given and ``judged`` is 0, or,
without ``unjudged``, the call raises.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from typing import Any

import msgspec

from coderm_tasks.errors import RewardError, did_you_mean
from coderm_tasks.reward.batch import Batch, Reading, Sample, read_batch
from coderm_tasks.reward.lane import Found
from coderm_tasks.reward.options import RewardOptions, shared_scheduler
from coderm_tasks.reward.scoring import Scheme, Score, Status
from executor import Limits

__all__ = ["compute_score", "compute_score_async", "compute_score_batched"]


def compute_score(
    data_source: str,
    solution_str: str,
    ground_truth: Any,
    extra_info: Mapping[str, Any] | None = None,
    *,
    unjudged: float | None = None,
    **options: Any,
) -> dict[str, float]:
    """Reward one completion; calls from several threads are judged together.

    Args:
        options: ``scheme``, ``count_shared``, ``deadline_s``, ``workers``, ``cache``, ``limits`` (fields of
            :class:`executor.Limits`); verl's own are left alone.

    Returns:
        ``score`` from 0 to 1, ``judged`` (1 or 0), and ``passed``, ``counted``, ``shared`` and ``evaded`` tests.

    Raises:
        RewardError: a ground truth that is none, or no reward to be had and no ``unjudged``.
        SandboxError: the sandbox failed.
    """
    batch, future = _start([solution_str], [ground_truth], [extra_info], options)
    return _record(batch.scores(future.result())[0], unjudged)


async def compute_score_async(
    data_source: str,
    solution_str: str,
    ground_truth: Any,
    extra_info: Mapping[str, Any] | None = None,
    *,
    unjudged: float | None = None,
    **options: Any,
) -> dict[str, float]:
    """:func:`compute_score` for an event loop: any number may wait at the same time, without a thread each."""
    batch, future = await asyncio.to_thread(_start, [solution_str], [ground_truth], [extra_info], options)
    results: list[Found] = await asyncio.wrap_future(future)
    return _record(batch.scores(results)[0], unjudged)


def compute_score_batched(
    data_sources: Sequence[str],
    solution_strs: Sequence[str],
    ground_truths: Sequence[Any],
    extra_infos: Sequence[Mapping[str, Any] | None],
    *,
    unjudged: float | None = None,
    **options: Any,
) -> list[dict[str, float]]:
    """:func:`compute_score` for a whole batch, as the ``batch`` reward manager calls it."""
    batch, future = _start(solution_strs, ground_truths, extra_infos, options)
    return [_record(score, unjudged) for score in batch.scores(future.result())]


def _start(
    completions: Sequence[str],
    truths: Sequence[Any],
    extras: Sequence[Mapping[str, Any] | None],
    given: Mapping[str, Any],
) -> tuple[Batch, Future[list[Found]]]:
    if not len(completions) == len(truths) == len(extras):
        raise RewardError(
            f"got {len(completions)} solutions, {len(truths)} ground truths and {len(extras)} extra infos: expected as "
            "many of one as of the others"
        )
    options = _options(given)
    deadline = time.monotonic() + options.deadline_s
    samples = [
        _sample(completion, truth, {} if extra is None else extra)
        for completion, truth, extra in zip(completions, truths, extras, strict=True)
    ]
    batch = read_batch(samples, options.reading)
    return batch, batch.submit(shared_scheduler(options), deadline=deadline)


_OPTIONS = ("scheme", "count_shared", "deadline_s", "workers", "cache", "limits", "unjudged")


def _options(given: Mapping[str, Any]) -> RewardOptions:
    for name in given:
        if name not in _OPTIONS and (hint := did_you_mean(name, _OPTIONS)):
            raise RewardError(f"reward_kwargs has {name!r}{hint}: the options are {', '.join(_OPTIONS)}")
    scheme: Scheme = given.get("scheme", "share")
    known = {name: given[name] for name in ("deadline_s", "workers", "cache") if name in given}
    if "limits" in given:
        known["limits"] = _limits(given["limits"])
    return RewardOptions(reading=Reading(scheme=scheme, count_shared=given.get("count_shared", True)), **known)


def _limits(given: Any) -> Limits:
    if isinstance(given, Limits):
        return given
    try:
        return msgspec.convert(msgspec.to_builtins(Limits(**given)), Limits)
    except (TypeError, ValueError) as error:  # no mapping, no such limit, none of this type or out of its range
        raise RewardError(
            f"limits is {given!r:.80} ({error}): expected fields of executor.Limits, such as {{'cpu_s': 2.0}}"
        ) from error


class _Truth(msgspec.Struct, frozen=True):
    """A ground truth as the data set has it."""

    entry_point: str
    tests: tuple[str, ...] | str
    context: str | None = None
    weights: tuple[float, ...] = ()
    prompt: str = ""


def _sample(completion: str, given: Any, extra: Mapping[str, Any]) -> Sample:
    if not isinstance(completion, str):
        raise RewardError(f"a solution is {completion!r:.80}: expected the text of a completion")
    try:
        found = msgspec.json.decode(given) if isinstance(given, (str, bytes)) else given
        if hasattr(found, "tolist"):  # parquet hands lists over as arrays
            found = found.tolist()
        if not isinstance(found, Mapping):
            found = {"tests": found}
        fields = {name: _plain(value) for name, value in {**extra, **found}.items() if name in _Truth.__struct_fields__}
        truth = msgspec.convert(fields, _Truth)
    except (msgspec.MsgspecError, ValueError) as error:
        raise RewardError(
            f"ground_truth is {given!r:.80} ({error}): expected {{'entry_point': name, 'tests': [sources]}} or its JSON"
        ) from error
    tests = (truth.tests,) if isinstance(truth.tests, str) else truth.tests
    if truth.weights and len(truth.weights) != len(tests):
        raise RewardError(f"ground_truth has {len(truth.weights)} weights for {len(tests)} tests: expected one each")
    return Sample(
        completion=completion,
        entry_point=truth.entry_point,
        tests=tests,
        weights=truth.weights,
        prompt=truth.prompt,
        context=truth.context,
        chat=True,
    )


def _plain(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else value


_WHY = {
    Status.NO_TESTS: "no test says anything about it",
    Status.NO_CONTEXT: "the context of its tests does not run",
    Status.UNJUDGED: "the deadline came first",
}


def _record(score: Score, unjudged: float | None) -> dict[str, float]:
    reward = score.reward
    if reward is None:
        if unjudged is None:
            what = _WHY[score.status]
            raise RewardError(
                f"a completion has no reward: {what}; set reward_kwargs.unjudged to go on with that score"
            )
        reward = unjudged
    return {
        "score": reward,
        "judged": float(score.reward is not None),
        "passed": float(score.passed),
        "counted": float(score.counted),
        "shared": float(score.shared),
        "evaded": float(score.evaded),
    }
