"""``coderm synth``: questions and a model in, a folder of training data with its yields and its card out.

In the folder, while it grows and for the next run: ``tests.answers.jsonl``, ``repairs.answers.jsonl`` and
``weaker.answers.jsonl`` with all that the models wrote, synced as it came; the rows problem by problem
(:mod:`coderm_tasks.export.growing`). At the end ``sft.jsonl``, ``unittest-sft.jsonl``, ``README.md``, ``yield.json``.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import Any

import msgspec
from msgspec import Struct

from coderm_tasks.atomic import atomic_writer
from coderm_tasks.datasets import load_problems
from coderm_tasks.datasets.own import load_own_or_dataset
from coderm_tasks.errors import InputError
from coderm_tasks.export.card import render_card
from coderm_tasks.export.growing import Growing, output_folder
from coderm_tasks.export.spool import Spool
from coderm_tasks.files import sha256_of
from coderm_tasks.generation.asking import Asker, run_to_end, together
from coderm_tasks.generation.backends import make_backend, opened
from coderm_tasks.generation.base import Backend, Generated, ProgressCallback
from coderm_tasks.generation.log import Commits, content_key
from coderm_tasks.generation.unit_tests import TestPlan, check_prompt, open_log, write_tests
from coderm_tasks.model import Problem
from coderm_tasks.model_config import GeneratorConfig
from coderm_tasks.synth.feedback import loads
from coderm_tasks.synth.fitness import Fit, fit_questions
from coderm_tasks.synth.model import Yield
from coderm_tasks.synth.pipeline import Finished, Tools, process
from coderm_tasks.synth.records import KIND, SFT, UNIT_TESTS, make_card, sft_rows, unit_test_row
from coderm_tasks.synth.repair import open_repair_log
from coderm_tasks.synth.report import KEPT, yields
from coderm_tasks.synth.request import SynthReport, SynthRequest
from coderm_tasks.synth.weaker_source import WeakerSource
from executor import Executor

__all__ = ["synthesise"]

_BATCH = 32
"""Problems that are labelled and repaired together, at most: what a kill makes to be done again."""


def synthesise(
    request: SynthRequest,
    open_executor: Callable[[SynthRequest], Executor],
    showing: Callable[[str], AbstractContextManager[ProgressCallback | None]] = lambda what: nullcontext(),
) -> SynthReport:
    """Make the data. A run that was killed goes on with the same request; nothing is asked twice.

    Args:
        showing: is handed what is being written, and gives what is told of the progress.

    Raises:
        ConfigError, DatasetError, InputError: what the user has to mend.
        GenerationError: a model failed; its answers so far are kept in the folder.
        StoreError: a file cannot be used or written.
        SandboxError: the sandbox failed.
    """
    began = time.monotonic()
    everything = load_own_or_dataset(request.dataset, request.problems, load_problems)
    questions = everything[: request.limit]
    fit = fit_questions(questions)
    check_prompt(request.config, fit.problems)
    with ExitStack() as stack:
        stack.enter_context(output_folder(request.output, KIND, [SFT, UNIT_TESTS]))
        weaker = WeakerSource(request.weaker, stack.enter_context(Spool(request.output)))
        weaker.read(everything)
        sources = _sources(request)
        executor = stack.enter_context(open_executor(request))
        fit = _loading(executor, fit)
        if not fit.problems:
            raise InputError(
                f"{request.problems or request.dataset}: got no question that is fit for unit tests of "
                f"{len(questions)} ({_reasons(fit.left_out)}); expected questions with a function that loads; add some"
            )
        store, name = request.output / "weaker.answers.jsonl", request.dataset or "own"
        with showing("weaker solutions") if request.weaker.config else nullcontext() as tell:
            sampled = weaker.sample(fit.problems, store, name, request.seed, tell)
        settings = _settings(request, weaker, fit)
        run = content_key(settings=settings, sources=sources, questions=_hash_of(fit.problems))
        growing = stack.enter_context(Growing(request.output, [SFT, UNIT_TESTS], run))
        with showing("unit tests") as tell:
            made, repairs = run_to_end(_run(request, fit, executor, weaker, growing, tell))
        steps = yields(len(questions), fit, made, growing.totals, request.rounds, weaker=weaker.given)
        requests = made.requests + repairs + (sampled.requests if sampled else 0)
        return _finish(request, growing, steps, settings, sources, (made, requests, began))


async def _run(
    request: SynthRequest,
    fit: Fit,
    executor: Executor,
    weaker: WeakerSource,
    growing: Growing,
    progress: ProgressCallback | None,
) -> tuple[Generated, int]:
    """Sample tests, and finish each problem as soon as it has them; returns how it went and the repairs asked for."""
    config, name = request.config, request.dataset or "own"
    plan = TestPlan(
        config=config,
        problems=fit.problems,
        candidates={problem.task_id: (problem.truth.reference,) for problem in fit.problems},
        budget={problem.task_id: request.n for problem in fit.problems},
        seed=request.seed,
        dataset=name,
    )
    with (
        open_log(plan, request.output / "tests.answers.jsonl") as answers,
        open_repair_log(request.output / "repairs.answers.jsonl", config, name, request.seed) as repairs,
    ):
        async with opened(make_backend(config)) as backend, Commits(repairs) as commits:
            await backend.check(plan.longest_prompts())
            asker = Asker(config, backend, repairs, commits, request.seed)
            tools = Tools(executor, asker, weaker, config.chat, request.rounds, request.most)
            queue: asyncio.Queue[tuple[str, tuple[str, ...]] | None] = asyncio.Queue()
            sampling = _sample(plan, backend, answers, queue, progress)
            made, _ = await together([sampling, _consume(queue, fit, tools, growing, config)])
            assert made is not None
            return made, asker.tally.requests


async def _sample(
    plan: TestPlan, backend: Backend, answers: Any, queue: asyncio.Queue[Any], progress: ProgressCallback | None
) -> Generated | None:
    try:
        return await write_tests(plan, backend, answers, lambda *result: queue.put_nowait(result), progress)
    finally:
        queue.put_nowait(None)


async def _consume(
    queue: asyncio.Queue[tuple[str, tuple[str, ...]] | None],
    fit: Fit,
    tools: Tools,
    growing: Growing,
    config: GeneratorConfig,
) -> Generated | None:
    """Take what is there, up to a batch, and finish it; until the end of the queue."""
    problems = {problem.task_id: problem for problem in fit.problems}
    more = True
    while more:
        batch: dict[str, tuple[Problem, tuple[str, ...]]] = {}
        while more and len(batch) < _BATCH and (not batch or not queue.empty()):
            item = await queue.get()
            more = item is not None
            if item is not None and item[0] not in growing.done:
                batch[item[0]] = (problems[item[0]], item[1])
        for finished in await process(batch, tools) if batch else []:
            _write(finished, growing, config)
    return None


def _write(finished: Finished, growing: Growing, config: GeneratorConfig) -> None:
    rows: dict[str, Sequence[Struct]] = {
        SFT: sft_rows(finished, config),
        UNIT_TESTS: [unit_test_row(finished)] if finished.rated.drafts else [],
    }
    growing.add(finished.problem.task_id, rows, finished.counts)


def _loading(executor: Executor, fit: Fit) -> Fit:
    """Leave out the questions whose reference does not load in the sandbox: a package is missing, mostly."""
    loaded = loads(executor, fit.problems)
    kept = tuple(problem for problem in fit.problems if loaded[problem.task_id])
    lost = len(fit.problems) - len(kept)
    return Fit(kept, {**fit.left_out, **({"the code does not load in the sandbox": lost} if lost else {})})


def _reasons(left_out: Mapping[str, int]) -> str:
    return ", ".join(f"{reason}: {count}" for reason, count in left_out.items())


def _hash_of(problems: tuple[Problem, ...]) -> str:
    return content_key(problems=[(one.task_id, one.prompt, one.entry_point, one.truth.reference) for one in problems])


def _sources(request: SynthRequest) -> dict[str, str]:
    paths = {
        "problems": request.problems,
        "weaker samples": request.weaker.samples,
        "weaker labels": request.weaker.labels,
    }
    return {name: f"{path.name} {sha256_of(path)}" for name, path in paths.items() if path is not None}


def _settings(request: SynthRequest, weaker: WeakerSource, fit: Fit) -> dict[str, object]:
    """What the rows depend on beside the sources."""
    config, other = request.config, request.weaker.config
    settings: dict[str, object] = {
        "data set": request.dataset or "own problems",
        "model": config.model,
        "prompt": config.prompt,
        "chat": config.chat,
        "temperature": config.temperature,
        "top_p": config.top_p,
        "max_tokens": config.max_tokens,
        "tests per question": request.n,
        "rounds of repair": request.rounds,
        "seed": request.seed,
    }
    if weaker.given:
        settings["highest false acceptance rate"] = request.most
        settings["who says what is wrong"] = weaker.judge(fit.problems)
    if other is not None:
        settings |= {"weaker model": other.model, "weaker solutions per question": request.weaker.n}
    return settings


def _finish(
    request: SynthRequest,
    growing: Growing,
    steps: tuple[Yield, ...],
    settings: Mapping[str, object],
    sources: Mapping[str, str],
    run: tuple[Generated, int, float],
) -> SynthReport:
    made, requests, began = run
    tests, problems = growing.totals[KEPT], steps[-1].stayed
    with atomic_writer(request.output / "yield.json") as stream:
        stream.write(msgspec.json.format(msgspec.json.encode(steps), indent=2).decode("utf-8") + "\n")
    card = make_card(steps, tests, settings, sources, request.licence, benchmark=request.dataset is not None)
    growing.finish(render_card(card))
    return SynthReport(
        model=request.config.model,
        output=str(request.output),
        yields=steps,
        problems=problems,
        tests=tests,
        resumed=growing.resumed,
        requests=requests,
        tokens=made.tokens,
        seconds=round(time.monotonic() - began, 3),
    )
