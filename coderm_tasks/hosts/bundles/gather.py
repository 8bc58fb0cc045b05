"""The facts of a run, gathered: what its records say, and what the user adds where they are silent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from coderm_tasks.datasets.own import OWN
from coderm_tasks.errors import ConfigError, InputError
from coderm_tasks.hosts.bundles.answers import Written
from coderm_tasks.hosts.bundles.boards import Board, BoardFacts
from coderm_tasks.hosts.bundles.derived import Derived, cells_of, derive, derived_again
from coderm_tasks.hosts.bundles.method import Cost, Method, TestWriter
from coderm_tasks.hosts.bundles.problem_sets import BIGCODEBENCH, Part, data_files_of
from coderm_tasks.hosts.bundles.run import Run
from coderm_tasks.hosts.bundles.words import counted
from coderm_tasks.run_record import RunRecord

__all__ = ["HOTTEST", "UNKNOWN_SANDBOX", "Stated", "check_stated", "method_of"]

HOTTEST = 10
"""No sampler takes a temperature above."""
UNKNOWN_SANDBOX = "unknown"


class Stated(Struct, frozen=True, kw_only=True):
    """What the user says of a run; None is left to the records."""

    model: str | None = None
    dataset: str | None = None
    temperature: float | None = None
    generator: str | None = None
    """Name of the model that wrote the tests."""
    allow_unequal: bool = False


def check_stated(stated: Stated) -> None:
    """Refuse a value that cannot be meant. Raises ConfigError."""
    for flag, name in (("--model", stated.model), ("--generator", stated.generator)):
        if name is not None and not name.strip():
            raise ConfigError(f"{flag} is {name!r}: expected the name of a model; give it, or leave the flag out")
    if stated.temperature is not None:
        _check_temperature("--temperature", stated.temperature)


def _check_temperature(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= HOTTEST:
        raise ConfigError(
            f"{name} is {value}: expected the number from 0 to {HOTTEST} that the solutions were sampled at; correct it"
        )
    return float(value)


def method_of(run: Run, board: Board, stated: Stated, part: Part | None, facts: BoardFacts) -> Method:
    """Gather the facts.

    Raises:
        ConfigError: a needed fact is unknown, or the user's word is against the records'.
        InputError: unequal sample counts that were not allowed; several strategies.
    """
    record, settings = run.records[0], run.records[0].settings
    _check_equal(run, stated.allow_unequal)
    derived, policy, lm_eval = derive(run), _settings(run.policy), record.tool == "lm-eval"
    known = settings if lm_eval else policy
    temperature = _agreed(
        "temperature", stated.temperature, known.get("temperature"), "that of the solutions' sampling"
    )
    method = Method(
        board=board.name,
        board_ranks_best_of_n=board.ranks_best_of_n,
        board_rule=board.rule,
        board_source=board.source,
        model=_agreed("model", stated.model, policy.get("model"), "the name of the model whose samples these are"),
        dataset=_dataset(board, stated, record),
        slice=part,
        questions_sha256=record.questions_sha256,
        data_files=data_files_of(run.records),
        inputs=_inputs(run.records),
        budget=_number(settings.get("budget")),
        allocation=settings.get("allocation"),
        temperature=_check_temperature("the records' temperature", temperature),
        top_p=known.get("top_p"),
        max_tokens=settings.get("max_gen_toks") if lm_eval else policy.get("max_tokens"),
        sample_seed=policy.get("seed"),
        test_writer=_writer(run, stated),
        seed=int(settings.get("seed", 0)),
        pruned=bool(settings.get("prune", False)),
        sandbox=record.sandbox or UNKNOWN_SANDBOX,
        limits=dict(settings.get("limits", {})),
        tool=record.tool,
        versions=record.versions,
        cost=_cost(run),
        facts=facts,
        **{name: getattr(derived, name) for name in Derived.__struct_fields__},
    )
    return derived_again(method, run)


def _settings(written: Written | None) -> dict[str, Any]:
    return {} if written is None else written.settings


def _dataset(board: Board, stated: Stated, record: RunRecord) -> str:
    """BigCodeBench's problems are not ours: they come as the user's own, and its ids say that they are its."""
    if board.name == BIGCODEBENCH and record.dataset in (None, OWN):
        return BIGCODEBENCH
    dataset: str = _agreed("dataset", stated.dataset, record.dataset, "the data set")
    return dataset


def _inputs(records: Sequence[RunRecord]) -> dict[str, str]:
    several = len(records) > 1
    return {
        f"rank {rank}: {name}" if several else name: fact.sha256
        for rank, record in enumerate(records)
        for name, fact in record.files.items()
    }


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) else None


def _agreed(name: str, stated: Any, recorded: Any, what: str) -> Any:
    flag = f"--{name}"
    if stated is None and recorded is None:
        raise ConfigError(f"the records do not say the {name}: expected {what}; give {flag}")
    if stated is not None and recorded is not None and stated != recorded:
        raise ConfigError(f"{flag} is {stated!r}, and the records say {recorded!r}: expected one of them; leave it out")
    return recorded if stated is None else stated


def _check_equal(run: Run, allowed: bool) -> None:
    counts = {task_id: len(codes) for task_id, codes in run.samples.items()}
    most = max(counts.values(), default=0)
    fewer = [task_id for task_id, count in counts.items() if count < most]
    if fewer and not allowed:
        few = counted(len(fewer), "problem")
        raise InputError(
            f"unequal sample counts: {counts[fewer[0]]} of {fewer[0]}, {most} of others ({few} with fewer); expected "
            "the same N everywhere; sample the rest, or pass --allow-unequal to state the range"
        )


def _writer(run: Run, stated: Stated) -> TestWriter:
    record = run.records[0]
    settings = record.settings
    if record.tests_from == "self":
        return TestWriter(
            source="self",
            model=stated.model,
            prompt=settings.get("test_prompt"),
            temperature=settings.get("temperature"),
            top_p=settings.get("top_p"),
            max_tokens=settings.get("test_max_gen_toks"),
            seed=None,
        )
    given = settings.get("generator") or _settings(run.writer)
    model = given.get("model")
    if stated.generator is not None:
        model = _agreed("generator", stated.generator, model, "the model that wrote the tests")
    kept = ("prompt", "temperature", "top_p", "max_tokens", "seed")
    return TestWriter(source=record.tests_from, model=model, **{name: given.get(name) for name in kept})


def _cost(run: Run) -> Cost:
    summaries = [one.summary for one in run.records]

    def total(name: str) -> Any:
        values = [None if one is None else one.get(name) for one in summaries]
        return None if any(value is None for value in values) else sum(value for value in values if value is not None)

    return Cost(
        seconds=total("seconds"),
        cells=cells_of(run),
        cells_run=total("cells_run"),
        cells_cached=total("cells_cached"),
        sample_tokens=run.policy.tokens if run.policy is not None else None,
        test_tokens=_test_tokens(run),
    )


def _test_tokens(run: Run) -> int | None:
    """Of the external generator that an lm-eval run asked, or of the answers that lie beside the tests."""
    if run.records[0].tool != "lm-eval":
        return run.writer.tokens if run.writer is not None else None
    tokens = [one.generation.get("tokens") if one.generation else None for one in run.records]
    known = [one for one in tokens if one is not None]
    return sum(known) if len(known) == len(tokens) else None
