"""Unit tests from a model behind an OpenAI-compatible endpoint (``vllm serve``, SGLang, llama-server, hosted)."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import math
from collections import Counter
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from msgspec import Struct

from coderm_tasks.config import GeneratorConfig
from coderm_tasks.errors import ConfigError, GenerationError
from coderm_tasks.extract import Drop, extract_tests, fingerprint
from coderm_tasks.generation.base import Generated, Progress, ProgressCallback
from coderm_tasks.generation.client import Endpoint, PromptRefusedError
from coderm_tasks.generation.log import Answer, AnswerLog, content_key
from coderm_tasks.generation.prompts import Prompt, prompt_info, render
from coderm_tasks.model import Problem

__all__ = ["EndpointGenerator", "check_endpoint", "generate_tests"]

log = logging.getLogger(__name__)

_CHUNK = 10  # completions per request: they share the prompt's prefix in the server, and a lost request costs little
_OVERDRAW = 2  # completions per wanted test before a problem is given up
_BLIND = "unittest-blind"
_Result = TypeVar("_Result")


class EndpointGenerator:
    """A :class:`~coderm_tasks.generation.base.TestGenerator` over an endpoint; answers are kept in ``store``."""

    def __init__(self, config: GeneratorConfig, store: Path, *, seed: int = 0) -> None:
        self.config = config
        self.store = store
        self.seed = seed

    def check(self) -> None:
        """See :func:`check_endpoint`."""
        check_endpoint(self.config)

    def generate(
        self,
        problems: Sequence[Problem],
        candidates: Mapping[str, Sequence[str]],
        budget: Mapping[str, int],
        *,
        progress: ProgressCallback | None = None,
    ) -> Generated:
        """See :func:`generate_tests`."""
        return generate_tests(self.config, problems, candidates, budget, self.store, self.seed, progress)


def check_endpoint(config: GeneratorConfig) -> None:
    """Find a dead endpoint, a wrong model, a missing key or an unknown prompt before anything is sampled.

    Raises:
        ConfigError: what has to be set differently.
        GenerationError: nothing, or no model server, answers at the URL.
    """
    info = prompt_info(config.prompt)
    if info.needs_candidate and config.condition == "none":
        raise ConfigError(
            f"prompt {config.prompt!r} shows a candidate solution, and condition is 'none': "
            f"set condition to 'first' or 'rotate', or use the prompt {_BLIND!r}"
        )
    _run(_check(config))


def generate_tests(
    config: GeneratorConfig,
    problems: Sequence[Problem],
    candidates: Mapping[str, Sequence[str]],
    budget: Mapping[str, int],
    store: Path,
    seed: int,
    progress: ProgressCallback | None = None,
) -> Generated:
    """Up to ``budget[task_id]`` distinct unit tests per problem.

    Every answer is on disk before it counts, under the hash of all that it was asked with, so a run that was killed
    goes on where it stopped and asks nothing twice. Asking ends per problem once its budget of usable tests is met, or
    after twice as many completions.

    Args:
        candidates: sampled solutions by task id, for prompts that show one; a problem without gets the blind prompt.
        store: JSONL file of answers, created if missing.
        seed: the requests' seeds derive from it. Servers need not repeat themselves: the file is what can be repeated.

    Raises:
        ConfigError: wrong key, model or URL.
        GenerationError: the endpoint failed for good, or refused every problem.
        StoreError: the store cannot be used, or holds answers to other settings.
    """
    settings = {
        "model": config.model,
        "prompt": f"{config.prompt}/{prompt_info(config.prompt).version}",
        "condition": config.condition,
        "chat": config.chat,
        "temperature": config.temperature,
        "top_p": config.top_p,
        "max_tokens": config.max_tokens,
        "seed": seed,
    }
    with AnswerLog(store, settings) as answers:
        run = _Run(config, answers, budget, seed, progress)
        drafts = _run(run.all([problem for problem in problems if budget.get(problem.task_id, 0) > 0], candidates))
    return run.summary(problems, drafts)


class _Draft:
    """Tests of one problem while they come in."""

    def __init__(self, problem: Problem, budget: int, candidates: Sequence[str]) -> None:
        self.problem = problem
        self.budget = budget
        self.candidates = tuple(dict.fromkeys(code.strip() for code in candidates if code.strip()))
        self.tests: dict[str, str] = {}
        self.completions = 0
        self.usable = 0
        self.requests = 0
        self.failure = ""

    @property
    def open(self) -> bool:
        most = _OVERDRAW * self.budget
        return len(self.tests) < self.budget and self.completions < most and self.requests < most and not self.failure

    def next_requests(self, chunk: int) -> range:
        """Indices of the requests that the missing tests should take, by the yield so far."""
        rate = max(len(self.tests) / self.completions, 0.25) if self.completions else 1.0
        missing = math.ceil((self.budget - len(self.tests)) / rate)
        allowed = _OVERDRAW * self.budget - self.completions
        return range(self.requests, self.requests + math.ceil(min(missing, allowed) / chunk))


class _Counts(Struct):
    dropped: Counter[str]
    finish_reasons: Counter[str]
    tokens: int = 0
    asked: int = 0


class _Run:
    """One call of :func:`generate_tests`."""

    def __init__(
        self,
        config: GeneratorConfig,
        answers: AnswerLog,
        budget: Mapping[str, int],
        seed: int,
        progress: ProgressCallback | None,
    ) -> None:
        self._config = config
        self._answers = answers
        self._budget = budget
        self._seed = seed
        self._progress = progress
        self._counts = _Counts(Counter(), Counter())
        self._drafts: list[_Draft] = []

    async def all(self, problems: Iterable[Problem], candidates: Mapping[str, Sequence[str]]) -> list[_Draft]:
        self._drafts = [
            _Draft(problem, self._budget[problem.task_id], candidates.get(problem.task_id, ())) for problem in problems
        ]
        self._slots = asyncio.Semaphore(self._config.concurrency)
        async with Endpoint(self._config) as endpoint:
            await _together(self._fill(endpoint, draft) for draft in self._drafts)
        return self._drafts

    async def _fill(self, endpoint: Endpoint, draft: _Draft) -> None:
        chunk = min(_CHUNK, draft.budget)
        while draft.open:
            indices = draft.next_requests(chunk)
            draft.requests = indices.stop
            try:
                answers = await _together(self._answer(endpoint, draft, index, chunk) for index in indices)
            except PromptRefusedError as error:
                draft.failure = str(error)
                log.warning("%s: %s", draft.problem.task_id, error)
                return
            for answer in answers:
                self._take(draft, answer)

    async def _answer(self, endpoint: Endpoint, draft: _Draft, index: int, count: int) -> Answer:
        prompt = self._prompt(draft, index)
        options = self._options(prompt, draft.problem, index, count)
        key = content_key(
            model=self._config.model, chat=self._config.chat, prompt=prompt.text, options=options, index=index
        )
        if stored := self._answers.get(key):
            return stored
        async with self._slots:
            got = await endpoint.complete(prompt.text, options)
        answer = Answer(
            key=key,
            task_id=draft.problem.task_id,
            index=index,
            prompt=f"{prompt.name}/{prompt.version}",
            texts=tuple(prompt.prefix + text for text in got.texts),
            finish_reasons=got.finish_reasons,
            tokens=got.tokens,
        )
        self._answers.append(answer)
        self._counts.asked += 1
        return answer

    def _prompt(self, draft: _Draft, index: int) -> Prompt:
        name, candidate = self._config.prompt, None
        if draft.candidates and self._config.condition != "none":
            turn = index if self._config.condition == "rotate" else 0
            candidate = draft.candidates[turn % len(draft.candidates)]
        elif prompt_info(name).needs_candidate:
            if index == 0:
                log.warning("%s: no candidate solution to show: asking with %r", draft.problem.task_id, _BLIND)
            name = _BLIND
        return render(name, draft.problem, candidate=candidate, chat=self._config.chat)

    def _options(self, prompt: Prompt, problem: Problem, index: int, count: int) -> dict[str, Any]:
        digest = hashlib.sha256(f"{self._seed}:{problem.task_id}:{index}".encode()).digest()
        options: dict[str, Any] = {
            "n": count,
            "temperature": self._config.temperature,
            "top_p": self._config.top_p,
            "max_tokens": self._config.max_tokens,
            "seed": int.from_bytes(digest[:4], "big") >> 1,  # one seed for all would make copies of one answer
        }
        return {**options, "stop": list(prompt.stop)} if prompt.stop else options

    def _take(self, draft: _Draft, answer: Answer) -> None:
        counts = self._counts
        counts.tokens += answer.tokens
        for text, reason in zip(answer.texts, answer.finish_reasons, strict=True):
            counts.finish_reasons[reason] += 1
            found = extract_tests(text, draft.problem.entry_point, truncated=reason == "length")
            counts.dropped.update(found.dropped)
            draft.completions += 1
            draft.usable += bool(found.tests)
            for test in found.tests:
                mark = fingerprint(test)
                if mark in draft.tests:
                    counts.dropped[Drop.DUPLICATE.value] += 1
                elif len(draft.tests) < draft.budget:
                    draft.tests[mark] = test
        if self._progress is not None:
            self._progress(self._state())

    def _state(self) -> Progress:
        return Progress(
            tests=sum(len(draft.tests) for draft in self._drafts),
            wanted=sum(draft.budget for draft in self._drafts),
            completions=sum(draft.completions for draft in self._drafts),
            usable=sum(draft.usable for draft in self._drafts),
            tokens=self._counts.tokens,
        )

    def summary(self, problems: Sequence[Problem], drafts: Sequence[_Draft]) -> Generated:
        failed = {draft.problem.task_id: draft.failure for draft in drafts if draft.failure}
        if drafts and len(failed) == len(drafts):
            raise GenerationError(f"every problem was refused; the first: {next(iter(failed.values()))}")
        for draft in drafts:
            if len(draft.tests) < draft.budget and not draft.failure:
                task, got = draft.problem.task_id, len(draft.tests)
                log.warning("%s: %d of %d tests from %d answers", task, got, draft.budget, draft.completions)
        tests = {problem.task_id: tuple[str, ...]() for problem in problems}
        tests.update({draft.problem.task_id: tuple(draft.tests.values()) for draft in drafts})
        return Generated(
            tests=tests,
            dropped=dict(self._counts.dropped),
            finish_reasons=dict(self._counts.finish_reasons),
            failed=failed,
            completions=sum(draft.completions for draft in drafts),
            requests=self._counts.asked,
            tokens=self._counts.tokens,
        )


async def _check(config: GeneratorConfig) -> None:
    async with Endpoint(config) as endpoint:
        await endpoint.check()


async def _together(work: Iterable[Coroutine[Any, Any, _Result]]) -> list[_Result]:
    """Results in order. The first error cancels the rest, and is raised when all of it has ended."""
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _run(work: Coroutine[Any, Any, _Result]) -> _Result:
    """Run to the end, also where the caller is inside an event loop already (a notebook)."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()
