"""``coderm bundle``: a run as what a leaderboard takes, and the check of such a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from coderm_tasks.cli import livecodebench_flags

if TYPE_CHECKING:
    from coderm_tasks.hosts.bundles.boards import BoardFacts
    from coderm_tasks.hosts.bundles.make import BundleReport
    from coderm_tasks.hosts.bundles.verify import Verification
    from executor import Executor, Limits

__all__ = ["app"]


class _Boards(TyperGroup):
    """A wrong name is answered with the boards that there are."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args and not args[0].startswith("-") and args[0] not in self.commands:
            from coderm_tasks.hosts.bundles.boards import get_board

            get_board(args[0])
        return super().resolve_command(ctx, args)


app = typer.Typer(
    cls=_Boards,
    help="Write a run as what a leaderboard takes, with the statement of its method; check such a bundle.",
    rich_markup_mode=None,
    no_args_is_help=True,
)

Runs = Annotated[
    list[Path],
    typer.Argument(help="Records folder of an lm-eval run, or output of coderm rerank; several: ranks of one run."),
]
Output = Annotated[Path, typer.Option(help="The bundle (*.zip).")]
Model = Annotated[str | None, typer.Option(help="Model whose samples these are.  [default: as the records say]")]
Dataset = Annotated[
    str | None, typer.Option(help="Data set, for records that do not name it: humaneval, mbpp, livecodebench, ...")
]
Temperature = Annotated[float | None, typer.Option(help="Of the samples.  [default: as the records say]")]
Generator = Annotated[str | None, typer.Option(help="Model that wrote the tests.  [default: as the records say]")]
Labels = Annotated[Path | None, typer.Option(help="Ground truth of the samples, from coderm evaluate --output.")]
Unequal = Annotated[bool, typer.Option("--allow-unequal", help="Let problems differ in their number of samples.")]
Acknowledge = Annotated[
    bool, typer.Option("--acknowledge-not-for-board", help="Write a bundle that the board does not rank.")
]
ModelUrl = Annotated[str | None, typer.Option(help="Where the model, or the method, is published.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON on standard output.")]


@app.command()
def evalplus(
    runs: Runs,
    output: Output,
    model: Model = None,
    dataset: Dataset = None,
    temperature: Temperature = None,
    generator: Generator = None,
    labels: Labels = None,
    model_url: ModelUrl = None,
    introduction: Annotated[str | None, typer.Option(help="Of the model, for the issue form.")] = None,
    decontamination: Annotated[str | None, typer.Option(help="Statement for the issue form.")] = None,
    allow_unequal: Unequal = False,
    acknowledge: Acknowledge = False,
    as_json: AsJson = False,
) -> None:
    """EvalPlus: the sample folder, the same as JSONL, and the request form as text. The board ranks greedy pass@1 only.

    \b
    Example:
      coderm bundle evalplus out/coderm_humaneval_plus_coderm_2025 --model Org/Model --output bundle.zip \\
          --acknowledge-not-for-board
      coderm bundle verify bundle.zip
    """
    facts = _facts(model_url=model_url, introduction=introduction, decontamination=decontamination)
    stated = (model, dataset, temperature, generator, allow_unequal)
    _make("evalplus", runs, output, stated, facts, labels, acknowledge, as_json)


@app.command()
def livecodebench(
    runs: Runs,
    output: Output,
    model: Model = None,
    dataset: Dataset = None,
    temperature: Temperature = None,
    generator: Generator = None,
    labels: Labels = None,
    allow_unequal: Unequal = False,
    acknowledge: Acknowledge = False,
    as_json: AsJson = False,
    livecodebench_path: livecodebench_flags.Path = None,
) -> None:
    """LiveCodeBench: the list that its custom evaluator reads. The board takes no multi-sample aggregation.

    A run of a release or a window covers that part; the bundle states it, as the evaluator has to be told it, too.

    \b
    Example:
      coderm bundle livecodebench out/coderm_livecodebench_2025 --model Org/Model --output bundle.zip \\
          --acknowledge-not-for-board
    """
    stated = (model, dataset, temperature, generator, allow_unequal)
    _make("livecodebench", runs, output, stated, _facts(), labels, acknowledge, as_json, livecodebench_path)


@app.command()
def bigcodebench(
    runs: Runs,
    output: Output,
    split: Annotated[
        str | None, typer.Option(help="Prompts that were answered: complete or instruct.  [required]")
    ] = None,
    model: Model = None,
    temperature: Temperature = None,
    generator: Generator = None,
    labels: Labels = None,
    allow_unequal: Unequal = False,
    acknowledge: Acknowledge = False,
    as_json: AsJson = False,
) -> None:
    """BigCodeBench: samples for bigcodebench.evaluate. Its problems come from a file of yours, as they are not ours.

    \b
    Example:
      coderm rerank --problems bigcodebench.jsonl --samples samples.jsonl --tests tests.jsonl \\
          --output best.jsonl --matrix matrix.jsonl
      coderm bundle bigcodebench best.jsonl --split instruct --model Org/Model --temperature 0.8 \\
          --output bundle.zip --acknowledge-not-for-board
    """
    stated = (model, None, temperature, generator, allow_unequal)
    _make("bigcodebench", runs, output, stated, _facts(split=split), labels, acknowledge, as_json)


@app.command()
def hf(
    runs: Runs,
    output: Output,
    hub_dataset: Annotated[
        str | None, typer.Option(help="The benchmark's data set on the hub, owner/name.  [required]")
    ] = None,
    hub_task: Annotated[
        str | None, typer.Option(help="Id of the task in that data set's eval.yaml.  [required]")
    ] = None,
    model: Model = None,
    dataset: Dataset = None,
    temperature: Temperature = None,
    generator: Generator = None,
    labels: Labels = None,
    model_url: ModelUrl = None,
    allow_unequal: Unequal = False,
    as_json: AsJson = False,
    livecodebench_path: livecodebench_flags.Path = None,
) -> None:
    """Hugging Face: .eval_results/*.yaml for the model's repository, with notes that say best-of-N. Needs labels.

    \b
    Example:
      coderm bundle hf out/coderm_humaneval_plus_coderm_2025 --model Org/Model --output bundle.zip \\
          --hub-dataset OWNER/BENCHMARK --hub-task TASK
    """
    facts = _facts(hub_dataset=hub_dataset, hub_task=hub_task, model_url=model_url)
    stated = (model, dataset, temperature, generator, allow_unequal)
    _make("hf", runs, output, stated, facts, labels, True, as_json, livecodebench_path)


@app.command()
def verify(
    bundle: Annotated[Path, typer.Argument(help="A bundle: the zip, or the folder it was unpacked to.")],
    rerun: Annotated[
        float,
        typer.Option(help="Share of the samples run again, and of the problems graded again; 0 runs nothing."),
    ] = 0.05,
    seed: Annotated[
        int | None, typer.Option(help="Seed of that draw, to repeat one.  [default: another every time]")
    ] = None,
    workers: Annotated[int, typer.Option(help="Sandbox workers; 0: one per core.", min=0)] = 0,
    as_json: AsJson = False,
    problems: Annotated[
        Path | None, typer.Option(help="Your file of the problems, where they are not ours (BigCodeBench).")
    ] = None,
    livecodebench_path: livecodebench_flags.Path = None,
) -> None:
    """Check a bundle that anyone may have written: all that it states and shows is derived again from its records.

    Then the samples are selected again, and a share of the verdicts and labels is made again.

    Exit code 0: every check passed or was skipped with a reason, which is said at the end; 1: one failed; 2: no bundle,
    or one that must not be unpacked.

    \b
    Example:
      coderm bundle verify bundle.zip --rerun 0.05
    """
    from coderm_tasks.cli.console import print_json, progress_bar
    from coderm_tasks.hosts.bundles.verify import VerifyRequest, verify_bundle

    def open_box(limits: Limits) -> Executor:
        from executor import open_executor

        # Without the cache: a verdict that is only looked up has not been run again.
        return open_executor(workers=workers, limits=limits, cache=None)

    request = VerifyRequest(
        share=rerun, seed=seed, livecodebench_path=_livecodebench(livecodebench_path), problems=problems
    )
    found = verify_bundle(bundle, open_box, request, bar=progress_bar)
    if as_json:
        print_json(found)
    else:
        _show_checks(found)
    if found.failed:
        raise typer.Exit(1)


def _facts(**given: str | None) -> BoardFacts:
    from coderm_tasks.hosts.bundles.boards import BoardFacts

    return BoardFacts(**given)


def _livecodebench(path: str | None) -> str | None:
    """The copy that the flag, or the file that CODERM_CONFIG names, points to."""
    from coderm_tasks.config import load_config

    return path or load_config().livecodebench_path


def _make(
    board: str,
    runs: list[Path],
    output: Path,
    stated: tuple[str | None, str | None, float | None, str | None, bool],
    facts: BoardFacts,
    labels: Path | None,
    acknowledged: bool,
    as_json: bool,
    livecodebench_path: str | None = None,
) -> None:
    from coderm_tasks.cli.console import print_json
    from coderm_tasks.datasets import CLI_DATASETS, cli_dataset
    from coderm_tasks.hosts.bundles.gather import Stated
    from coderm_tasks.hosts.bundles.make import BundleRequest, make_bundle

    model, dataset, temperature, generator, allow_unequal = stated
    request = BundleRequest(
        board=board,
        runs=tuple(runs),
        output=output,
        stated=Stated(
            model=model,
            dataset=cli_dataset(dataset) if dataset in CLI_DATASETS else dataset,
            temperature=temperature,
            generator=generator,
            allow_unequal=allow_unequal,
        ),
        facts=facts,
        labels=labels,
        livecodebench_path=_livecodebench(livecodebench_path),
        acknowledged=acknowledged,
    )
    report = make_bundle(request)
    if as_json:
        print_json(report)
    else:
        _show_report(report)


def _show_report(report: BundleReport) -> None:
    from coderm_tasks.cli.console import key_value_table, show

    ranked = "yes, with its notes" if report.ranked else "NO: for publication and checking only"
    rows = [
        ("name", report.name),
        ("problems", f"{report.problems:,}"),
        ("ranked by the board", ranked),
        ("unknown, and stated so", ", ".join(report.unfilled) or "nothing"),
        ("written to", report.output),
    ]
    show(key_value_table(f"Bundle for {report.board}: best-of-N, not pass@1", rows))


def _show_checks(found: Verification) -> None:
    from rich.table import Table
    from rich.text import Text

    from coderm_tasks.cli.console import show

    fine = "fine as far as it was checked" if found.skipped else "fine"
    table = Table(title=Text(f"{found.bundle}: {'FAILED' if found.failed else fine}"), title_justify="left")
    for name in ("check", "result", "found"):
        table.add_column(name, overflow="fold")
    for check in found.checks:
        # Names in a bundle are another's text: no markup, no control characters.
        words = (check.name, check.status, check.detail)
        table.add_row(*(Text("".join(c if c.isprintable() else "?" for c in word)) for word in words))
    if found.skipped:
        table.caption = Text(f"{_skipped(found.skipped)}: not a full verification")
        table.caption_justify = "left"
    show(table, result=True)


def _skipped(number: int) -> str:
    return "1 check was skipped" if number == 1 else f"{number} checks were skipped"
