"""The checks of a bundle that execute nothing. Each returns its status and what was found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

import coderm_tasks
from coderm_tasks.files import sha256_of
from coderm_tasks.hosts.bundles.archive import MANIFEST, Manifest, is_safe_name, list_files
from coderm_tasks.hosts.bundles.make import is_python
from coderm_tasks.hosts.bundles.method import Method, score_of, unparsable
from coderm_tasks.hosts.bundles.method_page import method_page
from coderm_tasks.hosts.bundles.run import Run, some
from coderm_tasks.hosts.bundles.submissions import bundle_name
from coderm_tasks.model import Problem
from coderm_tasks.run_record import questions_sha256

__all__ = [
    "Bundle",
    "check_board_files",
    "check_choice",
    "check_complete",
    "check_hashes",
    "check_method",
    "check_syntax",
]


class Bundle(Struct, frozen=True):
    """What was read of a bundle."""

    folder: Path
    method: Method
    run: Run
    submitted: list[tuple[str, str]]
    """Task id and code, as often as they stand there."""
    problems: Callable[[], Mapping[str, Problem] | None]
    """This machine's copy of the data set, loaded once; None where we have no such data set. Raises DatasetError."""


def check_hashes(found: Mapping[str, Path]) -> tuple[str, str]:
    try:
        manifest = msgspec.json.decode(found[MANIFEST].read_bytes(), type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return "fail", f"{MANIFEST} cannot be read ({error})"
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
    return ("fail", "; ".join(told)) if told else ("pass", f"{len(listed)} files as listed in {MANIFEST}")


def check_complete(bundle: Bundle) -> tuple[str, str]:
    ids = [task_id for task_id, _ in bundle.submitted]
    known = bundle.problems()
    expected = list(bundle.run.selections if known is None else known)
    twice = [task_id for task_id, count in Counter(ids).items() if count > 1]
    missing, unknown = set(expected) - set(ids), set(ids) - set(expected)
    faults = (("missing", sorted(missing)), ("unknown", sorted(unknown)), ("more than once", twice))
    told = [f"{len(names)} problems {what}: {some(names)}" for what, names in faults if names]
    if set(bundle.run.selections) != set(expected):
        told.append("the records are not of the problems of the data set")
    if known is not None and bundle.method.questions_sha256 not in (
        None,
        questions_sha256(known.values()),
    ):
        told.append("the questions of the data set on this machine are not those of the bundle")
    if told:
        return "fail", "; ".join(told)
    against = "the records alone (the data set is not ours)" if known is None else bundle.method.dataset
    return "pass", f"each of {len(expected)} problems once, by {against}"


def check_method(bundle: Bundle) -> tuple[str, str]:
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
    left_out = [one.task_id for one in run.matrices.values() if any("-" in row for row in one.verdicts)]
    if left_out and not method.pruned:
        told.append(
            f"cells of {len(left_out)} problems were not run ({some(left_out)}), and method.json says none was pruned"
        )
    score = score_of(run)
    if (method.score is None) != (score is None) or (score is not None and abs(score - (method.score or 0)) > 1e-9):
        told.append(f"the score is {method.score} in method.json, {score} by the labels")
    if "best-of-N" not in method.statement or "not greedy pass@1" not in method.statement:
        told.append("the statement that this is no pass@1 is gone")
    if not _page_fits(bundle):
        told.append("METHOD.md does not say what method.json says")
    detail = f"N {method.samples.most}, M {method.tests.mean:g}, {method.strategy}, as the records have them"
    return ("fail", "; ".join(told)) if told else ("pass", detail)


def _page_fits(bundle: Bundle) -> bool:
    """The page is made from the facts. Another version may word it otherwise, but the statement stands in it."""
    page = (bundle.folder / "METHOD.md").read_text(encoding="utf-8")
    if bundle.method.bundled_with == coderm_tasks.__version__:
        return page == method_page(bundle.method)
    return bundle.method.statement in page


def check_syntax(bundle: Bundle) -> tuple[str, str]:
    found = set(unparsable(bundle.run, is_python))
    if found != set(bundle.method.unparsable):
        declared = len(bundle.method.unparsable)
        return "fail", f"{len(found)} selected solutions are not Python, method.json declares {declared}"
    return "pass", f"{len(found)} selected solutions are not Python, as declared"


def check_choice(bundle: Bundle) -> tuple[str, str]:
    wrong = [
        task_id
        for task_id, code in bundle.submitted
        if task_id not in bundle.run.selections or bundle.run.chosen(task_id) != code
    ]
    if wrong:
        return "fail", f"{len(wrong)} submitted solutions are not the selected sample: {some(wrong)}"
    return "pass", f"{len(bundle.submitted)} submitted solutions are the selected samples"


def check_board_files(bundle: Bundle) -> tuple[str, str]:
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
            return "fail", f"{len(wrong)} files of the sample folder differ from the JSONL: {some(wrong)}"
        return "pass", f"{len(expected)} files in {folder.name} equal the JSONL"
    if bundle.method.board == "hf":
        return _hub_file(bundle)
    return "pass", "one file, read as the board's evaluator reads it"


def _hub_file(bundle: Bundle) -> tuple[str, str]:
    files = list_files(bundle.folder / ".eval_results")
    if len(files) != 1:
        return "fail", f"{len(files)} files in .eval_results; expected one"
    text = next(iter(files.values())).read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    entry = msgspec.json.decode(lines[0].removeprefix("- ")) if len(lines) == 1 else {}
    value = None if bundle.method.score is None else round(100 * bundle.method.score, 4)
    if entry.get("value") != value or value is None:
        return "fail", f"the value is {entry.get('value')!r}, {value} by the labels"
    if not str(entry.get("notes", "")).startswith("NOT pass@1: best-of-"):
        return "fail", "the notes do not say that this is best-of-N"
    return "pass", f"value {value}, with notes that say best-of-N"
