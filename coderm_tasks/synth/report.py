"""What each step of the pipeline let through: totals to a table of yields (pure)."""

from __future__ import annotations

from collections.abc import Mapping

from coderm_tasks.extract import Drop
from coderm_tasks.generation.base import Generated
from coderm_tasks.synth.fitness import Fit
from coderm_tasks.synth.model import Yield

__all__ = [
    "ACCEPTED",
    "CAME",
    "KEPT",
    "SAMPLED",
    "STAYED",
    "VACUOUS",
    "WEAK",
    "WITH_TESTS",
    "WRONG",
    "repair_count",
    "yields",
]

SAMPLED, VACUOUS, ACCEPTED = "sampled", "vacuous", "accepted"
WEAK, WRONG, KEPT, WITH_TESTS = "weak", "wrong solutions", "kept", "with tests"
CAME, STAYED = "came", "stayed"
_VERDICTS = {
    "fail": "an assertion fails",
    "error": "raises",
    "timeout": "does not end",
    "resource": "runs out of memory",
}


def repair_count(turn: int, name: str) -> str:
    """Name of a count of one round of repair."""
    return f"repair {turn}: {name}"


def yields(
    questions: int, fit: Fit, sampled: Generated, totals: Mapping[str, int], rounds: int, *, weaker: bool
) -> tuple[Yield, ...]:
    """The steps in their order.

    Args:
        questions: that there were.
        fit: those that passed the filter.
        sampled: how the tests came about.
        totals: counts of all problems.
        rounds: of repair that were allowed.
        weaker: whether tests were held against a weaker model's solutions.
    """
    steps = [
        Yield(step="filter", unit="questions", came=questions, stayed=len(fit.problems), left_out=fit.left_out),
        _sampling(sampled),
        _extraction(sampled, totals),
        _labelling(totals),
        *(_repairing(turn, totals) for turn in range(1, rounds + 1) if totals.get(repair_count(turn, CAME))),
    ]
    accepted = totals.get(ACCEPTED, 0)
    if weaker:
        left_out = {"accepts wrong solutions": totals[WEAK]} if totals.get(WEAK) else {}
        steps.append(Yield(step="weaker", unit="tests", came=accepted, stayed=totals.get(KEPT, 0), left_out=left_out))
    with_tests = totals.get(WITH_TESTS, 0)
    refused = len(sampled.failed)
    missing = {"refused by the model": refused, "no test left": len(fit.problems) - with_tests - refused}
    steps.append(
        Yield(
            step="records",
            unit="questions",
            came=len(fit.problems),
            stayed=with_tests,
            left_out={reason: count for reason, count in missing.items() if count},
        )
    )
    return tuple(steps)


def _sampling(sampled: Generated) -> Yield:
    useless = sampled.completions - sampled.usable
    return Yield(
        step="sample",
        unit="answers",
        came=sampled.completions,
        stayed=sampled.usable,
        left_out={"hold no usable test": useless} if useless else {},
    )


def _extraction(sampled: Generated, totals: Mapping[str, int]) -> Yield:
    """What answers held that was meant as a test. One may hold several, or none, which is no test left out."""
    left_out = {reason: count for reason, count in sampled.dropped.items() if reason != Drop.NO_TEST.value}
    stayed = totals.get(SAMPLED, 0)
    return Yield(step="extract", unit="tests", came=stayed + sum(left_out.values()), stayed=stayed, left_out=left_out)


def _labelling(totals: Mapping[str, int]) -> Yield:
    sampled, vacuous = totals.get(SAMPLED, 0), totals.get(VACUOUS, 0)
    broken = {words: totals[name] for name, words in _VERDICTS.items() if totals.get(name)}
    return Yield(
        step="label",
        unit="tests",
        came=sampled,
        stayed=sampled - vacuous - sum(broken.values()),
        left_out={**({"tests nothing": vacuous} if vacuous else {}), **broken},
    )


def _repairing(turn: int, totals: Mapping[str, int]) -> Yield:
    start = repair_count(turn, "")
    of_round = {name.removeprefix(start): count for name, count in totals.items() if name.startswith(start) and count}
    return Yield(
        step=f"repair {turn}",
        unit="tests",
        came=of_round.pop(CAME, 0),
        stayed=of_round.pop(STAYED, 0),
        left_out=of_round,
    )
