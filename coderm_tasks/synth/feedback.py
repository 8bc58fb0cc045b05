"""What the interpreter says of tests that the reference fails: the words that a model repairs them by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any

from coderm_tasks.model import Problem
from coderm_tasks.synth.probe import CODERM_CUT
from executor import Call, CallJob, Executor, Outcome, SandboxError, Verdict

__all__ = ["loads", "reports_of"]

_NO_WORDS = "the test does not hold, and Python says nothing of it when both run in one process"
_STOPPED = {
    Verdict.TIMEOUT: "the test does not come to its end in time",
    Verdict.RESOURCE: "the test needs more memory than there is",
}
_LOADS = "coderm_loads"


def reports_of(executor: Executor, tests: Mapping[str, tuple[Problem, Sequence[str]]]) -> dict[str, tuple[str, ...]]:
    """One report per test, by task id: the lines that fail and what was got, as bullet points.

    Args:
        tests: by task id, the problem and the sources that its reference fails.

    Raises:
        SandboxError: the sandbox failed.
    """
    jobs = [
        CallJob(
            job_id=task_id,
            entry_point=problem.entry_point,
            solutions=(f"{problem.truth.reference}\n\n{_probe_source()}",),
            calls=tuple(Call((source,), "coderm_probe") for source in sources),
        )
        for task_id, (problem, sources) in tests.items()
        if sources
    ]
    found = {task_id: tuple(map(_report, outcomes)) for task_id, outcomes in _called(executor, jobs).items()}
    return {task_id: found.get(task_id, ()) for task_id in tests}


def loads(executor: Executor, problems: Sequence[Problem]) -> dict[str, bool]:
    """Whether the reference of each problem loads in the sandbox and defines its function, by task id."""
    jobs = [
        CallJob(
            job_id=problem.task_id,
            entry_point=_LOADS,
            solutions=(f"{problem.truth.reference}\n\ndef {_LOADS}():\n    return callable({problem.entry_point})\n",),
            calls=(Call(()),),
        )
        for problem in problems
    ]
    return {task_id: one.kind == "value" and one.value is True for task_id, (one,) in _called(executor, jobs).items()}


def _called(executor: Executor, jobs: Sequence[CallJob]) -> dict[str, tuple[Outcome, ...]]:
    """Outcomes of jobs with one solution each."""
    found = {outputs.job_id: outputs.outcomes[0] for outputs in executor.call(jobs)} if jobs else {}
    missing = [job.job_id for job in jobs if job.job_id not in found]
    if missing:
        raise SandboxError(f"the executor returned nothing for {len(missing)} problems, {missing[0]} the first")
    return found


@cache
def _probe_source() -> str:
    package = resources.files("coderm_tasks.synth")
    return package.joinpath("probe.py").read_text(encoding="utf-8").split(f"\n{CODERM_CUT}\n", 1)[1]


def _report(outcome: Outcome) -> str:
    if outcome.kind == "raised":
        return f"- {outcome.error}: {outcome.message}".rstrip(": ")
    if outcome.kind == "stopped":
        return f"- {_STOPPED.get(outcome.verdict, 'the process ends before the test does')}"
    lines = [f"- {_failure(*failure)}" for failure in outcome.value if _is_failure(failure)] if _listed(outcome) else []
    return "\n".join(lines) or f"- {_NO_WORDS}"


def _listed(outcome: Outcome) -> bool:
    return isinstance(outcome.value, list)


def _is_failure(value: Any) -> bool:
    """What comes out of the sandbox is a claim, of any form."""
    return isinstance(value, list) and len(value) == 2 and all(isinstance(part, str) for part in value)


def _failure(line: str, error: str) -> str:
    return f"`{line}` fails: {error}" if line else error
