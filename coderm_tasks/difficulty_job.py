"""From samples, labels and matrices in files to what :mod:`difficulty` takes, and errors of it to errors of ours."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from coderm_tasks.beside_samples import read_labels, read_logprobs
from coderm_tasks.datasets import cli_dataset, load_problems_to_rerank
from coderm_tasks.errors import ConfigError, InputError, did_you_mean
from coderm_tasks.files import Samples, read_jsonl, read_samples
from coderm_tasks.generation.bank import load_bank
from coderm_tasks.model import Problem
from coderm_tasks.places import cache_folder
from coderm_tasks.rerank import StrategyInput, select
from coderm_tasks.solution_outputs import SolutionOutputs, run_outputs
from coderm_tasks.store import MatrixRecord, read_records
from difficulty import BLOCKS, DifficultyError, Evidence, TrainingSet
from difficulty.belief_fit import BeliefState, belief_state
from difficulty.gain import accuracy_curve, sizes_up_to
from difficulty.hidden import Probe, hidden_states
from executor import open_executor

__all__ = [
    "CurveOptions",
    "Sources",
    "as_input_error",
    "check_blocks",
    "data_set_of",
    "read_evidence",
    "read_training_set",
]

logger = logging.getLogger(__name__)

_STATE_DRAWS = 4
_FAMILIES = {"HumanEval": "humaneval", "Mbpp": "mbpp"}


class Sources(Struct, frozen=True, kw_only=True):
    """The files of a request: one entry of each list per policy model, in the same order."""

    dataset: str
    """``humaneval`` or ``mbpp``."""
    samples: tuple[Path, ...] = ()
    labels: tuple[Path, ...] = ()
    matrices: tuple[Path, ...] = ()
    exclude: tuple[str, ...] = ()
    """Task ids to leave out, such as problems whose labels are known to be wrong."""
    tests: Path | None = None
    """A bank of unit tests, whose inputs the block ``outputs`` runs the solutions on beside the prompt's examples."""
    outputs: bool = False
    """Run the solutions in the sandbox for the block ``outputs``."""
    probe: Probe | None = None


class CurveOptions(Struct, frozen=True, kw_only=True):
    """How gain curves are measured on recorded matrices."""

    reach: int = 64
    """Most tests of a problem."""
    draws: int = 20
    """Bootstrap draws of the tests per size."""
    strategy: str = "coderm"
    seed: int = 0


class _Policy(Struct, frozen=True):
    """What one policy model's files say."""

    samples: Samples
    labels: Mapping[str, tuple[bool, ...]]
    matrices: Mapping[str, MatrixRecord]
    outputs: Mapping[str, SolutionOutputs]
    logprobs: Mapping[str, tuple[float, ...]]


@contextmanager
def as_input_error() -> Iterator[None]:
    """Turn a DifficultyError, one line already, into the InputError that the command line prints."""
    try:
        yield
    except DifficultyError as error:
        raise InputError(str(error)) from error


def data_set_of(dataset: str | None, samples: Sequence[Path]) -> str:
    """Return the data set that was named, or the one whose task ids the first samples file uses.

    Raises:
        ConfigError: none was named and there are no samples.
        InputError: the file cannot be read, or its first task id belongs to no data set.
    """
    if dataset is not None:
        return dataset
    if not samples:
        raise ConfigError("got neither --dataset nor --samples; expected one to tell the problems by; give --dataset")
    line, record = next(read_jsonl(samples[0]), (1, {}))
    family = str(record.get("task_id", "")).partition("/")[0]
    if family not in _FAMILIES:
        raise InputError(
            f"{samples[0]}:{line}: got task_id {record.get('task_id')!r}; expected one such as 'HumanEval/0' or "
            "'Mbpp/2' to tell the data set by; name it with --dataset"
        )
    return _FAMILIES[family]


def check_blocks(blocks: Sequence[str], sources: Sources) -> None:
    """Raise ConfigError for an unknown block, or one whose evidence no flag provides, before anything is read."""
    given = {
        "samples": sources.samples,
        "behaviour": sources.matrices,
        "outputs": sources.samples,
        "logprob": sources.samples,
        "hidden": sources.probe,
    }
    flags = {"behaviour": "--matrix", "hidden": "--hidden-model"}
    for name in blocks:
        if name not in BLOCKS:
            hint = did_you_mean(name, BLOCKS)
            raise ConfigError(f"unknown feature block {name!r}{hint}; expected some of {', '.join(BLOCKS)}")
        if name in given and not given[name]:
            raise ConfigError(
                f"feature block {name!r} needs {flags.get(name, '--samples')}: give it, or leave the block out"
            )


def read_training_set(sources: Sources, curves: CurveOptions | None = None) -> TrainingSet:
    """Read labelled problems, one row per problem and policy; with ``curves``, the selection's accuracy too.

    Raises:
        InputError: a file that cannot be read, labels not aligned with the samples, a matrix of other samples.
        ConfigError: unequal numbers of files.
    """
    _check_counts(sources)
    problems = _problems(sources)
    hidden = _hidden(sources, tuple(problems.values()))
    evidence: list[Evidence] = []
    rates: list[float] = []
    accuracy: list[NDArray[np.float64]] = []
    states: list[BeliefState] = []
    for number in range(len(sources.samples)):
        policy = _policy(sources, problems, number)
        for task_id in _in_order(policy.samples, problems, sources):
            correct = policy.labels[task_id]
            evidence.append(_evidence(problems[task_id], policy, hidden))
            rates.append(sum(correct) / len(correct))
            if curves is not None:
                record = policy.matrices.get(task_id)
                accuracy.append(_accuracy(evidence[-1], record, correct, curves))
                states += _states(record, correct, curves)
    return TrainingSet(
        problems=tuple(evidence),
        rates=np.array(rates, dtype=np.float64),
        accuracy=np.stack(accuracy) if accuracy else None,
        states=tuple(states),
    )


def read_evidence(sources: Sources) -> tuple[Evidence, ...]:
    """Read what is known of each problem, without labels; of all problems, or of those that have samples if given.

    Raises:
        InputError: as :func:`read_training_set`.
    """
    problems = _problems(sources)
    hidden = _hidden(sources, tuple(problems.values()))
    if not sources.samples:
        chosen = [problem for task_id, problem in problems.items() if task_id not in sources.exclude]
        return tuple(_evidence(problem, None, hidden) for problem in chosen)
    policy = _policy(sources, problems, 0)
    ids = _in_order(policy.samples, problems, sources)
    if left_out := len(problems) - len(ids):
        logger.warning("%s: %d problems without samples or excluded are left out", sources.samples[0], left_out)
    return tuple(_evidence(problems[task_id], policy, hidden) for task_id in ids)


def _check_counts(sources: Sources) -> None:
    count = len(sources.samples)
    if len(sources.labels) != count or len(sources.matrices) not in (0, count):
        raise ConfigError(
            f"got {count} --samples, {len(sources.labels)} --labels, {len(sources.matrices)} --matrix: expected one "
            "--labels (and one or no --matrix) for each --samples, in the same order"
        )


def _problems(sources: Sources) -> dict[str, Problem]:
    problems = {problem.task_id: problem for problem in load_problems_to_rerank(cli_dataset(sources.dataset))}
    for task_id in sources.exclude:
        if task_id not in problems:
            raise ConfigError(
                f"--exclude {task_id!r} is no problem of {sources.dataset}{did_you_mean(task_id, problems)}"
            )
    return problems


def _hidden(sources: Sources, problems: Sequence[Problem]) -> dict[str, NDArray[np.float64]]:
    if sources.probe is None:
        return {}
    with as_input_error():
        states = hidden_states([problem.prompt for problem in problems], sources.probe)
    return {problem.task_id: state for problem, state in zip(problems, states, strict=True)}


def _policy(sources: Sources, problems: Mapping[str, Problem], number: int) -> _Policy:
    samples = read_samples(sources.samples[number], problems)
    return _Policy(
        samples,
        read_labels(sources.labels[number], samples) if sources.labels else {},
        _read_matrices(sources.matrices[number], samples) if sources.matrices else {},
        _outputs(sources, problems, samples) if sources.outputs else {},
        read_logprobs(samples),
    )


def _outputs(sources: Sources, problems: Mapping[str, Problem], samples: Samples) -> dict[str, SolutionOutputs]:
    tests = load_bank(sources.tests, tuple(problems)) if sources.tests is not None else {}
    codes = {task_id: samples.codes(task_id) for task_id in _in_order(samples, problems, sources)}
    with open_executor(cache=cache_folder()) as executor:
        return run_outputs(executor, [problems[task_id] for task_id in codes], codes, tests)


def _read_matrices(path: Path, samples: Samples) -> dict[str, MatrixRecord]:
    found: dict[str, MatrixRecord] = {}
    for record in read_records(path, MatrixRecord):
        if record.solutions != len(samples.of(record.task_id)):
            raise InputError(
                f"{path}: the matrix of {record.task_id} has {record.solutions} rows for "
                f"{len(samples.of(record.task_id))} samples; expected one each; make it from {samples.path}"
            )
        found[record.task_id] = record
    return found


def _in_order(samples: Samples, problems: Mapping[str, Problem], sources: Sources) -> list[str]:
    return [task_id for task_id in problems if samples.of(task_id) and task_id not in sources.exclude]


def _evidence(problem: Problem, policy: _Policy | None, hidden: Mapping[str, NDArray[np.float64]]) -> Evidence:
    task_id = problem.task_id
    evidence = Evidence(
        task_id=task_id, prompt=problem.prompt, entry_point=problem.entry_point, hidden=hidden.get(task_id)
    )
    if policy is None:
        return evidence
    record, outputs = policy.matrices.get(task_id), policy.outputs.get(task_id)
    return msgspec.structs.replace(
        evidence,
        samples=policy.samples.codes(task_id),
        behaviour=record.verdicts if record is not None else (),
        outputs=outputs.rows if outputs is not None else (),
        example_inputs=outputs.examples if outputs is not None else 0,
        logprobs=policy.logprobs.get(task_id, ()),
    )


def _accuracy(
    evidence: Evidence, record: MatrixRecord | None, correct: Sequence[bool], options: CurveOptions
) -> NDArray[np.float64]:
    rng = np.random.default_rng([options.seed, *evidence.task_id.encode()])
    tests = record.tests if record is not None else 0
    choose = _chooser(evidence, record, np.array(correct, dtype=np.float64), options)
    return accuracy_curve(choose, tests, reach=options.reach, draws=options.draws, rng=rng)


def _states(record: MatrixRecord | None, correct: Sequence[bool], options: CurveOptions) -> list[BeliefState]:
    """States of one problem after so many tests, a few draws each, for the belief to be fitted on."""
    if record is None or not record.tests:
        return []
    matrix = record.matrix()
    passed = matrix.passed[:, matrix.executed.any(axis=0)]
    rng = np.random.default_rng([options.seed, 1, *record.task_id.encode()])
    labels = np.array(correct, dtype=np.float64)
    return [
        belief_state(passed[:, rng.integers(passed.shape[1], size=size)], labels)
        for size in sizes_up_to(options.reach)[1:]
        for _ in range(_STATE_DRAWS if passed.shape[1] else 0)
    ]


def _chooser(
    evidence: Evidence, record: MatrixRecord | None, correct: NDArray[np.float64], options: CurveOptions
) -> Callable[[NDArray[np.int64]], float]:
    """Expected correctness of the strategy's choice on some columns; ties count their mean, as in the paper."""
    matrix = record.matrix() if record is not None else None

    def choose(columns: NDArray[np.int64]) -> float:
        if matrix is None or not len(columns):
            return float(correct.mean())
        part = msgspec.structs.replace(matrix, letters=matrix.letters[:, columns], shared=matrix.shared[:, columns])
        if not part.executed.any():  # a strategy would fall back to the first sample; any sample stands for it
            return float(correct.mean())
        given = StrategyInput(task_id=evidence.task_id, solutions=evidence.samples, matrix=part)
        return float(correct[list(select(options.strategy, given).ties)].mean())

    return choose
