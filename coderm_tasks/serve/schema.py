"""What requests and answers look like: bodies are checked by it, and the OpenAPI document is made from it."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct, field

from coderm_tasks.reward.scoring import Scheme, Score

__all__ = [
    "ErrorDetail",
    "ErrorReply",
    "Health",
    "LaneCounts",
    "MatrixReply",
    "MatrixRequest",
    "Options",
    "QueueCounts",
    "RewardItem",
    "RewardsReply",
    "RewardsRequest",
]

EntryPoint = Annotated[
    str,
    Meta(
        description="Name of the function under test. A test of the request must mention it, as a word of its own: "
        "where there are tests and none does, the answer is 422 unknown_entry_point.",
        examples=["add"],
        extra_json_schema={
            "pattern": r"^[A-Za-z_][A-Za-z0-9_]*$"
        },  # told, not checked: names beyond ASCII are names too
    ),
]
Weight = Annotated[float, Meta(ge=0, le=1e9)]
Deadline = Annotated[
    float, Meta(gt=0, description="Seconds until the answer; at most, and by default, the service's own deadline.")
]


class Options(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How texts are read and verdicts become rewards; alike for all items."""

    scheme: Scheme = "share"
    """share: tests passed over tests that count; all: 1 if every one passed, else 0."""
    count_shared: bool = True
    """Whether passes count that a solution could have forged."""
    verbatim_tests: bool = False
    """Each test as it stands, instead of read as a model's answer."""
    verbatim_code: bool = False
    """Each completion as it stands is the solution."""


class RewardItem(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One completion, and what it is to be rewarded by."""

    completion: str
    entry_point: EntryPoint
    tests: Annotated[tuple[str, ...] | str, Meta(description="Texts that hold unit tests.")]
    weights: Annotated[tuple[Weight, ...], Meta(description="One per text; empty: all alike.")] = ()
    prompt: Annotated[str, Meta(description="What the completion continues or answers.")] = ""
    context: Annotated[
        str | None,
        Meta(description="Trusted source whose definitions tests may use; null: those of the prompt, if it is Python."),
    ] = None
    chat: Annotated[bool, Meta(description="It is an answer, not a continuation of the prompt.")] = True


class RewardsRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A batch of completions."""

    items: tuple[RewardItem, ...]
    options: Options = field(default_factory=Options)
    deadline_s: Deadline | None = None


class RewardsReply(Struct, frozen=True, kw_only=True):
    """One score per item, in their order."""

    items: tuple[Score, ...]
    shared_passes: int
    """Passes of all items that a solution could have forged, because it shared a process with the test."""


class MatrixRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One problem: every solution is run against every test."""

    entry_point: EntryPoint
    solutions: Annotated[tuple[str, ...], Meta(description="N self-contained Python sources, taken as they stand.")]
    tests: Annotated[tuple[str, ...], Meta(description="M sources: asserts or unittest classes, as they stand.")]
    context: Annotated[str, Meta(description="Trusted source whose definitions tests may use.")] = ""
    deadline_s: Deadline | None = None


class MatrixReply(Struct, frozen=True, kw_only=True):
    """The pass matrix, in the letters of a matrix file."""

    verdicts: Annotated[
        tuple[str, ...],
        Meta(
            description="A string per solution, a letter per test: P pass, F assertion failed, E error, T timed out, "
            "R resource limit, I tests nothing on this solution, - not run."
        ),
    ]
    shared: Annotated[
        tuple[str, ...],
        Meta(description="The same shape: x where the solution shared the test's process, else a full stop."),
    ]
    complete: Annotated[bool, Meta(description="False: the deadline came before the solutions whose rows are -.")]


class LaneCounts(Struct, frozen=True, kw_only=True):
    """Processes that judge."""

    workers: int
    running: int
    replaced: int


class QueueCounts(Struct, frozen=True, kw_only=True):
    """Items accepted and not yet answered, and how many there may be."""

    items: int
    limit: int


class Health(Struct, frozen=True, kw_only=True):
    """State of the service."""

    status: Annotated[str, Meta(description="ready, or draining before it ends.", examples=["ready"])]
    version: str
    sandbox: Annotated[
        str, Meta(description="works, or failed: so it was with the last request that it judged, or should have.")
    ]
    lanes: LaneCounts
    queue: QueueCounts


class ErrorDetail(Struct, frozen=True, kw_only=True):
    """What was wrong."""

    code: Annotated[str, Meta(description="A word for programs; it stays.")]
    message: Annotated[str, Meta(description="A line for people; it may change.")]


class ErrorReply(Struct, frozen=True, kw_only=True):
    """The body of every answer that is no result."""

    error: ErrorDetail
