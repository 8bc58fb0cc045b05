"""The one expensive step of a run: answers in, every pipeline's scores out."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec
from msgspec import Struct
from tqdm import tqdm  # type: ignore[import-untyped]

from coderm_tasks.budgeting import CAP, SEQUENTIAL, BudgetPlan, plan_budgets
from coderm_tasks.errors import CoderMError
from coderm_tasks.generation.base import Generated, Progress, TestGenerator
from coderm_tasks.generation.sources import BankSource, ModelSource
from coderm_tasks.groundtruth import GROUND_TRUTH_LIMITS, Grade, grade
from coderm_tasks.hosts.lm_eval import records
from coderm_tasks.hosts.lm_eval.answers import Answers, solutions_of, uniform_problems
from coderm_tasks.hosts.lm_eval.plan import RunPlan
from coderm_tasks.hosts.lm_eval.scores import METRIC, PIPELINES, Score, by_difficulty, score_problem
from coderm_tasks.hosts.lm_eval.self_written import SelfSource
from coderm_tasks.pipeline import ProblemRun, Work, run_and_select, summarise
from coderm_tasks.places import cache_folder
from coderm_tasks.rounds import GeneratedTests, RoundsPlan, SequentialRun, run_in_rounds
from coderm_tasks.run_record import common_facts, data_file_facts
from coderm_tasks.store import matrix_record
from difficulty import SequentialOptions
from executor import Executor, Limits, PassMatrix, open_executor

__all__ = ["Evaluation", "collect_work", "evaluate"]

# lm-eval prints only what is logged under its own name.
logger = logging.getLogger(f"lm_eval.{__name__}")


class Evaluation(Struct, frozen=True):
    """What a run found out."""

    codes: dict[str, tuple[str, ...]]
    """Task id -> code of each sample."""
    scores: dict[str, dict[str, Score]]
    """Task id -> pipeline -> score. Empty where nothing was executed."""
    facts: dict[str, Any]
    """What the results record beside the scores: plain data."""

    def answers(self, pipeline: str) -> dict[str, dict[str, Any]]:
        """What the filter shows for each problem: the score, and the sample it stands for with its code."""
        return {task_id: self._answer(task_id, scores[pipeline]) for task_id, scores in self.scores.items()}

    def _answer(self, task_id: str, score: Score) -> dict[str, Any]:
        code = self.codes[task_id][score.index] if score.index >= 0 else None
        return {METRIC: score.value, "sample": score.index, "code": code}


def evaluate(plan: RunPlan, answers: Sequence[Answers]) -> Evaluation:
    """Extract, execute, select and grade; write the records of the run.

    Where the plan says ``predict_only``, nothing is executed or generated: samples and tests are extracted and written.

    Raises:
        SandboxError: the sandbox failed. A dead sandbox never scores as a wrong solution.
        GenerationError: the external generator failed; what it gave is kept for the next run.
        DatasetError: a reference solution cannot be run.
        StoreError: the records cannot be written.
    """
    started = time.monotonic()
    _warn_of_copies(plan, answers)
    codes = {one.task_id: solutions_of(one, plan.problems[one.task_id], chat=plan.chat) for one in answers}
    budgets = _settle_budgets(plan, codes)
    work, generated = collect_work(plan, answers, codes, budgets)
    found: dict[str, Any] = {}
    runs: list[ProblemRun] = []
    if not plan.predict_only and plan.config.allocation == SEQUENTIAL:
        done, generated = _execute_in_rounds(plan, work, generated, budgets)
        runs, found = done.runs, {"rounds": done.rounds, "problems_settled": done.settled}
        work = [Work(run.problem, run.solutions, run.tests) for run in runs]
    records.write_work(plan.records, work)
    facts = {**_facts(plan, work, generated), **found}
    scores: dict[str, dict[str, Score]] = {}
    if not plan.predict_only:
        runs = runs or _execute(plan, work)
        grades = _grade(plan, work)
        records.write_outcome(plan.records, runs, grades)
        records.write_budgets(plan.records, runs, budgets, plan.config.allocation)
        scores = {
            run.problem.task_id: score_problem(run.selection, [one.correct for one in of_run])
            for run, of_run in zip(runs, grades, strict=True)
        }
        summary = summarise(runs, strategy=plan.config.strategy, seconds=time.monotonic() - started)
        facts["summary"] = msgspec.to_builtins(summary)
        if groups := by_difficulty(plan.problems, scores):
            facts["by_difficulty"] = groups
        _report(plan, runs, groups)
    records.write_run(plan.records, {"settings": msgspec.to_builtins(plan.config), **facts})
    return Evaluation(codes, scores, facts)


def _warn_of_copies(plan: RunPlan, answers: Sequence[Answers]) -> None:
    copies = uniform_problems(answers)
    if copies and plan.config.temperature > 0:
        logger.warning(
            "%s: all %d samples are identical in %d of %d problems although temperature is %g: the server may honour "
            "the fixed seed that lm-eval sends with each request; pass --gen_kwargs seed=None",
            plan.task,
            plan.config.n_samples,
            copies,
            len(answers),
            plan.config.temperature,
        )


def _settle_budgets(plan: RunPlan, codes: Mapping[str, tuple[str, ...]]) -> BudgetPlan:
    """Where tests are not asked for before sampling, set the budgets by the samples, over this rank's problems."""
    if not plan.sees_samples or plan.predict_only:
        return plan.planned
    return plan_budgets(plan.config, [plan.problems[task_id] for task_id in codes], codes)


def collect_work(
    plan: RunPlan, answers: Sequence[Answers], codes: Mapping[str, tuple[str, ...]], budgets: BudgetPlan
) -> tuple[list[Work], Generated | None]:
    """Obtain the unit tests from where the plan says; none of a generator that is to be asked in rounds.

    Returns:
        The work per problem, in the order of ``answers``, and how the tests came about; None where there are none.
    """
    generated = _tests(plan, answers, codes, budgets)
    tests = generated.tests if generated is not None else {}
    return [Work(plan.problems[task_id], codes[task_id], tests.get(task_id, ())) for task_id in codes], generated


def _source(plan: RunPlan, answers: Sequence[Answers]) -> TestGenerator | None:
    """Where the unit tests come from; None where none are to be had."""
    if plan.bank is not None:
        return BankSource(plan.bank)
    if plan.self_written:
        return SelfSource(answers, plan.config.test_prompt, chat=plan.chat)
    return None if plan.predict_only or plan.config.allocation == SEQUENTIAL else plan.generator


def _tests(
    plan: RunPlan, answers: Sequence[Answers], codes: Mapping[str, tuple[str, ...]], budgets: BudgetPlan
) -> Generated | None:
    source = _source(plan, answers)
    if source is None:
        return None
    # In rounds a bank may give one problem more than the average: what it does not use, others do not lack.
    most = CAP * plan.config.budget if plan.bank is not None and plan.config.allocation == SEQUENTIAL else 0
    problems, budget = [plan.problems[task] for task in codes], {task: max(most, budgets.tests[task]) for task in codes}
    if not isinstance(source, ModelSource):
        return source.generate(problems, codes, budget)
    # Hours of sampling must not be lost to a generator that fails now.
    records.write_work(plan.records, [Work(problem, codes[problem.task_id], ()) for problem in problems])
    with tqdm(total=sum(budget.values()), desc="Generating unit tests", unit="test") as bar:

        def tell(state: Progress) -> None:
            bar.total = state.total
            bar.set_postfix_str(f"{state.usable / max(1, state.completions):.0%} of answers usable", refresh=False)
            bar.update(state.done - bar.n)

        try:
            generated = source.generate(problems, codes, budget, progress=tell)
        except CoderMError:
            logger.error(
                "%s: the samples are kept in %s; coderm generate and coderm rerank can go on from them",
                plan.task,
                plan.records / "samples.jsonl",
            )
            raise
    if generated.reused:
        logger.info("%s: %d requests were answered by an earlier run", plan.task, generated.reused)
    return generated


def _execute(plan: RunPlan, work: Sequence[Work]) -> list[ProblemRun]:
    config = plan.config
    with _matrices_kept(plan, len(work)) as (executor, keep):
        return run_and_select(
            executor, work, strategy=config.strategy, seed=config.seed, progress=keep, prune=config.prune,
            audit=config.audit,
        )  # fmt: skip


def _execute_in_rounds(
    plan: RunPlan, work: Sequence[Work], ready: Generated | None, budgets: BudgetPlan
) -> tuple[SequentialRun, Generated | None]:
    """Sequential allocation. Where tests are ready, written by the model or in a bank, what it saves is cells."""
    config = plan.config
    source = plan.generator if plan.generator is not None else BankSource(ready.tests if ready is not None else {})
    supply = GeneratedTests(source, [one.problem for one in work], {one.problem.task_id: one.solutions for one in work})
    rounds = RoundsPlan(
        total=config.budget * len(work),
        cap=CAP * config.budget,
        rates={task_id: prediction.pass_rate for task_id, prediction in budgets.predictions.items()},
        belief=budgets.belief,
        options=SequentialOptions(delta=config.delta),
        audit=config.audit,
    )
    bare = [msgspec.structs.replace(one, tests=()) for one in work]
    with _matrices_kept(plan, len(work)) as (executor, keep):
        done = run_in_rounds(executor, bare, supply, rounds, strategy=config.strategy, seed=config.seed, progress=keep)
    return done, supply.summary() if plan.generator is not None else ready


@contextmanager
def _matrices_kept(plan: RunPlan, problems: int) -> Iterator[tuple[Executor, Callable[[PassMatrix], None]]]:
    """Open the sandbox, the log of matrices and a progress bar; yields the executor and what takes each matrix."""
    with (
        _open(plan, plan.config.limits) as executor,
        records.matrix_log(plan.records) as log,
        tqdm(total=problems, desc="Running unit tests in the sandbox", unit="problem") as bar,
    ):

        def keep(matrix: PassMatrix) -> None:
            log.append(matrix_record(matrix))
            bar.update()

        yield executor, keep
        bar.update(bar.total - bar.n)


def _grade(plan: RunPlan, work: Sequence[Work]) -> list[list[Grade]]:
    total = sum(len(one.solutions) for one in work)
    with (
        _open(plan, GROUND_TRUTH_LIMITS) as executor,
        tqdm(total=total, desc="Grading samples in the sandbox", unit="sample") as bar,
    ):
        return grade(executor, [one.problem for one in work], [one.solutions for one in work], progress=bar.update)


def _open(plan: RunPlan, limits: Limits) -> Executor:
    return open_executor(
        workers=plan.workers,
        limits=limits,
        cache=cache_folder() if plan.config.cache else None,
        engine=plan.config.engine,
        ray_address=plan.config.ray_address,
    )


def _facts(plan: RunPlan, work: Sequence[Work], generated: Generated | None) -> dict[str, Any]:
    tests = [len(one.tests) for one in work]
    return {
        **common_facts("lm-eval", plan.dataset, plan.problems.values()),
        "task": plan.task,
        "chat": plan.chat,
        "tests_from": "bank" if plan.bank is not None else "self" if plan.self_written else "generator",
        "records": str(plan.records),
        "problems": len(work),
        "allocation": plan.config.allocation,
        "samples_without_code": sum(not code for one in work for code in one.solutions),
        "tests": sum(tests),
        "problems_without_tests": sum(not count for count in tests),
        "tests_left_out": dict(generated.dropped) if generated is not None else {},
        "generation": _generation(plan, generated),
        "sandbox": "none: nothing was executed" if plan.predict_only else "bubblewrap",
        "data_files": msgspec.to_builtins(data_file_facts(plan.problems.values())),
    }


def _generation(plan: RunPlan, generated: Generated | None) -> dict[str, Any] | None:
    """What the external generator did; None where there was none."""
    if generated is None or plan.generator is None:
        return None
    kept = ("finish_reasons", "failed", "short", "completions", "usable", "requests", "reused", "tokens")
    return {"answers": str(plan.generator.store), **{name: getattr(generated, name) for name in kept}}


def _report(plan: RunPlan, runs: Sequence[ProblemRun], groups: Mapping[str, Mapping[str, float]]) -> None:
    # In rounds a problem whose samples are one program gets no test, and lacks none.
    sequential = plan.config.allocation == SEQUENTIAL
    bare = [run.problem.task_id for run in runs if not run.tests and not (sequential and len(set(run.solutions)) == 1)]
    if bare:
        logger.warning(
            "%s: no unit tests for %d of %d problems (%s%s): their first sample stands",
            plan.task,
            len(bare),
            len(runs),
            ", ".join(bare[:3]),
            ", ..." if len(bare) > 3 else "",
        )
    for name, means in groups.items():
        shown = ", ".join(f"{pipeline} {means[pipeline]:.4f}" for pipeline in PIPELINES)
        logger.info("%s: %s (%d problems): %s", plan.task, name, means["problems"], shown)
    logger.info("%s: samples, tests, matrices and selections are in %s", plan.task, plan.records)
