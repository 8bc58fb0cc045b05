"""The leaderboards: what each takes, and whether it ranks an entry that was selected from several samples."""

from __future__ import annotations

from msgspec import Struct

from coderm_tasks.errors import ConfigError, did_you_mean

__all__ = ["BOARDS", "Board", "check_acknowledged", "get_board"]


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
        ),
        Board(
            name="livecodebench",
            title="LiveCodeBench leaderboard",
            ranks_best_of_n=False,
            rule="maintainers do not support results of multi-sample aggregation on the leaderboard",
            source="LiveCodeBench/submissions, pull request 14, comment of 2025-12-23",
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
