"""The reward as TRL's GRPOTrainer calls it: ``reward_funcs=unit_test_reward`` or ``reward_funcs=UnitTestReward(...)``.

TRL hands over the batch by keywords: ``prompts`` and ``completions`` (texts, or lists of messages), every other column
of the data set as a list with an entry per completion, and ``log_extra`` and ``log_metric`` (TRL 0.25 and later). A
reward of None takes a completion out of the loss.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from coderm_tasks.errors import RewardError, did_you_mean
from coderm_tasks.reward.batch import Reading, Sample, read_batch
from coderm_tasks.reward.options import RewardOptions, shared_scheduler
from coderm_tasks.reward.scoring import Scheme, Score, Status
from executor import Limits

__all__ = ["UnitTestReward", "unit_test_reward"]

_log = logging.getLogger(__name__)

Turn: TypeAlias = "str | Sequence[Mapping[str, Any]]"
"""A text, or messages with ``role`` and ``content``."""


class UnitTestReward:
    """Rewards completions by the unit tests they pass, run in the sandbox. Give it to TRL as it is; it can be pickled.

    Columns of the data set: ``tests`` (per sample a list of sources, or one text with any number of tests),
    ``entry_point`` (the function's name), and where they are there ``context`` (source whose names the tests may use)
    and ``test_weights`` (per sample a number per test).
    """

    def __init__(
        self,
        *,
        scheme: Scheme = "share",
        on_invalid: float | None = None,
        count_shared: bool = True,
        verbatim_tests: bool = False,
        deadline_s: float = 120.0,
        workers: int = 0,
        limits: Limits | None = None,
        cache: bool = True,
        tests_column: str = "tests",
        entry_point_column: str = "entry_point",
        name: str = "unit_test_reward",
    ) -> None:
        """Args:
        scheme: ``share`` of the (weighted) tests passed, or ``all``: 1 for all of them and else 0.
        on_invalid: reward where no test says anything about the solution; None takes the sample out of the loss.
        count_shared: whether passes count that a solution could have forged, as its test shares its process.
        verbatim_tests: take each test as it stands; else it is read as a model's answer, and cleaned of imports.
        deadline_s: seconds that one batch may take; what is not judged by then gets None.
        workers: solutions judged at the same time; 0: one per core, divided by the training processes here.
        limits: of one unit test; None: those of ``coderm rerank``.
        cache: keep verdicts on disk and reuse them.
        tests_column, entry_point_column: where the data set calls them otherwise.
        name: what TRL calls the reward in its logs.

        Raises:
            RewardError: a setting out of its range.
        """
        self.options = RewardOptions(
            reading=Reading(scheme=scheme, count_shared=count_shared, verbatim_tests=verbatim_tests),
            deadline_s=deadline_s,
            workers=workers,
            limits=limits or Limits(),
            cache=cache,
        )
        self.on_invalid = on_invalid
        self._tests, self._entry_point = tests_column, entry_point_column
        self.__name__ = name

    def __call__(
        self,
        prompts: Sequence[Turn],
        completions: Sequence[Turn],
        log_metric: Callable[[str, float], None] | None = None,
        log_extra: Callable[[str, list[Any]], None] | None = None,
        **columns: Any,
    ) -> list[float | None]:
        """Return one reward per completion, from 0 to 1, or None: not judged in time, or without a test that tests it.

        Raises:
            RewardError: columns are missing or do not fit together.
            SandboxError: the sandbox failed; no completion is blamed for it.
        """
        scores = self.scores(prompts, completions, **columns)
        if log_metric is not None:
            for metric, value in summary(scores).items():
                log_metric(f"{self.__name__}/{metric}", value)
        if log_extra is not None:
            log_extra(f"{self.__name__}/status", [score.status.value for score in scores])
            log_extra(f"{self.__name__}/verdicts", [score.verdicts for score in scores])
        nothing = (Status.NO_TESTS, Status.NO_CONTEXT)
        return [self.on_invalid if score.status in nothing else score.reward for score in scores]

    def scores(self, prompts: Sequence[Turn], completions: Sequence[Turn], **columns: Any) -> list[Score]:
        """Return what the rewards stand on. Raises as :meth:`__call__`."""
        deadline = time.monotonic() + self.options.deadline_s
        samples = self._samples(prompts, completions, columns)
        batch = read_batch(samples, self.options.reading)
        scores = batch.scores(batch.submit(shared_scheduler(self.options), deadline=deadline).result())
        if late := sum(score.status is Status.UNJUDGED for score in scores):
            _log.warning(
                "%d of %d completions were not judged in %g s and get no reward; more workers, or a longer deadline_s",
                late, len(scores), self.options.deadline_s,
            )  # fmt: skip
        return scores

    def _samples(
        self, prompts: Sequence[Turn], completions: Sequence[Turn], columns: Mapping[str, Any]
    ) -> list[Sample]:
        count = len(completions)
        tests = _column(columns, self._tests, count, needed=True)
        names = _column(columns, self._entry_point, count, needed=True)
        contexts = _column(columns, "context", count)
        weights = _column(columns, "test_weights", count)
        if len(prompts) != count:
            raise RewardError(f"got {len(prompts)} prompts and {count} completions: expected as many of one as of both")
        found = []
        for number in range(count):
            texts = _texts(tests[number], number, self._tests)
            found.append(
                Sample(
                    completion=_text(completions[number], f"completion {number}"),
                    entry_point=names[number],
                    tests=texts,
                    weights=_weights(weights[number], len(texts), number),
                    prompt=_text(prompts[number], f"prompt {number}"),
                    context=_context(contexts[number], number),
                    chat=not isinstance(completions[number], str),
                )
            )
        return found


def summary(scores: Sequence[Score]) -> dict[str, float]:
    """What to look at beside the mean reward: shares of the samples, in [0, 1], and of their passes."""
    states = Counter(score.status for score in scores)
    passed = sum(score.passed for score in scores)
    shares = {status.value: states[status] / max(1, len(scores)) for status in Status}
    return {
        **shares,
        "all_passed": sum(bool(score.counted) and score.passed == score.counted for score in scores)
        / max(1, len(scores)),
        "shared_passes": sum(score.shared for score in scores) / max(1, passed),
        "evaded": sum(score.evaded for score in scores) / max(1, sum(score.counted for score in scores)),
    }


def _column(columns: Mapping[str, Any], name: str, count: int, *, needed: bool = False) -> Sequence[Any]:
    values = columns.get(name)
    if values is None:
        if not needed:
            return [None] * count
        hint = did_you_mean(name, [column for column in columns if column != name])
        raise RewardError(
            f"got no column {name!r}{hint}; the columns are {', '.join(sorted(columns)) or 'none'}: expected it in the "
            "data set, with an entry per sample; add it, or name another with tests_column or entry_point_column"
        )
    values = values.tolist() if hasattr(values, "tolist") else values  # an array, or a column of one
    if isinstance(values, str) or not isinstance(values, Sequence) or len(values) != count:
        got = type(values).__name__ if isinstance(values, str) or not isinstance(values, Sequence) else len(values)
        raise RewardError(f"column {name!r} is {got}: expected a list with an entry for each of {count} completions")
    return values


def _texts(value: Any, number: int, column: str) -> tuple[str, ...]:
    texts = (value,) if isinstance(value, str) else value.tolist() if hasattr(value, "tolist") else value
    if not isinstance(texts, (list, tuple)) or not all(isinstance(text, str) for text in texts):
        raise RewardError(f"{column} of sample {number} is {value!r:.80}: expected a list of sources, or one source")
    return tuple(texts)


def _weights(value: Any, count: int, number: int) -> tuple[float, ...]:
    if value is None:
        return ()
    weights = tuple(value) if isinstance(value, (list, tuple)) else ()
    if len(weights) != count or not all(isinstance(one, (int, float)) and 0 <= one < 1e9 for one in weights):
        raise RewardError(
            f"test_weights of sample {number} is {value!r:.80}: expected {count} numbers from 0, as tests"
        )
    return tuple(map(float, weights))


def _context(value: Any, number: int) -> str | None:
    if value is not None and not isinstance(value, str):
        raise RewardError(f"context of sample {number} is {value!r:.80}: expected Python source, or None")
    return value


def _text(turn: Turn, what: str) -> str:
    """A text as it is; of messages the last one's content, whose parts are joined where it has several."""
    if isinstance(turn, str):
        return turn
    if not isinstance(turn, (list, tuple)) or not all(isinstance(message, Mapping) for message in turn):
        raise RewardError(f"{what} is {turn!r:.80}: expected a text, or messages with role and content")
    content = turn[-1].get("content") if turn else ""
    if isinstance(content, (list, tuple)):
        return "".join(str(part.get("text", "")) for part in content if isinstance(part, Mapping))
    return content if isinstance(content, str) else ""


def unit_test_reward(
    prompts: Sequence[Turn],
    completions: Sequence[Turn],
    tests: Sequence[Sequence[str] | str],
    entry_point: Sequence[str],
    **columns: Any,
) -> list[float | None]:
    """Reward completions by the share of unit tests they pass: :class:`UnitTestReward` with its defaults.

    Args:
        prompts: N texts or conversations.
        completions: N texts or lists of messages; the code is taken out of them.
        tests: per completion its unit tests.
        entry_point: per completion the name of the function under test.
        columns: ``context``, ``test_weights``, TRL's ``log_metric`` and ``log_extra``, and whatever else there is.

    Returns:
        N rewards from 0 to 1; None where no test says anything, or the deadline (120 s) came first.

    Raises:
        RewardError: columns are missing or do not fit together.
        SandboxError: the sandbox failed.
    """
    return UnitTestReward()(prompts, completions, tests=tests, entry_point=entry_point, **columns)
