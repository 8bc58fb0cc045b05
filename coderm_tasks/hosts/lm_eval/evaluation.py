"""The one expensive step of a run: answers in, every pipeline's scores out."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct
from tqdm import tqdm  # type: ignore[import-untyped]

from coderm_tasks.errors import CoderMError
from coderm_tasks.generation.base import Generated, Progress, TestGenerator
from coderm_tasks.generation.sources import BankSource, ModelSource
from coderm_tasks.groundtruth import GROUND_TRUTH_LIMITS, Grade, grade
from coderm_tasks.hosts.lm_eval import records
from coderm_tasks.hosts.lm_eval.answers import Answers, solutions_of, uniform_problems
from coderm_tasks.hosts.lm_eval.plan import RunPlan
from coderm_tasks.hosts.lm_eval.scores import METRIC, Score, score_problem
from coderm_tasks.hosts.lm_eval.self_written import SelfSource
from coderm_tasks.pipeline import ProblemRun, Work, run_and_select, summarise
from coderm_tasks.places import cache_folder
from coderm_tasks.store import matrix_record
from executor import PassMatrix, open_executor

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
    work, generated = collect_work(plan, answers)
    records.write_work(plan.records, work)
    codes = {one.problem.task_id: one.solutions for one in work}
    facts = _facts(plan, work, generated)
    scores: dict[str, dict[str, Score]] = {}
    if not plan.predict_only:
        runs, grades = _execute(plan, work)
        records.write_outcome(plan.records, runs, grades)
        scores = {
            run.problem.task_id: score_problem(run.selection, [one.correct for one in of_run])
            for run, of_run in zip(runs, grades, strict=True)
        }
        summary = summarise(runs, strategy=plan.config.strategy, seconds=time.monotonic() - started)
        facts["summary"] = msgspec.to_builtins(summary)
        _report(plan, runs)
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


def collect_work(plan: RunPlan, answers: Sequence[Answers]) -> tuple[list[Work], Generated | None]:
    """Extract code, and obtain the unit tests from where the plan says.

    Returns:
        The work per problem, in the order of ``answers``, and how the tests came about; None where there are none.
    """
    codes = {one.task_id: solutions_of(one, plan.problems[one.task_id], chat=plan.chat) for one in answers}
    generated = _tests(plan, answers, codes)
    tests = generated.tests if generated is not None else {}
    return [Work(plan.problems[task_id], codes[task_id], tests.get(task_id, ())) for task_id in codes], generated


def _source(plan: RunPlan, answers: Sequence[Answers]) -> TestGenerator | None:
    """Where the unit tests come from; None where none are to be had."""
    if plan.bank is not None:
        return BankSource(plan.bank)
    if plan.self_written:
        return SelfSource(answers, plan.config.test_prompt, chat=plan.chat)
    return None if plan.predict_only else plan.generator


def _tests(plan: RunPlan, answers: Sequence[Answers], codes: Mapping[str, tuple[str, ...]]) -> Generated | None:
    source = _source(plan, answers)
    if source is None:
        return None
    problems, budget = [plan.problems[task_id] for task_id in codes], {task: plan.budgets[task] for task in codes}
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


def _execute(plan: RunPlan, work: Sequence[Work]) -> tuple[list[ProblemRun], list[list[Grade]]]:
    cache = _cache(plan)
    with (
        open_executor(workers=plan.workers, limits=plan.config.limits, cache=cache) as executor,
        records.matrix_log(plan.records) as log,
        tqdm(total=len(work), desc="Running unit tests in the sandbox", unit="problem") as bar,
    ):

        def keep(matrix: PassMatrix) -> None:
            log.append(matrix_record(matrix))
            bar.update()

        config = plan.config
        runs = run_and_select(
            executor, work, strategy=config.strategy, seed=config.seed, progress=keep, prune=config.prune,
            audit=config.audit,
        )  # fmt: skip
        bar.update(bar.total - bar.n)
    total = sum(len(one.solutions) for one in work)
    with (
        open_executor(workers=plan.workers, limits=GROUND_TRUTH_LIMITS, cache=cache) as executor,
        tqdm(total=total, desc="Grading samples in the sandbox", unit="sample") as bar,
    ):
        problems, solutions = [one.problem for one in work], [one.solutions for one in work]
        return runs, grade(executor, problems, solutions, progress=bar.update)


def _cache(plan: RunPlan) -> Path | None:
    return cache_folder() if plan.config.cache else None


def _facts(plan: RunPlan, work: Sequence[Work], generated: Generated | None) -> dict[str, Any]:
    tests = [len(one.tests) for one in work]
    return {
        "task": plan.task,
        "chat": plan.chat,
        "tests_from": "bank" if plan.bank is not None else "self" if plan.self_written else "generator",
        "records": str(plan.records),
        "problems": len(work),
        "samples_without_code": sum(not code for one in work for code in one.solutions),
        "tests": sum(tests),
        "problems_without_tests": sum(not count for count in tests),
        "tests_left_out": dict(generated.dropped) if generated is not None else {},
        "generation": _generation(plan, generated),
        "sandbox": "none: nothing was executed" if plan.predict_only else "bubblewrap",
        "versions": records.versions(),
    }


def _generation(plan: RunPlan, generated: Generated | None) -> dict[str, Any] | None:
    """What the external generator did; None where there was none."""
    if generated is None or plan.generator is None:
        return None
    kept = ("finish_reasons", "failed", "short", "completions", "usable", "requests", "reused", "tokens")
    return {"answers": str(plan.generator.store), **{name: getattr(generated, name) for name in kept}}


def _report(plan: RunPlan, runs: Sequence[ProblemRun]) -> None:
    bare = [run.problem.task_id for run in runs if not run.tests]
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
