"""``coderm synth``: training data for a test generator, out of questions with reference code."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from coderm_tasks.cli import model_flags as flags

if TYPE_CHECKING:
    from coderm_tasks.synth.request import SynthReport, SynthRequest
    from executor import Executor

__all__ = ["synth"]


def synth(
    output: Annotated[Path, typer.Option(help="Folder for the data, its card, its yields and all answers.")],
    dataset: Annotated[str | None, typer.Option(help="humaneval or mbpp, the EvalPlus sets; or livecodebench.")] = None,
    problems: Annotated[
        Path | None,
        typer.Option(help='Or questions of your own: {"task_id", "question", "code_ground_truth"} a line (JSONL).'),
    ] = None,
    model: flags.Model = None,
    base_url: flags.BaseUrl = None,
    engine: flags.Engine = None,
    n: Annotated[int, typer.Option("--n", help="Unit tests per question that are sampled.")] = 10,
    repair_rounds: Annotated[int, typer.Option(help="Repairs that a failing test may take.")] = 2,
    prompt: Annotated[
        str | None, typer.Option(help="See coderm prompts list; it shows the reference.  [default: coderm]")
    ] = None,
    weaker_samples: Annotated[
        Path | None, typer.Option(help="Solutions of a weaker model: EvalPlus JSONL, gzip allowed.")
    ] = None,
    weaker_labels: Annotated[
        Path | None, typer.Option(help="Which of them are correct, from coderm evaluate.  [default: find out]")
    ] = None,
    weaker_model: Annotated[str | None, typer.Option(help="Or a weaker model that writes them.")] = None,
    weaker_base_url: Annotated[str | None, typer.Option(help="Endpoint of the weaker model.")] = None,
    weaker_engine: Annotated[str | None, typer.Option(help="Engine of the weaker model: vllm or hf.")] = None,
    weaker_n: Annotated[int, typer.Option(help="Solutions per question that it writes.")] = 10,
    max_far: Annotated[float, typer.Option(help="Share of the wrong weaker solutions that a test may accept.")] = 0.0,
    temperature: flags.Temperature = None,
    top_p: flags.TopP = None,
    max_tokens: flags.MaxTokens = None,
    concurrency: flags.Concurrency = None,
    seed: flags.Seed = 0,
    limit: Annotated[int | None, typer.Option(help="Only the first questions.")] = None,
    base: flags.Base = False,
    engine_arg: flags.EngineArg = None,
    timeout: flags.Timeout = None,
    patience: flags.Patience = None,
    api_key_env: flags.ApiKeyEnv = None,
    licence: Annotated[str, typer.Option(help="Licence for the card; left out, it is to be filled in.")] = "unknown",
    workers: Annotated[int, typer.Option(help="Sandbox workers; 0: one per core.")] = 0,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Neither read nor write the cache of verdicts.")] = False,
    as_json: flags.AsJson = False,
) -> None:
    """Make training data for a test generator: questions with reference code in, unit tests that hold out.

    Filters the questions, lets a model write tests with the reference before it, runs the reference under them in the
    sandbox, lets the model repair what fails with the interpreter's words before it, and drops tests that accept wrong
    solutions of a weaker model. Writes sft.jsonl (a row per test, for TRL's SFT), unittest-sft.jsonl (a row per
    question, CodeRM-UnitTest's columns), README.md and yield.json. A run that was killed goes on with the same command.

    \b
    Example:
      vllm serve Qwen/Qwen2.5-Coder-32B-Instruct --port 8001
      coderm synth --problems questions.jsonl --output synth \\
          --base-url http://127.0.0.1:8001/v1 --model Qwen/Qwen2.5-Coder-32B-Instruct \\
          --weaker-base-url http://127.0.0.1:8002/v1 --weaker-model Qwen/Qwen2.5-Coder-1.5B-Instruct
    """
    from coderm_tasks.model_config import GeneratorConfig
    from coderm_tasks.places import cache_folder
    from coderm_tasks.synth.job import synthesise
    from coderm_tasks.synth.request import SynthRequest

    sampling = {
        "temperature": temperature,
        "top_p": top_p,
        "max_tokens": max_tokens,
        "concurrency": concurrency,
        "timeout_s": timeout,
        "patience_s": patience,
        "api_key_env": api_key_env,
    }
    with flags.in_flags():
        given = {"model": model, **_prompting(prompt), **sampling}
        config = flags.configure(
            GeneratorConfig, {}, given, base_url=base_url, engine=engine, base=base, words=engine_arg
        )
        request = SynthRequest(
            config=config,
            output=output,
            dataset=dataset,
            problems=problems,
            limit=limit,
            n=n,
            rounds=repair_rounds,
            most=max_far,
            weaker=_weaker(
                weaker_samples, weaker_labels, weaker_n, (weaker_model, weaker_base_url, weaker_engine), sampling
            ),
            seed=seed,
            licence=licence,
            workers=workers,
            cache=None if no_cache else cache_folder(),
        )
        report = synthesise(request, _open, flags.showing_progress)
    _show(report, as_json=as_json)


def _prompting(prompt: str | None) -> dict[str, str]:
    from coderm_tasks.generation.prompts import prompt_info

    if prompt is None:
        return {}
    return {"prompt": prompt, **({} if prompt_info(prompt).needs_candidate else {"condition": "none"})}


def _weaker(
    samples: Path | None,
    labels: Path | None,
    n: int,
    place: tuple[str | None, str | None, str | None],
    sampling: dict[str, Any],
) -> Any:
    """The weaker model's part; its sampling follows the flags of the other model."""
    from coderm_tasks.errors import ConfigError
    from coderm_tasks.model_config import ModelConfig
    from coderm_tasks.synth.weaker_source import WeakerPlan

    model, base_url, engine = place
    if model is None and (base_url is not None or engine is not None):
        raise ConfigError("got a place for a weaker model and no --weaker-model: expected its name; give it")
    config = None
    if model is not None:
        if base_url is None and engine is None:
            raise ConfigError(
                "got --weaker-model and no place where it runs: expected --weaker-base-url or --weaker-engine; give one"
            )
        config = flags.configure(
            ModelConfig, {}, {"model": model, **sampling}, base_url=base_url, engine=engine, base=False, words=None
        )
    return WeakerPlan(samples=samples, labels=labels, config=config, n=n)


def _open(request: SynthRequest) -> Executor:
    from executor import open_executor

    return open_executor(workers=request.workers, limits=request.limits, cache=request.cache)


def _show(report: SynthReport, *, as_json: bool) -> None:
    from rich.table import Table

    from coderm_tasks.cli.console import print_json, show

    table = Table(title=f"Unit tests by {report.model}: what each step let through", title_justify="left")
    for name in ("step", "came", "stayed", "share", "left out"):
        table.add_column(name, justify="left" if name in ("step", "left out") else "right")
    for step in report.yields:
        share = f"{step.stayed / step.came:.1%}" if step.came else "-"
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in step.left_out.items())
        table.add_row(f"{step.step} ({step.unit})", f"{step.came:,}", f"{step.stayed:,}", share, reasons)
    table.caption = (
        f"{report.tests:,} unit tests of {report.problems:,} questions in {report.output}, {report.seconds:.0f} s"
    )
    show(table)
    if as_json:
        print_json(report)
