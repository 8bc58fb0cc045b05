"""``coderm export``: the files of a run in, a folder of training data with its card out."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path

from msgspec import Struct

from coderm_tasks.datasets.own import load_own_or_dataset
from coderm_tasks.errors import ConfigError, InputError
from coderm_tasks.evidence import Extras, gather_for
from coderm_tasks.export.card import UNKNOWN_LICENCE, Card, render_card
from coderm_tasks.export.growing import Growing, output_folder
from coderm_tasks.export.model import Case, Rows
from coderm_tasks.export.pairs import PairRules
from coderm_tasks.export.rewards import VOTES, rewards_of
from coderm_tasks.export.rows import preference_rows, reward_rows, unit_test_rows
from coderm_tasks.export.sources import RunFiles, RunPaths
from coderm_tasks.export.wording import BENCHMARK, KINDS
from coderm_tasks.files import sha256_of
from coderm_tasks.generation.log import content_key
from coderm_tasks.rerank import Need, get_selector
from executor import Executor

__all__ = ["ExportReport", "ExportRequest", "export"]


class ExportRequest(Struct, frozen=True, kw_only=True):
    """What to make, of what, and where it goes."""

    kind: str
    """``preferences``, ``rewards`` or ``unittest-sft``."""
    paths: RunPaths
    output: Path
    """A folder."""
    dataset: str | None = None
    """As ``--dataset`` names it; or ``problems``."""
    problems: Path | None = None
    strategy: str = VOTES
    """``votes``, or the name of a strategy."""
    pairs: PairRules = PairRules()
    chat: bool = False
    """Prompts and answers as lists of messages."""
    partial: bool = False
    licence: str = UNKNOWN_LICENCE
    workers: int = 0
    """Sandbox workers, for strategies that look at more than verdicts; 0: one per core."""
    cache: Path | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ConfigError(f"unknown export {self.kind!r}: expected one of {', '.join(KINDS)}")


class ExportReport(Struct, frozen=True, kw_only=True):
    """What was done and where it lies."""

    kind: str
    output: str
    card: str
    problems: int
    """With a matrix."""
    cells: int
    rows: int
    counts: dict[str, int | float]
    resumed: int
    """Problems that an earlier run had written."""
    seconds: float


def export(
    request: ExportRequest,
    open_executor: Callable[[ExportRequest], Executor],
    begin: Callable[[int], Callable[[int], None]] = lambda total: lambda steps: None,
) -> ExportReport:
    """Make the data. A run that was killed goes on with the same request: no row is lost and none comes twice.

    Args:
        open_executor: called only for strategies that look at more than verdicts.
        begin: handed the number of problems; returns what is told of each step.

    Raises:
        ConfigError, DatasetError, InputError: what the user has to mend; no file is finished.
        StoreError: the folder cannot be used or written.
        SandboxError: the sandbox failed.
    """
    began = time.monotonic()
    _check(request)
    problems = load_own_or_dataset(request.dataset, request.problems)
    with ExitStack() as stack:
        stack.enter_context(output_folder(request.output, request.kind, [request.kind]))
        files = stack.enter_context(RunFiles(request.paths, problems, request.output, partial=request.partial))
        sources = _sources(request)
        growing = stack.enter_context(
            Growing(request.output, [request.kind], content_key(**_identity(request, sources)))
        )
        advance = begin(len(files.task_ids))
        advance(growing.resumed)
        evidence = _evidence(request, open_executor, stack)
        for case in files.cases(growing.done):
            made = _rows(request, case, evidence(case))
            counts = {**made.counts, _ROWS: len(made.rows)}
            growing.add(case.problem.task_id, {request.kind: made.rows}, counts)
            advance(1)
        return _finish(request, files, growing, sources, began)


_ROWS = "rows"


def _check(request: ExportRequest) -> None:
    if request.strategy != VOTES:
        get_selector(request.strategy)
    needs = "unittest-sft rates tests" if request.kind == "unittest-sft" else ""
    needs = "confirmed pairs are told" if request.kind == "preferences" and request.pairs.confirmed else needs
    if needs and request.paths.labels is None:
        raise ConfigError(f"got no labels: {needs} by which samples are correct; give --labels, from coderm evaluate")
    folder = request.output.resolve()
    for name, path in request.paths.named().items():
        if path.resolve().parent == folder and path.name in (f"{request.kind}.jsonl", f"{request.kind}.jsonl.part"):
            raise InputError(f"{path}: is --{name} and would be written: expected another folder; name one")


def _evidence(
    request: ExportRequest, open_executor: Callable[[ExportRequest], Executor], stack: ExitStack
) -> Callable[[Case], Extras | None]:
    """How a case gets what the strategy looks at beside verdicts; opens the sandbox only where that is anything."""
    if request.strategy == VOTES or request.kind == "unittest-sft":
        return lambda case: None
    strategy = get_selector(request.strategy)
    if strategy.outputs is Need.NO and strategy.examples is Need.NO:
        return lambda case: None
    executor = stack.enter_context(open_executor(request))
    return lambda case: gather_for(strategy, executor, [case]).get(case.problem.task_id)


def _rows(request: ExportRequest, case: Case, extras: Extras | None) -> Rows:
    if request.kind == "unittest-sft":
        return unit_test_rows(case)
    rewards = rewards_of(case, request.strategy, extras)
    if request.kind == "rewards":
        return reward_rows(case, rewards, chat=request.chat)
    return preference_rows(case, rewards, request.pairs, chat=request.chat)


def _sources(request: ExportRequest) -> dict[str, str]:
    named = {**request.paths.named(), **({"problems": request.problems} if request.problems else {})}
    return {name: f"{path.name} {sha256_of(path)}" for name, path in named.items()}


def _settings(request: ExportRequest) -> dict[str, object]:
    """What the rows depend on beside the sources, by the names of the flags."""
    settings: dict[str, object] = {"data set": request.dataset or "own problems", "allow-partial": request.partial}
    if request.kind == "unittest-sft":
        return settings
    settings |= {"reward": request.strategy, "format": "messages" if request.chat else "text"}
    if request.kind == "preferences":
        rules = request.pairs
        settings |= {
            "margin": rules.margin,
            "least-chosen": rules.least_chosen,
            "max-pairs": rules.most,
            "seed": rules.seed,
            "only-confirmed": rules.confirmed,
        }
    return settings


def _identity(request: ExportRequest, sources: Mapping[str, str]) -> dict[str, object]:
    return {"kind": request.kind, "format": 1, "settings": _settings(request), "sources": dict(sources)}


def _finish(
    request: ExportRequest, files: RunFiles, growing: Growing, sources: Mapping[str, str], began: float
) -> ExportReport:
    words = KINDS[request.kind]
    totals = dict(growing.totals)
    rows = totals.pop(_ROWS, 0)
    counts = words.counts({"problems": len(files.task_ids), "cells": files.cells, **totals}, rows)
    file = growing.path(request.kind)
    card = Card(
        kind=request.kind,
        title=words.title,
        summary=words.summary,
        files={"default": file.name},
        rows=rows,
        tags=words.tags,
        licence=request.licence,
        counts={"rows": rows, **counts},
        settings=_settings(request),
        sources=sources,
        columns=words.columns,
        caveats=[*words.caveats, *([BENCHMARK] if request.dataset else [])],
    )
    growing.finish(render_card(card))
    return ExportReport(
        kind=request.kind,
        output=str(file),
        card=str(request.output / "README.md"),
        problems=len(files.task_ids),
        cells=files.cells,
        rows=rows,
        counts=counts,
        resumed=growing.resumed,
        seconds=round(time.monotonic() - began, 3),
    )
