"""How a result came about, as facts: best of N by generated tests, and everything that this means."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

import coderm_tasks
from coderm_tasks.hosts.bundles.boards import BoardFacts
from coderm_tasks.hosts.bundles.problem_sets import Part

__all__ = [
    "METHOD",
    "METHOD_FORMAT",
    "WARNING",
    "Cost",
    "Method",
    "Spread",
    "TestWriter",
    "decode",
    "encode",
    "label_of",
]

METHOD_FORMAT = 2
METHOD = "best-of-N with generated unit tests (CodeRM, arXiv 2501.01054)"
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
    sample_tokens: int | None
    """Tokens of the solutions' answers, where the model counted them."""
    test_tokens: int | None
    """Likewise of the answers of the model that wrote the tests."""


class Method(Struct, frozen=True, kw_only=True):
    """``method.json``. A None is a fact that neither the records nor the user gave: unknown."""

    format: int = METHOD_FORMAT
    method: str = METHOD
    statement: str = WARNING
    board: str
    board_ranks_best_of_n: bool
    board_rule: str
    board_source: str
    model: str
    dataset: str
    slice: Part | None
    """Which of LiveCodeBench's problems; None for other data sets."""
    problems: int
    questions_sha256: str | None
    data_files: dict[str, str]
    """SHA-256 of the data set's files by name, where the run read it from files."""
    inputs: dict[str, str]
    """SHA-256 of the run's files (samples, tests, matrix, ...) as its record has them."""
    samples: Spread
    """N."""
    tests: Spread
    """M."""
    tests_used: Spread
    budget: float | None
    """Unit tests per problem, on average, that the run was allowed. ``coderm rerank`` runs every test it is given."""
    allocation: str | None
    temperature: float
    """Of the solutions."""
    top_p: float | None
    max_tokens: int | None
    sample_seed: int | None
    """Of the solutions' sampling."""
    test_writer: TestWriter
    strategy: str
    tied: int
    """Problems whose pick was drawn among solutions that the strategy could not tell apart."""
    fallbacks: int
    """Problems without a usable test or sample."""
    unparsable: tuple[str, ...]
    """Problems whose selected solution is not Python, as far as ``ast.parse`` knows."""
    without_solution: tuple[str, ...]
    """Problems without a sample, or whose selected sample holds no code."""
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
    score: float | None
    """Share of the problems that the solutions in this bundle solve, in [0, 1], where the run has labels."""
    score_expected: float | None
    """Expected over ties: what a uniform pick among the solutions that the strategy could not tell apart is worth."""
    facts: BoardFacts
    """What the submitter told the board."""


class _Format(Struct, frozen=True):
    format: int = 0


def label_of(method: Method) -> str:
    """The method in a name: ``best-of-100-coderm``, ``best-of-7-to-8-coderm`` where the problems differ."""
    least, most = method.samples.least, method.samples.most
    return f"best-of-{most if least == most else f'{least}-to-{most}'}-{method.strategy}"


def encode(method: Method) -> bytes:
    """``method.json``, indented."""
    return msgspec.json.format(msgspec.json.encode(method), indent=2) + b"\n"


def decode(data: bytes) -> Method:
    """Read ``method.json``.

    Raises:
        ValueError: another format, or no such facts.
    """
    found = msgspec.json.decode(data, type=_Format).format
    if found != METHOD_FORMAT:
        raise ValueError(
            f"method.json has format {found}, and coderm-tasks {coderm_tasks.__version__} reads {METHOD_FORMAT}; make "
            "the bundle again, or verify it with the version that wrote it"
        )
    return msgspec.json.decode(data, type=Method)
