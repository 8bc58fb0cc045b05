"""Everything that can be found out, and refused, before the first token is generated."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

import msgspec
import platformdirs
from msgspec import Struct

from coderm_tasks.budgeting import BudgetPlan, check_allocation, choose_classifier, plan_budgets
from coderm_tasks.config import Config
from coderm_tasks.errors import StoreError
from coderm_tasks.generation.bank import load_bank
from coderm_tasks.generation.prompts import render
from coderm_tasks.generation.sources import ModelSource
from coderm_tasks.groundtruth.hidden_tests import check_hidden_tests
from coderm_tasks.hosts.lm_eval.caller import output_folder
from coderm_tasks.model import Problem
from coderm_tasks.rerank import get_selector
from executor import require_engine

__all__ = ["Ranks", "RunPlan", "make_plan"]

# lm-eval prints only what is logged under its own name.
logger = logging.getLogger(f"lm_eval.{__name__}")


class Ranks(Struct, frozen=True):
    """Which of several processes that share the problems this is (lm-eval's data parallelism)."""

    rank: int = 0
    of: int = 1


class RunPlan(Struct, frozen=True, kw_only=True):
    """One run of one task on one rank."""

    task: str
    dataset: str
    """Name that :func:`coderm_tasks.datasets.load_problems` takes."""
    config: Config
    """Settings as they will be used."""
    chat: bool
    """Answers are those of a chat model."""
    problems: dict[str, Problem]
    """Problems of the data set by task id, in its order."""
    planned: BudgetPlan
    """Unit tests of each problem of this run by its text alone: what is known before anything is sampled."""
    bank: Mapping[str, tuple[str, ...]] | None
    """Ready unit tests by task id; None if they are to be generated."""
    records: Path
    """Folder of this run's records; exists."""
    generator: ModelSource | None
    """The external generator, if there is one; it keeps its answers for the next run too."""
    workers: int
    """Sandbox workers."""
    predict_only: bool
    """Answers are kept, nothing is executed."""

    @property
    def self_written(self) -> bool:
        """The model under evaluation writes the unit tests."""
        return self.bank is None and self.config.generator is None

    @property
    def sees_samples(self) -> bool:
        """Budgets are set once samples are there: the tests need not be asked for before."""
        return not self.self_written


def make_plan(
    task: str,
    dataset: str,
    config: Config,
    problems: Sequence[Problem],
    chosen: Sequence[str],
    *,
    chat: bool,
    ranks: Ranks,
    predict_only: bool,
) -> RunPlan:
    """Check the sandbox, the settings and the files they name, spread the budget, and make the folder of the records.

    Args:
        task: name of the task.
        dataset: name of its data set.
        config: settings as they will be used.
        problems: the whole data set.
        chosen: task ids of the run, all ranks together: the budget is an average over them.
        chat: answers will be those of a chat model.
        ranks: this process among those that share the problems.
        predict_only: execute nothing, so need no sandbox.

    Raises:
        SandboxMissing: code cannot be executed safely on this machine, or on any node of the Ray cluster.
        ClusterError: the Ray cluster cannot be used.
        ConfigError, InputError, GenerationError: settings, a bank or an endpoint that cannot be used.
        DatasetError: the data set's tests cannot be read.
        StoreError: the records cannot be written.
    """
    by_id = {problem.task_id: problem for problem in problems}
    if not predict_only:
        require_engine(config.engine, config.ray_address)
        check_hidden_tests(by_id[task_id] for task_id in chosen)
    get_selector(config.strategy)
    check_allocation(config.allocation)
    bank = load_bank(Path(config.tests), tuple(by_id)) if config.tests is not None else None
    external = bank is not None or config.generator is not None
    planned = _planned(config, [by_id[task_id] for task_id in chosen], sees_samples=external)
    base = _records_base(config)
    generator = _generator(task, config, problems, base, ranks)
    if generator is not None:
        if not predict_only:
            generator.check([by_id[task_id] for task_id in chosen])
    elif bank is None:
        render(config.test_prompt, problems[0], chat=chat)
    folder = base / _folder_name(task, ranks)
    _make_folder(folder)
    logger.info("%s: records of this run go to %s", task, folder)
    return RunPlan(
        task=task,
        dataset=dataset,
        config=config,
        chat=chat,
        problems=by_id,
        planned=planned,
        bank=bank,
        records=folder,
        generator=generator,
        workers=_workers(config, ranks),
        predict_only=predict_only,
    )


def _workers(config: Config, ranks: Ranks) -> int:
    """This rank's share of the machine. A Ray cluster shares its CPUs out itself."""
    if config.workers or config.engine == "ray":
        return config.workers
    return max(1, (os.cpu_count() or 1) // ranks.of)


def _planned(config: Config, problems: Sequence[Problem], *, sees_samples: bool) -> BudgetPlan:
    if not sees_samples:
        return plan_budgets(config, problems)
    # Found now rather than when the samples are paid for.
    choose_classifier(config, problems[0].dataset, sampled=True)
    return plan_budgets(msgspec.structs.replace(config, allocation="equal", classifier=None), problems)


def _generator(task: str, config: Config, problems: Sequence[Problem], base: Path, ranks: Ranks) -> ModelSource | None:
    if config.generator is None:
        return None
    # A file per rank: it has one writer. The same ranks get the same problems in the next run, but other samples.
    store = base / f"generated_{task}{_suffix(ranks)}.jsonl"
    dataset = problems[0].dataset
    return ModelSource(config.generator, store, dataset=dataset, seed=config.seed, any_candidate=True)


def _records_base(config: Config) -> Path:
    if config.records is not None:
        return Path(config.records)
    beside = output_folder()
    if beside is not None:
        return beside
    fallback = platformdirs.user_state_path("coderm-tasks") / "runs"
    logger.warning(
        "lm-eval has no --output_path: matrices and samples go to %s; "
        "give --output_path, or set records in the coderm metadata, to keep them elsewhere",
        fallback,
    )
    return fallback


def _folder_name(task: str, ranks: Ranks) -> str:
    started = datetime.now().isoformat(timespec="microseconds").replace(":", "-")
    return f"coderm_{task}_{started}{_suffix(ranks)}"


def _suffix(ranks: Ranks) -> str:
    return f"_rank{ranks.rank}of{ranks.of}" if ranks.of > 1 else ""


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        remedy = "name a writable folder: --output_path, or records in the coderm metadata"
        raise StoreError(f"{folder}: cannot be created ({error.strerror}); {remedy}") from error
