"""Label unit tests by running them on the reference, in the sandbox."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from coderm_tasks.evidence import run_cells
from coderm_tasks.model import Problem
from coderm_tasks.pipeline import Work
from coderm_tasks.synth.model import Draft, Judged
from executor import Executor, Verdict

__all__ = ["judge"]


def judge(executor: Executor, drafts: Mapping[str, tuple[Problem, Sequence[Draft]]]) -> dict[str, Judged]:
    """Part the drafts of each problem, by task id, into those that the reference passes and the others.

    Raises:
        SandboxError: the sandbox failed; no verdict is made up.
    """
    work = {
        task_id: Work(problem, (problem.truth.reference,), tuple(draft.code for draft in of_problem))
        for task_id, (problem, of_problem) in drafts.items()
    }
    matrices = run_cells(executor, {task_id: (item, item.tests) for task_id, item in work.items()})
    return {
        task_id: _parted(problem, of_problem, matrices[task_id].rows()[0])
        for task_id, (problem, of_problem) in drafts.items()
    }


def _parted(problem: Problem, drafts: Sequence[Draft], letters: str) -> Judged:
    verdicts = [Verdict(letter) for letter in letters]
    failing = (Verdict.FAIL, Verdict.ERROR, Verdict.TIMEOUT, Verdict.RESOURCE)
    return Judged(
        problem=problem,
        passed=tuple(draft for draft, verdict in zip(drafts, verdicts, strict=True) if verdict is Verdict.PASS),
        failed=tuple(draft for draft, verdict in zip(drafts, verdicts, strict=True) if verdict in failing),
        vacuous=sum(verdict is Verdict.INVALID for verdict in verdicts),
        errors=dict(Counter(verdict.name.lower() for verdict in verdicts if verdict in failing)),
    )
