"""The flags that ``coderm generate`` and ``coderm sample`` share: which model is asked, and how."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

if TYPE_CHECKING:
    from coderm_tasks.generate_job import GenerateReport
    from coderm_tasks.generation.base import Progress as State
    from coderm_tasks.generation.base import ProgressCallback
    from coderm_tasks.model_config import ModelConfig

__all__ = [
    "ApiKeyEnv",
    "AsJson",
    "Base",
    "BaseUrl",
    "Concurrency",
    "Dataset",
    "Engine",
    "EngineArg",
    "Limit",
    "MaxTokens",
    "Model",
    "Output",
    "Patience",
    "Seed",
    "StoredOnly",
    "Temperature",
    "Timeout",
    "TopP",
    "configure",
    "engine_args",
    "in_flags",
    "report_to_user",
    "showing_progress",
]

Dataset = Annotated[str, typer.Option(help="humaneval or mbpp, the EvalPlus sets; or livecodebench.")]
Output = Annotated[Path, typer.Option(help="File to write (JSONL); <stem>.answers.jsonl beside it keeps all answers.")]
Model = Annotated[
    str | None, typer.Option(help="Model at the endpoint; for --engine a folder, a GGUF file or a name on the hub.")
]
BaseUrl = Annotated[str | None, typer.Option(help="OpenAI-compatible endpoint: http://HOST:PORT/v1.")]
Engine = Annotated[str | None, typer.Option(help="Run the model in this process instead: vllm, or hf (transformers).")]
EngineArg = Annotated[
    list[str] | None, typer.Option(help="Argument of the engine, NAME=VALUE; may be given several times.")
]
Temperature = Annotated[float | None, typer.Option(help="0 is greedy.  [default: 0.8]")]
TopP = Annotated[float | None, typer.Option("--top-p", help="Nucleus.  [default: 0.95]")]
MaxTokens = Annotated[int | None, typer.Option(help="Token limit of one answer.  [default: 2048]")]
Concurrency = Annotated[int | None, typer.Option(help="Requests in flight, each for up to 10 answers.  [default: 64]")]
Seed = Annotated[int, typer.Option(help="The requests' seeds derive from it.")]
Limit = Annotated[int | None, typer.Option(help="Only the first problems of the data set.")]
Base = Annotated[bool, typer.Option("--base", help="No chat template: a base model continues the prompt.")]
Timeout = Annotated[
    float | None, typer.Option(help="Seconds after which an unanswered request is made again.  [default: 600]")
]
Patience = Annotated[
    float | None,
    typer.Option(help="Seconds for which a failing endpoint (down, 429, 5xx) is asked again.  [default: 600]"),
]
ApiKeyEnv = Annotated[
    str | None, typer.Option(help="Environment variable that holds the key.  [default: OPENAI_API_KEY]")
]
StoredOnly = Annotated[
    bool, typer.Option("--stored-only", help="Ask nothing: write the output from the answers that are stored.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the summary as JSON on standard output.")]

_LINE_S = 60.0
_Config = TypeVar("_Config", bound="ModelConfig")


def configure(
    kind: type[_Config],
    defaults: Mapping[str, Any],
    given: Mapping[str, Any],
    *,
    base_url: str | None,
    engine: str | None,
    base: bool,
    words: Sequence[str] | None,
) -> _Config:
    """The flags that were given over the defaults.

    Raises:
        ConfigError: no model, no place where it runs, two places, or a value that cannot be used.
    """
    import msgspec

    from coderm_tasks.errors import ConfigError

    merged = {**defaults, **{name: value for name, value in given.items() if value is not None}}
    if base_url is not None and engine not in (None, "openai"):
        raise ConfigError("got --base-url and --engine: expected one of them; leave the other out")
    if base_url is not None or engine is not None:
        merged.update(engine=engine or "openai", base_url=base_url or "", engine_args={})
    if not merged.get("base_url") and merged.get("engine", "openai") == "openai":
        raise ConfigError(
            "got no model to ask: expected a server or an engine; give --base-url http://HOST:PORT/v1, or --engine "
            "vllm or hf to run the model in this process"
        )
    if "model" not in merged:
        raise ConfigError("got no --model: expected the name under which the model is served; give it")
    if base:
        merged["chat"] = False
    if words:
        merged["engine_args"] = engine_args(words)
    try:
        return msgspec.convert(merged, kind)
    except msgspec.ValidationError as error:
        raise ConfigError(str(error)) from error


def engine_args(words: Sequence[str] | None) -> dict[str, Any]:
    """``NAME=VALUE`` words as arguments; a value that is JSON (a number, true, a list) is read as such."""
    import msgspec

    from coderm_tasks.errors import ConfigError

    found: dict[str, Any] = {}
    for word in words or ():
        name, equals, value = word.partition("=")
        name = name.strip().removeprefix("--").replace("-", "_")
        if not equals or not name.isidentifier():
            raise ConfigError(f"--engine-arg is {word!r}: expected NAME=VALUE such as max_model_len=8192")
        try:
            found[name] = msgspec.json.decode(value)
        except msgspec.DecodeError:
            found[name] = value
    return found


@contextmanager
def in_flags() -> Iterator[None]:
    """Let errors speak of flags where they speak of settings."""
    from coderm_tasks.errors import CoderMError

    try:
        yield
    except CoderMError as error:
        words = re.sub(r"\bgenerator\.(\w+)", lambda found: "--" + found[1].replace("_", "-"), str(error))
        raise type(error)(words) from error


@contextmanager
def showing_progress(what: str) -> Iterator[ProgressCallback]:
    """Done of total, valid share, tokens a second, time left on standard error: a bar; in a file a line a minute."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    if not console.is_terminal:
        yield _lines(what)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rates]}"),
        TimeElapsedColumn(),
        TextColumn("ETA"),
        TimeRemainingColumn(),
    )
    began = time.monotonic()
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(what, total=None, rates="")

        def tell(state: State) -> None:
            bar.update(task, completed=state.done, total=state.total, rates=_rates(state, time.monotonic() - began))

        yield tell


def _lines(what: str) -> ProgressCallback:
    began = told = time.monotonic()
    first: list[int] = []

    def tell(state: State) -> None:
        nonlocal told
        first.append(state.done) if not first else None
        now = time.monotonic()
        if now - told < _LINE_S:
            return
        told = now
        gained = state.done - first[0]
        left = (state.total - state.done) * (now - began) / gained / 60 if gained > 0 else None
        eta = f"{left:,.0f} min left" if left is not None else "time left unknown"
        line = f"{what}: {state.done:,} of {state.total:,}, {_rates(state, now - began)}, {eta}"
        typer.echo(line, err=True)

    return tell


def _rates(state: State, seconds: float) -> str:
    valid = f"{state.usable / max(1, state.completions):.0%} valid"
    return f"{valid}, {state.new_tokens / seconds:,.0f} tokens/s" if seconds > 1 and state.new_tokens else valid


def report_to_user(title: str, unit: str, report: GenerateReport, *, as_json: bool) -> None:
    """The summary: a table on standard error, JSON on standard output where it was asked for."""
    from coderm_tasks.cli.console import key_value_table, print_json, show

    rate = report.tokens / report.seconds if report.seconds > 0 and report.requests else 0.0
    rows = [
        ("problems", f"{report.problems:,}"),
        (f"{unit} written / wanted", f"{report.written:,} / {report.wanted:,}"),
        ("answers", f"{report.completions:,}"),
        ("  usable", f"{report.usable:,} ({report.usable_share:.1%})"),
        ("  ended by", _counts(report.finish_reasons)),
        ("  left out", _counts(report.dropped)),
        ("requests made / reused", f"{report.requests:,} / {report.reused:,}"),
        ("tokens", f"{report.tokens:,}" + (f" ({rate:,.0f}/s)" if rate and not report.reused else "")),
        ("problems below n", f"{len(report.short):,}"),
        ("problems refused", f"{len(report.failed):,}"),
        ("time", f"{report.seconds:.1f} s"),
        ("written to", report.output),
        ("answers kept in", report.answers),
    ]
    show(key_value_table(title, rows))
    if as_json:
        print_json(report)


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items(), key=lambda pair: -pair[1])) or "-"
