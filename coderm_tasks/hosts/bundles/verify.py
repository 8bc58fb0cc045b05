"""``coderm bundle verify``: check a bundle that anyone may have written. Its code runs in the sandbox only."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import msgspec
from msgspec import Struct

from coderm_tasks.errors import CoderMError, DatasetError, InputError
from coderm_tasks.groundtruth import GROUND_TRUTH_LIMITS
from coderm_tasks.hosts.bundles.archive import MANIFEST, list_files, unpack
from coderm_tasks.hosts.bundles.board_checks import check_board_files, check_texts
from coderm_tasks.hosts.bundles.checks import (
    check_choice,
    check_complete,
    check_hashes,
    check_method,
    check_syntax,
)
from coderm_tasks.hosts.bundles.method import Method
from coderm_tasks.hosts.bundles.opened import Bundle, read_bundle
from coderm_tasks.hosts.bundles.problem_sets import ProblemSets
from coderm_tasks.hosts.bundles.reexecution import draw_jobs, executes, rerun, reselect
from coderm_tasks.hosts.bundles.relabelling import draw_labels, regrade
from coderm_tasks.hosts.bundles.words import counted
from coderm_tasks.rerank import get_selector
from executor import Executor, ExecutorError, Limits, LimitsError

__all__ = ["FAIL", "PASS", "SKIPPED", "Check", "Verification", "VerifyRequest", "verify_bundle"]

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
    skipped: int
    """Checks that were not made. With any, this was no full verification."""

    @property
    def failed(self) -> bool:
        """Whether a check failed."""
        return any(check.status == FAIL for check in self.checks)


class VerifyRequest(Struct, frozen=True, kw_only=True):
    """How to check a bundle."""

    share: float = 0.05
    """Of the samples whose verdicts are executed again, and of the problems whose labels are made again, 0 to 1; 0
    executes nothing."""
    seed: int | None = None
    """Of that draw; None: one that whoever wrote the bundle could not know, or he would forge what is not drawn."""
    livecodebench_path: str | None = None
    """A copy of LiveCodeBench; None: as ``LIVECODEBENCH_PATH`` says, or the hub."""
    problems: Path | None = None
    """Problems that are not ours (BigCodeBench's), in a file of the verifier's own."""


class _Run(Struct, frozen=True):
    """What executing takes."""

    open_executor: _Opener
    share: float
    seed: int
    bar: _Bar | None

    def shown(self, name: str, total: int) -> AbstractContextManager[Callable[[int], None] | None]:
        return self.bar(name, total) if self.bar else nullcontext(None)


def verify_bundle(
    path: Path, open_executor: _Opener, request: VerifyRequest | None = None, *, bar: _Bar | None = None
) -> Verification:
    """Check a bundle, zip or unpacked folder.

    Args:
        path: the bundle.
        open_executor: opens a sandbox with these limits; called only where something has to run.
        bar: shows the progress of that: called with a name and a total, it yields what advances it.

    Raises:
        InputError: no bundle, or one that must not be unpacked (links, names that lead out, a zip bomb).
        SandboxError: the sandbox failed.
    """
    request = request or VerifyRequest()
    if not 0 <= request.share <= 1:
        raise InputError(f"--rerun is {request.share}: expected a share from 0 to 1, such as 0.05")
    seed = secrets.randbits(32) if request.seed is None else request.seed
    run = _Run(open_executor, request.share, seed, bar)
    sets = ProblemSets(request.livecodebench_path, request.problems)
    if path.is_dir():
        return _verified(path, path, run, sets)
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected a bundle (zip or unpacked folder); check the path")
    with tempfile.TemporaryDirectory(prefix="coderm-bundle-") as place:
        unpack(path, Path(place))
        return _verified(path, Path(place), run, sets)


def _verified(path: Path, folder: Path, run: _Run, sets: ProblemSets) -> Verification:
    _check_manifest(path, folder)
    checks = _once_told(_checks(folder, run, sets))
    return Verification(
        bundle=str(path), checks=tuple(checks), skipped=sum(check.status == SKIPPED for check in checks)
    )


def _once_told(checks: Sequence[Check]) -> list[Check]:
    """Why a data set cannot be had may take lines: it is told once."""
    told: dict[str, str] = {}
    shown = []
    for check in checks:
        first = told.setdefault(check.detail, check.name) if check.status == SKIPPED else check.name
        again = first != check.name
        shown.append(Check(check.name, check.status, f"as {first}") if again else check)
    return shown


def _check_manifest(path: Path, folder: Path) -> None:
    if not (folder / MANIFEST).is_file():
        raise InputError(f"{path}: has no {MANIFEST}; expected a bundle that coderm bundle wrote; name another")


def _checks(folder: Path, run: _Run, sets: ProblemSets) -> list[Check]:
    found = list_files(folder)
    checks = [_guarded("hashes", folder, lambda: check_hashes(found))]
    try:
        bundle = read_bundle(folder, sets)
    except _MALFORMED as error:
        return [*checks, Check("records", FAIL, _words(error, folder))]
    problems = counted(len(bundle.run.samples), "problem")
    checks.append(Check("records", PASS, f"those of {problems}, with matrices and selections, fit together"))
    named: tuple[tuple[str, Callable[[], tuple[str, str]]], ...] = (
        ("complete", lambda: check_complete(bundle)),
        ("method", lambda: check_method(bundle)),
        ("texts", lambda: check_texts(bundle)),
        ("syntax", lambda: check_syntax(bundle)),
        ("choice", lambda: check_choice(bundle)),
        ("files of the board", lambda: check_board_files(bundle)),
        ("selection", lambda: _selection(bundle, run)),
        ("verdicts", lambda: _verdicts(bundle, run)),
        ("labels", lambda: _labels(bundle, run)),
    )
    return [*checks, *(_guarded(name, folder, check) for name, check in named)]


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


def _selection(bundle: Bundle, run: _Run) -> tuple[str, str]:
    strategy = get_selector(bundle.method.strategy)
    if not executes(strategy):
        return reselect(bundle.run, bundle.method, None, None)
    why = f"strategy {strategy.name} looks at outputs, which have to be executed, and"
    if run.share == 0:
        return SKIPPED, f"{why} --rerun is 0"
    problems = bundle.problems()
    if not problems:
        return SKIPPED, f"{why} data set {bundle.method.dataset} is not ours"
    with run.open_executor(_limits(bundle.method)) as executor:
        return reselect(bundle.run, bundle.method, executor, problems)


def _limits(method: Method) -> Limits:
    try:
        limits = msgspec.convert(method.limits, Limits)
    except (msgspec.ValidationError, LimitsError) as error:
        raise InputError(f"the bundle asks for limits that cannot be ({error})") from error
    if limits.cpu_s > 60 or limits.wall_s > 600 or limits.memory_mb > 16_384:
        raise InputError("the bundle asks for limits above 60 CPU seconds, 600 s or 16 GiB a test; check it by hand")
    return limits


def _verdicts(bundle: Bundle, run: _Run) -> tuple[str, str]:
    if run.share == 0:
        return SKIPPED, "nothing was to be run (--rerun 0)"
    problems = bundle.problems()
    if not problems:
        return SKIPPED, f"data set {bundle.method.dataset} is not ours: its problems are not at hand (--problems FILE)"
    jobs = draw_jobs(bundle.run, problems, run.share, run.seed)
    if not jobs:
        return PASS, "there is no cell to run"
    cells = sum(len(job.rows) * len(job.work.tests) for job in jobs)
    with run.open_executor(_limits(bundle.method)) as executor, run.shown("cells", cells) as advance:
        found = rerun(bundle.run, jobs, executor, advance)
    named = ", ".join(found.disagreements[:5]) + (", ..." if len(found.disagreements) > 5 else "")
    told = (
        f"{found.cells} cells of {found.samples} samples (seed {run.seed}) run again, "
        f"{len(found.disagreements)} disagree"
    )
    if found.disagreements:
        told += f", {found.by_machine} of them by a time or memory limit: {named}"
    return (FAIL if found.failed else PASS), told


def _labels(bundle: Bundle, run: _Run) -> tuple[str, str]:
    if bundle.run.labels is None:
        return PASS, "there are none, and no score is stated"
    if run.share == 0:
        return SKIPPED, "no sample was to be graded again (--rerun 0)"
    problems = bundle.graded()
    if not problems:
        return SKIPPED, f"there is no ground truth of data set {bundle.method.dataset} to grade by"
    drawn = draw_labels(bundle.run, run.share, run.seed)
    if strange := [task_id for task_id in drawn if task_id not in problems]:
        return FAIL, f"labels of {strange[0]}, which is no problem of {bundle.method.dataset}"
    total = sum(map(len, drawn.values()))
    with run.open_executor(GROUND_TRUTH_LIMITS) as executor, run.shown("grading", total) as advance:
        status, told = regrade(bundle.run, drawn, problems, executor, advance)
    return status, f"{told} (seed {run.seed})"
