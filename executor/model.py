"""What goes into the executor and what comes out: limits, jobs, verdicts, pass matrices, outputs."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from types import TracebackType
from typing import Any, Protocol

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from executor.errors import LimitsError
from executor.inside import wire
from executor.weights import OUTPUTS_MB

__all__ = [
    "Call",
    "CallJob",
    "CellJob",
    "Disagreement",
    "Executor",
    "Limits",
    "Outcome",
    "Outputs",
    "PassMatrix",
    "RunStats",
    "Verdict",
]


class Verdict(str, Enum):
    """Verdict of one cell (one solution against one unit test). The value is its letter in a matrix file."""

    PASS = "P"  # noqa: S105 - no password
    FAIL = "F"  # an assertion of the test did not hold
    ERROR = "E"  # the solution (or the test on it) raised, exited or crashed
    TIMEOUT = "T"
    RESOURCE = "R"  # memory, output or process limit
    INVALID = "I"  # the test tests nothing: no assertion was reached that depends on the solution
    NOT_RUN = "-"


class Limits(Struct, frozen=True, kw_only=True):
    """Limits of one cell. CPU time decides; wall time is the backstop for sleepers."""

    cpu_s: float = 1.0
    """CPU seconds that one unit test may use in total (solution and judge each)."""
    wall_s: float = 10.0
    """Wall-clock seconds that one call, or the loading of a solution, may take."""
    memory_mb: int = 1024
    """Address space of one process, MiB."""
    output_kb: int = 4096
    """Largest single value that a call may return, KiB."""
    max_timeouts: int | None = 3
    """After this many calls, or tests, that timed out or used up their memory the rest of a solution's cells get the
    same verdict without a run, and are counted so; None runs them all."""
    patience: float = 0.25
    """Share of ``cpu_s`` that each later call of a solution gets once it has timed out: what loops on one input mostly
    loops on others. 1 gives all calls the same."""

    def __post_init__(self) -> None:
        _check("cpu_s", self.cpu_s, 0.01, 3600)
        _check("wall_s", self.wall_s, 0.01, 7200)
        _check("memory_mb", self.memory_mb, 64, 1_048_576)
        _check("output_kb", self.output_kb, 1, 65_536)
        whole = {"memory_mb": self.memory_mb, "output_kb": self.output_kb}
        if self.max_timeouts is not None:
            _check("max_timeouts", self.max_timeouts, 1, 1_000_000)
            whole["max_timeouts"] = self.max_timeouts
        for name, value in whole.items():
            if not isinstance(value, int):
                raise LimitsError(f"limit {name} is {value}: expected a whole number", name)
        _check("patience", self.patience, 0.001, 1.0)


def _check(name: str, value: float, low: float, high: float) -> None:
    if not (isinstance(value, (int, float)) and low <= value <= high):
        raise LimitsError(f"limit {name} is {value!r}: expected a value from {low} to {high}", name)


class CellJob(Struct, frozen=True, kw_only=True):
    """All cells of one problem: every solution against every unit test."""

    job_id: str
    """Names the job in results and errors; the task id of the problem."""
    entry_point: str
    """Name of the function under test."""
    solutions: tuple[str, ...]
    """N self-contained sources that define ``entry_point``."""
    tests: tuple[str, ...]
    """M sources: ``unittest.TestCase`` classes or bare assert statements, without imports of the solution."""
    context: str = ""
    """Trusted source whose other definitions tests may use (imports and helpers of the problem's prompt)."""
    prune: bool = False
    """Leave cells NOT_RUN that cannot change which solutions pass the most tests, nor their rows, which are whole."""
    audit: float = 0.0
    """Share of the lifted cells, from 0 to 1, to be run the slow way as well; see :attr:`PassMatrix.disagreements`."""

    def __post_init__(self) -> None:
        _check(f"audit of {self.job_id}", self.audit, 0.0, 1.0)


class Call(Struct, frozen=True, dict=True):
    """One call of a solution's function with plain data."""

    args: tuple[Any, ...]
    """Positional arguments: numbers, strings, bytes, lists, tuples, dicts, sets, None, nested."""
    function: str = ""
    """Name of the function; empty means the job's entry point."""
    kwargs: Mapping[str, Any] = {}
    """Arguments by name."""

    @functools.cached_property
    def text(self) -> str:
        """The call as JSON text, made once for all jobs it is in. Raises TypeError: an argument is no plain data."""
        if not (wire.is_plain(self.args) and wire.is_plain(dict(self.kwargs))):
            raise TypeError(f"a call of {self.function or 'the entry point'} has an argument that is no plain data")
        request = [self.function, wire.encode(tuple(self.args)), wire.encode(dict(self.kwargs))]
        return wire.text_of(request)


class CallJob(Struct, frozen=True, kw_only=True):
    """Calls to be made on every solution of one problem; outputs come back as data, nothing is judged."""

    job_id: str
    entry_point: str
    solutions: tuple[str, ...]
    calls: tuple[Call, ...]
    limits: Limits | None = None
    """Limits of this job's calls; None: the executor's."""
    cpu_s: tuple[float, ...] = ()
    """CPU seconds of each call, where calls differ in what they may take; empty: those of the limits."""
    in_order: bool = False
    """Make the calls of one solution in order in one process, so that state lasts from call to call as it does in a
    benchmark's own harness. Otherwise a solution that may keep state gets a fresh process for each call."""
    parts: tuple[int, ...] = ()
    """With ``in_order``: numbers, ascending, of the calls before which a solution that may keep state gets a fresh
    process all the same."""
    expected: tuple[Any, ...] = ()
    """What each call is expected to return, plain data. A solution is stopped after its first call that does anything
    else than return exactly that, types included; the outcomes of its later calls are NOT_RUN. Empty: none is."""
    short_first: bool = False
    """With ``expected``: of a solution that keeps no state, make the calls with the shortest arguments first, part by
    part. They cost least, and who is wrong is mostly wrong there. What is NOT_RUN then stands anywhere in the row."""
    outputs_mb: int = OUTPUTS_MB
    """MiB that one solution's answers may take together when they have been read, those left out that were expected.
    The answer that goes beyond is RESOURCE, and so are those to all later calls."""

    def __post_init__(self) -> None:
        for name, given in (("cpu_s", self.cpu_s), ("expected", self.expected)):
            if given and len(given) != len(self.calls):
                want = f"expected one per call, {len(self.calls)}"
                raise ValueError(f"{self.job_id}: {len(given)} values of {name}: {want}")
        if self.short_first and not self.expected:
            raise ValueError(f"{self.job_id}: short_first without expected: expected both, or neither")
        if self.outputs_mb < 1:
            raise ValueError(f"{self.job_id}: outputs_mb is {self.outputs_mb}: expected at least 1")
        if list(self.parts) != sorted(set(self.parts)) or any(not 0 < at < len(self.calls) for at in self.parts):
            raise ValueError(f"{self.job_id}: parts {self.parts}: expected ascending numbers of calls after the first")


class Outcome(Struct, frozen=True):
    """What one call did. Exactly one of the three kinds, told by ``kind``."""

    kind: str
    """``value``, ``raised`` or ``stopped``."""
    value: Any = None
    """The returned value as plain data (``value``); :class:`executor.inside.wire.Opaque` where it is none."""
    error: str = ""
    """Name of the builtin exception nearest to the one raised (``raised``)."""
    message: str = ""
    verdict: Verdict = Verdict.NOT_RUN
    """TIMEOUT, RESOURCE or ERROR where the process did not answer (``stopped``); NOT_RUN where the solution had done
    other than expected before (:attr:`CallJob.expected`)."""
    cpu_s: float = 0.0


class Outputs(Struct, frozen=True):
    """Outcomes of a :class:`CallJob`: ``outcomes[i][k]`` is solution i on call k."""

    job_id: str
    outcomes: tuple[tuple[Outcome, ...], ...]


class RunStats(Struct, frozen=True):
    """How the cells of one job came about."""

    cells: int = 0
    """Cells in the matrix (N x M)."""
    run: int = 0
    """Cells whose verdict was executed now, one per distinct solution and test."""
    cached: int = 0
    """Cells whose verdict came from the cache."""
    lifted: int = 0
    """Executed cells judged from call tables."""
    split: int = 0
    """Executed cells whose test ran in a judge process apart from the solution."""
    shared: int = 0
    """Executed cells whose test had to share one process with the solution (their verdict could be forged)."""
    assumed: int = 0
    """Cells, run now or known from the cache, that were not run in truth: their solution had used up
    ``Limits.max_timeouts``."""
    pruned: int = 0
    """Cells, one per distinct solution and test, that were not run because they could not change the vote."""
    audited: int = 0
    """Lifted cells that were run the slow way as well."""
    disagreed: int = 0
    """Those among them whose two verdicts differ."""
    unique_solutions: int = 0
    unique_tests: int = 0
    seconds: float = 0.0

    def __add__(self, other: RunStats) -> RunStats:
        names = self.__struct_fields__
        return RunStats(*(getattr(self, name) + getattr(other, name) for name in names))


class Disagreement(Struct, frozen=True):
    """A cell whose verdict from the call table is another than that of the test run as a program."""

    solution: int
    """Index of the first solution of its kind."""
    test: int
    """Index of the first test of its kind."""
    lifted: Verdict
    program: Verdict


class PassMatrix(Struct, frozen=True, eq=False):
    """Verdicts of one problem.

    ``letters`` has shape (N, M), dtype ``uint8``: the ASCII code of each verdict's letter.
    ``shared`` has shape (N, M), dtype ``bool``: the verdict came from a process that also ran the solution.
    """

    job_id: str
    letters: NDArray[np.uint8]
    shared: NDArray[np.bool_]
    stats: RunStats = RunStats()
    disagreements: tuple[Disagreement, ...] = ()
    """What the audit found. The matrix holds the lifted verdicts."""

    @classmethod
    def from_rows(cls, job_id: str, rows: Iterable[str], tests: int | None = None) -> PassMatrix:
        """Build a matrix from one string of letters per solution.

        Raises:
            ValueError: rows of unequal length, or a letter that is no verdict.
        """
        strings = list(rows)
        width = tests if tests is not None else len(strings[0]) if strings else 0
        known = {verdict.value for verdict in Verdict}
        for number, row in enumerate(strings):
            if len(row) != width:
                raise ValueError(f"row {number} has {len(row)} letters, expected {width}")
            if unknown := set(row) - known:
                raise ValueError(
                    f"row {number} has {sorted(unknown)[0]!r}, expected letters of {''.join(sorted(known))}"
                )
        flat = np.frombuffer("".join(strings).encode("ascii"), dtype=np.uint8)
        letters = flat.reshape(len(strings), width).copy()
        return cls(job_id, letters, np.zeros(letters.shape, dtype=np.bool_))

    @property
    def passed(self) -> NDArray[np.bool_]:
        """E of the literature: shape (N, M), True where solution i passes test j."""
        return np.equal(self.letters, ord(Verdict.PASS.value))

    @property
    def executed(self) -> NDArray[np.bool_]:
        """Shape (N, M): False where the cell was not run or its test tests nothing."""
        return np.isin(self.letters, [ord(Verdict.NOT_RUN.value), ord(Verdict.INVALID.value)], invert=True)

    def rows(self) -> list[str]:
        """One string of M letters per solution, as in the matrix file."""
        return [bytes(row).decode("ascii") for row in self.letters]

    def count(self, verdict: Verdict) -> int:
        """Number of cells with this verdict."""
        return int(np.count_nonzero(self.letters == ord(verdict.value)))


class Executor(Protocol):
    """Runs jobs. One contract for the sandbox and for the shipped fake; tests/conformance holds both to it."""

    def run(self, jobs: Iterable[CellJob]) -> Iterator[PassMatrix]:
        """Yield one matrix per job, as jobs finish (any order).

        A job is taken when there is room for its work; making it may take this executor, for other jobs.

        Raises:
            SandboxError: the sandbox failed; matrices yielded before stay valid.
        """
        ...

    def call(self, jobs: Iterable[CallJob]) -> Iterator[Outputs]:
        """Yield the outputs of each job, as jobs finish (any order). Raises as :meth:`run`."""
        ...

    def close(self) -> None:
        """End every process this executor started. Idempotent."""
        ...

    def __enter__(self) -> Executor: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
