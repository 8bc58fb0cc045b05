"""The leaderboards: what each takes, whether it ranks an entry that was selected from several samples, and what
only the submitter can tell it."""

from __future__ import annotations

from msgspec import Struct

from coderm_tasks.errors import ConfigError, did_you_mean

__all__ = ["BOARDS", "SPLITS", "Board", "BoardFacts", "check_acknowledged", "check_facts", "get_board"]

SPLITS = ("complete", "instruct")
"""BigCodeBench's prompts."""


class Board(Struct, frozen=True, kw_only=True):
    """One leaderboard."""

    name: str
    title: str
    ranks_best_of_n: bool
    """False: the board does not rank such an entry, whatever it is called."""
    rule: str
    """The board's rule, in one sentence."""
    source: str
    """Where that rule can be read."""
    datasets: tuple[str, ...] = ()
    """Data sets that the board is about; empty: it takes any."""


class BoardFacts(Struct, frozen=True, kw_only=True):
    """What only the submitter knows, and the board wants."""

    model_url: str | None = None
    introduction: str | None = None
    decontamination: str | None = None
    hub_dataset: str | None = None
    """The benchmark's data set on the Hugging Face hub, ``owner/name``."""
    hub_task: str | None = None
    """Id of the task in that data set's ``eval.yaml``."""
    split: str | None = None
    """BigCodeBench's: one of :data:`SPLITS`."""


BOARDS = {
    board.name: board
    for board in (
        Board(
            name="evalplus",
            title="EvalPlus leaderboard",
            ranks_best_of_n=False,
            rule="maintainers run the model themselves and rank greedy pass@1; the request form has no field for "
            "reranking",
            source="evalplus/evalplus, .github/ISSUE_TEMPLATE/model_eval_request.yml",
            datasets=("humaneval_plus", "humaneval", "mbpp_plus"),
        ),
        Board(
            name="livecodebench",
            title="LiveCodeBench leaderboard",
            ranks_best_of_n=False,
            rule="maintainers do not support results of multi-sample aggregation on the leaderboard",
            source="LiveCodeBench/submissions, pull request 14, comment of 2025-12-23",
            datasets=("livecodebench",),
        ),
        Board(
            name="hf",
            title="Hugging Face community evals",
            ranks_best_of_n=True,
            rule="no rule against it: a benchmark's table sorts by value alone and shows the notes, so the notes must "
            "say best-of-N",
            source="huggingface.co/docs/hub/eval-results",
        ),
        Board(
            name="bigcodebench",
            title="BigCodeBench leaderboard",
            ranks_best_of_n=False,
            rule="maintainers run the model themselves; the board shows calibrated greedy pass@1, and its request form "
            "has no field for reranking",
            source="bigcode-project/bigcodebench, README and .github/ISSUE_TEMPLATE/model_eval_request.yml",
            datasets=("bigcodebench",),
        ),
    )
}


def get_board(name: str) -> Board:
    """Return the board of this name. Raises ConfigError where there is none."""
    if name not in BOARDS:
        raise ConfigError(f"unknown board {name!r}{did_you_mean(name, BOARDS)}: expected one of {', '.join(BOARDS)}")
    return BOARDS[name]


def check_acknowledged(board: Board, acknowledged: bool) -> None:
    """Refuse a bundle for a board that would not rank it, unless the user knows. Raises ConfigError."""
    if not board.ranks_best_of_n and not acknowledged:
        raise ConfigError(
            f"{board.title}: {board.rule} ({board.source}), so this bundle cannot become an entry there; pass "
            "--acknowledge-not-for-board to write it all the same, for publication or checking"
        )


def check_facts(board: Board, facts: BoardFacts) -> None:
    """Refuse a bundle that lacks what its board wants. Raises ConfigError, which names all that is lacking."""
    if board.name == "bigcodebench" and facts.split not in SPLITS:
        given = "not given" if facts.split is None else repr(facts.split)
        raise ConfigError(
            f"--split is {given}: expected {' or '.join(SPLITS)}, the prompts that were answered; give --split"
        )
    if board.name == "hf":
        wanted = (("--hub-dataset", facts.hub_dataset), ("--hub-task", facts.hub_task))
        if lacking := [flag for flag, value in wanted if not value]:
            raise ConfigError(
                "the hub's ids are not known: expected those of a registered benchmark and its task; give "
                + " and ".join(lacking)
            )
