"""The one expensive step of a run: answers in, every pipeline's scores out."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct
from tqdm import tqdm  # type: ignore[import-untyped]

from coderm_tasks.budgeting import CAP, SEQUENTIAL, BudgetPlan, plan_budgets
from coderm_tasks.generation.base import TestGenerator
from coderm_tasks.generation.endpoint import EndpointGenerator
from coderm_tasks.generation.prompts import render
from coderm_tasks.groundtruth import GROUND_TRUTH_LIMITS, Grade, grade
from coderm_tasks.hosts.lm_eval import records
from coderm_tasks.hosts.lm_eval.answers import Answers, harvest_tests, solutions_of, uniform_problems
from coderm_tasks.hosts.lm_eval.plan import RunPlan
from coderm_tasks.hosts.lm_eval.scores import METRIC, Score, score_problem
from coderm_tasks.pipeline import ProblemRun, Work, run_and_select, summarise
from coderm_tasks.places import cache_folder
from coderm_tasks.rounds import GeneratedTests, ReadyTests, RoundsPlan, SequentialRun, Supply, run_in_rounds
from coderm_tasks.store import matrix_record
from difficulty import SequentialOptions
from executor import Executor, PassMatrix, open_executor

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
    planned = _settle_budgets(plan, codes)
    scores: dict[str, dict[str, Score]] = {}
    if plan.predict_only or plan.config.allocation != SEQUENTIAL:
        work, dropped = collect_work(plan, answers, codes, planned)
        records.write_work(plan.records, work)
        runs = [] if plan.predict_only else _execute(plan, work)
        facts = _facts(plan, work, dropped)
    else:
        done, dropped = _execute_in_rounds(plan, answers, codes, planned)
        runs, work = done.runs, [Work(run.problem, run.solutions, run.tests) for run in done.runs]
        records.write_work(plan.records, work)
        facts = {**_facts(plan, work, dropped), "rounds": done.rounds, "problems_settled": done.settled}
    if not plan.predict_only:
        grades = _grade(plan, work)
        records.write_outcome(plan.records, runs, grades)
        records.write_budgets(plan.records, runs, planned, plan.config.allocation)
        scores = {
            run.problem.task_id: score_problem(run.selection, [one.correct for one in of_run])
            for run, of_run in zip(runs, grades, strict=True)
        }
        summary = summarise(runs, strategy=plan.config.strategy, seconds=time.monotonic() - started)
        facts["summary"] = msgspec.to_builtins(summary)
        _report(plan, runs)
    records.write_run(plan.records, {"settings": msgspec.to_builtins(plan.config), **facts})
    return Evaluation(codes, scores, facts)


def _settle_budgets(plan: RunPlan, codes: Mapping[str, tuple[str, ...]]) -> BudgetPlan:
    """Where tests are not asked for before sampling, set the budgets by the samples, over this rank's problems."""
    if not plan.sees_samples or plan.predict_only:
        return plan.planned
    return plan_budgets(plan.config, [plan.problems[task_id] for task_id in codes], codes)


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


def collect_work(
    plan: RunPlan, answers: Sequence[Answers], codes: Mapping[str, tuple[str, ...]], planned: BudgetPlan
) -> tuple[list[Work], dict[str, int]]:
    """Obtain the unit tests from where the plan says.

    Returns:
        The work per problem, in the order of ``answers``, and how many tests were left out, by reason.
    """
    dropped: Counter[str] = Counter()
    tests: Mapping[str, tuple[str, ...]] = {}
    if plan.bank is not None:
        tests = {task_id: plan.bank.get(task_id, ())[: planned.tests[task_id]] for task_id in codes}
    elif plan.self_written:
        tests = _self_written(plan, answers, planned, dropped)
    elif not plan.predict_only:
        tests = _generated(plan, codes, planned, dropped)
    return [Work(plan.problems[task_id], codes[task_id], tests.get(task_id, ())) for task_id in codes], dict(dropped)


def _self_written(
    plan: RunPlan, answers: Sequence[Answers], planned: BudgetPlan, dropped: Counter[str]
) -> dict[str, tuple[str, ...]]:
    found = {}
    for one in answers:
        problem = plan.problems[one.task_id]
        prefix = render(plan.config.test_prompt, problem, chat=plan.chat).prefix
        harvest = harvest_tests(one, problem.entry_point, planned.tests[one.task_id], prefix=prefix)
        found[one.task_id] = harvest.tests
        dropped.update(harvest.dropped)
    return found


def _generated(
    plan: RunPlan, codes: Mapping[str, tuple[str, ...]], planned: BudgetPlan, dropped: Counter[str]
) -> Mapping[str, tuple[str, ...]]:
    wanted = {task_id: planned.tests[task_id] for task_id in codes}
    generated = _generator(plan).generate([plan.problems[task_id] for task_id in codes], codes, wanted)
    dropped.update(generated.dropped)
    return {task_id: tests[: wanted[task_id]] for task_id, tests in generated.tests.items()}


def _generator(plan: RunPlan) -> TestGenerator:
    if plan.config.generator is None:
        raise AssertionError("a plan has a bank, a generator or self-written tests")
    return EndpointGenerator(plan.config.generator, plan.generated, seed=plan.config.seed)


def _execute(plan: RunPlan, work: Sequence[Work]) -> list[ProblemRun]:
    with _matrices_kept(plan, len(work)) as (executor, keep):
        return run_and_select(executor, work, strategy=plan.config.strategy, seed=plan.config.seed, progress=keep)


def _execute_in_rounds(
    plan: RunPlan, answers: Sequence[Answers], codes: Mapping[str, tuple[str, ...]], planned: BudgetPlan
) -> tuple[SequentialRun, dict[str, int]]:
    """Sequential allocation. Self-written tests are there already: what it saves then is cells."""
    config, dropped = plan.config, Counter[str]()
    work = [Work(plan.problems[task_id], codes[task_id], ()) for task_id in codes]
    supply: Supply
    if plan.self_written:
        supply = ReadyTests(_self_written(plan, answers, planned, dropped))
    elif plan.bank is not None:
        supply = ReadyTests(plan.bank)
    else:
        supply = GeneratedTests(_generator(plan), [one.problem for one in work], codes)
    rounds = RoundsPlan(
        total=config.budget * len(work),
        cap=CAP * config.budget,
        rates={task_id: prediction.pass_rate for task_id, prediction in planned.predictions.items()},
        belief=planned.belief,
        options=SequentialOptions(delta=config.delta),
    )
    with _matrices_kept(plan, len(work)) as (executor, keep):
        done = run_in_rounds(executor, work, supply, rounds, strategy=config.strategy, seed=config.seed, progress=keep)
    if isinstance(supply, GeneratedTests):
        dropped.update(supply.dropped)
    return done, dict(dropped)


@contextmanager
def _matrices_kept(plan: RunPlan, problems: int) -> Iterator[tuple[Executor, Callable[[PassMatrix], None]]]:
    """Open the sandbox, the log of matrices and a progress bar; yields the executor and what takes each matrix."""
    with (
        open_executor(workers=plan.workers, limits=plan.config.limits, cache=_cache(plan)) as executor,
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
        open_executor(workers=plan.workers, limits=GROUND_TRUTH_LIMITS, cache=_cache(plan)) as executor,
        tqdm(total=total, desc="Grading samples in the sandbox", unit="sample") as bar,
    ):
        return grade(executor, [one.problem for one in work], [one.solutions for one in work], progress=bar.update)


def _cache(plan: RunPlan) -> Path | None:
    return cache_folder() if plan.config.cache else None


def _facts(plan: RunPlan, work: Sequence[Work], dropped: Mapping[str, int]) -> dict[str, Any]:
    tests = [len(one.tests) for one in work]
    return {
        "task": plan.task,
        "chat": plan.chat,
        "tests_from": "bank" if plan.bank is not None else "self" if plan.self_written else "generator",
        "records": str(plan.records),
        "problems": len(work),
        "allocation": plan.config.allocation,
        "samples_without_code": sum(not code for one in work for code in one.solutions),
        "tests": sum(tests),
        "problems_without_tests": sum(not count for count in tests),
        "tests_left_out": dict(dropped),
        "sandbox": "none: nothing was executed" if plan.predict_only else "bubblewrap",
        "versions": records.versions(),
    }


def _report(plan: RunPlan, runs: Sequence[ProblemRun]) -> None:
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
    logger.info("%s: samples, tests, matrices and selections are in %s", plan.task, plan.records)
