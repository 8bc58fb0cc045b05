"""``coderm bundle verify``: check a bundle that anyone may have written. Its code runs in the sandbox only."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from coderm_tasks.errors import CoderMError, DatasetError, InputError
from coderm_tasks.hosts.bundles.archive import MANIFEST, Manifest, is_safe_name, list_files, sha256_of, unpack
from coderm_tasks.hosts.bundles.make import is_python, problems_of
from coderm_tasks.hosts.bundles.method import Method, score_of, unparsable
from coderm_tasks.hosts.bundles.reexecution import ReRun, rerun, reselect
from coderm_tasks.hosts.bundles.run import Run, check_run, read_by_task, read_codes, some
from coderm_tasks.hosts.bundles.submissions import SUBMITTED_AS, bundle_name, submitted_solutions
from coderm_tasks.labels import read_sample_labels
from coderm_tasks.run_record import RunRecord
from coderm_tasks.store import MatrixRecord, SelectionRecord
from executor import Executor, ExecutorError, Limits

__all__ = ["FAIL", "PASS", "SKIPPED", "Check", "Verification", "verify_bundle"]

PASS, FAIL, SKIPPED = "pass", "fail", "skipped"
_Opener = Callable[[Limits], Executor]


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


class _Bundle(Struct, frozen=True):
    """What was read of a bundle."""

    folder: Path
    method: Method
    run: Run
    submitted: list[tuple[str, str]]


def verify_bundle(path: Path, open_executor: _Opener, *, share: float = 0.05, seed: int = 0) -> Verification:
    """Check a bundle, zip or unpacked folder.

    Args:
        path: the bundle.
        open_executor: opens a sandbox with these limits; called only where something has to run.
        share: of the samples whose verdicts are executed again, 0 to 1; 0 executes nothing.
        seed: of the draw.

    Raises:
        InputError: no bundle, or one that must not be unpacked (links, names that lead out, a zip bomb).
        SandboxError: the sandbox failed.
    """
    if not 0 <= share <= 1:
        raise InputError(f"--rerun is {share}: expected a share from 0 to 1, such as 0.05")
    if path.is_dir():
        return Verification(bundle=str(path), checks=tuple(_checks(path, open_executor, share, seed)))
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected a bundle (zip or unpacked folder); check the path")
    with tempfile.TemporaryDirectory(prefix="coderm-bundle-") as place:
        folder = Path(place)
        unpack(path, folder)
        return Verification(bundle=str(path), checks=tuple(_checks(folder, open_executor, share, seed)))


def _checks(folder: Path, open_executor: _Opener, share: float, seed: int) -> list[Check]:
    found = list_files(folder)
    if MANIFEST not in found:
        raise InputError(f"{folder.name}: has no {MANIFEST}; expected a bundle that coderm bundle wrote; name another")
    checks = [_guarded("hashes", folder, lambda: _hashes(found))]
    try:
        bundle = _read(folder)
    except (CoderMError, msgspec.DecodeError, OSError, ValueError, KeyError, TypeError) as error:
        return [*checks, Check("records", FAIL, _words(error, folder))]
    checks.append(Check("records", PASS, f"{len(bundle.run.samples)} problems, matrices and selections fit together"))
    for name, check in (
        ("complete", _complete),
        ("method", _method),
        ("syntax", _syntax),
        ("choice", _choice),
        ("files of the board", _board_files),
    ):
        checks.append(_guarded(name, folder, lambda check=check: check(bundle)))  # type: ignore[misc]
    checks.append(_guarded("selection", folder, lambda: _selection(bundle, open_executor, share)))
    checks.append(_guarded("verdicts", folder, lambda: _verdicts(bundle, open_executor, share, seed)))
    return checks


def _guarded(name: str, folder: Path, check: Callable[[], tuple[str, str]]) -> Check:
    """A check that cannot be carried out on what the bundle holds has failed; a broken sandbox ends the run."""
    try:
        status, detail = check()
    except ExecutorError:
        raise
    except DatasetError as error:  # this machine's lack, not the bundle's fault
        status, detail = SKIPPED, str(error)
    except (CoderMError, OSError, ValueError, KeyError, TypeError) as error:
        status, detail = FAIL, _words(error, folder)
    return Check(name, status, detail)


def _words(error: Exception, folder: Path) -> str:
    return f"{error}".replace(f"{folder}/", "") or type(error).__name__


def _read(folder: Path) -> _Bundle:
    method = msgspec.json.decode((folder / "method.json").read_bytes(), type=Method)
    records = folder / "records"
    selections = read_by_task(records / "selection.jsonl", SelectionRecord)
    run = Run(
        records=(RunRecord(tool=method.tool),),
        samples=read_codes(records / "samples.jsonl", "solution", selections),
        tests=read_codes(records / "tests.jsonl", "test", selections),
        matrices=read_by_task(records / "matrix.jsonl", MatrixRecord),
        selections=selections,
        labels=_labels(records / "labels.jsonl", folder),
    )
    check_run(run, "records")
    name = bundle_name(method)
    if method.board not in SUBMITTED_AS:
        raise ValueError(f"method.json names the board {method.board!r}; expected one of {', '.join(SUBMITTED_AS)}")
    ending = SUBMITTED_AS[method.board]
    tops = [path for path in folder.iterdir() if path.suffix == ending and path.name not in (MANIFEST, "method.json")]
    if len(tops) != 1 or (method.board != "bigcodebench" and tops[0].name != f"{name}{ending}"):
        raise ValueError(f"holds {len(tops)} files of solutions; expected one, {name}{ending}")
    return _Bundle(folder, method, run, submitted_solutions(method.board, tops[0].read_bytes()))


def _labels(path: Path, folder: Path) -> dict[str, tuple[bool, ...]] | None:
    if not path.is_file():
        return None
    counts = Counter(
        msgspec.json.decode(line, type=dict)["task_id"]
        for line in (folder / "records" / "samples.jsonl").read_bytes().splitlines()
    )
    known = read_sample_labels(path, counts, "samples.jsonl")
    return {task_id: tuple(known[task_id][index] for index in range(count)) for task_id, count in counts.items()}


def _hashes(found: Mapping[str, Path]) -> tuple[str, str]:
    try:
        manifest = msgspec.json.decode(found[MANIFEST].read_bytes(), type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return FAIL, f"{MANIFEST} cannot be read ({error})"
    listed, there = manifest.files, found.keys() - {MANIFEST}
    unsafe = [name for name in listed if not is_safe_name(name)]
    changed = [name for name in sorted(there & listed.keys()) if sha256_of(found[name]) != listed[name].sha256]
    faults = (
        ("changed", changed),
        ("added", sorted(there - listed.keys())),
        ("removed", sorted(listed.keys() - there)),
        ("listed under unsafe names", unsafe),
    )
    told = [f"{len(names)} {what}: {some(names)}" for what, names in faults if names]
    return (FAIL, "; ".join(told)) if told else (PASS, f"{len(listed)} files as listed in {MANIFEST}")


def _complete(bundle: _Bundle) -> tuple[str, str]:
    ids = [task_id for task_id, _ in bundle.submitted]
    known = problems_of(bundle.method.dataset)
    expected = list(bundle.run.selections) if known is None else [task_id for task_id in known if task_id]
    twice = [task_id for task_id, count in Counter(ids).items() if count > 1]
    missing, unknown = set(expected) - set(ids), set(ids) - set(expected)
    faults = (("missing", sorted(missing)), ("unknown", sorted(unknown)), ("more than once", twice))
    told = [f"{len(names)} problems {what}: {some(names)}" for what, names in faults if names]
    if set(bundle.run.selections) != set(expected):
        told.append("the records are not of the problems of the data set")
    if known is not None and bundle.method.questions_sha256 not in (None, known[""]):
        told.append("the questions of the data set on this machine are not those of the bundle")
    if told:
        return FAIL, "; ".join(told)
    against = "the records alone (the data set is not ours)" if known is None else bundle.method.dataset
    return PASS, f"each of {len(expected)} problems once, by {against}"


def _method(bundle: _Bundle) -> tuple[str, str]:
    method, run = bundle.method, bundle.run
    counts, tests = [len(one) for one in run.samples.values()], [len(one) for one in run.tests.values()]
    said = (
        ("problems", method.problems, len(run.samples)),
        ("least N", method.samples.least, min(counts, default=0)),
        ("most N", method.samples.most, max(counts, default=0)),
        ("least M", method.tests.least, min(tests, default=0)),
        ("most M", method.tests.most, max(tests, default=0)),
        ("problems drawn among ties", method.tied, sum(len(one.ties) > 1 for one in run.selections.values())),
        ("cells", method.cost.cells, sum(one.solutions * one.tests for one in run.matrices.values())),
        ("strategy", (method.strategy,), tuple(sorted({one.strategy for one in run.selections.values()}))),
    )
    told = [
        f"{name} is {stated} in method.json, {actual} in the records"
        for name, stated, actual in said
        if stated != actual
    ]
    score = score_of(run)
    if (method.score is None) != (score is None) or (score is not None and abs(score - (method.score or 0)) > 1e-9):
        told.append(f"the score is {method.score} in method.json, {score} by the labels")
    if "best-of-N" not in method.statement or "not greedy pass@1" not in method.statement:
        told.append("the statement that this is no pass@1 is gone")
    detail = f"N {method.samples.most}, M {method.tests.mean:g}, {method.strategy}, as the records have them"
    return (FAIL, "; ".join(told)) if told else (PASS, detail)


def _syntax(bundle: _Bundle) -> tuple[str, str]:
    found = set(unparsable(bundle.run, is_python))
    if found != set(bundle.method.unparsable):
        return (
            FAIL,
            f"{len(found)} selected solutions are not Python, method.json declares {len(bundle.method.unparsable)}",
        )
    return PASS, f"{len(found)} selected solutions are not Python, as declared"


def _choice(bundle: _Bundle) -> tuple[str, str]:
    wrong = [
        task_id
        for task_id, code in bundle.submitted
        if task_id not in bundle.run.selections or bundle.run.chosen(task_id) != code
    ]
    if wrong:
        return FAIL, f"{len(wrong)} submitted solutions are not the selected sample: {some(wrong)}"
    return PASS, f"{len(bundle.submitted)} submitted solutions are the selected samples"


def _board_files(bundle: _Bundle) -> tuple[str, str]:
    """Whatever else the board reads must say the same as the one file that is checked."""
    if bundle.method.board == "evalplus":
        folder = bundle.folder / bundle_name(bundle.method)
        expected = {f"{task_id.replace('/', '_')}/0.py": code for task_id, code in bundle.submitted}
        there = list_files(folder) if folder.is_dir() else {}
        wrong = [
            name
            for name, code in expected.items()
            if name not in there or there[name].read_bytes() != code.encode("utf-8", "replace")
        ]
        wrong += sorted(there.keys() - expected.keys())
        if wrong:
            return FAIL, f"{len(wrong)} files of the sample folder differ from the JSONL: {some(wrong)}"
        return PASS, f"{len(expected)} files in {folder.name} equal the JSONL"
    if bundle.method.board == "hf":
        return _hub_file(bundle)
    return PASS, "one file, read as the board's evaluator reads it"


def _hub_file(bundle: _Bundle) -> tuple[str, str]:
    files = list_files(bundle.folder / ".eval_results")
    if len(files) != 1:
        return FAIL, f"{len(files)} files in .eval_results; expected one"
    text = next(iter(files.values())).read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    entry = msgspec.json.decode(lines[0].removeprefix("- ")) if len(lines) == 1 else {}
    value = None if bundle.method.score is None else round(100 * bundle.method.score, 4)
    if entry.get("value") != value or value is None:
        return FAIL, f"the value is {entry.get('value')!r}, {value} by the labels"
    if not str(entry.get("notes", "")).startswith("NOT pass@1: best-of-"):
        return FAIL, "the notes do not say that this is best-of-N"
    return PASS, f"value {value}, with notes that say best-of-N"


def _selection(bundle: _Bundle, open_executor: _Opener, share: float) -> tuple[str, str]:
    method = bundle.method
    return reselect(
        bundle.run, method.strategy, method.seed, method.dataset, lambda: open_executor(_limits(method)), share
    )


def _limits(method: Method) -> Limits:
    limits = msgspec.convert(method.limits, Limits)
    if limits.cpu_s > 60 or limits.wall_s > 600 or limits.memory_mb > 16_384:
        raise InputError("the bundle asks for limits above 60 CPU seconds, 600 s or 16 GiB a test; check it by hand")
    return limits


def _verdicts(bundle: _Bundle, open_executor: _Opener, share: float, seed: int) -> tuple[str, str]:
    if share == 0:
        return SKIPPED, "nothing was to be run (--rerun 0)"
    found: ReRun | str = rerun(
        bundle.run, bundle.method.dataset, lambda: open_executor(_limits(bundle.method)), share, seed
    )
    if isinstance(found, str):
        return SKIPPED, found
    shown = ", ".join(found.disagreements[:5]) + (", ..." if len(found.disagreements) > 5 else "")
    told = f"{found.cells} cells of {found.samples} samples run again, {len(found.disagreements)} disagree"
    if found.disagreements:
        told += f", {found.by_machine} of them by a time or memory limit: {shown}"
    return (FAIL if found.failed else PASS), told
