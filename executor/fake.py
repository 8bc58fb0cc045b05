"""The shipped test double: the executor's contract without a sandbox, for code that is trusted.

It runs solutions in this process: no isolation, no limits on time or memory. Never give it a model's output. Tests of
code that uses an executor need it for speed; tests/conformance holds it to the contract beside the real one.
"""

from __future__ import annotations

import builtins
import contextlib
import sys
import types
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Any

import numpy as np

from executor.ballot import Ballot
from executor.inside import wire
from executor.inside.shared import counted
from executor.inside.unit import PRELUDE, letter_of, run_test
from executor.lift import Vacuous, plan_test
from executor.model import Call, CallJob, CellJob, Limits, Outcome, Outputs, PassMatrix, RunStats, Verdict
from executor.purity import look_at

__all__ = ["FakeExecutor"]


class FakeExecutor:
    """Runs trusted code in this process. See :class:`executor.model.Executor`."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()

    def run(self, jobs: Iterable[CellJob]) -> Iterator[PassMatrix]:
        """Yield one matrix per job, in the jobs' order."""
        for job in jobs:
            floor = 0 if job.prune else None
            rows = []
            for solution in job.solutions:
                ballot = Ballot(0, len(job.tests), floor)
                with _limit_kept():
                    rows.append(_row(job, solution, ballot))
                if floor is not None and not ballot.hopeless:
                    floor = max(floor, ballot.votes)
            matrix = PassMatrix.from_rows(job.job_id, rows, len(job.tests))
            keys = [look_at(solution).key for solution in job.solutions]
            unique, tests = len(set(keys)), len(set(job.tests))
            ran = {(key, test) for key, row in zip(keys, rows) for test, letter in zip(job.tests, row) if letter != "-"}
            stats = RunStats(
                cells=matrix.letters.size,
                run=len(ran),
                shared=len(ran),
                pruned=unique * tests - len(ran),
                unique_solutions=unique,
                unique_tests=tests,
            )
            yield PassMatrix(job.job_id, matrix.letters, np.ones(matrix.letters.shape, dtype=np.bool_), stats)

    def call(self, jobs: Iterable[CallJob]) -> Iterator[Outputs]:
        """Yield the outputs of each job, in the jobs' order."""
        for job in jobs:
            with _limit_kept():
                rows = tuple(tuple(_outcomes(job, solution)) for solution in job.solutions)
            yield Outputs(job.job_id, rows)

    def close(self) -> None:
        """Nothing to end."""

    def __enter__(self) -> FakeExecutor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@contextlib.contextmanager
def _limit_kept() -> Iterator[None]:
    """A solution may raise the limit of recursion. Without it Python itself crashes where it is nested too deeply."""
    limit = sys.getrecursionlimit()
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)


def _load(source: str) -> dict[str, Any]:
    module = types.ModuleType("solution")
    exec(compile(source, "<solution>", "exec", dont_inherit=True), module.__dict__)
    return module.__dict__


def _row(job: CellJob, solution: str, ballot: Ballot) -> str:
    letters = []
    for test in job.tests:
        letters.append(Verdict.NOT_RUN.value if ballot.hopeless else _cell(job, solution, test))
        ballot.count(1, passed=letters[-1] == Verdict.PASS.value)
    return "".join(letters)


def _cell(job: CellJob, solution: str, test: str) -> str:
    if isinstance(plan_test(test, job.entry_point), Vacuous):
        return Verdict.INVALID.value
    calls: list[None] = []
    try:
        names = _load(solution)
        namespace: dict[str, Any] = {**PRELUDE, **names}
        # The context's helpers win over the solution's, except for the function under test.
        exec(compile(job.context, "<context>", "exec", dont_inherit=True), namespace)
        namespace[job.entry_point] = counted(names[job.entry_point], calls)
    except BaseException as error:
        return "R" if letter_of(type(error)) == "R" else "E"
    letter = run_test(test, namespace)
    return "I" if letter == "P" and not calls else letter


def _outcomes(job: CallJob, solution: str) -> Iterator[Outcome]:
    """Outcomes of all calls of one solution, each on a fresh copy of it unless the job wants them in order."""
    names: dict[str, Any] = {}
    for number, call in enumerate(job.calls):
        if not names or not job.in_order or number in job.parts:
            try:
                names = _load(solution)
            except BaseException as error:
                verdict = Verdict.RESOURCE if isinstance(error, MemoryError) else Verdict.ERROR
                yield Outcome(kind="stopped", verdict=verdict)
                left = Outcome(kind="stopped", verdict=Verdict.NOT_RUN if job.expected else verdict)
                yield from [left] * (len(job.calls) - number - 1)
                return
        outcome = _outcome(job, names, call)
        yield outcome
        if job.expected and not (outcome.kind == "value" and _same(outcome.value, job.expected[number])):
            yield from [Outcome(kind="stopped", verdict=Verdict.NOT_RUN)] * (len(job.calls) - number - 1)
            return


def _same(value: Any, expected: Any) -> bool:
    # What is no plain data, such as an iterator, is used up by a look at it.
    return wire.is_plain(value) and wire.dumps(value) == wire.dumps(expected)


def _outcome(job: CallJob, names: dict[str, Any], call: Call) -> Outcome:
    try:
        arguments = wire.loads(wire.dumps(tuple(call.args)))
        keywords = wire.loads(wire.dumps(dict(call.kwargs)))
        function = call.function or job.entry_point
        if function not in names:
            raise NameError(f"name {function!r} is not defined")
        value = wire.loads(wire.dumps(names[function](*arguments, **keywords)))
    except BaseException as error:
        kind = next(k for k in type(error).__mro__ if getattr(builtins, k.__name__, None) is k)
        return Outcome(kind="raised", error=kind.__name__, message=str(error)[:500])
    return Outcome(kind="value", value=value)
