"""What each board takes, from one solution per problem. Pure: values in, the files of the bundle out."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from coderm_tasks.errors import ConfigError
from coderm_tasks.hosts.bundles.method import Method, label_of
from coderm_tasks.hosts.bundles.method_page import method_page
from coderm_tasks.hosts.bundles.words import counted

__all__ = [
    "HUB_FOLDER",
    "HUB_WARNING",
    "SUBMITTED_AS",
    "bundle_name",
    "hub_entry",
    "submission",
    "submitted_name",
    "submitted_solutions",
]

HUB_FOLDER = ".eval_results"
HUB_WARNING = "NOT pass@1: "
_UNFILLED = "TO BE FILLED IN BY YOU"


def bundle_name(method: Method) -> str:
    """``MODEL--METHOD_temp_T``, the name that EvalPlus gives a folder of samples; the method stands in it."""
    return f"{_plain(method.model)}--{_plain(label_of(method))}_temp_{method.temperature:g}"


def _plain(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._+-]+", "--", name).strip(".-") or "model"


def submission(method: Method, chosen: Mapping[str, str]) -> dict[str, bytes]:
    """Return the files that the board takes, by path. ``chosen``: one solution per problem.

    Raises:
        ConfigError: the hub takes a score, and the run has no labels.
    """
    return _WRITERS[method.board](method, chosen)


def _evalplus(method: Method, chosen: Mapping[str, str]) -> dict[str, bytes]:
    name = bundle_name(method)
    files = {f"{name}/{task_id.replace('/', '_')}/0.py": _utf8(code) for task_id, code in chosen.items()}
    return {**files, f"{name}.jsonl": _jsonl(chosen), "ISSUE.md": _issue(method).encode("utf-8")}


def _issue(method: Method) -> str:
    facts = method.facts
    fields = (
        ("Model introduction", facts.introduction or _UNFILLED),
        ("Model URL", facts.model_url or _UNFILLED),
        ("Additional information (Optional)", f"NOT an entry for the ranking.\n\n{method_page(method)}"),
        ("Decontamination", facts.decontamination or _UNFILLED),
        ("Author", f"{_UNFILLED}: Yes / No"),
        ("Data", f"{_UNFILLED}: is the training data public? Yes / No"),
        ("Security", "- [ ] I confirm that the model is safe to run (tick it yourself)"),
        ("Integrity", "- [ ] I confirm that the model comes from unique and original work (tick it yourself)"),
    )
    title = f"Title: [REQUEST] - {method.model}, {label_of(method)} (not greedy pass@1)\nLabel: model eval\n"
    return title + "".join(f"\n### {name}\n\n{text}\n" for name, text in fields)


def _livecodebench(method: Method, chosen: Mapping[str, str]) -> dict[str, bytes]:
    # The evaluator sorts by question_id as text, and pairs by position: this is that order.
    entries = [{"question_id": task_id, "code_list": [chosen[task_id]]} for task_id in sorted(chosen)]
    return {submitted_name(method): (json.dumps(entries, indent=1) + "\n").encode("ascii")}


def _bigcodebench(method: Method, chosen: Mapping[str, str]) -> dict[str, bytes]:
    return {submitted_name(method): _jsonl(chosen)}


def _hf(method: Method, chosen: Mapping[str, str]) -> dict[str, bytes]:
    name = bundle_name(method)
    place = f"{_plain(str(method.facts.hub_task))}_{_plain(label_of(method))}".replace("-", "_")
    # JSON is YAML: no quoting rule to get wrong, and nothing to depend on.
    entry = json.dumps(hub_entry(method), ensure_ascii=False)
    text = f"# {method.statement}\n# Percent of the problems that the solutions in {name}.jsonl solve.\n- {entry}\n"
    return {f"{HUB_FOLDER}/{place}.yaml": text.encode("utf-8"), f"{name}.jsonl": _jsonl(chosen)}


def hub_entry(method: Method) -> dict[str, Any]:
    """The one entry of the hub's file.

    Raises:
        ConfigError: the run has no labels.
    """
    if method.score is None:
        raise ConfigError(
            "the run has no labels, and the hub takes a score: expected ground truth of every sample; give --labels "
            "FILE from coderm evaluate --output"
        )
    facts = method.facts
    entry: dict[str, Any] = {
        "dataset": {"id": facts.hub_dataset, "task_id": facts.hub_task},
        "value": round(100 * method.score, 4),
        "notes": hub_notes(method),
    }
    if facts.model_url:
        entry["source"] = {"url": facts.model_url, "name": f"{label_of(method)}, method and records"}
    return entry


def hub_notes(method: Method) -> str:
    """What stands beside the value in the hub's table: it must not be read as pass@1."""
    writer = method.test_writer
    by = "the model itself" if writer.source == "self" else writer.model or "an unknown model"
    name = label_of(method).removesuffix(f"-{method.strategy}")
    part = "" if method.slice is None else f"; {method.slice.words}: {counted(method.problems, 'problem')}"
    tied = (
        ""
        if method.score_expected in (None, method.score)
        else f"; {100 * (method.score_expected or 0):.4g} expected over ties"
    )
    return (
        f"{HUB_WARNING}{name} by generated unit tests ({method.strategy}, {method.tests.mean:g} tests per problem by "
        f"{by}, temperature {method.temperature:g}{part}{tied})"
    )


_WRITERS = {"evalplus": _evalplus, "livecodebench": _livecodebench, "bigcodebench": _bigcodebench, "hf": _hf}


def _jsonl(chosen: Mapping[str, str]) -> bytes:
    # ASCII, because EvalPlus reads the file in the locale's encoding.
    return "".join(
        json.dumps({"task_id": task_id, "solution": code}) + "\n" for task_id, code in chosen.items()
    ).encode("ascii")


def submitted_name(method: Method) -> str:
    """The one file, at the top of the bundle, that holds the submitted solutions."""
    if method.board == "bigcodebench":
        # The form of name that bigcodebench.generate gives.
        stem = f"{_plain(method.model)}--{_plain(label_of(method))}--bigcodebench-{method.facts.split}"
        return f"{stem}--coderm-{method.temperature:g}-1.jsonl"
    return f"{bundle_name(method)}{SUBMITTED_AS[method.board]}"


def _utf8(code: str) -> bytes:
    return code.encode("utf-8", "replace")


SUBMITTED_AS = {"evalplus": ".jsonl", "livecodebench": ".json", "bigcodebench": ".jsonl", "hf": ".jsonl"}
"""Ending of the one file, at the top of the bundle, that holds the submitted solutions."""


def submitted_solutions(board: str, data: bytes) -> list[tuple[str, str]]:
    """Read that file back: task id and code, as often as they stand there.

    Raises:
        ValueError: it is of another form.
    """
    if board == "livecodebench":
        entries = json.loads(data)
        if not isinstance(entries, list) or [one["question_id"] for one in entries] != sorted(
            one["question_id"] for one in entries
        ):
            raise ValueError("is no list in the order of question_id")
        if any(len(one["code_list"]) != 1 for one in entries):
            raise ValueError("has not exactly one code in each code_list")
        return [(str(one["question_id"]), str(one["code_list"][0])) for one in entries]
    lines = [json.loads(line) for line in data.decode("utf-8").splitlines() if line.strip()]
    return [(str(one["task_id"]), str(one["solution"])) for one in lines]
