"""Grade solutions by ground truth, executed in the sandbox and judged outside it.

HumanEval: the data set's own ``check(candidate)`` is one test. EvalPlus: the reference solution's outputs are computed
in the sandbox, each solution's outputs too, and :mod:`coderm_tasks.groundtruth.oracle` compares them here.
LiveCodeBench: inputs and outputs are in the data set; see :mod:`coderm_tasks.groundtruth.hidden_tests`.

Differences from ``evalplus.evaluate`` 0.3.1, all on purpose:

- HumanEval/32 (``find_zero``) is judged as EvalPlus's main branch does; 0.3.1 fails everyone on it by a bug, so scores
  here can be one problem higher.
- Solutions that call ``doctest.testmod()`` as they load are judged by what their function returns. In 0.3.1 they all
  fail, for it runs them with ``open`` set to None, which breaks ``doctest``.
- ``evalplus_bug_compat=True`` reproduces 0.3.1 in both.
- Time limits are CPU seconds, at least those of ``limits`` and 4 times what the reference takes on the same input;
  EvalPlus takes wall time. Solutions near a limit can differ; in EvalPlus they differ from machine to machine, too.
- An output counts as the plain data it holds: an object with an ``__eq__`` of its own is never right, and a NumPy
  scalar is the Python number it stands for.
- Outputs too large to carry out of the sandbox (over about 100,000 parts) must equal the expected ones exactly; the
  tolerance for floats does not reach them. No output of HumanEval+ v0.1.10 or MBPP+ v0.2.0 is both large and inexact.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from coderm_tasks.groundtruth import oracle
from coderm_tasks.groundtruth.book import Book, Item, Progress
from coderm_tasks.groundtruth.hidden_tests import grade_by_hidden_tests
from coderm_tasks.groundtruth.model import Grade
from coderm_tasks.groundtruth.reasons import describe_stop, describe_verdict, describe_wrong
from coderm_tasks.groundtruth.references import Truth, run_references
from coderm_tasks.model import Problem
from executor import CallJob, CellJob, Executor, Limits, Outcome, SandboxError, Verdict

__all__ = ["GROUND_TRUTH_LIMITS", "grade"]

GROUND_TRUTH_LIMITS = Limits(cpu_s=1.0, wall_s=10.0, memory_mb=4096, max_timeouts=1)
"""What a call of a solution may use. The least time (though of CPU) and the memory are those of EvalPlus 0.3.1. One
timeout decides a solution, so nothing runs after it."""

_NOTHING = object()
_RUNS_DOCTEST = re.compile(r"^(doctest\.)?testmod\(", re.MULTILINE)


def grade(
    executor: Executor,
    problems: Sequence[Problem],
    solutions: Sequence[Sequence[str]],
    *,
    limits: Limits | None = None,
    progress: Progress | None = None,
    evalplus_bug_compat: bool = False,
) -> list[list[Grade]]:
    """Return one grade per solution: ``result[p][i]`` is solution ``i`` of ``problems[p]``.

    Identical sources are executed once, and up to their first wrong output; a problem without solutions costs nothing.

    Args:
        executor: where code runs. HumanEval's checks run under its own limits.
        problems: with distinct task ids.
        solutions: sources per problem, in sample order; an empty source is wrong.
        limits: limits of each call where outputs are compared; None: those of the benchmark
            (:data:`GROUND_TRUTH_LIMITS`, :data:`coderm_tasks.groundtruth.hidden_tests.HIDDEN_TEST_LIMITS`).
        progress: told how many solutions are done, so that the calls add up to their number.
        evalplus_bug_compat: fail solutions where EvalPlus 0.3.1 does so by its bugs, see above.

    Raises:
        DatasetError: a reference solution does not return plain data on one of its inputs.
        SandboxError: the sandbox failed; no grade is made up for what did not run.
        ValueError: not one sequence of solutions per problem, or repeated task ids.
    """
    if len({problem.task_id for problem in problems}) != len(problems):
        raise ValueError("problems to grade have repeated task ids: grade one data set at a time")
    if len(problems) != len(solutions):
        raise ValueError(f"got solutions for {len(solutions)} problems, expected {len(problems)} sequences")
    book = Book(problems, solutions, progress)
    _settle_without_running(book, evalplus_bug_compat)
    items = list(book.undecided())
    _grade_by_check(executor, [item for item in items if item.problem.truth.check], book)
    grade_by_hidden_tests(executor, [item for item in items if item.problem.truth.hidden is not None], limits, book)
    _grade_by_outputs(
        executor, [item for item in items if _has_inputs(item.problem)], limits or GROUND_TRUTH_LIMITS, book
    )
    return book.grades()


def _has_inputs(problem: Problem) -> bool:
    return not problem.truth.check and problem.truth.hidden is None


def _settle_without_running(book: Book, evalplus_bug_compat: bool) -> None:
    for item in list(book.undecided()):
        for code in item.codes:
            if not code.strip():
                book.enter(item.task_id, code, Grade(False, False, "empty solution"))
            elif evalplus_bug_compat and _fails_by_bug(item, code):
                book.enter(item.task_id, code, Grade(False, False, "EvalPlus 0.3.1 fails this by a bug"))


def _fails_by_bug(item: Item, code: str) -> bool:
    return oracle.never_passes_in_evalplus(item.problem.dataset, item.problem.entry_point) or bool(
        _RUNS_DOCTEST.search(code)
    )


def _grade_by_check(executor: Executor, items: Sequence[Item], book: Book) -> None:
    by_id = {item.task_id: item for item in items}
    for matrix in executor.run([_check_job(item) for item in items]):
        item = by_id[matrix.job_id]
        for code, row in zip(item.codes, matrix.rows(), strict=True):
            verdict = Verdict(row)
            passed = verdict is Verdict.PASS
            reason = "" if passed else f"check: {describe_verdict(verdict)}"
            book.enter(item.task_id, code, Grade(passed, passed, reason))


def _check_job(item: Item) -> CellJob:
    problem = item.problem
    return CellJob(
        job_id=problem.task_id,
        entry_point=problem.entry_point,
        solutions=item.codes,
        tests=(f"{problem.truth.check}\ncheck({problem.entry_point})\n",),
        context=problem.context,
    )


def _grade_by_outputs(executor: Executor, items: Sequence[Item], limits: Limits, book: Book) -> None:
    """First stop everyone at the first output that is not the reference's, which mostly is wrong. Who returned another
    one that is right as well is run again, to the end."""
    codes = {item.task_id: item.codes for item in items}
    truths = {}

    def jobs() -> Iterator[CallJob]:
        """The solutions of a problem as soon as its reference has run, while those of other problems are to come."""
        for truth in run_references(executor, [item.problem for item in items], limits):
            truths[truth.problem.task_id] = truth
            yield truth.job(codes[truth.problem.task_id], strict=True)

    doubtful = list(_grade_items(executor, jobs(), truths, items, book))
    again = [truths[item.task_id].job(item.codes, strict=False) for item in doubtful]
    for item in _grade_items(executor, again, truths, doubtful, book):
        raise SandboxError(f"{item.task_id}: the executor left calls of a solution out that it was asked to make")


def _grade_items(
    executor: Executor, jobs: Iterable[CallJob], truths: Mapping[str, Truth], items: Iterable[Item], book: Book
) -> Iterator[Item]:
    """Enter the grades that can be told; yield problems with the solutions that were stopped and have no fault."""
    by_id = {item.task_id: item for item in items}
    for outputs in executor.call(jobs):
        item, truth = by_id[outputs.job_id], truths[outputs.job_id]
        undecided = []
        for code, outcomes in zip(item.codes, outputs.outcomes, strict=True):
            verdict = _grade_of(truth, outcomes)
            if verdict is None:
                undecided.append(code)
            else:
                book.enter(item.task_id, code, verdict)
        if undecided:
            yield Item(item.problem, tuple(undecided))


def _grade_of(truth: Truth, outcomes: Sequence[Outcome]) -> Grade | None:
    """Grade a solution by its first known fault. None: it was stopped before all its outputs were known, without one.

    Of base inputs all are known before any of the others is.
    """
    unknown = False
    dataset, entry_point = truth.problem.dataset, truth.problem.entry_point
    same = truth.outputs or [_NOTHING] * len(outcomes)
    for index, (outcome, want) in enumerate(zip(outcomes, truth.wants, strict=True)):
        if outcome.value is same[index] and outcome.kind == "value":
            continue
        if outcome.verdict is Verdict.NOT_RUN and outcome.kind == "stopped":
            unknown = True
            continue
        if outcome.kind != "value":
            fault = describe_stop(outcome)
        elif not oracle.accepts(dataset, entry_point, outcome.value, want):
            fault = describe_wrong(outcome.value, want.value)
        else:
            continue
        return Grade(index >= truth.base, False, f"{truth.place(index)}: {fault}")
    return None if unknown else Grade(True, True)
