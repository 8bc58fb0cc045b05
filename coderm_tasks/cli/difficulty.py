"""``coderm difficulty``: train a difficulty classifier, predict with one, evaluate one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from msgspec import Struct

if TYPE_CHECKING:
    from coderm_tasks.difficulty_job import Sources
    from difficulty import Evaluation, FitOptions

__all__ = ["app"]

app = typer.Typer(
    help="Predict how hard problems are, from their text or from samples, and plan the unit tests they get.",
    rich_markup_mode=None,
    no_args_is_help=True,
)

Dataset = Annotated[str, typer.Option(help="humaneval or mbpp, the EvalPlus sets.")]
SampleFiles = Annotated[
    list[Path], typer.Option("--samples", help="EvalPlus samples (JSONL, gzip allowed); once per policy model.")
]
LabelFiles = Annotated[
    list[Path], typer.Option("--labels", help="Labels beside them, from coderm evaluate; once per --samples.")
]
MatrixFiles = Annotated[
    list[Path] | None, typer.Option("--matrix", help="Matrix from coderm rerank --matrix; once per --samples.")
]
Blocks = Annotated[str, typer.Option(help="Feature blocks: text, ngrams, samples, behaviour, hidden; comma between.")]
Kind = Annotated[str, typer.Option(help="network (the paper's two layers) or logistic.")]
Exclude = Annotated[list[str] | None, typer.Option(help="Task id to leave out; may be repeated.")]
HiddenModel = Annotated[str | None, typer.Option(help="transformers model for the block hidden (extra hf).")]
GgufFile = Annotated[str | None, typer.Option(help="GGUF file within --hidden-model.")]
Layer = Annotated[int, typer.Option(help="Layer of --hidden-model: 0 is the embedding, -1 the last.")]
Seed = Annotated[int, typer.Option(help="Seed of the folds and of the first weights.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON on standard output.")]


@app.command()
def train(
    dataset: Dataset,
    samples: SampleFiles,
    labels: LabelFiles,
    output: Annotated[Path, typer.Option(help="Where the classifier goes; its card lies beside it.")] = Path(
        "model.skops"
    ),
    matrix: MatrixFiles = None,
    blocks: Blocks = "samples",
    kind: Kind = "network",
    exclude: Exclude = None,
    hidden_model: HiddenModel = None,
    gguf_file: GgufFile = None,
    layer: Layer = -1,
    reach: Annotated[int, typer.Option(help="Most tests of a gain curve (with --matrix).")] = 64,
    draws: Annotated[int, typer.Option(help="Bootstrap draws per size of a gain curve (with --matrix).")] = 20,
    seed: Seed = 0,
) -> None:
    """Train a classifier on labelled samples; with --matrix also the gain curves that allocation 'gain' needs.

    \b
    Example:
      coderm difficulty train --dataset mbpp --samples samples.jsonl --labels labels.jsonl --output model.skops
    """
    from datetime import datetime, timezone

    import difficulty
    from coderm_tasks.atomic import check_writable
    from coderm_tasks.difficulty_job import CurveOptions, as_input_error, check_blocks, read_training_set

    sources = _sources(dataset, samples, labels, matrix, exclude, (hidden_model, gguf_file, layer))
    with as_input_error():
        options = _options(kind, seed)
        check_blocks(_split(blocks), sources)
        check_writable(output)
        data = read_training_set(sources, CurveOptions(reach=reach, draws=draws, seed=seed) if matrix else None)
        fitted = difficulty.train(
            data,
            blocks=_split(blocks),
            options=options,
            title=f"Difficulty classifier trained on {dataset}",
            sources=[f"{dataset}: samples {path.name}" for path in samples],
            made=datetime.now(timezone.utc).date().isoformat(),
            licence="that of the data it was trained on",
        )
        difficulty.save(fitted, output)
    for line in (*fitted.card.metrics, f"written to {output}"):
        typer.echo(line)


@app.command()
def predict(
    dataset: Dataset,
    model: Annotated[Path | None, typer.Option(help="A saved classifier.  [default: the one that ships]")] = None,
    samples: Annotated[Path | None, typer.Option(help="EvalPlus samples, for blocks that look at samples.")] = None,
    matrix: Annotated[Path | None, typer.Option(help="Matrix of these samples, for block behaviour.")] = None,
    budget: Annotated[float | None, typer.Option(help="Tests per problem, on average: plans each one's tests.")] = None,
    allocation: Annotated[str, typer.Option(help="Rule of the plan: equal, coderm or gain.")] = "coderm",
    cap: Annotated[int | None, typer.Option(help="Most tests of one problem.")] = None,
    hidden_model: HiddenModel = None,
    gguf_file: GgufFile = None,
    layer: Layer = -1,
    as_json: AsJson = False,
) -> None:
    """Show the problems, hardest first, and with --budget the unit tests each would get.

    \b
    Example:
      coderm difficulty predict --dataset humaneval --budget 16 --allocation coderm
    """
    import numpy as np

    import difficulty
    from coderm_tasks.cli.console import print_json
    from coderm_tasks.difficulty_job import as_input_error, check_blocks, read_evidence

    sources = _sources(
        dataset, [samples] if samples else [], [], [matrix] if matrix else None, None, (hidden_model, gguf_file, layer)
    )
    with as_input_error():
        fitted = difficulty.load(model) if model else difficulty.load_default(dataset, samples=samples is not None)
        check_blocks(fitted.blocks, sources)
        found = difficulty.predict(fitted, read_evidence(sources))
        rates = np.array([prediction.pass_rate for prediction in found])
        counts: list[int | None] = [None] * len(found)
        if budget is not None:
            planned = difficulty.budgets(allocation, rates, average=budget, cap=cap, curves=fitted.curves)
            counts = [int(count) for count in planned]
    rows = [
        _Row(task_id=found[place].task_id, pass_rate=found[place].pass_rate, difficulty=found[place].difficulty.value,
             tests=counts[place])
        for place in np.argsort(rates, kind="stable")
    ]  # fmt: skip
    if as_json:
        print_json(rows)
    else:
        _show_rows(dataset, rows)


@app.command()
def evaluate(
    dataset: Dataset,
    samples: SampleFiles,
    labels: LabelFiles,
    matrix: MatrixFiles = None,
    blocks: Blocks = "samples",
    kind: Kind = "network",
    exclude: Exclude = None,
    hidden_model: HiddenModel = None,
    gguf_file: GgufFile = None,
    layer: Layer = -1,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Cross-validate a classifier, grouped by problem: Spearman, Brier, reliability, ablation by feature block.

    \b
    Example:
      coderm difficulty evaluate --dataset humaneval --samples samples.jsonl --labels labels.jsonl --blocks text,samples
    """
    import difficulty
    from coderm_tasks.cli.console import print_json
    from coderm_tasks.difficulty_job import as_input_error, check_blocks, read_training_set

    sources = _sources(dataset, samples, labels, matrix, exclude, (hidden_model, gguf_file, layer))
    with as_input_error():
        options = _options(kind, seed)
        check_blocks(_split(blocks), sources)
        found = difficulty.evaluate(read_training_set(sources), blocks=_split(blocks), options=options)
    if as_json:
        print_json(found)
    else:
        _show_evaluation(blocks, found)


class _Row(Struct, frozen=True, kw_only=True):
    """One line of ``predict``."""

    task_id: str
    pass_rate: float
    difficulty: str
    tests: int | None
    """Planned unit tests; None without ``--budget``."""


def _split(blocks: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in blocks.split(",") if part.strip())


def _options(kind: str, seed: int) -> FitOptions:
    from difficulty import FitOptions

    return FitOptions(model=kind, seed=seed)


def _sources(
    dataset: str,
    samples: list[Path],
    labels: list[Path],
    matrices: list[Path] | None,
    exclude: list[str] | None,
    hidden: tuple[str | None, str | None, int],
) -> Sources:
    from coderm_tasks.difficulty_job import Sources
    from difficulty.hidden import Probe

    name, gguf_file, layer = hidden
    return Sources(
        dataset=dataset,
        samples=tuple(samples),
        labels=tuple(labels),
        matrices=tuple(matrices or ()),
        exclude=tuple(exclude or ()),
        probe=Probe(model=name, gguf_file=gguf_file, layer=layer) if name else None,
    )


def _show_rows(dataset: str, rows: list[_Row]) -> None:
    from rich.table import Table

    from coderm_tasks.cli.console import show

    table = Table(title=f"{dataset}: {len(rows)} problems, hardest first", title_justify="left")
    for name in ("problem", "predicted pass rate", "class", "tests"):
        table.add_column(name, justify="left" if name in ("problem", "class") else "right")
    for row in rows:
        table.add_row(row.task_id, f"{row.pass_rate:.3f}", row.difficulty, "" if row.tests is None else str(row.tests))
    show(table, result=True)


def _show_evaluation(blocks: str, found: Evaluation) -> None:
    from rich.table import Table

    from coderm_tasks.cli.console import show

    scores = Table(title=f"Grouped cross-validation, {found.scores.rows} rows", title_justify="left")
    for name in ("blocks", "Spearman", "Brier", "Brier of the mean"):
        scores.add_column(name, justify="left" if name == "blocks" else "right")
    rows: list[tuple[str, Any]] = [(blocks, found.scores)]
    rows += [(",".join(part.blocks), part.scores) for part in found.ablation]
    for name, of in rows:
        scores.add_row(name, f"{of.spearman:.3f}", f"{of.brier:.4f}", f"{of.brier_of_mean:.4f}")
    show(scores, result=True)
    bins = Table(title="Reliability (bins of equal size)", title_justify="left")
    for name in ("predicted from", "to", "rows", "mean predicted", "mean observed"):
        bins.add_column(name, justify="right")
    for part in found.reliability:
        cells = (f"{part.low:.3f}", f"{part.high:.3f}", str(part.rows), f"{part.predicted:.3f}", f"{part.observed:.3f}")
        bins.add_row(*cells)
    show(bins, result=True)
