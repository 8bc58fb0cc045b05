"""``coderm bundle verify``: check a bundle that anyone may have written. Its code runs in the sandbox only."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import msgspec
from msgspec import Struct

from coderm_tasks.errors import CoderMError, DatasetError, InputError
from coderm_tasks.hosts.bundles.archive import MANIFEST, list_files, unpack
from coderm_tasks.hosts.bundles.checks import (
    Bundle,
    check_board_files,
    check_choice,
    check_complete,
    check_hashes,
    check_method,
    check_syntax,
)
from coderm_tasks.hosts.bundles.make import problems_of
from coderm_tasks.hosts.bundles.method import Method
from coderm_tasks.hosts.bundles.reexecution import draw_jobs, executes, rerun, reselect
from coderm_tasks.hosts.bundles.run import Run, check_run, read_by_task, read_codes
from coderm_tasks.hosts.bundles.submissions import SUBMITTED_AS, bundle_name, submitted_solutions
from coderm_tasks.labels import read_sample_labels
from coderm_tasks.model import Problem
from coderm_tasks.rerank import get_selector
from coderm_tasks.run_record import RunRecord
from coderm_tasks.store import MatrixRecord, SelectionRecord
from executor import Executor, ExecutorError, Limits, LimitsError

__all__ = ["FAIL", "PASS", "SKIPPED", "Check", "Verification", "verify_bundle"]

PASS, FAIL, SKIPPED = "pass", "fail", "skipped"
_MALFORMED = (
    CoderMError, msgspec.MsgspecError, OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError,
)  # fmt: skip
"""What reading another's data can end in."""
_Opener = Callable[[Limits], Executor]
_Bar = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]


class Check(Struct, frozen=True):
    """One check of a bundle."""

    name: str
    status: str
    detail: str


class Verification(Struct, frozen=True, kw_only=True):
    """What came of a bundle."""

    bundle: str
    checks: tuple[Check, ...]

    @property
    def failed(self) -> bool:
        """Whether a check failed."""
        return any(check.status == FAIL for check in self.checks)


def verify_bundle(
    path: Path, open_executor: _Opener, *, share: float = 0.05, seed: int | None = None, bar: _Bar | None = None
) -> Verification:
    """Check a bundle, zip or unpacked folder.

    Args:
        path: the bundle.
        open_executor: opens a sandbox with these limits; called only where something has to run.
        share: of the samples whose verdicts are executed again, 0 to 1; 0 executes nothing.
        seed: of the draw; None: one that whoever wrote the bundle could not know, or he would forge what is not drawn.
        bar: shows the progress of that: called with a name and a total, it yields what advances it.

    Raises:
        InputError: no bundle, or one that must not be unpacked (links, names that lead out, a zip bomb).
        SandboxError: the sandbox failed.
    """
    if not 0 <= share <= 1:
        raise InputError(f"--rerun is {share}: expected a share from 0 to 1, such as 0.05")
    if seed is None:
        seed = secrets.randbits(32)
    if path.is_dir():
        _check_manifest(path, path)
        return Verification(bundle=str(path), checks=tuple(_checks(path, open_executor, share, seed, bar)))
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected a bundle (zip or unpacked folder); check the path")
    with tempfile.TemporaryDirectory(prefix="coderm-bundle-") as place:
        folder = Path(place)
        unpack(path, folder)
        _check_manifest(path, folder)
        return Verification(bundle=str(path), checks=tuple(_checks(folder, open_executor, share, seed, bar)))


def _check_manifest(path: Path, folder: Path) -> None:
    if not (folder / MANIFEST).is_file():
        raise InputError(f"{path}: has no {MANIFEST}; expected a bundle that coderm bundle wrote; name another")


def _checks(folder: Path, open_executor: _Opener, share: float, seed: int, bar: _Bar | None) -> list[Check]:
    found = list_files(folder)
    checks = [_guarded("hashes", folder, lambda: check_hashes(found))]
    try:
        bundle = _read(folder)
    except _MALFORMED as error:
        return [*checks, Check("records", FAIL, _words(error, folder))]
    checks.append(Check("records", PASS, f"{len(bundle.run.samples)} problems, matrices and selections fit together"))
    for name, check in (
        ("complete", check_complete),
        ("method", check_method),
        ("syntax", check_syntax),
        ("choice", check_choice),
        ("files of the board", check_board_files),
    ):
        checks.append(_guarded(name, folder, lambda check=check: check(bundle)))  # type: ignore[misc]
    checks.append(_guarded("selection", folder, lambda: _selection(bundle, open_executor, share)))
    checks.append(_guarded("verdicts", folder, lambda: _verdicts(bundle, open_executor, share, seed, bar)))
    return checks


def _guarded(name: str, folder: Path, check: Callable[[], tuple[str, str]]) -> Check:
    """A check that cannot be carried out on what the bundle holds has failed; a broken sandbox ends the run."""
    try:
        status, detail = check()
    except ExecutorError:
        raise
    except DatasetError as error:  # this machine's lack, not the bundle's fault
        status, detail = SKIPPED, str(error)
    except _MALFORMED as error:
        status, detail = FAIL, _words(error, folder)
    return Check(name, status, detail)


def _words(error: Exception, folder: Path) -> str:
    return f"{error}".replace(f"{folder}/", "") or type(error).__name__


def _read(folder: Path) -> Bundle:
    method = msgspec.json.decode((folder / "method.json").read_bytes(), type=Method)
    records = folder / "records"
    selections = read_by_task(records / "selection.jsonl", SelectionRecord)
    samples = read_codes(records / "samples.jsonl", "solution", selections)
    run = Run(
        records=(RunRecord(tool=method.tool),),
        samples=samples,
        tests=read_codes(records / "tests.jsonl", "test", selections),
        matrices=read_by_task(records / "matrix.jsonl", MatrixRecord),
        selections=selections,
        labels=_labels(records / "labels.jsonl", samples),
    )
    check_run(run, "records")
    name = bundle_name(method)
    if method.board not in SUBMITTED_AS:
        raise ValueError(f"method.json names the board {method.board!r}; expected one of {', '.join(SUBMITTED_AS)}")
    ending = SUBMITTED_AS[method.board]
    tops = [path for path in folder.iterdir() if path.suffix == ending and path.name not in (MANIFEST, "method.json")]
    if len(tops) != 1 or (method.board != "bigcodebench" and tops[0].name != f"{name}{ending}"):
        raise ValueError(f"holds {len(tops)} files of solutions; expected one, {name}{ending}")
    submitted = submitted_solutions(method.board, tops[0].read_bytes())
    return Bundle(folder, method, run, submitted, _DataSet(method.dataset))


def _labels(path: Path, samples: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[bool, ...]] | None:
    if not path.is_file():
        return None
    counts = {task_id: len(codes) for task_id, codes in samples.items()}
    known = read_sample_labels(path, counts, "samples.jsonl")
    return {
        task_id: tuple(known[task_id][index] for index in range(count)) if count else ()
        for task_id, count in counts.items()
    }


class _DataSet:
    """The data set, loaded at the first call. An error is kept as well: a dead network takes its time to fail."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._known: Mapping[str, Problem] | None = None
        self._error: CoderMError | None = None
        self._asked = False

    def __call__(self) -> Mapping[str, Problem] | None:
        if not self._asked:
            self._asked = True
            try:
                self._known = problems_of(self._name)
            except CoderMError as error:
                self._error = error
        if self._error is not None:
            raise self._error
        return self._known


def _selection(bundle: Bundle, open_executor: _Opener, share: float) -> tuple[str, str]:
    strategy = get_selector(bundle.method.strategy)
    if not executes(strategy):
        return reselect(bundle.run, bundle.method, None, None)
    why = f"strategy {strategy.name} looks at outputs, which have to be executed, and"
    if share == 0:
        return SKIPPED, f"{why} --rerun is 0"
    problems = bundle.problems()
    if problems is None:
        return SKIPPED, f"{why} data set {bundle.method.dataset} is not ours"
    with open_executor(_limits(bundle.method)) as executor:
        return reselect(bundle.run, bundle.method, executor, problems)


def _limits(method: Method) -> Limits:
    try:
        limits = msgspec.convert(method.limits, Limits)
    except (msgspec.ValidationError, LimitsError) as error:
        raise InputError(f"the bundle asks for limits that cannot be ({error})") from error
    if limits.cpu_s > 60 or limits.wall_s > 600 or limits.memory_mb > 16_384:
        raise InputError("the bundle asks for limits above 60 CPU seconds, 600 s or 16 GiB a test; check it by hand")
    return limits


def _verdicts(bundle: Bundle, open_executor: _Opener, share: float, seed: int, bar: _Bar | None) -> tuple[str, str]:
    if share == 0:
        return SKIPPED, "nothing was to be run (--rerun 0)"
    problems = bundle.problems()
    if problems is None:
        return SKIPPED, f"data set {bundle.method.dataset} is not ours: its problems are not at hand"
    jobs = draw_jobs(bundle.run, problems, share, seed)
    if not jobs:
        return SKIPPED, "there is no cell to run"
    shown = bar("cells", sum(len(job.rows) * len(job.work.tests) for job in jobs)) if bar else nullcontext(None)
    with open_executor(_limits(bundle.method)) as executor, shown as advance:
        found = rerun(bundle.run, jobs, executor, advance)
    named = ", ".join(found.disagreements[:5]) + (", ..." if len(found.disagreements) > 5 else "")
    told = (
        f"{found.cells} cells of {found.samples} samples (seed {seed}) run again, {len(found.disagreements)} disagree"
    )
    if found.disagreements:
        told += f", {found.by_machine} of them by a time or memory limit: {named}"
    return (FAIL if found.failed else PASS), told
