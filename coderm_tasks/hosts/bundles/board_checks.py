"""The checks of what a board and its readers see: the files it takes, and the texts that state the method."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from coderm_tasks.hosts.bundles.archive import MANIFEST, list_files
from coderm_tasks.hosts.bundles.checks import of_this_version
from coderm_tasks.hosts.bundles.derived import derived_again
from coderm_tasks.hosts.bundles.method import Method, encode
from coderm_tasks.hosts.bundles.method_page import method_page
from coderm_tasks.hosts.bundles.opened import Bundle
from coderm_tasks.hosts.bundles.records import RECORDS, records_of
from coderm_tasks.hosts.bundles.submissions import HUB_FOLDER, HUB_WARNING, bundle_name, hub_entry, submission
from coderm_tasks.hosts.bundles.words import are, counted, some

__all__ = ["check_board_files", "check_texts"]

_PAGE = "METHOD.md"
_FORM = "ISSUE.md"


def check_board_files(bundle: Bundle) -> tuple[str, str]:
    """Whatever else the board reads must say the same as the one file that is checked, and nothing may stand beside."""
    method = derived_again(bundle.method, bundle.run)
    told = _strangers(bundle, method)
    if method.board == "evalplus":
        told += _folder_faults(bundle, method)
    if method.board == "hf":
        told += _hub_faults(bundle, method)
    if told:
        return "fail", "; ".join(told)
    return "pass", f"what {method.board} takes, by the records, and no other file"


def _strangers(bundle: Bundle, method: Method) -> list[str]:
    """Files that no bundle of this board has, and those that it lacks."""
    there = {name for name in list_files(bundle.folder) if not name.startswith(f"{RECORDS}/")}
    expected = {MANIFEST, _PAGE, "method.json", *_submission(bundle, method)}
    faults = (("missing", sorted(expected - there)), ("which no such bundle has", sorted(there - expected)))
    return [f"{counted(len(names), 'file')} {what}: {some(names)}" for what, names in faults if names]


def _submission(bundle: Bundle, method: Method) -> Mapping[str, bytes]:
    return submission(method, {task_id: bundle.run.chosen(task_id) for task_id in bundle.run.selections})


def _folder_faults(bundle: Bundle, method: Method) -> list[str]:
    folder = bundle.folder / bundle_name(method)
    expected = {f"{task_id.replace('/', '_')}/0.py": code for task_id, code in bundle.submitted}
    there = list_files(folder) if folder.is_dir() else {}
    wrong = [
        name
        for name, code in expected.items()
        if name not in there or there[name].read_bytes() != code.encode("utf-8", "replace")
    ]
    wrong += sorted(there.keys() - expected.keys())
    files = counted(len(wrong), "file")
    return [f"{files} of the sample folder {are(len(wrong))} not as in the JSONL: {some(wrong)}"] if wrong else []


def _hub_faults(bundle: Bundle, method: Method) -> list[str]:
    files = list_files(bundle.folder / HUB_FOLDER)
    if len(files) != 1:
        return [f"{counted(len(files), 'file')} in {HUB_FOLDER}; expected one"]
    text = next(iter(files.values())).read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    found: Any = msgspec.json.decode(lines[0].removeprefix("- ")) if len(lines) == 1 else {}
    expected = hub_entry(method)
    keys = sorted({*expected, *found} - {"notes"})
    told = [
        f"the {key} is {found.get(key)!r}, {expected.get(key)!r} by the records and labels"
        for key in keys
        if found.get(key) != expected.get(key)
    ]
    if not str(found.get("notes", "")).startswith(f"{HUB_WARNING}best-of-"):
        told.append("the notes do not say that this is best-of-N")
    return told


def check_texts(bundle: Bundle) -> tuple[str, str]:
    """Every text, byte for byte as this version writes it from the records and the facts of ``method.json``.

    Another version may word it otherwise: then its texts are not judged beyond what the other checks do.
    """
    method = derived_again(bundle.method, bundle.run)
    texts = _texts(bundle, method)
    expected = {**texts, **records_of(bundle.run)}
    wrong = [name for name, data in expected.items() if _read(bundle.folder / name) != data]
    if not wrong:
        return "pass", f"{', '.join(texts)} and the records: as this version writes them"
    if of_this_version(method):
        return "fail", f"{', '.join(wrong)}: not what the records and method.json give"
    statement = method.statement.encode("utf-8")
    unsaid = [name for name in wrong if name in texts and statement not in (_read(bundle.folder / name) or b"")]
    if unsaid:
        return "fail", f"{', '.join(unsaid)}: the statement that this is no pass@1 is gone"
    return "skipped", (
        f"{', '.join(wrong)}: written by coderm-tasks {method.bundled_with}, whose words may be others; that version "
        "can compare them"
    )


def _texts(bundle: Bundle, method: Method) -> dict[str, bytes]:
    written = _submission(bundle, method)
    told = {name: data for name, data in written.items() if name == _FORM or name.startswith(f"{HUB_FOLDER}/")}
    return {_PAGE: method_page(method).encode("utf-8"), "method.json": encode(method), **told}


def _read(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None
