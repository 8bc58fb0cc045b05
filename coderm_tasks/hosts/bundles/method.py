"""How a result came about, as facts: best of N by generated tests, and everything that this means."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from msgspec import Struct

import coderm_tasks
from coderm_tasks.errors import ConfigError, InputError
from coderm_tasks.hosts.bundles.boards import Board
from coderm_tasks.hosts.bundles.run import Run
from coderm_tasks.model import Selection
from coderm_tasks.pipeline import expected_correctness

__all__ = [
    "METHOD_FORMAT",
    "WARNING",
    "Cost",
    "Method",
    "Spread",
    "Stated",
    "TestWriter",
    "encode",
    "method_of",
    "score_of",
    "unparsable",
]

METHOD_FORMAT = 1
WARNING = (
    "This is best-of-N with generated unit tests. It is not greedy pass@1 and not pass@k, and must not be shown in "
    "their column."
)


class Spread(Struct, frozen=True):
    """A number per problem, over the problems."""

    least: int
    mean: float
    most: int


class TestWriter(Struct, frozen=True, kw_only=True):
    """What wrote the unit tests; None is unknown."""

    __test__ = False  # not for pytest to collect

    source: str | None
    """``bank``, ``self``, ``generator`` or ``file``."""
    model: str | None
    prompt: str | None = None
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    seed: int | None = None


class Cost(Struct, frozen=True, kw_only=True):
    """What the run took; None is unknown."""

    seconds: float | None
    """Wall-clock time of extraction, execution and selection; generation not included for ``coderm rerank``."""
    cells: int
    """Samples times tests, summed over problems."""
    cells_run: int | None
    cells_cached: int | None
    test_tokens: int | None
    """Tokens of the external generator's answers."""


class Method(Struct, frozen=True, kw_only=True):
    """``method.json``. A None is a fact that neither the records nor the user gave: unknown."""

    format: int = METHOD_FORMAT
    method: str = "best-of-N with generated unit tests (CodeRM, arXiv 2501.01054)"
    statement: str = WARNING
    board: str
    board_ranks_best_of_n: bool
    board_rule: str
    board_source: str
    model: str
    dataset: str
    problems: int
    questions_sha256: str | None
    samples: Spread
    """N."""
    tests: Spread
    """M."""
    tests_used: Spread
    budget: int | None
    """Unit tests per problem, on average, that the run was allowed."""
    allocation: str | None
    temperature: float
    """Of the solutions."""
    top_p: float | None
    max_tokens: int | None
    test_writer: TestWriter
    strategy: str
    tied: int
    """Problems whose pick was drawn among solutions that the strategy could not tell apart."""
    fallbacks: int
    """Problems without a usable test or sample."""
    unparsable: tuple[str, ...]
    """Problems whose selected solution is not Python, as far as ``ast.parse`` knows."""
    seed: int
    """Of the pick among ties."""
    pruned: bool
    sandbox: str
    limits: dict[str, Any]
    tool: str
    versions: dict[str, str]
    """At the run."""
    bundled_with: str = coderm_tasks.__version__
    """Version of this package that wrote the bundle."""
    cost: Cost
    score: float | None = None
    """Expected correctness of the selection over the problems, in [0, 1], where the run has labels."""


class Stated(Struct, frozen=True, kw_only=True):
    """What the user says of a run; None is left to the records."""

    model: str | None = None
    dataset: str | None = None
    temperature: float | None = None
    generator: str | None = None
    """Name of the model that wrote the tests."""
    allow_unequal: bool = False


def method_of(
    run: Run,
    board: Board,
    stated: Stated,
    *,
    is_python: Callable[[str], bool],
) -> Method:
    """Gather the facts.

    Args:
        is_python: whether a source parses.

    Raises:
        ConfigError: a needed fact is unknown, or the user's word is against the records'.
        InputError: unequal sample counts that were not allowed; several strategies.
    """
    record, settings = run.records[0], run.records[0].settings
    counts = [len(codes) for codes in run.samples.values()]
    _check_equal(run, stated.allow_unequal)
    summaries = [one.summary for one in run.records]
    policy, lm_eval = run.policy or {}, record.tool == "lm-eval"
    known = settings if lm_eval else policy
    return Method(
        board=board.name,
        board_ranks_best_of_n=board.ranks_best_of_n,
        board_rule=board.rule,
        board_source=board.source,
        model=_agreed("model", stated.model, policy.get("model"), "the name of the model whose samples these are"),
        dataset=_agreed("dataset", stated.dataset, record.dataset, "the data set"),
        problems=len(run.samples),
        questions_sha256=record.questions_sha256,
        samples=_spread(counts),
        tests=_spread([len(tests) for tests in run.tests.values()]),
        tests_used=_spread([one.tests_used for one in run.selections.values()]),
        budget=settings.get("budget"),
        allocation=settings.get("allocation"),
        temperature=float(
            _agreed("temperature", stated.temperature, known.get("temperature"), "that of the solutions' sampling")
        ),
        top_p=known.get("top_p"),
        max_tokens=settings.get("max_gen_toks") if lm_eval else policy.get("max_tokens"),
        test_writer=_writer(run, stated),
        strategy=_strategy(run),
        tied=sum(len(one.ties) > 1 for one in run.selections.values()),
        fallbacks=sum(bool(one.note) for one in run.selections.values()),
        unparsable=tuple(unparsable(run, is_python)),
        seed=int(settings.get("seed", 0)),
        pruned=bool(settings.get("prune", False)),
        sandbox=record.sandbox or "unknown",
        limits=dict(settings.get("limits", {})),
        tool=record.tool,
        versions=record.versions,
        cost=_cost(run, summaries),
        score=score_of(run),
    )


def unparsable(run: Run, is_python: Callable[[str], bool]) -> list[str]:
    """Problems whose selected solution is not Python."""
    return [task_id for task_id in run.selections if not is_python(run.chosen(task_id))]


def score_of(run: Run) -> float | None:
    """Expected correctness over the problems, in [0, 1]; None without labels."""
    if run.labels is None:
        return None
    selections: dict[str, Selection] = {task_id: one.selection() for task_id, one in run.selections.items()}
    worth = [expected_correctness(one, run.labels[task_id]) for task_id, one in selections.items()]
    return sum(worth) / len(worth)


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
        raise InputError(
            f"unequal sample counts: {counts[fewer[0]]} of {fewer[0]}, {most} of others ({len(fewer)} problems have "
            "fewer); expected the same N everywhere; sample the rest, or pass --allow-unequal to state the range"
        )


def _strategy(run: Run) -> str:
    names = sorted({one.strategy for one in run.selections.values()})
    if len(names) != 1:
        raise InputError(
            f"the selections are by {', '.join(names) or 'nobody'}; expected one strategy; run rerank again"
        )
    return names[0]


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
    given = settings.get("generator") or run.writer or {}
    model = given.get("model")
    if stated.generator is not None:
        model = _agreed("generator", stated.generator, model, "the model that wrote the tests")
    kept = ("prompt", "temperature", "top_p", "max_tokens", "seed")
    return TestWriter(source=record.tests_from, model=model, **{name: given.get(name) for name in kept})


def _cost(run: Run, summaries: Sequence[dict[str, Any] | None]) -> Cost:
    def total(name: str) -> Any:
        values = [None if one is None else one.get(name) for one in summaries]
        return None if any(value is None for value in values) else sum(value for value in values if value is not None)

    tokens = [one.generation.get("tokens") if one.generation else None for one in run.records]
    return Cost(
        seconds=total("seconds"),
        cells=sum(one.solutions * one.tests for one in run.matrices.values()),
        cells_run=total("cells_run"),
        cells_cached=total("cells_cached"),
        test_tokens=None if any(one is None for one in tokens) else sum(one for one in tokens if one is not None),
    )


def _spread(values: Sequence[int]) -> Spread:
    return Spread(min(values, default=0), round(sum(values) / max(1, len(values)), 4), max(values, default=0))


def encode(method: Method) -> bytes:
    """``method.json``, indented."""
    return msgspec.json.format(msgspec.json.encode(method), indent=2) + b"\n"
