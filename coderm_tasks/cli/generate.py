"""``coderm generate``: a model writes unit tests for the problems of a data set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from coderm_tasks.cli import livecodebench_flags
from coderm_tasks.cli import model_flags as flags

__all__ = ["generate"]

_BUDGET = 100


def generate(
    dataset: flags.Dataset,
    output: flags.Output,
    model: flags.Model = None,
    base_url: flags.BaseUrl = None,
    engine: flags.Engine = None,
    samples: Annotated[
        Path | None, typer.Option(help="Solutions of which the prompt shows one: EvalPlus JSONL, gzip allowed.")
    ] = None,
    n: Annotated[int, typer.Option("--n", help="Unit tests per problem.")] = _BUDGET,
    prompt: Annotated[
        str | None,
        typer.Option(help="See coderm prompts list.  [default: coderm; unittest-blind with --condition none]"),
    ] = None,
    condition: Annotated[
        str | None,
        typer.Option(
            help="Solution that the prompt shows: none, first, rotate (over distinct ones).  [default: first]"
        ),
    ] = None,
    temperature: flags.Temperature = None,
    top_p: flags.TopP = None,
    max_tokens: flags.MaxTokens = None,
    concurrency: flags.Concurrency = None,
    seed: flags.Seed = 0,
    limit: flags.Limit = None,
    base: flags.Base = False,
    engine_arg: flags.EngineArg = None,
    timeout: flags.Timeout = None,
    patience: flags.Patience = None,
    api_key_env: flags.ApiKeyEnv = None,
    stored_only: flags.StoredOnly = False,
    as_json: flags.AsJson = False,
    livecodebench_path: livecodebench_flags.Path = None,
    livecodebench_release: livecodebench_flags.Release = None,
    livecodebench_from: livecodebench_flags.From = None,
    livecodebench_to: livecodebench_flags.To = None,
) -> None:
    """Let a model write unit tests for coderm rerank.

    Every answer is synced to <stem of OUTPUT>.answers.jsonl as it arrives: a run that was interrupted or killed goes on
    from there with the same command, a larger --n asks only for the rest, and other parameters are refused. OUTPUT is
    written when the run is done. Asking ends per problem when it has its tests, or after twice as many answers.

    \b
    Example:
      vllm serve KAKA22/CodeRM-8B --port 8001 --max-model-len 8192 --enable-prefix-caching
      coderm generate --dataset humaneval --samples samples.jsonl --output tests.jsonl \\
          --base-url http://127.0.0.1:8001/v1 --model KAKA22/CodeRM-8B
      coderm rerank --dataset humaneval --samples samples.jsonl --tests tests.jsonl --output reranked.jsonl
    """
    from coderm_tasks import generate_job
    from coderm_tasks.model_config import GeneratorConfig

    with flags.in_flags():
        given = {
            "model": model,
            **_prompting(prompt, condition),
            "temperature": temperature,
            "top_p": top_p,
            "max_tokens": max_tokens,
            "concurrency": concurrency,
            "timeout_s": timeout,
            "patience_s": patience,
            "api_key_env": api_key_env,
        }
        config = flags.configure(
            GeneratorConfig, _configured(), given, base_url=base_url, engine=engine, base=base, words=engine_arg
        )
        request = generate_job.GenerateRequest(
            dataset=dataset,
            config=config,
            n=n,
            seed=seed,
            output=output,
            samples=samples,
            limit=limit,
            stored_only=stored_only,
            livecodebench=livecodebench_flags.chosen_slice(
                dataset, livecodebench_path, livecodebench_release, livecodebench_from, livecodebench_to
            ),
        )
        with flags.showing_progress("unit tests") as tell:
            report = generate_job.generate(request, tell)
        flags.report_to_user(f"Unit tests by {report.model}", "unit tests", report, as_json=as_json)
        generate_job.check_complete(report)


def _configured() -> dict[str, Any]:
    """The generator of the file that CODERM_CONFIG names; nothing where there is none."""
    import msgspec

    from coderm_tasks.config import load_config

    generator = load_config().generator
    return msgspec.to_builtins(generator) if generator is not None else {}


def _prompting(prompt: str | None, condition: str | None) -> dict[str, str | None]:
    """Prompt and condition where one follows from the other.

    Raises:
        ConfigError: an unknown prompt, or a condition that it cannot meet.
    """
    from coderm_tasks.errors import ConfigError
    from coderm_tasks.generation.prompts import BLIND, prompt_info

    if prompt is None:
        return {"prompt": BLIND if condition == "none" else None, "condition": condition}
    if prompt_info(prompt).needs_candidate:
        return {"prompt": prompt, "condition": condition}
    if condition not in (None, "none"):
        raise ConfigError(
            f"--condition is {condition!r}, and the prompt {prompt!r} shows no solution: leave --condition out, or use "
            "--prompt coderm"
        )
    return {"prompt": prompt, "condition": "none"}
