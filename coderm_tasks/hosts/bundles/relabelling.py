"""The part of a verification that grades anew: the labels of a drawn share of the problems."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from coderm_tasks.groundtruth import Grade, grade
from coderm_tasks.groundtruth.reasons import stopped_by_limit
from coderm_tasks.hosts.bundles.reexecution import draw
from coderm_tasks.hosts.bundles.run import Run
from coderm_tasks.hosts.bundles.words import counted
from coderm_tasks.model import Problem
from executor import Executor

__all__ = ["Doubted", "draw_labels", "regrade"]

Doubted = dict[str, tuple[int, ...]]
"""Samples by task id."""
_SHOWN = 5


def draw_labels(run: Run, share: float, seed: int) -> Doubted:
    """Draw problems, at least one, each with probability ``share`` by a hash of the seed, whose labels to make again.

    Of a problem: those of the selected sample and of its ties, on which the score and its expectation rest.
    """
    ranked = sorted((draw(seed, task_id, -1), task_id) for task_id, one in run.selections.items() if one.index >= 0)
    count = max(1, sum(place < share for place, _ in ranked))
    return {
        task_id: tuple(sorted({run.selections[task_id].index, *run.selections[task_id].ties}))
        for _, task_id in ranked[:count]
    }


def regrade(
    run: Run,
    drawn: Doubted,
    problems: Mapping[str, Problem],
    executor: Executor,
    advance: Callable[[int], None] | None = None,
) -> tuple[str, str]:
    """Grade the drawn samples and compare. Returns the status of the check, and what to say of it.

    A label that understates passes where EvalPlus 0.3.1 fails that solution by a bug.

    Raises:
        DatasetError: a reference solution cannot be run. SandboxError: the sandbox failed.
    """
    found = _grades(run, drawn, problems, executor, advance)
    labels = run.labels or {}
    wrong = [
        (task_id, index)
        for task_id, grades in found.items()
        for index, one in zip(drawn[task_id], grades, strict=True)
        if labels[task_id][index] != one.correct
    ]
    understated = {(task_id, index) for task_id, index in wrong if not labels[task_id][index]}
    wrong = [pair for pair in wrong if pair not in understated or not _by_bug(run, pair, problems, executor)]
    again = {pair: found[pair[0]][drawn[pair[0]].index(pair[1])] for pair in wrong}
    words = [_words(task_id, index, one) for (task_id, index), one in again.items()]
    graded = f"{counted(sum(map(len, drawn.values())), 'sample')} of {counted(len(drawn), 'problem')} graded again"
    if not words:
        return "pass", f"{graded}, 0 otherwise"
    told = f"{graded}, {len(words)} otherwise: " + "; ".join(words[:_SHOWN])
    few = len({task_id for task_id, _ in wrong}) <= max(1, len(drawn) // 100)
    if few and all(stopped_by_limit(one.reason) for one in again.values()):
        return "pass", f"{told}: by limits of time or memory, which another machine may keep"
    return "fail", told


def _words(task_id: str, index: int, one: Grade) -> str:
    recorded, now = ("wrong", "correct") if one.correct else ("correct", "wrong")
    why = f" ({one.reason})" if one.reason else ""
    return f"{task_id} sample {index}: labelled {recorded}, now {now}{why}"


def _grades(
    run: Run,
    drawn: Doubted,
    problems: Mapping[str, Problem],
    executor: Executor,
    advance: Callable[[int], None] | None,
) -> dict[str, Sequence[Grade]]:
    asked = [problems[task_id] for task_id in drawn]
    codes = [[run.samples[task_id][index] for index in rows] for task_id, rows in drawn.items()]
    return dict(zip(drawn, grade(executor, asked, codes, progress=advance), strict=True))


def _by_bug(run: Run, pair: tuple[str, int], problems: Mapping[str, Problem], executor: Executor) -> bool:
    task_id, index = pair
    code = run.samples[task_id][index]
    return not grade(executor, [problems[task_id]], [[code]], evalplus_bug_compat=True)[0][0].correct
