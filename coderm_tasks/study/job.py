"""``coderm study`` as two calls: read and check everything, then execute, compute and return the record."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from coderm_tasks.datasets import Slice, cli_dataset, load_problems_to_rerank
from coderm_tasks.errors import ConfigError
from coderm_tasks.evidence import Extras, gather, run_cells
from coderm_tasks.files import read_samples
from coderm_tasks.metrics import Step, cost_steps, mean_interval, mean_pass_at_k, paired_difference
from coderm_tasks.model import Selection
from coderm_tasks.pipeline import Work
from coderm_tasks.rerank import Behaviours, Need, StrategyInput, get_strategy, select, strategy_names
from coderm_tasks.study import curves
from coderm_tasks.study.cases import Candidate, find_cases
from coderm_tasks.study.inputs import Inputs, LabelledProblem, read_inputs, read_matrices
from coderm_tasks.study.quality import ReferenceRun, test_quality
from coderm_tasks.study.record import Curve, Setup, StrategyRow, Study
from executor import Executor, Limits, PassMatrix

__all__ = [
    "StudyData",
    "StudyPlan",
    "StudyRequest",
    "compute",
    "curve_names",
    "execute",
    "prepare",
    "solution_sizes",
    "steps_of",
    "to_json",
]

logger = logging.getLogger(__name__)

Advance = Callable[[int], None]


class StudyRequest(Struct, frozen=True, kw_only=True):
    """What the user asked for."""

    dataset: str
    samples: Path
    tests: Path
    labels: Path
    output: Path
    matrix: Path | None = None
    strategies: tuple[str, ...]
    """In the order of the table."""
    reference: str = "coderm"
    featured: str = "coderm"
    """Strategy that the examples are about, and whose curve is drawn beside those of the fast ones."""
    outputs: bool = True
    """Run the tests' calls, which output-based strategies need."""
    draws: int = 100
    slow_draws: int = 10
    """Draws for strategies that look at more than votes: each of them is a whole selection."""
    seed: int = 0
    workers: int = 0
    engine: str = "local"
    ray_address: str | None = None
    limits: Limits = Limits()
    cache: Path | None = None
    livecodebench: Slice = Slice()
    """Which of LiveCodeBench's problems, where that is the data set."""

    def __post_init__(self) -> None:
        for name, value, low in (("draws", self.draws, 1), ("slow-draws", self.slow_draws, 1), ("seed", self.seed, 0)):
            if value < low:
                raise ConfigError(f"--{name} is {value}: expected at least {low}")


class StudyPlan(Struct, frozen=True):
    """A request whose files have been read."""

    request: StudyRequest
    inputs: Inputs
    matrices: Mapping[str, PassMatrix]
    """Recorded ones; empty where they are to be executed."""

    @property
    def cells(self) -> int:
        """Solutions times tests, summed over problems."""
        return sum(len(item.solutions) * len(item.tests) for item in self.inputs.problems)


class StudyData(Struct, frozen=True):
    """What was executed: everything the figures are computed from."""

    items: tuple[LabelledProblem, ...]
    problems: tuple[StrategyInput, ...]
    """With labels; aligned with ``items``."""
    references: Mapping[str, ReferenceRun]


def prepare(request: StudyRequest) -> StudyPlan:
    """Read and check the files. Nothing is executed or written.

    Raises:
        ConfigError: unknown data set or strategy.
        InputError, DatasetError, StoreError: a file or the data set cannot be read, or they do not fit.
    """
    for name in (request.reference, request.featured):
        get_strategy(name)
    for name in request.strategies:
        if name not in strategy_names():
            get_strategy(name)  # raises, with a did-you-mean; one that is known but broken is left out later
    inputs = read_inputs(request.dataset, request.samples, request.tests, request.labels, request.livecodebench)
    matrices: dict[str, PassMatrix] = {}
    if request.matrix is not None:
        known = {item.problem.task_id: item.problem for item in inputs.problems}
        counts = _sample_counts(request, known)
        matrices = read_matrices(request.matrix, inputs.problems, counts)
    return StudyPlan(request, inputs, matrices)


def _sample_counts(request: StudyRequest, known: Mapping[str, object]) -> dict[str, int]:
    found = load_problems_to_rerank(cli_dataset(request.dataset), request.livecodebench)
    problems = {problem.task_id: problem for problem in found}
    samples = read_samples(request.samples, problems, ignore_unknown=request.livecodebench.is_part)
    return {task_id: len(samples.of(task_id)) for task_id in known}


def execute(plan: StudyPlan, executor: Executor, progress: Callable[[PassMatrix], None] | None = None) -> StudyData:
    """Run the cells, the tests' calls, the problems' examples, and the reference solutions.

    Raises:
        SandboxError: the sandbox failed.
    """
    items = plan.inputs.problems
    matrices = dict(plan.matrices) or run_cells(
        executor, {item.problem.task_id: (item, item.tests) for item in items}, progress
    )
    # The reference solution goes last, so that its outcomes are in the same numbers as the samples'.
    with_reference = [_with_reference(item) for item in items]
    extras = gather(executor, with_reference, outputs=plan.request.outputs, examples=True)
    verdicts: dict[str, PassMatrix] = {}
    if plan.request.outputs:
        verdicts = run_cells(executor, {item.problem.task_id: (_reference_alone(item), item.tests) for item in items})
    problems, references = [], {}
    for item in items:
        task_id = item.problem.task_id
        matrix = matrices.get(task_id, PassMatrix.from_rows(task_id, [""] * len(item.solutions), 0))
        problems.append(_input(item, matrix, extras[task_id]))
        behaviours = extras[task_id].behaviours
        if behaviours is not None and item.problem.truth.reference:
            references[task_id] = ReferenceRun(verdicts[task_id].passed[0], behaviours.codes[-1])
    return StudyData(items, tuple(problems), references)


def _with_reference(item: LabelledProblem) -> Work:
    reference = item.problem.truth.reference
    return Work(item.problem, (*item.solutions, *([reference] if reference else [])), item.tests)


def _reference_alone(item: LabelledProblem) -> Work:
    reference = item.problem.truth.reference
    return Work(item.problem, (reference,) if reference else (), item.tests)


def _input(item: LabelledProblem, matrix: PassMatrix, extras: Extras) -> StrategyInput:
    """The evidence on the samples alone, without the reference's row."""
    n = len(item.solutions)
    behaviours, examples = extras.behaviours, extras.examples
    if behaviours is not None:
        behaviours = Behaviours(behaviours.codes[:n], behaviours.returned[:n], behaviours.of_test, behaviours.calls)
    if examples is not None:
        examples = PassMatrix(examples.job_id, examples.letters[:n], examples.shared[:n])
    return StrategyInput(
        task_id=item.problem.task_id,
        solutions=item.solutions,
        matrix=matrix,
        behaviours=behaviours,
        examples=examples,
        labels=item.labels,
    )


def compute(plan: StudyPlan, data: StudyData, advance: Advance = lambda steps: None) -> Study:
    """Compute every figure of the study (pure but for ``advance``)."""
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    with threadpool_limits(1):  # the products are small: threads of BLAS would wait for each other
        return _compute(plan, data, advance)


def curve_names(request: StudyRequest) -> tuple[str, ...]:
    """Strategies that get a curve: those that are fast to draw for, and the featured one."""
    from coderm_tasks.study.draws import BY_VOTES

    wanted = (request.reference, request.featured, *request.strategies)
    return tuple(dict.fromkeys(name for name in wanted if name in BY_VOTES or name == request.featured))


def _compute(plan: StudyPlan, data: StudyData, advance: Advance) -> Study:
    request, problems = plan.request, data.problems
    notes = [*plan.inputs.notes]
    labels = [np.array(problem.labels, dtype=np.float64) for problem in problems]
    rates = np.array([one.mean() for one in labels])
    selections = _select_all(request, problems, notes)
    scored = {name: curves.correctness(chosen, problems) for name, chosen in selections.items()}
    rows = [_row(name, chosen, scored, rates, request) for name, chosen in selections.items()]
    by_tests, tested = _test_curves(request, data, [name for name in curve_names(request) if name in scored], advance)
    available = [len(item.tests) for item in data.items]
    reference_curve = next(curve for curve in by_tests if curve.strategy == request.reference)
    counts = [len(one) for one in labels]
    return Study(
        setup=_setup(plan, data),
        notes=tuple(notes),
        reference=request.reference,
        featured=request.featured,
        mean=mean_interval(rates, seed=request.seed),
        pass_at_k=mean_pass_at_k(counts, [int(one.sum()) for one in labels], ks=(1, 2, 5, 10, 25, 50, 100)),
        strategies=tuple(sorted(rows, key=lambda row: -row.accuracy.value)),
        by_tests=by_tests,
        by_solutions=_solution_curves(request, problems, list(scored)),
        quintiles=curves.quintiles(
            request.reference,
            rates,
            tested[request.reference],
            curves.TEST_SIZES,
            available,
            request.draws,
            request.seed,
        ),
        grid=curves.grid(
            request.reference,
            problems,
            solution_sizes(problems),
            curves.TEST_SIZES,
            draws=_grid_draws(request),
            seed=request.seed,
            advance=advance,
        ),
        quality=test_quality(problems, data.references),
        cost=_cost(reference_curve, float(rates.mean())),
        cases=find_cases(
            request.featured,
            [Candidate(problem, item.tests) for problem, item in zip(problems, data.items, strict=True)],
        ),
    )


def _select_all(
    request: StudyRequest, problems: Sequence[StrategyInput], notes: list[str]
) -> dict[str, list[Selection]]:
    """Selections by strategy, in the order asked for; a strategy that cannot select is named in ``notes``."""
    found: dict[str, list[Selection]] = {}
    for name in dict.fromkeys((*request.strategies, request.reference, request.featured)):
        try:
            if get_strategy(name).outputs is Need.REQUIRED and not request.outputs:
                raise ConfigError("it needs the outputs of calls, which were not run")
            found[name] = [select(name, problem) for problem in problems]
        except ConfigError as error:
            if name in (request.reference, request.featured):
                raise
            notes.append(f"strategy {name} left out: {error}")
    return found


def _row(
    name: str,
    selections: Sequence[Selection],
    scored: Mapping[str, NDArray[np.float64]],
    rates: NDArray[np.float64],
    request: StudyRequest,
) -> StrategyRow:
    return StrategyRow(
        name=name,
        summary=get_strategy(name).summary,
        accuracy=mean_interval(scored[name], seed=request.seed),
        over_mean=paired_difference(scored[name], rates, seed=request.seed),
        over_reference=paired_difference(scored[name], scored[request.reference], seed=request.seed),
        tied=sum(len(one.ties) > 1 for one in selections),
        fallbacks=sum(bool(one.note) for one in selections),
    )


def _test_curves(
    request: StudyRequest, data: StudyData, names: Sequence[str], advance: Advance
) -> tuple[tuple[Curve, ...], dict[str, NDArray[np.float64]]]:
    from coderm_tasks.study.draws import BY_VOTES

    available = [len(item.tests) for item in data.items]
    made, found = [], {}
    for name in names:
        draws = request.draws if name in BY_VOTES else request.slow_draws
        found[name] = curves.accuracy_by_tests(
            name, data.problems, curves.TEST_SIZES, draws=draws, seed=request.seed, advance=advance
        )
        made.append(curves.curve(name, found[name], curves.TEST_SIZES, available, draws, request.seed))
    return tuple(made), found


def _solution_curves(
    request: StudyRequest, problems: Sequence[StrategyInput], names: Sequence[str]
) -> tuple[Curve, ...]:
    sizes = solution_sizes(problems)
    available = [len(problem.solutions) for problem in problems]
    wanted = [name for name in ("oracle", *curve_names(request)) if name in names]
    return tuple(
        curves.curve(name, curves.accuracy_by_solutions(name, problems, sizes), sizes, available, 1, request.seed)
        for name in wanted
    )


def solution_sizes(problems: Sequence[StrategyInput | LabelledProblem]) -> tuple[int | None, ...]:
    """The usual budgets of samples below what there is, and all."""
    most = max(len(problem.solutions) for problem in problems)
    return (*(size for size in curves.SOLUTION_SIZES if size is not None and size < most), None)


def _grid_draws(request: StudyRequest) -> int:
    """A grid has many entries and each is a mean over problems: fewer draws do."""
    from coderm_tasks.study.draws import BY_VOTES

    return min(request.draws, 20) if request.reference in BY_VOTES else 1


def steps_of(plan: StudyPlan) -> int:
    """How often :func:`compute` will call ``advance``."""
    problems = plan.inputs.problems
    return len(problems) * (len(curve_names(plan.request)) + len(solution_sizes(problems)))


def _cost(curve: Curve, baseline: float) -> tuple[Step, ...]:
    points = {point.mean_size: point.accuracy.value for point in curve.points if point.mean_size > 0}
    return cost_steps(list(points), list(points.values()), baseline)


def _setup(plan: StudyPlan, data: StudyData) -> Setup:
    request = plan.request
    packages = ("coderm-tasks", "lm-eval", "evalplus", "numpy", "scipy")
    return Setup(
        dataset=request.dataset,
        samples=request.samples.name,
        tests=request.tests.name,
        labels=request.labels.name,
        problems=len(data.items),
        solutions=sum(len(item.solutions) for item in data.items),
        unit_tests=sum(len(item.tests) for item in data.items),
        cells=plan.cells,
        draws=request.draws,
        seed=request.seed,
        versions={name: version(name) for name in packages},
    )


def to_json(study: Study) -> bytes:
    """``study.json``: indented, keys in the order of the record."""
    return msgspec.json.format(msgspec.json.encode(study), indent=2) + b"\n"
