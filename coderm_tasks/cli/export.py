"""``coderm export``: training data out of a run's samples, tests and matrix."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from coderm_tasks.export.job import ExportReport, ExportRequest
    from executor import Executor

__all__ = ["app"]

app = typer.Typer(
    help="Turn a run into training data: preference pairs, rewards, rated unit tests.",
    rich_markup_mode=None,
    no_args_is_help=True,
)

Samples = Annotated[Path, typer.Option(help="Samples of the run: EvalPlus JSONL, gzip allowed.")]
Tests = Annotated[Path, typer.Option(help='Its unit tests: {"task_id", "test"} a line, gzip allowed.')]
Matrix = Annotated[Path, typer.Option(help="Its verdicts, from coderm rerank --matrix.")]
Output = Annotated[Path, typer.Option(help="Folder for the data and its card, README.md; made if missing.")]
Dataset = Annotated[str | None, typer.Option(help="humaneval or mbpp, the EvalPlus sets; or livecodebench.")]
Problems = Annotated[
    Path | None,
    typer.Option(help='Or problems of your own: {"task_id", "question", "code_ground_truth"} a line (JSONL).'),
]
Labels = Annotated[Path | None, typer.Option(help="Which samples are correct, from coderm evaluate.")]
Strategy = Annotated[
    str, typer.Option(help="Reward: votes (share of tests passed), or a strategy's score from 0 to 1 per problem.")
]
Chat = Annotated[bool, typer.Option("--chat", help="Prompts and answers as lists of messages instead of text.")]
Partial = Annotated[
    bool,
    typer.Option("--allow-partial", help="Take a run that is not whole: matrices, labels, samples, cells missing."),
]
Licence = Annotated[str, typer.Option(help="Licence for the card; to be filled in by hand where it is left out.")]
Workers = Annotated[int, typer.Option(help="Sandbox workers, where --strategy runs code; 0: one per core.")]
NoCache = Annotated[bool, typer.Option("--no-cache", help="Neither read nor write the cache of results.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the summary as JSON on standard output.")]


@app.command()
def preferences(
    samples: Samples,
    tests: Tests,
    matrix: Matrix,
    output: Output,
    dataset: Dataset = None,
    problems: Problems = None,
    labels: Labels = None,
    strategy: Strategy = "votes",
    margin: Annotated[float, typer.Option(help="Least difference of the two rewards.")] = 0.3,
    least_chosen: Annotated[float, typer.Option(help="Least reward of the better solution.")] = 0.5,
    max_pairs: Annotated[int, typer.Option(help="Most pairs of one problem.")] = 8,
    only_confirmed: Annotated[
        bool, typer.Option("--only-confirmed", help="Only pairs of a correct and a wrong solution, by --labels.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Seed of the choice among pairs.")] = 0,
    chat: Chat = False,
    allow_partial: Partial = False,
    licence: Licence = "unknown",
    workers: Workers = 0,
    no_cache: NoCache = False,
    as_json: AsJson = False,
) -> None:
    """Pairs {"prompt", "chosen", "rejected"} for DPO and reward models, as TRL loads them.

    Pairs are of distinct solutions (by syntax tree) whose rewards differ by --margin; solutions take turns, so that no
    problem and no solution has more than its share. A run that was killed goes on with the same command.

    \b
    Example:
      coderm rerank --dataset mbpp --samples samples.jsonl --tests tests.jsonl --output best.jsonl --matrix matrix.jsonl
      coderm export preferences --dataset mbpp --samples samples.jsonl --tests tests.jsonl --matrix matrix.jsonl \\
          --output preferences
    """
    from coderm_tasks.export.pairs import PairRules

    rules = PairRules(
        margin=margin, least_chosen=least_chosen, most=max_pairs, seed=seed, confirmed=only_confirmed
    )  # fmt: skip
    _carry_out(
        as_json,
        no_cache,
        kind="preferences",
        paths=_paths(samples, tests, matrix, labels),
        output=output,
        dataset=dataset,
        problems=problems,
        strategy=strategy,
        pairs=rules,
        chat=chat,
        partial=allow_partial,
        licence=licence,
        workers=workers,
    )


@app.command()
def rewards(
    samples: Samples,
    tests: Tests,
    matrix: Matrix,
    output: Output,
    dataset: Dataset = None,
    problems: Problems = None,
    labels: Labels = None,
    strategy: Strategy = "votes",
    chat: Chat = False,
    allow_partial: Partial = False,
    licence: Licence = "unknown",
    workers: Workers = 0,
    no_cache: NoCache = False,
    as_json: AsJson = False,
) -> None:
    """Every sample with its reward in [0, 1] and the number of tests it is by.

    A run that was killed goes on with the same command. To make tests that the reference passes, see coderm synth.
    """
    _carry_out(
        as_json,
        no_cache,
        kind="rewards",
        paths=_paths(samples, tests, matrix, labels),
        output=output,
        dataset=dataset,
        problems=problems,
        strategy=strategy,
        chat=chat,
        partial=allow_partial,
        licence=licence,
        workers=workers,
    )


@app.command("unittest-sft")
def unittest_sft(
    samples: Samples,
    tests: Tests,
    matrix: Matrix,
    labels: Annotated[Path, typer.Option(help="Which samples are correct, from coderm evaluate.")],
    output: Output,
    dataset: Dataset = None,
    problems: Problems = None,
    allow_partial: Partial = False,
    licence: Licence = "unknown",
    as_json: AsJson = False,
) -> None:
    """The unit tests of each problem with FAR and FRR, in the columns of CodeRM-UnitTest.

    A run that was killed goes on with the same command. To make tests that the reference passes, see coderm synth.
    """
    _carry_out(
        as_json,
        True,
        kind="unittest-sft",
        paths=_paths(samples, tests, matrix, labels),
        output=output,
        dataset=dataset,
        problems=problems,
        partial=allow_partial,
        licence=licence,
    )


def _paths(samples: Path, tests: Path, matrix: Path, labels: Path | None) -> Any:
    from coderm_tasks.export.sources import RunPaths

    return RunPaths(samples=samples, tests=tests, matrix=matrix, labels=labels)


def _carry_out(as_json: bool, no_cache: bool, **request: Any) -> None:
    from contextlib import ExitStack

    from coderm_tasks.cli.console import print_json, progress_bar
    from coderm_tasks.export.job import ExportRequest, export
    from coderm_tasks.places import cache_folder

    wanted = ExportRequest(**request, cache=None if no_cache else cache_folder())
    with ExitStack() as stack:

        def begin(total: int) -> Callable[[int], None]:
            return stack.enter_context(progress_bar("problems", total))

        report = export(wanted, _open, begin)
    _show(report)
    if as_json:
        print_json(report)


def _open(request: ExportRequest) -> Executor:
    from executor import open_executor

    return open_executor(workers=request.workers, cache=request.cache)


def _show(report: ExportReport) -> None:
    from coderm_tasks.cli.console import key_value_table, show

    rows = [("rows", f"{report.rows:,}")]
    rows += [(name, f"{value:,}") for name, value in report.counts.items()]
    rows += [("problems of an earlier run", f"{report.resumed:,}")] if report.resumed else []
    rows += [("time", f"{report.seconds:.1f} s"), ("written to", report.output), ("card", report.card)]
    show(key_value_table(f"Export: {report.kind}", rows))
