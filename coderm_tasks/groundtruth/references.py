"""What a problem's inputs ask for: outputs of the reference solution, computed in the sandbox like all others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from importlib import resources
from typing import Any

import msgspec
from msgspec import Struct

from coderm_tasks.errors import DatasetError
from coderm_tasks.groundtruth import oracle
from coderm_tasks.groundtruth.fingerprint import CODERM_CUT, CODERM_MARK
from coderm_tasks.groundtruth.reasons import describe_stop
from coderm_tasks.model import Problem
from executor import Call, CallJob, Executor, Limits, Outcome, Outputs
from executor.inside import wire
from executor.weights import OUTPUTS_MB, room_for

__all__ = ["Truth", "run_references"]

_TIME_FACTOR = 4.0
"""On each input a solution may take this many times the reference's CPU time, or the least limit if that is more (as
in EvalPlus)."""
_REFERENCE_CPU_S = 120.0
_REFERENCE_MB = 1 << 20
"""Its outputs are taken whatever room they need: it is the data set's own."""
_FINGERPRINTED = "coderm_fingerprinted"


class Truth(Struct, frozen=True, kw_only=True):
    """What a problem asks of a solution: base inputs, then extra ones. Sequences are aligned."""

    problem: Problem
    calls: tuple[Call, ...]
    wants: tuple[oracle.Expected, ...]
    outputs: tuple[Any, ...]
    """The reference's own outputs, where each of them is right and whatever else is most likely wrong; else empty."""
    room: int
    """MiB for the outputs of a solution where the reference's are not carried."""
    base: int
    """Number of base inputs."""
    large: bool
    """Some outputs are too large to carry: solutions are to answer with fingerprints as well."""
    limits: Limits
    """Limits of a solution's calls."""
    cpu_s: tuple[float, ...]
    """CPU seconds that each call of a solution may take."""

    def job(self, codes: Iterable[str], *, strict: bool) -> CallJob:
        """Build the job that calls solutions on all inputs, base and extra ones apart, each in order, as EvalPlus does.

        ``strict``: stop a solution once it returns anything else than the reference does.
        """
        parts = (self.base,) if 0 < self.base < len(self.calls) else ()
        expected = self.outputs if strict else ()
        room = OUTPUTS_MB if expected else room_for(self.outputs) if self.outputs else self.room
        return _call_job(
            self.problem, codes, self.calls, limits=self.limits, large=self.large, cpu_s=self.cpu_s, parts=parts,
            expected=expected, outputs_mb=room,
        )  # fmt: skip

    def place(self, index: int) -> str:
        """Name an input."""
        return f"base input {index}" if index < self.base else f"plus input {index - self.base}"


def run_references(executor: Executor, problems: Sequence[Problem], limits: Limits) -> Iterator[Truth]:
    """Run the reference solution of each problem on all its inputs. Yields what it says of each, as it comes.

    What is taken may be put to use on the same executor before the next is asked for.

    Args:
        executor: where they run.
        problems: with inputs.
        limits: what a solution may use at least; its CPU time on an input grows with the reference's.

    Raises:
        DatasetError: a reference gives no plain data on one of its inputs, or there are no inputs.
        SandboxError: the sandbox failed.
    """
    by_id = {problem.task_id: problem for problem in problems}
    calls = {problem.task_id: tuple(map(Call, _inputs(problem))) for problem in problems}
    patient = msgspec.structs.replace(
        limits, cpu_s=max(limits.cpu_s, _REFERENCE_CPU_S), wall_s=max(limits.wall_s, 2 * _REFERENCE_CPU_S)
    )
    jobs = (
        _call_job(problem, (problem.truth.reference,), calls[problem.task_id], limits=patient, large=True)
        for problem in problems
    )
    for outputs in executor.call(jobs):
        yield _truth(by_id[outputs.job_id], calls[outputs.job_id], outputs, limits)


def _inputs(problem: Problem) -> tuple[tuple[Any, ...], ...]:
    return problem.truth.base_inputs + problem.truth.plus_inputs


def _call_job(
    problem: Problem,
    codes: Iterable[str],
    calls: tuple[Call, ...],
    *,
    limits: Limits,
    large: bool,
    cpu_s: tuple[float, ...] = (),
    parts: tuple[int, ...] = (),
    expected: tuple[Any, ...] = (),
    outputs_mb: int = _REFERENCE_MB,
) -> CallJob:
    """``large``: outputs too large to carry come back as fingerprints."""
    entry_point = problem.entry_point
    if large:
        ending = f"\n\n{_fingerprint_source()}\n\ndef {_FINGERPRINTED}(*args):\n"
        ending += f"    return coderm_fingerprint({entry_point}(*args))\n"
        codes = [code + ending for code in codes]
        entry_point = _FINGERPRINTED
    return CallJob(
        job_id=problem.task_id,
        entry_point=entry_point,
        solutions=tuple(codes),
        calls=calls,
        limits=limits,
        cpu_s=cpu_s,
        in_order=True,
        parts=parts,
        expected=expected,
        short_first=bool(expected),
        outputs_mb=outputs_mb,
    )


@cache
def _fingerprint_source() -> str:
    package = resources.files("coderm_tasks.groundtruth")
    return package.joinpath("fingerprint.py").read_text(encoding="utf-8").split(f"\n{CODERM_CUT}\n", 1)[1]


def _truth(problem: Problem, calls: tuple[Call, ...], outputs: Outputs, limits: Limits) -> Truth:
    (outcomes,) = outputs.outcomes
    if not outcomes:
        raise DatasetError(f"{problem.task_id}: has neither a check nor inputs to grade by: check the data set file")
    values = [_value(problem, index, outcome) for index, outcome in enumerate(outcomes)]
    truth, cut = problem.truth, len(problem.truth.base_inputs)
    base = oracle.expect(problem.dataset, problem.entry_point, truth.base_inputs, values[:cut], truth.atol)
    plus = oracle.expect(problem.dataset, problem.entry_point, truth.plus_inputs, values[cut:], truth.atol)
    wants = (*base, *plus)
    if not all(oracle.is_portable(want.value) for want in wants):
        raise DatasetError(
            f"{problem.task_id}: the reference solution returns objects that are no plain data: expected numbers, text "
            "and containers of them; such a problem cannot be graded, take it out of the data set file"
        )
    cpu_s = tuple(max(limits.cpu_s, _TIME_FACTOR * outcome.cpu_s) for outcome in outcomes)
    carried = tuple(values) if _speaks_for_all(problem, values, wants) else ()
    return Truth(
        problem=problem,
        calls=calls,
        wants=wants,
        outputs=carried,
        room=0 if carried else room_for(values),
        base=cut,
        large=any(_is_fingerprint(want.value) for want in wants),
        limits=msgspec.structs.replace(limits, wall_s=max(limits.wall_s, 2 * max(cpu_s))),
        cpu_s=cpu_s,
    )


def _speaks_for_all(problem: Problem, values: Sequence[Any], wants: Sequence[oracle.Expected]) -> bool:
    """Tell whether the reference's outputs can be carried, and are right by the problem's own rule."""
    name = (problem.dataset, problem.entry_point)
    return all(
        wire.is_plain(value) and oracle.accepts(*name, value, want) for value, want in zip(values, wants, strict=True)
    )


def _value(problem: Problem, index: int, outcome: Outcome) -> object:
    cut = len(problem.truth.base_inputs)
    place = f"base input {index}" if index < cut else f"plus input {index - cut}"
    if outcome.kind != "value":
        raise DatasetError(
            f"{problem.task_id}: the reference solution {describe_stop(outcome)} on {place}: expected a value: "
            "check the data set file, or allow more memory"
        )
    return outcome.value


def _is_fingerprint(value: object) -> bool:
    return type(value) is tuple and len(value) == 2 and value[0] == CODERM_MARK
