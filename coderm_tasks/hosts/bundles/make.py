"""``coderm bundle BOARD``: a run's records in, one zip out."""

from __future__ import annotations

import ast
import logging
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from coderm_tasks.atomic import check_writable
from coderm_tasks.datasets import load_problems_to_rerank
from coderm_tasks.errors import ConfigError, InputError, did_you_mean
from coderm_tasks.hosts.bundles.archive import write_zip
from coderm_tasks.hosts.bundles.boards import check_acknowledged, get_board
from coderm_tasks.hosts.bundles.method import Method, Stated, encode, method_of
from coderm_tasks.hosts.bundles.method_page import method_page
from coderm_tasks.hosts.bundles.run import Run, read_runs, some
from coderm_tasks.hosts.bundles.submissions import BoardFacts, bundle_name, submission
from coderm_tasks.model import Problem
from coderm_tasks.run_record import questions_sha256

__all__ = ["BundleReport", "BundleRequest", "is_python", "make_bundle", "problems_of"]

logger = logging.getLogger(__name__)

_DATASETS = {
    "evalplus": ("humaneval_plus", "humaneval", "mbpp_plus"),
    "livecodebench": ("livecodebench",),
    "bigcodebench": ("bigcodebench",),
}
"""Data sets that a board is about; the hub takes any."""


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
    if request.output.suffix != ".zip":
        raise ConfigError(f"--output is {request.output}: expected the name of a zip file; add .zip")
    check_writable(request.output)
    run = read_runs(request.runs, request.labels)
    method = method_of(run, board, request.stated, is_python=is_python)
    _check_dataset(method)
    method = _check_complete(run, method)
    chosen = {task_id: run.chosen(task_id) for task_id in run.selections}
    files = {
        **submission(method, chosen, request.facts),
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


def _check_dataset(method: Method) -> None:
    expected = _DATASETS.get(method.board)
    if expected and method.dataset not in expected:
        raise InputError(
            f"the run is of {method.dataset!r}{did_you_mean(method.dataset, expected)}, and the board is about "
            f"{' or '.join(expected)}; expected a run of that; choose another board"
        )


def problems_of(dataset: str) -> Mapping[str, Problem] | None:
    """The problems of a data set by task id; None where we have no such data set (BigCodeBench's).

    Raises:
        ConfigError, DatasetError: the data set is unknown, or cannot be loaded.
    """
    if dataset == "bigcodebench":
        return None
    return {problem.task_id: problem for problem in load_problems_to_rerank(dataset)}


def _check_complete(run: Run, method: Method) -> Method:
    known = problems_of(method.dataset)
    if known is None:
        logger.warning("data set %s is not ours: completeness was not checked against it", method.dataset)
        return method
    missing = [task_id for task_id in known if task_id not in run.selections]
    unknown = [task_id for task_id in run.selections if task_id not in known]
    if missing or unknown:
        what, names = ("lacks", missing) if missing else ("has unknown", unknown)
        raise InputError(
            f"the run {what} {len(names)} problems ({some(names)}) of {method.dataset}, which has {len(known)}; "
            "expected every problem once; run the rest (an lm-eval run without --limit), or name all ranks"
        )
    questions = questions_sha256(known.values())
    if method.questions_sha256 not in (None, questions):
        raise InputError(
            f"the questions of {method.dataset} on this machine are not those of the run (their SHA-256 differs); "
            "expected the same version; use the data set file of the run"
        )
    return msgspec.structs.replace(method, questions_sha256=questions)


def records_of(run: Run) -> dict[str, bytes]:
    """The run's records, as lm-eval's runs write them, without what tells of the machine."""
    encoder = msgspec.json.Encoder()

    def lines(records: Sequence[object]) -> bytes:
        return b"".join(encoder.encode(record) + b"\n" for record in records)

    files = {
        "records/samples.jsonl": lines(_lines_of(run.samples, "solution")),
        "records/tests.jsonl": lines(_lines_of(run.tests, "test")),
        "records/matrix.jsonl": lines([run.matrices[task_id] for task_id in run.selections]),
        "records/selection.jsonl": lines(list(run.selections.values())),
    }
    if run.labels is not None:
        words = [
            {"task_id": task_id, "index": index, "plus": "pass" if correct else "fail"}
            for task_id, labels in run.labels.items()
            for index, correct in enumerate(labels)
        ]
        files["records/labels.jsonl"] = lines(words)
    return files


def _lines_of(codes: Mapping[str, Sequence[str]], key: str) -> list[dict[str, str]]:
    return [{"task_id": task_id, key: code} for task_id, of_problem in codes.items() for code in of_problem]


def is_python(code: str) -> bool:
    """Whether a source parses. It is not executed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            ast.parse(code)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return False
    return bool(code.strip())


def _unknown(method: Method) -> list[str]:
    names = [name for name in ("top_p", "max_tokens", "budget", "allocation") if getattr(method, name) is None]
    if method.test_writer.source != "self" and method.test_writer.model is None:
        names.append("the model that wrote the tests (--generator)")
    return names


def _warn(method: Method) -> None:
    if method.unparsable:
        logger.warning(
            "%d selected solutions are not Python (%s): they score as wrong", len(method.unparsable),
            some(method.unparsable),
        )  # fmt: skip
