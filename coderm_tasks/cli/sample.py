"""``coderm sample``: a model writes solutions for the problems of a data set."""

from __future__ import annotations

from typing import Annotated

import typer

from coderm_tasks.cli import livecodebench_flags
from coderm_tasks.cli import model_flags as flags

__all__ = ["sample"]

_MAX_TOKENS = 1024


def sample(
    dataset: flags.Dataset,
    output: flags.Output,
    model: flags.Model = None,
    base_url: flags.BaseUrl = None,
    engine: flags.Engine = None,
    n: Annotated[int, typer.Option("--n", help="Solutions per problem.")] = 100,
    temperature: flags.Temperature = None,
    top_p: flags.TopP = None,
    max_tokens: Annotated[
        int | None, typer.Option(help=f"Token limit of one answer.  [default: {_MAX_TOKENS}]")
    ] = None,
    logprobs: Annotated[
        bool | None,
        typer.Option("--logprobs", help="Add mean_logprob (nats per token) to each sample, where the model gives it."),
    ] = None,
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
    """Let a model write solutions, in EvalPlus's format.

    Every answer is synced to <stem of OUTPUT>.answers.jsonl as it arrives: a run that was interrupted or killed goes on
    from there with the same command, a larger --n asks only for the rest, and other parameters are refused. OUTPUT is
    written when the run is done. An answer without code stays in as an empty sample, which fails.

    \b
    Example:
      vllm serve Qwen/Qwen2.5-Coder-7B-Instruct --port 8000 --max-model-len 8192 --enable-prefix-caching
      coderm sample --dataset humaneval --output samples.jsonl \\
          --base-url http://127.0.0.1:8000/v1 --model Qwen/Qwen2.5-Coder-7B-Instruct
    """
    from coderm_tasks import generate_job
    from coderm_tasks.model_config import ModelConfig

    given = {
        "model": model,
        "temperature": temperature,
        "top_p": top_p,
        "max_tokens": max_tokens,
        "logprobs": logprobs,
        "concurrency": concurrency,
        "timeout_s": timeout,
        "patience_s": patience,
        "api_key_env": api_key_env,
    }
    with flags.in_flags():
        defaults = {"max_tokens": _MAX_TOKENS}
        config = flags.configure(
            ModelConfig, defaults, given, base_url=base_url, engine=engine, base=base, words=engine_arg
        )
        request = generate_job.GenerateRequest(
            dataset=dataset,
            config=config,
            n=n,
            seed=seed,
            output=output,
            limit=limit,
            stored_only=stored_only,
            livecodebench=livecodebench_flags.chosen_slice(
                dataset, livecodebench_path, livecodebench_release, livecodebench_from, livecodebench_to
            ),
        )
        with flags.showing_progress("solutions") as tell:
            report = generate_job.sample(request, tell)
        flags.report_to_user(f"Solutions by {report.model}", "solutions", report, as_json=as_json)
        generate_job.check_complete(report)
