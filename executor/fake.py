"""The shipped test double: the executor's contract without a sandbox, for code that is trusted.

It runs solutions in this process: no isolation, no limits on time or memory. Never give it a model's output. Tests of
code that uses an executor need it for speed; tests/conformance holds it to the contract beside the real one.
"""

from __future__ import annotations

import builtins
import types
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Any

import numpy as np

from executor.inside import wire
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
            rows = ["".join(_cell(job, solution, test) for test in job.tests) for solution in job.solutions]
            matrix = PassMatrix.from_rows(job.job_id, rows, len(job.tests))
            unique = len({look_at(solution).key for solution in job.solutions})
            tests = len(set(job.tests))
            stats = RunStats(
                cells=matrix.letters.size,
                run=unique * tests,
                shared=unique * tests,
                unique_solutions=unique,
                unique_tests=tests,
            )
            yield PassMatrix(job.job_id, matrix.letters, np.ones(matrix.letters.shape, dtype=np.bool_), stats)

    def call(self, jobs: Iterable[CallJob]) -> Iterator[Outputs]:
        """Yield the outputs of each job, in the jobs' order."""
        for job in jobs:
            rows = tuple(tuple(_outcome(job, solution, call) for call in job.calls) for solution in job.solutions)
            yield Outputs(job.job_id, rows)

    def close(self) -> None:
        """Nothing to end."""

    def __enter__(self) -> FakeExecutor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _load(source: str) -> dict[str, Any]:
    module = types.ModuleType("solution")
    exec(compile(source, "<solution>", "exec", dont_inherit=True), module.__dict__)
    return module.__dict__


def _cell(job: CellJob, solution: str, test: str) -> str:
    if isinstance(plan_test(test, job.entry_point), Vacuous):
        return Verdict.INVALID.value
    namespace: dict[str, Any] = dict(PRELUDE)
    exec(compile(job.context, "<context>", "exec", dont_inherit=True), namespace)
    try:
        names = _load(solution)
    except BaseException as error:
        return "R" if letter_of(type(error)) == "R" else "E"
    namespace.update(names)
    return str(run_test(test, namespace))


def _outcome(job: CallJob, solution: str, call: Call) -> Outcome:
    try:
        names = _load(solution)
    except BaseException as error:
        return Outcome(kind="stopped", verdict=Verdict.RESOURCE if isinstance(error, MemoryError) else Verdict.ERROR)
    try:
        arguments = wire.loads(wire.dumps(tuple(call.args)))
        value = wire.loads(wire.dumps(names[call.function or job.entry_point](*arguments)))
    except BaseException as error:
        kind = next(k for k in type(error).__mro__ if getattr(builtins, k.__name__, None) is k)
        return Outcome(kind="raised", error=kind.__name__, message=str(error)[:500])
    return Outcome(kind="value", value=value)
