"""``coderm evaluate``: label every sample of a file by ground truth, in the sandbox, and compute pass@k."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from msgspec import Struct

from coderm_tasks.cli import livecodebench_flags
from coderm_tasks.cli.engine_flags import ENGINE_HELP, RAY_ADDRESS_HELP, engine_of

if TYPE_CHECKING:
    from coderm_tasks.files import Samples
    from coderm_tasks.groundtruth import Labels
    from coderm_tasks.metrics import PassAtK
    from coderm_tasks.model import Problem
    from executor import Executor, Limits

__all__ = ["evaluate"]


_LONGEST_WALL_S = 7200.0


class _Run(Struct, frozen=True):
    """How samples are to be executed."""

    workers: int
    """0: one per core."""
    limits: Limits | None
    """Of a call; None: those of the benchmark."""
    cache: Path | None
    engine: str
    ray_address: str | None
    evalplus_bug_compat: bool


def evaluate(
    dataset: Annotated[
        str, typer.Option(help="humaneval or mbpp: HumanEval+ or MBPP+, as in evalplus.evaluate; or livecodebench.")
    ],
    samples: Annotated[Path, typer.Option(help="Samples to grade: EvalPlus JSONL, gzip allowed.")],
    output: Annotated[Path, typer.Option(help="Labels to write: JSONL, one record per sample, in the file's order.")],
    workers: Annotated[int | None, typer.Option(help="Sandbox workers; default: one per core.")] = None,
    engine: Annotated[str | None, typer.Option(help=ENGINE_HELP)] = None,
    ray_address: Annotated[str | None, typer.Option(help=RAY_ADDRESS_HELP)] = None,
    cpu_limit: Annotated[float | None, typer.Option(help="CPU seconds that one call may take.")] = None,
    evalplus_bug_compat: Annotated[
        bool, typer.Option("--evalplus-bug-compat", help="Fail everyone on HumanEval/32, as EvalPlus 0.3.1 does.")
    ] = False,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Neither read nor write the cache of outputs.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")] = False,
    livecodebench_path: livecodebench_flags.Path = None,
    livecodebench_release: livecodebench_flags.Release = None,
    livecodebench_from: livecodebench_flags.From = None,
    livecodebench_to: livecodebench_flags.To = None,
) -> None:
    """Grade samples by the data set's own rules, executed in the sandbox, and compute pass@k.

    EvalPlus's rules for humaneval and mbpp. For livecodebench those of its official evaluator: base stands for the
    public tests, plus for all of them, and pass@k is also given by difficulty.

    Outputs are cached: a run that was interrupted goes on where it stopped.

    \b
    Example:
      coderm evaluate --dataset humaneval --samples samples.jsonl --output labels.jsonl
    """
    from coderm_tasks.atomic import atomic_writer, check_writable
    from coderm_tasks.cli.console import print_json
    from coderm_tasks.config import load_config
    from coderm_tasks.datasets import cli_dataset, load_problems
    from coderm_tasks.errors import InputError
    from coderm_tasks.files import read_samples
    from coderm_tasks.places import cache_folder

    began = time.monotonic()
    config = load_config()
    cache = cache_folder() if config.cache and not no_cache else None
    run = _Run(
        _workers(workers, config.workers),
        _limits(cpu_limit),
        cache,
        *engine_of(engine, ray_address, config),
        evalplus_bug_compat,
    )
    name = cli_dataset(dataset)
    chosen = livecodebench_flags.chosen_slice(
        dataset, livecodebench_path, livecodebench_release, livecodebench_from, livecodebench_to
    )
    if samples.resolve() == output.resolve():
        raise InputError(f"{output}: is both --samples and --output; expected different files; name another path")
    check_writable(output)
    with _open(run) as executor:
        problems = load_problems(name, chosen)
        given = read_samples(samples, {problem.task_id: problem for problem in problems}, ignore_unknown=chosen.is_part)
        labels = _label(executor, run, problems, given)
    with atomic_writer(output) as stream:
        stream.writelines(_line(record) for record in labels.records)
    _print_table(dataset, labels)
    if as_json:
        print_json(_summary(dataset, output, labels, time.monotonic() - began))


def _workers(flag: int | None, default: int) -> int:
    from coderm_tasks.errors import ConfigError

    if flag is None:
        return default
    if flag < 1:
        raise ConfigError(f"--workers is {flag}: expected at least 1; leave it out for one per core")
    return flag


def _limits(cpu_limit: float | None) -> Limits | None:
    import msgspec

    from coderm_tasks.groundtruth import GROUND_TRUTH_LIMITS

    if cpu_limit is None:
        return None
    wall = min(_LONGEST_WALL_S, max(GROUND_TRUTH_LIMITS.wall_s, 5 * cpu_limit))
    return msgspec.structs.replace(GROUND_TRUTH_LIMITS, cpu_s=cpu_limit, wall_s=wall)


def _open(run: _Run) -> Executor:
    from coderm_tasks.groundtruth import GROUND_TRUTH_LIMITS
    from executor import open_executor

    return open_executor(
        workers=run.workers,
        limits=run.limits or GROUND_TRUTH_LIMITS,
        cache=run.cache,
        engine=run.engine,
        ray_address=run.ray_address,
        warm=True,
    )


def _label(executor: Executor, run: _Run, problems: Sequence[Problem], samples: Samples) -> Labels:
    from coderm_tasks.cli.console import progress_bar
    from coderm_tasks.groundtruth import label_samples

    with progress_bar("grading samples", len(samples.order)) as advance:
        return label_samples(
            executor,
            problems,
            samples,
            limits=run.limits,
            progress=advance,
            evalplus_bug_compat=run.evalplus_bug_compat,
        )


class _Summary(Struct, frozen=True, kw_only=True):
    """What ``--json`` prints."""

    dataset: str
    output: str
    samples: int
    problems: int
    """Problems that have samples; pass@k is their mean."""
    problems_without_samples: tuple[str, ...]
    base: tuple[PassAtK, ...]
    plus: tuple[PassAtK, ...]
    by_difficulty: dict[str, tuple[PassAtK, ...]]
    """``plus`` of the problems of each of the data set's difficulties; empty where it has none."""
    seconds: float


def _summary(dataset: str, output: Path, labels: Labels, seconds: float) -> _Summary:
    return _Summary(
        dataset=dataset,
        output=str(output),
        samples=len(labels.records),
        problems=labels.base[0].problems,
        problems_without_samples=labels.without_samples,
        base=labels.base,
        plus=labels.plus,
        by_difficulty=labels.by_difficulty,
        seconds=round(seconds, 3),
    )


def _line(record: Struct) -> str:
    import msgspec

    return msgspec.json.encode(record).decode("utf-8") + "\n"


def _print_table(dataset: str, labels: Labels) -> None:
    from rich.table import Table

    from coderm_tasks.cli.console import show

    table = Table(title=f"{dataset}: {len(labels.records)} samples of {labels.base[0].problems} problems")
    table.add_column("metric")
    extra = (
        ("public tests", "all tests") if labels.by_difficulty else (f"{dataset} (base)", f"{dataset}+ (base and extra)")
    )
    for name in extra:
        table.add_column(name, justify="right")
    for base, plus in zip(labels.base, labels.plus, strict=True):
        table.add_row(f"pass@{base.k}", _percent(base), _percent(plus))
    for difficulty, metrics in labels.by_difficulty.items():
        for plus in metrics:
            table.add_row(f"pass@{plus.k} {difficulty} ({plus.problems} problems)", "", _percent(plus))
    if labels.without_samples:
        table.caption = f"{len(labels.without_samples)} problems have no samples and are left out of the mean"
    show(table)


def _percent(metric: PassAtK) -> str:
    spread = "" if metric.stderr is None else f" ± {100 * metric.stderr:.2f}"
    return f"{100 * metric.value:.2f} %{spread}"
