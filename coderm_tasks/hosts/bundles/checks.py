"""The checks of a bundle's records and statements. They execute nothing; each returns its status and what was found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import msgspec

import coderm_tasks
from coderm_tasks.files import sha256_of
from coderm_tasks.hosts.bundles.archive import MANIFEST, Manifest, is_safe_name
from coderm_tasks.hosts.bundles.boards import get_board
from coderm_tasks.hosts.bundles.derived import RERANK, derive, derived_again
from coderm_tasks.hosts.bundles.gather import HOTTEST, UNKNOWN_SANDBOX
from coderm_tasks.hosts.bundles.method import Method
from coderm_tasks.hosts.bundles.opened import Bundle
from coderm_tasks.hosts.bundles.problem_sets import LIVECODEBENCH, foreign_ids
from coderm_tasks.hosts.bundles.words import are, counted, some
from coderm_tasks.run_record import questions_sha256

__all__ = ["check_choice", "check_complete", "check_hashes", "check_method", "check_syntax", "of_this_version"]

_PROSE = frozenset({"method", "statement", "board_rule", "board_source"})
"""Fields that another version may word otherwise."""
_SANDBOXES = ("bubblewrap", UNKNOWN_SANDBOX)
_TOOLS = ("lm-eval", RERANK)


def check_hashes(found: Mapping[str, Path]) -> tuple[str, str]:
    """Every file but the manifest, against the manifest."""
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
    return ("fail", "; ".join(told)) if told else ("pass", f"{counted(len(listed), 'file')} as listed in {MANIFEST}")


def check_complete(bundle: Bundle) -> tuple[str, str]:
    """Every problem of the data set, or of its stated part, once."""
    ids = [task_id for task_id, _ in bundle.submitted]
    known, method = bundle.problems(), bundle.method
    expected = list(known or bundle.run.selections)
    twice = [task_id for task_id, count in Counter(ids).items() if count > 1]
    missing, unknown = set(expected) - set(ids), set(ids) - set(expected)
    faults = (("missing", sorted(missing)), ("unknown", sorted(unknown)), ("more than once", twice))
    told = [f"{counted(len(names), 'problem')} {what}: {some(names)}" for what, names in faults if names]
    if others := foreign_ids(method.dataset, ids):
        told.append(f"{counted(len(others), 'problem')} not of {method.dataset}: {some(others)}")
    if set(bundle.run.selections) != set(expected):
        told.append("the records are not of the problems of the data set")
    if known and method.questions_sha256 not in (None, questions_sha256(known.values())):
        told.append("the questions of the data set on this machine are not those of the bundle")
    if told:
        return "fail", "; ".join(told)
    once = f"each of {counted(len(expected), 'problem')} once, by"
    if not known:
        return "skipped", f"{once} the records alone: data set {method.dataset} is not ours (--problems FILE names one)"
    return "pass", f"{once} {method.dataset}" + ("" if method.slice is None else f" ({method.slice.words})")


def of_this_version(method: Method) -> bool:
    """Whether the texts of the bundle are to be those that this version writes."""
    return method.bundled_with == coderm_tasks.__version__


def check_method(bundle: Bundle) -> tuple[str, str]:
    """``method.json`` against what this version would state of the records, field by field."""
    method, run = bundle.method, bundle.run
    expected = derived_again(method, run)
    told = [
        _differs(name, getattr(method, name), getattr(expected, name))
        for name in Method.__struct_fields__
        if (name not in _PROSE or of_this_version(method)) and getattr(method, name) != getattr(expected, name)
    ]
    left_out = [one.task_id for one in run.matrices.values() if any("-" in row for row in one.verdicts)]
    if left_out and not method.pruned:
        told.append(
            f"cells of {counted(len(left_out), 'problem')} were not run ({some(left_out)}), and method.json says none "
            "was pruned"
        )
    if "best-of-N" not in method.statement or "not greedy pass@1" not in method.statement:
        told.append("the statement that this is no pass@1 is gone")
    told += _impossible(method)
    detail = f"N {method.samples.most}, M {method.tests.mean:g}, {method.strategy}, as the records have them"
    return ("fail", "; ".join(told)) if told else ("pass", detail)


def _differs(name: str, stated: object, actual: object) -> str:
    said, found = (msgspec.json.encode(value).decode("utf-8") for value in (stated, actual))
    return f"{name} is {said} in method.json, {found} by the records"


def _impossible(method: Method) -> list[str]:
    """What no run can have been, whatever its records."""
    told = []
    if method.sandbox not in _SANDBOXES:
        told.append(f"sandbox is {method.sandbox!r}, in which no run of this package executes anything")
    if method.tool not in _TOOLS:
        told.append(f"tool is {method.tool!r}, which writes no records")
    datasets = get_board(method.board).datasets
    if datasets and method.dataset not in datasets:
        told.append(f"dataset is {method.dataset!r}, and the board is about {' or '.join(datasets)}")
    if (method.slice is not None) != (method.dataset == LIVECODEBENCH):
        told.append(f"slice is stated of {LIVECODEBENCH} and of nothing else")
    if not 0 <= method.temperature <= HOTTEST:
        told.append(f"temperature is {method.temperature:g}, at which nothing is sampled")
    return told


def check_syntax(bundle: Bundle) -> tuple[str, str]:
    """Which solutions are no Python, or none at all, against what is declared."""
    found, told = derive(bundle.run), []
    for what, actual, declared in (
        ("that are not Python", found.unparsable, bundle.method.unparsable),
        ("that hold no code", found.without_solution, bundle.method.without_solution),
    ):
        if set(actual) != set(declared):
            told.append(f"{counted(len(actual), 'selected solution')} {what}, and method.json declares {len(declared)}")
    detail = f"{len(found.unparsable)} not Python, {len(found.without_solution)} without code, as declared"
    return ("fail", "; ".join(told)) if told else ("pass", detail)


def check_choice(bundle: Bundle) -> tuple[str, str]:
    """The submitted solutions against the selected samples."""
    wrong = [
        task_id
        for task_id, code in bundle.submitted
        if task_id not in bundle.run.selections or bundle.run.chosen(task_id) != code
    ]
    submitted = counted(len(wrong or bundle.submitted), "submitted solution")
    if wrong:
        return "fail", f"{submitted} {are(len(wrong))} not the selected sample: {some(wrong)}"
    return "pass", f"{submitted}: the selected samples"
