"""``coderm rerank`` as two calls: check everything and read the files, then execute and write."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from coderm_tasks.atomic import check_writable
from coderm_tasks.datasets import Slice, load_problems_to_rerank
from coderm_tasks.datasets.own import load_own_or_dataset, source_name
from coderm_tasks.errors import InputError
from coderm_tasks.files import read_samples
from coderm_tasks.generation.bank import load_bank
from coderm_tasks.hosts.evalplus import write_samples
from coderm_tasks.model import Problem, Solution
from coderm_tasks.pipeline import ProblemRun, RunSummary, Work, run_and_select, summarise
from coderm_tasks.rerank import get_selector
from coderm_tasks.run_record import (
    RunRecord,
    common_facts,
    data_file_facts,
    file_fact,
    run_record_path,
    write_run_record,
)
from coderm_tasks.store import SelectionRecord, matrix_record, write_records
from executor import Executor, Limits, PassMatrix

__all__ = ["RerankPlan", "RerankReport", "RerankRequest", "carry_out", "prepare", "read_work", "selection_path"]

logger = logging.getLogger(__name__)

_SHOWN = 20
"""Disagreements of an audit that are logged one by one."""


class RerankRequest(Struct, frozen=True, kw_only=True):
    """What the user asked for."""

    dataset: str | None
    """``humaneval`` or ``mbpp``, the EvalPlus sets; or ``livecodebench``; None: ``problems``."""
    problems: Path | None = None
    """Problems of the user's own (:func:`coderm_tasks.datasets.own.read_problems`)."""
    samples: Path
    tests: Path
    output: Path
    matrix: Path | None = None
    strategy: str = "coderm"
    seed: int = 0
    allow_missing: bool = False
    """Let problems without any sample pass, as empty solutions that score as wrong."""
    workers: int = 0
    """Sandbox workers; 0 means one per core."""
    engine: str = "local"
    ray_address: str | None = None
    limits: Limits = Limits()
    cache: Path | None = None
    """Folder of the cache of results; None for no cache."""
    prune: bool = False
    """Skip cells that cannot change the vote."""
    audit: float = 0.0
    """Share of the lifted cells to be run the slow way too."""
    livecodebench: Slice = Slice()
    """Which of LiveCodeBench's problems, where that is the data set."""


class RerankPlan(Struct, frozen=True):
    """A request whose inputs have been read and whose outputs can be written."""

    request: RerankRequest
    problems: tuple[Problem, ...]
    work: tuple[Work, ...]

    @property
    def cells(self) -> int:
        """Solutions times tests, summed over problems."""
        return sum(len(item.solutions) * len(item.tests) for item in self.work)


class RerankReport(Struct, frozen=True, kw_only=True):
    """What was done and where it lies."""

    summary: RunSummary
    output: str
    selection: str
    matrix: str | None
    record: str
    """Settings, versions, totals and hashes of the run."""


def selection_path(output: Path) -> Path:
    """Return where the scores, ties and tests used of ``output`` are written: ``<stem>.selection.jsonl`` beside it."""
    return output.with_name(f"{output.stem}.selection.jsonl")


def prepare(request: RerankRequest) -> RerankPlan:
    """Check the request and read its files. Nothing is executed or written.

    Raises:
        ConfigError: unknown data set or strategy.
        InputError: a bad file or record, two files that are one, problems without samples.
        StoreError: an output cannot be written.
        DatasetError: the data set cannot be loaded.
    """
    get_selector(request.strategy)
    source_name(request.dataset, request.problems)
    _check_paths(request)
    work = read_work(request)
    _check_missing(request, work)
    return RerankPlan(request, tuple(item.problem for item in work), work)


def read_work(request: RerankRequest) -> tuple[Work, ...]:
    """Read the samples and tests of every problem of the data set; either may be none.

    Raises:
        ConfigError, DatasetError: the data set is unknown or cannot be loaded.
        InputError: a bad file or record.
    """
    problems = load_own_or_dataset(
        request.dataset, request.problems, lambda name: load_problems_to_rerank(name, request.livecodebench)
    )
    by_id, part = {problem.task_id: problem for problem in problems}, request.livecodebench.is_part
    samples = read_samples(request.samples, by_id, ignore_unknown=part)
    tests = load_bank(request.tests, by_id, ignore_unknown=part)
    return tuple(
        Work(problem, samples.codes(problem.task_id), tuple(tests.get(problem.task_id, ()))) for problem in problems
    )


def _check_paths(request: RerankRequest) -> None:
    if request.output.suffix != ".jsonl":
        raise InputError(
            f"{request.output}: got an --output that is not *.jsonl; evalplus.evaluate reads no other; name one"
        )
    outputs = {
        "--output": request.output,
        "the selection file": selection_path(request.output),
        "the run record": run_record_path(request.output),
    }
    if request.matrix is not None:
        outputs["--matrix"] = request.matrix
    taken = {request.samples.resolve(): "--samples", request.tests.resolve(): "--tests"}
    if request.problems is not None:
        taken[request.problems.resolve()] = "--problems"
    for name, path in outputs.items():
        other = taken.setdefault(path.resolve(), name)
        if other != name:
            raise InputError(f"{path}: is both {other} and {name}; expected different files; name another path")
        check_writable(path)


def _check_missing(request: RerankRequest, work: Sequence[Work]) -> None:
    missing = [item.problem.task_id for item in work if not item.solutions]
    if missing and not request.allow_missing:
        names = ", ".join(missing[:3]) + (", ..." if len(missing) > 3 else "")
        raise InputError(
            f"{request.samples}: got no sample for {len(missing)} of {len(work)} problems ({names}); expected at "
            "least one each; add them, or pass --allow-missing to let them score as wrong"
        )


def carry_out(
    plan: RerankPlan,
    open_executor: Callable[[RerankRequest], Executor],
    progress: Callable[[PassMatrix], None] | None = None,
) -> RerankReport:
    """Execute the plan and write its files: the samples and then the record last, which stand for a finished run.

    ``open_executor`` is handed the request, and its executor is closed however the run ends.

    Raises:
        ExecutorError: the sandbox cannot run or failed; no file is written.
        StoreError: a file cannot be written.
    """
    request = plan.request
    started = time.monotonic()
    with open_executor(request) as executor:
        runs = run_and_select(
            executor, plan.work, strategy=request.strategy, seed=request.seed, progress=progress, prune=request.prune,
            audit=request.audit,
        )  # fmt: skip
    summary = summarise(runs, strategy=request.strategy, seconds=time.monotonic() - started)
    _warn(summary)
    selection = selection_path(request.output)
    write_records(selection, (SelectionRecord.of(run.selection, len(run.tests)) for run in runs))
    if request.matrix is not None:
        write_records(request.matrix, (matrix_record(run.matrix) for run in runs))
    write_samples(request.output, plan.problems, [_chosen(run) for run in runs])
    record = run_record_path(request.output)
    write_run_record(record, _record(plan, summary))
    matrix = str(request.matrix) if request.matrix is not None else None
    return RerankReport(
        summary=summary, output=str(request.output), selection=str(selection), matrix=matrix, record=str(record)
    )


def _record(plan: RerankPlan, summary: RunSummary) -> RunRecord:
    request = plan.request
    folder = request.output.parent
    files = {
        "samples": request.samples,
        "tests": request.tests,
        "problems": request.problems,
        "matrix": request.matrix,
        "selection": selection_path(request.output),
        "output": request.output,
    }
    kept = ("strategy", "seed", "prune", "audit", "limits", "allow_missing")
    dataset = source_name(request.dataset, request.problems)
    return RunRecord(
        **common_facts("coderm rerank", dataset, plan.problems),
        problems=len(plan.problems),
        tests_from="file",
        sandbox="bubblewrap",
        settings={name: msgspec.to_builtins(getattr(request, name)) for name in kept} | _slice_settings(request),
        summary=msgspec.to_builtins(summary),
        # A pipe has been read once and for all.
        files={name: file_fact(path, folder) for name, path in files.items() if path is not None and path.is_file()},
        data_files=data_file_facts(plan.problems),
    )


def _slice_settings(request: RerankRequest) -> dict[str, str | None]:
    """Which of LiveCodeBench's problems the run was about, under the names that an lm-eval run's settings have."""
    if request.dataset != "livecodebench":
        return {}
    chosen = request.livecodebench
    return {
        "livecodebench_release": chosen.release,
        "livecodebench_from": chosen.start,
        "livecodebench_to": chosen.end,
    }


def _chosen(run: ProblemRun) -> Solution:
    index = run.selection.index
    return Solution(run.problem.task_id, run.solutions[index] if index >= 0 else "")


def _warn(summary: RunSummary) -> None:
    for found in summary.disagreements[:_SHOWN]:
        logger.warning(
            "audit: %s, sample %d, test %d: the call table says %s, the test run as a program %s; please report both",
            found.task_id, found.solution, found.test, found.lifted, found.program,
        )  # fmt: skip
    for tasks, consequence in (
        (
            summary.no_tests,
            "without a usable unit test (or what else the strategy needs): their first sample was taken",
        ),
        (summary.no_samples, "without a sample: an empty solution, which scores as wrong, was written"),
    ):
        if tasks:
            logger.warning("%d of %d problems %s (%s)", len(tasks), summary.problems, consequence, _some(tasks))


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
