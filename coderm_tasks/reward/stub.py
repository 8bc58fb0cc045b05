"""Whose fault is it: a solution's, or the tests'? Asked of a stub, so that no solution has a say in the answer."""

from __future__ import annotations

import msgspec
import numpy as np

from executor import CellJob, Executor, PassMatrix, Verdict

__all__ = ["Stub"]

_CALL = "for _ in (1,):\n    {name}()\n"
"""A test that any solution passes which may be called without arguments, if it gets to run at all."""
_MOST_KNOWN = 10_000


class Stub:
    """A solution that takes any arguments and does nothing, run under the tests that raise doubts."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._known: dict[tuple[str, str, str], str] = {}

    def faults(self, job: CellJob, matrix: PassMatrix) -> tuple[bytes, bool]:
        """Tell which tests test nothing, and whether the context does not run.

        A test that was INVALID on a solution may test nothing, or the solution may have kept it from reaching its
        assertion. Where the stub, which does no such thing, gets INVALID as well, it is the test. Where every test ends
        in an ERROR it may be the context.

        Args:
            job: that was run.
            matrix: its verdicts.

        Returns:
            A byte per test, 1 where it tests nothing; whether the context does not run. Raises SandboxError.
        """
        letters = matrix.letters
        suspects = np.flatnonzero((letters == ord(Verdict.INVALID.value)).any(axis=0)).tolist()
        void = bytearray(len(job.tests))
        for column in suspects:
            void[column] = self._letter(job, job.tests[column]) == Verdict.INVALID.value
        doubtful = bool(job.context.strip()) and letters.size > 0 and bool((letters == ord(Verdict.ERROR.value)).all())
        broken = doubtful and self._letter(job, _CALL.format(name=job.entry_point)) == Verdict.ERROR.value
        return bytes(void), broken

    def _letter(self, job: CellJob, test: str) -> str:
        key = (job.entry_point, job.context, test)
        if key not in self._known:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            stub = f"def {job.entry_point}(*args, **kwargs):\n    return None\n"
            (matrix,) = self._executor.run([msgspec.structs.replace(job, solutions=(stub,), tests=(test,))])
            self._known[key] = matrix.rows()[0]
        return self._known[key]
