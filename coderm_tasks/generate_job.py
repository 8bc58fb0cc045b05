"""``coderm generate`` and ``coderm sample`` without the command line: a data set in, a file of tests or solutions out.

Two files per run. ``<stem>.answers.jsonl`` beside the output grows while answers arrive, each synced to the disk; it is
what a run resumes from, and what must not be lost. The output is made from it, whole or not at all, in the order of the
data set, when the run has come to its end.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TextIO

import msgspec
from msgspec import Struct

from coderm_tasks.atomic import atomic_writer, check_writable
from coderm_tasks.datasets import Slice, cli_dataset, load_problems_to_rerank
from coderm_tasks.errors import CoderMError, ConfigError, GenerationError, InputError, StoreError
from coderm_tasks.files import read_samples
from coderm_tasks.generation.asking import run_to_end
from coderm_tasks.generation.backends import StoredOnly, make_backend, opened
from coderm_tasks.generation.base import Backend, Generated, ProgressCallback
from coderm_tasks.generation.prompts import BLIND, prompt_info
from coderm_tasks.generation.solutions import SamplePlan, check_samples, open_sample_log, write_solutions
from coderm_tasks.generation.unit_tests import TestPlan, check_prompt, open_log, write_tests
from coderm_tasks.model import Problem
from coderm_tasks.model_config import GeneratorConfig, ModelConfig

__all__ = ["GenerateReport", "GenerateRequest", "answers_path", "check_complete", "generate", "sample"]


class _Sink(Protocol):
    """Takes the results of one problem, and with solutions their mean log-probabilities, if there are any."""

    def __call__(self, task_id: str, results: tuple[str, ...], mean_logprobs: tuple[float, ...] = ()) -> None: ...


_Work = Callable[[_Sink], Coroutine[Any, Any, Generated]]


class GenerateRequest(Struct, frozen=True, kw_only=True):
    """What to ask, and where the results go."""

    dataset: str
    """As ``--dataset`` names it."""
    config: ModelConfig
    """A :class:`GeneratorConfig` for unit tests."""
    n: int
    """Results per problem."""
    seed: int
    output: Path
    samples: Path | None = None
    """Candidate solutions, for prompts that show one."""
    limit: int | None = None
    """Only the first problems of the data set."""
    stored_only: bool = False
    """Ask nothing: write the output from what is stored."""
    livecodebench: Slice = Slice()
    """Which of LiveCodeBench's problems, where that is the data set."""


class GenerateReport(Struct, frozen=True, kw_only=True):
    """What was done and where it lies."""

    dataset: str
    model: str
    output: str
    answers: str
    problems: int
    wanted: int
    written: int
    """Tests or solutions in the output."""
    completions: int
    """Answers, stored ones included."""
    usable: int
    """Answers that held a usable test, or code."""
    usable_share: float
    dropped: dict[str, int]
    finish_reasons: dict[str, int]
    failed: dict[str, str]
    short: dict[str, int]
    requests: int
    """Made now."""
    reused: int
    """Answered by an earlier run."""
    tokens: int
    seconds: float
    stored_only: bool
    """Whether nothing was to be asked; then ``failed`` are the problems that the stored answers were not enough for."""


def answers_path(output: Path) -> Path:
    """Where the answers behind ``output`` are kept: ``<stem>.answers.jsonl`` beside it."""
    stem = output.name.removesuffix(".gz").removesuffix(".jsonl")
    return output.with_name(f"{stem}.answers.jsonl")


def generate(request: GenerateRequest, progress: ProgressCallback | None = None) -> GenerateReport:
    """Write unit tests: ``{"task_id", "test"}`` a line.

    Raises:
        ConfigError, InputError, DatasetError: found before anything is asked.
        GenerationError: the model failed; the answers so far are kept.
        StoreError: a file cannot be used or written; the answers so far are kept.
    """
    config = request.config
    if not isinstance(config, GeneratorConfig):
        raise AssertionError("unit tests are asked for with a GeneratorConfig")
    everything = _problems(request)
    problems = everything[: request.limit]
    check_prompt(config, problems)
    plan = TestPlan(
        config=config,
        problems=problems,
        candidates=_candidates(request, config, problems, everything),
        budget={problem.task_id: request.n for problem in problems},
        seed=request.seed,
        dataset=request.dataset,
    )

    async def run(sink: _Sink) -> Generated:
        with open_log(plan, answers_path(request.output)) as answers:
            async with opened(_backend(request)) as backend:
                await backend.check(plan.longest_prompts())
                return await write_tests(plan, backend, answers, sink, progress)

    return _carry_out(request, len(problems), "test", run)


def sample(request: GenerateRequest, progress: ProgressCallback | None = None) -> GenerateReport:
    """Write solutions in EvalPlus's format: ``{"task_id", "solution"}`` a line. Raises as :func:`generate`."""
    problems = _problems(request)[: request.limit]
    plan = SamplePlan(config=request.config, problems=problems, n=request.n, seed=request.seed, dataset=request.dataset)
    check_samples(plan)

    async def run(sink: _Sink) -> Generated:
        with open_sample_log(plan, answers_path(request.output)) as answers:
            async with opened(_backend(request)) as backend:
                await backend.check(plan.longest_prompts())
                return await write_solutions(plan, backend, answers, sink, progress)

    return _carry_out(request, len(problems), "solution", run)


def check_complete(report: GenerateReport) -> None:
    """Raise GenerationError where the model refused problems: the output lacks them, wholly or in part."""
    if report.failed and not report.stored_only:
        task_id, words = next(iter(report.failed.items()))
        raise GenerationError(
            f"{len(report.failed)} of {report.problems} problems were refused, {task_id} first ({words}); "
            f"the others are in {report.output}"
        )


def _problems(request: GenerateRequest) -> tuple[Problem, ...]:
    """The problems of the data set, after all else was looked at: the cheap errors come first."""
    name = cli_dataset(request.dataset)
    if request.n < 1:
        raise ConfigError(f"n is {request.n}: expected at least 1")
    if request.limit is not None and request.limit < 1:
        raise ConfigError(f"limit is {request.limit}: expected at least 1; leave it out for all problems")
    check_writable(request.output)
    answers = answers_path(request.output)
    if request.samples is not None and request.samples.resolve() in (request.output.resolve(), answers.resolve()):
        raise InputError(f"{request.samples}: is read and written: expected two files; name another output")
    if request.output.exists() and not answers.exists():
        raise StoreError(
            f"{request.output}: exists, and {answers.name}, from which it would have been written, does not: it is "
            "left untouched; name another output, or move it away"
        )
    return load_problems_to_rerank(name, request.livecodebench)


def _candidates(
    request: GenerateRequest, config: GeneratorConfig, problems: Sequence[Problem], everything: Sequence[Problem]
) -> Mapping[str, tuple[str, ...]]:
    shows = prompt_info(config.prompt).needs_candidate
    if request.samples is None:
        if shows:
            raise ConfigError(
                f"prompt {config.prompt!r} shows a candidate solution, and there are no samples: "
                f"give samples, or set condition to 'none', which asks with {BLIND!r}"
            )
        return {}
    if not shows:
        raise ConfigError(
            f"prompt {config.prompt!r} shows no candidate solution, and samples are given: "
            "use the prompt 'coderm', or leave the samples out"
        )
    by_id = {problem.task_id: problem for problem in everything}
    samples = read_samples(request.samples, by_id, ignore_unknown=request.livecodebench.is_part)
    without = [
        problem.task_id for problem in problems if not any(code.strip() for code in samples.codes(problem.task_id))
    ]
    if len(without) == len(problems):
        raise InputError(f"{request.samples}: holds no code for any of the {len(problems)} problems; check the path")
    return {problem.task_id: samples.codes(problem.task_id) for problem in problems}


def _backend(request: GenerateRequest) -> Backend:
    return StoredOnly() if request.stored_only else make_backend(request.config)


def _carry_out(
    request: GenerateRequest, problems: int, key: str, run: Callable[[_Sink], Coroutine[Any, Any, Generated]]
) -> GenerateReport:
    began = time.monotonic()
    written = 0
    with atomic_writer(request.output) as stream:

        def sink(task_id: str, results: tuple[str, ...], mean_logprobs: tuple[float, ...] = ()) -> None:
            nonlocal written
            written += len(results)
            _write(stream, task_id, key, results, mean_logprobs)

        try:
            generated = run_to_end(run(sink))
        except (GenerationError, StoreError) as error:
            raise _with_place(error, answers_path(request.output)) from error
    return GenerateReport(
        dataset=request.dataset,
        model=request.config.model,
        output=str(request.output),
        answers=str(answers_path(request.output)),
        problems=problems,
        wanted=problems * request.n,
        written=written,
        completions=generated.completions,
        usable=generated.usable,
        usable_share=generated.usable / generated.completions if generated.completions else 0.0,
        dropped=generated.dropped,
        finish_reasons=generated.finish_reasons,
        failed=generated.failed,
        short=generated.short,
        requests=generated.requests,
        reused=generated.reused,
        tokens=generated.tokens,
        seconds=time.monotonic() - began,
        stored_only=request.stored_only,
    )


def _write(stream: TextIO, task_id: str, key: str, results: Sequence[str], mean_logprobs: Sequence[float]) -> None:
    for number, result in enumerate(results):
        record: dict[str, Any] = {"task_id": task_id, key: result}
        if mean_logprobs:
            record["mean_logprob"] = mean_logprobs[number]
        stream.write(msgspec.json.encode(record).decode("utf-8") + "\n")


def _with_place(error: CoderMError, answers: Path) -> CoderMError:
    """The error, with the name of the file that keeps the answers where it speaks of them."""
    words = str(error)
    return type(error)(words.replace("what was generated is kept", f"what was generated is kept in {answers}"))
