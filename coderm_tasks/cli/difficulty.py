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

Dataset = Annotated[
    str | None,
    typer.Option(help="humaneval or mbpp, the EvalPlus sets.  [default: as the task ids of the samples say]"),
]
TestFile = Annotated[
    Path | None,
    typer.Option(
        "--tests", help="Unit tests (JSONL) whose inputs the block outputs runs the samples on, in the sandbox."
    ),
]
SampleFiles = Annotated[
    list[Path], typer.Option("--samples", help="EvalPlus samples (JSONL, gzip allowed); once per policy model.")
]
LabelFiles = Annotated[
    list[Path], typer.Option("--labels", help="Labels beside them, from coderm evaluate; once per --samples.")
]
MatrixFiles = Annotated[
    list[Path] | None, typer.Option("--matrix", help="Matrix from coderm rerank --matrix; once per --samples.")
]
Blocks = Annotated[
    str,
    typer.Option(
        help="Feature blocks: text, ngrams, samples, behaviour (needs --matrix), outputs (runs the samples in the "
        "sandbox), logprob (field mean_logprob of the samples), hidden (needs --hidden-model); comma between."
    ),
]
Kind = Annotated[str, typer.Option(help="network (the paper's two layers) or logistic.")]
Exclude = Annotated[list[str] | None, typer.Option(help="Task id to leave out; may be repeated.")]
HiddenModel = Annotated[str | None, typer.Option(help="transformers model for the block hidden (extra hf).")]
GgufFile = Annotated[str | None, typer.Option(help="GGUF file within --hidden-model.")]
Layer = Annotated[int, typer.Option(help="Layer of --hidden-model: 0 is the embedding, -1 the last.")]
Seed = Annotated[int, typer.Option(help="Seed of the folds and of the first weights.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON on standard output.")]


@app.command()
def train(
    samples: SampleFiles,
    labels: LabelFiles,
    dataset: Dataset = None,
    output: Annotated[Path, typer.Option(help="Where the classifier goes; its card lies beside it.")] = Path(
        "model.skops"
    ),
    matrix: MatrixFiles = None,
    tests: TestFile = None,
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
    """Train a classifier on labelled samples; with --matrix also gain curves and belief, for 'gain' and 'sequential'.

    The classifier goes into a run with the setting classifier, or into coderm difficulty predict with --model.

    \b
    Example:
      coderm evaluate --dataset mbpp --samples samples.jsonl --output labels.jsonl
      coderm rerank --dataset mbpp --samples samples.jsonl --tests tests.jsonl --output best.jsonl --matrix matrix.jsonl
      coderm difficulty train --samples samples.jsonl --labels labels.jsonl --matrix matrix.jsonl --output model.skops
    """
    from datetime import datetime, timezone

    import difficulty
    from coderm_tasks.atomic import check_writable
    from coderm_tasks.difficulty_job import CurveOptions, as_input_error, check_blocks, read_training_set

    sources = _sources(dataset, samples, labels, matrix, exclude, (hidden_model, gguf_file, layer), (tests, blocks))
    with as_input_error():
        options = _options(kind, seed)
        check_blocks(_split(blocks), sources)
        check_writable(output)
        data = read_training_set(sources, CurveOptions(reach=reach, draws=draws, seed=seed) if matrix else None)
        fitted = difficulty.train(
            data,
            blocks=_split(blocks),
            options=options,
            title=f"Difficulty classifier trained on {sources.dataset}",
            sources=[f"{sources.dataset}: samples {path.name}" for path in samples],
            made=datetime.now(timezone.utc).date().isoformat(),
            licence="that of the data it was trained on",
        )
        difficulty.save(fitted, output)
    for line in (*fitted.card.metrics, f"written to {output}"):
        typer.echo(line)


@app.command()
def predict(
    dataset: Dataset = None,
    model: Annotated[Path | None, typer.Option(help="A saved classifier.  [default: the one that ships]")] = None,
    samples: Annotated[Path | None, typer.Option(help="EvalPlus samples, for blocks that look at samples.")] = None,
    matrix: Annotated[Path | None, typer.Option(help="Matrix of these samples, for block behaviour.")] = None,
    tests: TestFile = None,
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
    from coderm_tasks.difficulty_job import as_input_error, check_blocks, data_set_of, read_evidence

    given = [samples] if samples else []
    name = data_set_of(dataset, given)
    with as_input_error():
        fitted = difficulty.load(model) if model else difficulty.load_default(name, samples=samples is not None)
        sources = _sources(
            name, given, [], [matrix] if matrix else None, None, (hidden_model, gguf_file, layer),
            (tests, ",".join(fitted.blocks)),
        )  # fmt: skip
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
        _show_rows(name, rows)


@app.command()
def evaluate(
    samples: SampleFiles,
    labels: LabelFiles,
    dataset: Dataset = None,
    matrix: MatrixFiles = None,
    tests: TestFile = None,
    blocks: Blocks = "samples",
    kind: Kind = "network",
    exclude: Exclude = None,
    hidden_model: HiddenModel = None,
    gguf_file: GgufFile = None,
    layer: Layer = -1,
    seed: Seed = 0,
    plot: Annotated[Path | None, typer.Option(help="Draw the calibration there, .png or .svg (extra report).")] = None,
    as_json: AsJson = False,
) -> None:
    """Cross-validate a classifier, grouped by problem: Spearman, Brier, reliability, ablation by feature block.

    \b
    Example:
      coderm difficulty evaluate --samples samples.jsonl --labels labels.jsonl --blocks text,samples --plot cal.png
    """
    import difficulty
    from coderm_tasks.calibration_plot import check_plot, draw_calibration
    from coderm_tasks.cli.console import print_json
    from coderm_tasks.difficulty_job import as_input_error, check_blocks, read_training_set

    sources = _sources(dataset, samples, labels, matrix, exclude, (hidden_model, gguf_file, layer), (tests, blocks))
    with as_input_error():
        options = _options(kind, seed)
        check_blocks(_split(blocks), sources)
        if plot is not None:
            check_plot(plot)
        found = difficulty.evaluate(read_training_set(sources), blocks=_split(blocks), options=options)
    if plot is not None:
        draw_calibration(found, plot)
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
    dataset: str | None,
    samples: list[Path],
    labels: list[Path],
    matrices: list[Path] | None,
    exclude: list[str] | None,
    hidden: tuple[str | None, str | None, int],
    outputs: tuple[Path | None, str],
) -> Sources:
    from coderm_tasks.difficulty_job import Sources, data_set_of
    from difficulty.hidden import Probe

    name, gguf_file, layer = hidden
    tests, blocks = outputs
    return Sources(
        dataset=data_set_of(dataset, samples),
        samples=tuple(samples),
        labels=tuple(labels),
        matrices=tuple(matrices or ()),
        exclude=tuple(exclude or ()),
        tests=tests,
        outputs="outputs" in _split(blocks),
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
