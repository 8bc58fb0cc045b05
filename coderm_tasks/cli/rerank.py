"""``coderm rerank``: samples and unit tests in, one sample per problem out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from coderm_tasks.cli import livecodebench_flags
from coderm_tasks.cli.engine_flags import ENGINE_HELP, RAY_ADDRESS_HELP

if TYPE_CHECKING:
    from coderm_tasks.config import Config
    from coderm_tasks.pipeline import RunSummary
    from coderm_tasks.rerank_job import RerankRequest
    from executor import Executor, PassMatrix

__all__ = ["rerank"]


def rerank(
    samples: Annotated[Path, typer.Option(help="EvalPlus samples (JSONL, gzip allowed).")],
    dataset: Annotated[str | None, typer.Option(help="humaneval or mbpp, the EvalPlus sets; or livecodebench.")] = None,
    problems: Annotated[
        Path | None,
        typer.Option(help='Or problems of your own: {"task_id", "question", "code_ground_truth"} a line (JSONL).'),
    ] = None,
    output: Annotated[Path | None, typer.Option(help="Chosen samples, for evalplus.evaluate (*.jsonl).")] = None,
    tests: Annotated[Path | None, typer.Option(help='Unit tests: {"task_id", "test"} a line (gzip allowed).')] = None,
    matrix: Annotated[Path | None, typer.Option(help="Also write every verdict here (JSONL).")] = None,
    strategy: Annotated[str | None, typer.Option(help="Rule of selection.  [default: coderm]")] = None,
    workers: Annotated[int | None, typer.Option(help="Sandbox workers.  [default: one per core]")] = None,
    engine: Annotated[str | None, typer.Option(help=ENGINE_HELP)] = None,
    ray_address: Annotated[str | None, typer.Option(help=RAY_ADDRESS_HELP)] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the pick among ties.  [default: 0]")] = None,
    explain: Annotated[
        str | None, typer.Option(help="Say why, for this task id alone, on one screen; writes nothing.")
    ] = None,
    allow_missing: Annotated[
        bool, typer.Option("--allow-missing", help="Let problems without a sample score as wrong.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON on standard output.")] = False,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Neither read nor write the cache of verdicts.")] = False,
    prune: Annotated[
        bool | None,
        typer.Option(
            "--prune/--no-prune", help="Skip cells that cannot change the vote; the selection stays the same."
        ),
    ] = None,
    audit: Annotated[
        float | None,
        typer.Option(help="Share of the cells judged from call tables to run the slow way too, such as 0.01."),
    ] = None,
    max_timeouts: Annotated[
        int | None, typer.Option(help="Timeouts after which the rest of a solution counts as timed out; 0: no limit.")
    ] = None,
    cpu_limit: Annotated[float | None, typer.Option(help="CPU seconds per unit test.")] = None,
    wall_limit: Annotated[float | None, typer.Option(help="Wall-clock seconds per call.")] = None,
    memory_limit: Annotated[int | None, typer.Option(help="Memory of a process, MiB.")] = None,
    livecodebench_path: livecodebench_flags.Path = None,
    livecodebench_release: livecodebench_flags.Release = None,
    livecodebench_from: livecodebench_flags.From = None,
    livecodebench_to: livecodebench_flags.To = None,
) -> None:
    """Choose one sample per problem by unit tests, for evalplus.evaluate.

    Runs every sample against every unit test of its problem in the sandbox. Writes the chosen samples to OUTPUT, and
    scores, ties and tests used to <stem of OUTPUT>.selection.jsonl beside it, and the record of the run (settings,
    versions, totals, hashes) to <stem of OUTPUT>.run.json. Defaults come from the file that
    CODERM_CONFIG names. Verdicts are cached: a run that was interrupted goes on where it stopped.

    \b
    Example:
      coderm rerank --dataset humaneval --samples samples.jsonl --tests tests.jsonl --output reranked.jsonl
      evalplus.evaluate --dataset humaneval --samples reranked.jsonl
      coderm rerank --dataset humaneval --samples samples.jsonl --tests tests.jsonl --explain HumanEval/12
      coderm rerank --problems mine.jsonl --samples samples.jsonl --tests tests.jsonl --output reranked.jsonl
    """
    from coderm_tasks.cli.console import print_json, progress_bar, show
    from coderm_tasks.places import cache_folder
    from coderm_tasks.rerank_job import RerankRequest, carry_out, prepare

    flags = {"tests": str(tests) if tests else None, "strategy": strategy, "seed": seed, "prune": prune, "audit": audit}
    flags |= {"engine": engine, "ray_address": ray_address}
    limits = {"cpu_s": cpu_limit, "wall_s": wall_limit, "memory_mb": memory_limit, "max_timeouts": max_timeouts}
    config = _config(flags, limits, workers)
    request = RerankRequest(
        dataset=dataset,
        problems=problems,
        samples=samples,
        tests=_tests(config),
        output=_output(output, explain),
        matrix=matrix,
        strategy=config.strategy,
        seed=config.seed,
        allow_missing=allow_missing,
        workers=config.workers,
        engine=config.engine,
        ray_address=config.ray_address,
        limits=config.limits,
        cache=cache_folder() if config.cache and not no_cache else None,
        prune=config.prune,
        audit=config.audit,
        livecodebench=livecodebench_flags.chosen_slice(
            dataset, livecodebench_path, livecodebench_release, livecodebench_from, livecodebench_to
        ),
    )
    if explain is not None:
        _explain(request, explain)
        return
    plan = prepare(request)
    with progress_bar("cells", plan.cells) as advance:

        def count(finished: PassMatrix) -> None:
            advance(finished.letters.size)

        report = carry_out(plan, _open, count)
    show(_summary_table(report.summary, report.output))
    if as_json:
        print_json(report)


def _config(flags: dict[str, Any], limits: dict[str, Any], workers: int | None) -> Config:
    """CODERM_CONFIG's file, overridden by the flags that were given."""
    import msgspec

    from coderm_tasks.config import load_config
    from coderm_tasks.errors import ConfigError

    if workers is not None:
        if workers < 1:
            raise ConfigError(f"--workers is {workers}: expected at least 1; leave it out for one worker per core")
        flags = {**flags, "workers": workers}
    settings = {name: value for name, value in flags.items() if value is not None}
    if flags["engine"] == "local":
        # The address of the file is for the file's engine; one beside --engine local is refused.
        settings.setdefault("ray_address", None)
    config = load_config(settings)
    given = {name: value for name, value in limits.items() if value is not None}
    if (most := given.get("max_timeouts")) is not None:
        if most < 0:
            raise ConfigError(f"--max-timeouts is {most}: expected at least 1, or 0 for no limit")
        given["max_timeouts"] = most or None
    return msgspec.structs.replace(config, limits=msgspec.structs.replace(config.limits, **given))


def _output(output: Path | None, explain: str | None) -> Path:
    from coderm_tasks.errors import ConfigError

    if output is None and explain is None:
        raise ConfigError(
            "got no --output: expected a file for the chosen samples; give --output FILE, or --explain ID"
        )
    return output or Path("unwritten.jsonl")


def _explain(request: RerankRequest, task_id: str) -> None:
    from coderm_tasks.cli.explanation import show_explanation
    from coderm_tasks.explain import explain, run_one
    from coderm_tasks.rerank_job import read_work

    work = read_work(request)
    with _open(request) as executor:
        problem, item = run_one(executor, work, task_id, request.strategy)
    show_explanation(explain(problem, item.tests, request.strategy, request.seed))


def _tests(config: Config) -> Path:
    from coderm_tasks.errors import ConfigError

    if config.tests is None:
        raise ConfigError("got no unit tests: expected a file of them; give --tests FILE")
    return Path(config.tests)


def _open(request: RerankRequest) -> Executor:
    from executor import open_executor

    return open_executor(
        workers=request.workers,
        limits=request.limits,
        cache=request.cache,
        engine=request.engine,
        ray_address=request.ray_address,
    )


def _summary_table(summary: RunSummary, output: str) -> Any:
    from coderm_tasks.cli.console import key_value_table

    verdicts = ", ".join(f"{name} {share:.1%}" for name, share in summary.verdict_shares.items()) or "none"
    rate = summary.cells / summary.seconds if summary.seconds > 0 else 0.0
    return key_value_table(
        f"Selected by {summary.strategy}",
        (
            ("problems", f"{summary.problems:,}"),
            *((f"  {name}", f"{count:,}") for name, count in summary.by_difficulty.items()),
            ("  without samples (score as wrong)", f"{len(summary.no_samples):,}"),
            ("  without usable tests (first sample)", f"{len(summary.no_tests):,}"),
            ("  drawn among ties", f"{summary.tied:,}"),
            ("solutions", f"{summary.solutions:,}"),
            ("unique solutions", f"{summary.unique_solutions:,}"),
            ("unit tests", f"{summary.tests:,}"),
            ("cells", f"{summary.cells:,}"),
            ("  run now / from the cache", f"{summary.cells_run:,} / {summary.cells_cached:,}"),
            ("  lifted / split / shared", f"{summary.lifted:,} / {summary.split:,} / {summary.shared:,}"),
            ("  timed out without a run", f"{summary.assumed:,}"),
            *([("  pruned", f"{summary.pruned:,}")] if summary.pruned else []),
            *(
                [("  audited / disagree", f"{summary.audited:,} / {len(summary.disagreements):,}")]
                if summary.audited
                else []
            ),
            ("verdicts", verdicts),
            ("time", f"{summary.seconds:.1f} s ({rate:,.0f} cells/s)"),
            ("written to", output),
        ),
    )
