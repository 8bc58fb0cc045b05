"""``coderm bundle BOARD``: a run's records in, one zip out."""

from __future__ import annotations

import logging
from pathlib import Path

import msgspec
from msgspec import Struct

from coderm_tasks.atomic import check_writable
from coderm_tasks.errors import ConfigError, InputError
from coderm_tasks.hosts.bundles.archive import write_zip
from coderm_tasks.hosts.bundles.boards import BoardFacts, check_acknowledged, check_facts, get_board
from coderm_tasks.hosts.bundles.derived import RERANK
from coderm_tasks.hosts.bundles.gather import Stated, check_stated, method_of
from coderm_tasks.hosts.bundles.method import Method, encode
from coderm_tasks.hosts.bundles.method_page import method_page
from coderm_tasks.hosts.bundles.problem_sets import ProblemSets, foreign_ids, part_of, recorded_path
from coderm_tasks.hosts.bundles.records import records_of
from coderm_tasks.hosts.bundles.run import Run, read_runs
from coderm_tasks.hosts.bundles.submissions import bundle_name, submission
from coderm_tasks.hosts.bundles.words import are, counted, some
from coderm_tasks.run_record import questions_sha256

__all__ = ["BundleReport", "BundleRequest", "make_bundle"]

logger = logging.getLogger(__name__)


class BundleRequest(Struct, frozen=True, kw_only=True):
    """What the user asked for."""

    board: str
    runs: tuple[Path, ...]
    """Record folders of lm-eval, or outputs of ``coderm rerank``; several are ranks of one run."""
    output: Path
    stated: Stated = Stated()
    """``dataset`` as :func:`coderm_tasks.datasets.load_problems` names it."""
    facts: BoardFacts = BoardFacts()
    labels: Path | None = None
    livecodebench_path: str | None = None
    """A copy of LiveCodeBench; None: as ``LIVECODEBENCH_PATH`` says, where the run had it, or the hub."""
    acknowledged: bool = False


class BundleReport(Struct, frozen=True, kw_only=True):
    """What was written."""

    output: str
    board: str
    ranked: bool
    """Whether the board ranks such entries."""
    name: str
    problems: int
    method: Method
    unfilled: tuple[str, ...]
    """Facts that are unknown, and stand so in the bundle."""


def make_bundle(request: BundleRequest) -> BundleReport:
    """Check everything, then write the bundle.

    Raises:
        ConfigError: unknown board, a board that does not rank such entries, a fact that must be given.
        InputError: records that are missing, damaged, incomplete or not of one run.
        DatasetError: the data set cannot be loaded.
        StoreError: the bundle cannot be written.
    """
    board = get_board(request.board)
    check_acknowledged(board, request.acknowledged)
    check_facts(board, request.facts)
    check_stated(request.stated)
    if request.output.suffix != ".zip":
        raise ConfigError(f"--output is {request.output}: expected the name of a zip file; add .zip")
    check_writable(request.output)
    sets = ProblemSets(request.livecodebench_path)
    run = read_runs(request.runs, request.labels, sets)
    method = method_of(run, board, request.stated, part_of(run.records), request.facts)
    _check_dataset(method, run)
    method = _check_complete(run, method, sets)
    chosen = {task_id: run.chosen(task_id) for task_id in run.selections}
    files = {
        **submission(method, chosen),
        "METHOD.md": method_page(method).encode("utf-8"),
        "method.json": encode(method),
        **records_of(run),
    }
    write_zip(request.output, files)
    _warn(method)
    return BundleReport(
        output=str(request.output),
        board=board.name,
        ranked=board.ranks_best_of_n,
        name=bundle_name(method),
        problems=method.problems,
        method=method,
        unfilled=tuple(_unknown(method)),
    )


def _check_dataset(method: Method, run: Run) -> None:
    expected = get_board(method.board).datasets
    if expected and method.dataset not in expected:
        raise InputError(
            f"the run is of {method.dataset!r}, and the board is about {' or '.join(expected)}; expected a run of "
            "that; choose another board"
        )
    if others := foreign_ids(method.dataset, run.selections):
        raise InputError(
            f"the run holds {counted(len(others), 'problem')} that {are(len(others))} not "
            f"BigCodeBench's ({some(others)}); expected task ids BigCodeBench/0, BigCodeBench/1, ...; give "
            "its problems their own ids, and run coderm rerank --problems again"
        )


def _check_complete(run: Run, method: Method, sets: ProblemSets) -> Method:
    known = sets.to_rerank(method.dataset, method.slice, run.problems, recorded_path(run.records[0]))
    if not known:
        logger.warning("data set %s is not ours: completeness was not checked against it", method.dataset)
        return method
    missing = [task_id for task_id in known if task_id not in run.selections]
    unknown = [task_id for task_id in run.selections if task_id not in known]
    if missing or unknown:
        what, names = ("lacks", missing) if missing else ("has unknown", unknown)
        raise InputError(
            f"the run {what} {counted(len(names), 'problem')} ({some(names)}) of {_set_of(method)}, which has "
            f"{len(known)}; expected every problem once; {_remedy(method)}"
        )
    questions = questions_sha256(known.values())
    if method.questions_sha256 not in (None, questions):
        raise InputError(
            f"the questions of {method.dataset} on this machine are not those of the run (their SHA-256 differs); "
            "expected the same version; use the data set file of the run"
        )
    return msgspec.structs.replace(method, questions_sha256=questions)


def _set_of(method: Method) -> str:
    return method.dataset if method.slice is None else f"{method.dataset} ({method.slice.words})"


def _remedy(method: Method) -> str:
    rest = "run the rest (an lm-eval run without --limit), or name all ranks"
    if method.tool != RERANK or method.slice is None or not method.slice.is_whole:
        return rest
    # Before records named the part, they looked like those of the whole.
    return f"{rest}; where the run had a window or a release, run coderm rerank again with it (verdicts are cached)"


def _unknown(method: Method) -> list[str]:
    facts = ("top_p", "max_tokens", "sample_seed", "budget", "allocation")
    names = [name for name in facts if getattr(method, name) is None]
    names += [f"cost.{name}" for name in ("sample_tokens", "test_tokens") if getattr(method.cost, name) is None]
    if method.test_writer.source != "self" and method.test_writer.model is None:
        names.append("the model that wrote the tests (--generator)")
    return names


def _warn(method: Method) -> None:
    for what, names in (
        ("whose selected solution is not Python", method.unparsable),
        ("without a solution", method.without_solution),
    ):
        if names:
            logger.warning("%s %s (%s): scored as wrong", counted(len(names), "problem"), what, some(names))
