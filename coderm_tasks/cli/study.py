"""``coderm study``: labelled samples and unit tests in, figures and a report out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from coderm_tasks.cli import livecodebench_flags
from coderm_tasks.cli.engine_flags import ENGINE_HELP, RAY_ADDRESS_HELP, engine_of

if TYPE_CHECKING:
    from rich.table import Table

    from coderm_tasks.study.job import StudyRequest
    from coderm_tasks.study.record import Study
    from executor import Executor, PassMatrix

__all__ = ["study"]


def study(
    dataset: Annotated[str, typer.Option(help="humaneval or mbpp, the EvalPlus sets; or livecodebench.")],
    samples: Annotated[Path, typer.Option(help="EvalPlus samples (JSONL, gzip allowed).")],
    tests: Annotated[Path, typer.Option(help='Unit tests: {"task_id", "test"} a line (gzip allowed).')],
    labels: Annotated[Path, typer.Option(help="Which samples are correct, from coderm evaluate --output.")],
    output: Annotated[Path, typer.Option(help="Folder for study.json, report.html and the figures.")],
    matrix: Annotated[Path | None, typer.Option(help="Verdicts of coderm rerank --matrix: run no cell again.")] = None,
    strategies: Annotated[str | None, typer.Option(help="Names, comma between.  [default: all]")] = None,
    reference: Annotated[str, typer.Option(help="Strategy that the others are compared with.")] = "coderm",
    featured: Annotated[str, typer.Option(help="Strategy that the examples and the extra curve are about.")] = "auto",
    draws: Annotated[int, typer.Option(help="Random draws of the tests per budget.")] = 100,
    slow_draws: Annotated[int, typer.Option(help="The same for strategies that look at more than votes.")] = 10,
    seed: Annotated[int, typer.Option(help="Seed of the draws and of the intervals.")] = 0,
    workers: Annotated[int, typer.Option(help="Sandbox workers; 0 is one per core.")] = 0,
    engine: Annotated[str | None, typer.Option(help=ENGINE_HELP)] = None,
    ray_address: Annotated[str | None, typer.Option(help=RAY_ADDRESS_HELP)] = None,
    no_outputs: Annotated[
        bool, typer.Option("--no-outputs", help="Do not run the tests' calls: leaves output-based strategies out.")
    ] = False,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Neither read nor write the cache of verdicts.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print study.json on standard output.")] = False,
    livecodebench_path: livecodebench_flags.Path = None,
    livecodebench_release: livecodebench_flags.Release = None,
    livecodebench_from: livecodebench_flags.From = None,
    livecodebench_to: livecodebench_flags.To = None,
) -> None:
    """Show what more tests, more samples and better strategies buy, on samples whose correctness is known.

    Best-of-N against the number of tests and of samples, by difficulty; all strategies side by side with paired
    intervals; how good the tests are; what a point costs; problems that were rescued or lost, with the deciding tests.
    Problems that lack samples, tests or labels are left out and named. Needs the extra 'report' (matplotlib).

    \b
    Example:
      coderm evaluate --dataset humaneval --samples samples.jsonl --output labels.jsonl
      coderm study --dataset humaneval --samples samples.jsonl --tests tests.jsonl --labels labels.jsonl --output study
    """
    from coderm_tasks.cli.console import print_json, progress_bar, show
    from coderm_tasks.places import cache_folder
    from coderm_tasks.rerank import canonical_name, strategy_names
    from coderm_tasks.study.job import StudyRequest, compute, execute, prepare, steps_of
    from coderm_tasks.study.output import check_output, write_study

    chosen = [part.strip() for part in strategies.split(",") if part.strip()] if strategies else strategy_names()
    place, address = engine_of(engine, ray_address)
    request = StudyRequest(
        dataset=dataset,
        samples=samples,
        tests=tests,
        labels=labels,
        output=output,
        matrix=matrix,
        strategies=tuple(dict.fromkeys(map(canonical_name, chosen))),
        reference=canonical_name(reference),
        featured=canonical_name(featured),
        outputs=not no_outputs,
        draws=draws,
        slow_draws=slow_draws,
        seed=seed,
        workers=workers,
        engine=place,
        ray_address=address,
        cache=None if no_cache else cache_folder(),
        livecodebench=livecodebench_flags.chosen_slice(
            dataset, livecodebench_path, livecodebench_release, livecodebench_from, livecodebench_to
        ),
    )
    check_output(output)
    plan = prepare(request)
    with _open(request) as executor, progress_bar("cells", plan.cells) as advance:

        def count(finished: PassMatrix) -> None:
            advance(finished.letters.size)

        data = execute(plan, executor, count)
    with progress_bar("curves", steps_of(plan)) as advance:
        found = compute(plan, data, advance)
    write_study(found, output)
    if as_json:
        print_json(found)
    show(_table(found, output))


def _open(request: StudyRequest) -> Executor:
    from executor import open_executor

    return open_executor(
        workers=request.workers,
        limits=request.limits,
        cache=request.cache,
        engine=request.engine,
        ray_address=request.ray_address,
    )


def _table(found: Study, output: Path) -> Table:
    from rich.table import Table

    from coderm_tasks.study.wording import points

    table = Table(
        title=f"{found.setup.dataset}: {found.setup.problems} problems, best of N in percent", title_justify="left"
    )
    for name in ("strategy", "accuracy", "95 % interval", f"over {found.reference}", "95 % interval"):
        table.add_column(name, justify="left" if name == "strategy" else "right")
    for row in found.strategies:
        table.add_row(row.name, *points(row.accuracy), *points(row.over_reference, sign=True))
    table.caption = f"report: {output / 'report.html'}" + "".join(f"\n{note}" for note in found.notes)
    return table
