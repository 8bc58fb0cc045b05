"""Asking a backend, with every answer on disk before it counts and no question asked twice."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import signal
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from msgspec import Struct

from coderm_tasks.errors import ConfigError, GenerationError
from coderm_tasks.generation.base import Backend, Generated, Progress, ProgressCallback, PromptRefusedError, Request
from coderm_tasks.generation.log import Answer, AnswerLog, Commits, content_key
from coderm_tasks.generation.prompts import Prompt
from coderm_tasks.model_config import ModelConfig

__all__ = [
    "CHUNK",
    "Asker",
    "Book",
    "Question",
    "Tally",
    "for_each",
    "run_to_end",
    "settings_of",
    "together",
]

log = logging.getLogger(__name__)

CHUNK = 10
"""Answers per request: they share the prompt's prefix in the server, and a request that is lost costs little."""

_Result = TypeVar("_Result")
_Item = TypeVar("_Item")


class Question(Struct, frozen=True, kw_only=True):
    """One request of one problem."""

    task_id: str
    index: int
    prompt: Prompt
    identity: str
    """What stands for the prompt in the content key: its text, or its text without the candidate."""
    shown: str = ""
    """Candidate code in the prompt."""


class Tally:
    """Counts of one run."""

    def __init__(self) -> None:
        self.dropped: Counter[str] = Counter()
        self.finish_reasons: Counter[str] = Counter()
        self.failed: dict[str, str] = {}
        self.short: dict[str, int] = {}
        self.completions = 0
        self.usable = 0
        self.requests = 0
        self.reused = 0
        self.tokens = 0
        self.new_tokens = 0

    def give_up(self, task_id: str, has: int, of: int, refusal: str) -> None:
        """A problem stays below its budget: refused, or the model has no more."""
        if refusal:
            self.failed[task_id] = refusal
            log.warning("%s: %s", task_id, refusal)
        else:
            self.short[task_id] = has
            log.warning("%s: %d of %d, and the model was asked often enough", task_id, has, of)

    def generated(self, problems: int) -> Generated:
        """The counts of a run over so many problems, without tests. Raises GenerationError if it got nothing at all."""
        if self.failed and len(self.failed) == problems and not self.completions:
            raise GenerationError(f"every problem was refused; the first: {next(iter(self.failed.values()))}")
        return Generated(
            tests={},
            dropped=dict(self.dropped),
            finish_reasons=dict(self.finish_reasons),
            failed=dict(self.failed),
            short=dict(self.short),
            completions=self.completions,
            usable=self.usable,
            requests=self.requests,
            reused=self.reused,
            tokens=self.tokens,
        )


class Asker:
    """Puts questions to a backend, at most ``config.concurrency`` at a time."""

    def __init__(self, config: ModelConfig, backend: Backend, log: AnswerLog, commits: Commits, seed: int) -> None:
        self._config = config
        self._backend = backend
        self._log = log
        self._commits = commits
        self._seed = seed
        self._slots = asyncio.Semaphore(config.concurrency)
        self.tally = Tally()

    async def ask(self, question: Question, count: int) -> Answer:
        """The answer to a question: the stored one, or a new one of about ``count`` texts.

        How many texts were asked for is no part of the content key: texts sampled ten at a time are as good as texts
        sampled five at a time, and a larger budget must not ask for the first ones again.
        """
        prompt = question.prompt
        key = content_key(
            model=self._config.model,
            chat=self._config.chat,
            prompt=question.identity,
            stop=prompt.stop,
            temperature=self._config.temperature,
            top_p=self._config.top_p,
            max_tokens=self._config.max_tokens,
            seed=self._seed_of(question),
            index=question.index,
        )
        stored = self._log.get(key)
        if stored is not None:
            self.tally.reused += 1
            self._count(stored)
            return stored
        # The slot is held until the answer is on the disk: a kill loses no more than what was in flight.
        async with self._slots:
            got = await self._backend.complete(self._request(question, count))
            if self._config.logprobs and len(got.mean_logprobs) != len(got.texts):
                raise ConfigError(
                    f"the model {self._config.model!r} answers without log-probabilities: leave logprobs out, or serve "
                    "it where they are given (vLLM: --max-logprobs of at least 1)"
                )
            answer = Answer(
                key=key,
                task_id=question.task_id,
                index=question.index,
                prompt=f"{prompt.name}/{prompt.version}",
                shown=hashlib.sha256(question.shown.encode()).hexdigest() if question.shown else "",
                texts=tuple(prompt.prefix + text for text in got.texts),
                finish_reasons=got.finish_reasons,
                tokens=got.tokens,
                mean_logprobs=got.mean_logprobs,
            )
            await self._commits.append(answer)
        self.tally.requests += 1
        self.tally.new_tokens += answer.tokens
        self._count(answer)
        return answer

    async def ask_or_refuse(self, question: Question, count: int) -> Answer | PromptRefusedError:
        """As :meth:`ask`; a refusal is a result, so that it does not end the questions beside it."""
        try:
            return await self.ask(question, count)
        except PromptRefusedError as refusal:
            return refusal

    def _count(self, answer: Answer) -> None:
        self.tally.tokens += answer.tokens
        self.tally.completions += len(answer.texts)
        self.tally.finish_reasons.update(answer.finish_reasons)

    def _request(self, question: Question, count: int) -> Request:
        return Request(
            text=question.prompt.text,
            n=count,
            seed=self._seed_of(question),
            stop=question.prompt.stop,
            temperature=self._config.temperature,
            top_p=self._config.top_p,
            max_tokens=self._config.max_tokens,
            logprobs=self._config.logprobs,
        )

    def _seed_of(self, question: Question) -> int:
        # One seed for all would make copies of one answer where a server honours it.
        digest = hashlib.sha256(f"{self._seed}:{question.task_id}:{question.index}".encode()).digest()
        return int.from_bytes(digest[:4], "big") >> 1


class Book:
    """Hands results over in the order of the problems, as soon as all before them are there, and tells of progress."""

    def __init__(
        self, budgets: list[int], tally: Tally, sink: Callable[[str, tuple[str, ...]], None],
        progress: ProgressCallback | None,
    ) -> None:  # fmt: skip
        self._tally = tally
        self._sink = sink
        self._progress = progress
        self._waiting: dict[int, tuple[str, tuple[str, ...]]] = {}
        self._next = 0
        self._done = 0
        self._total = sum(budgets)

    def advance(self, new: int) -> None:
        """So many more results are there."""
        self._done += new
        self.tell()

    def finish(self, position: int, task_id: str, results: tuple[str, ...], missing: int) -> None:
        """The problem at ``position`` gets no more; ``missing`` results of its budget will never come."""
        self._total -= missing
        self._waiting[position] = (task_id, results)
        while self._next in self._waiting:
            self._sink(*self._waiting.pop(self._next))
            self._next += 1
        if missing:
            self.tell()

    def tell(self) -> None:
        """Report how far the run has come."""
        if self._progress is not None:
            self._progress(
                Progress(
                    done=self._done,
                    total=self._total,
                    completions=self._tally.completions,
                    usable=self._tally.usable,
                    new_tokens=self._tally.new_tokens,
                )
            )


async def for_each(items: Iterable[_Item], work: Callable[[int, _Item], Awaitable[None]], workers: int) -> None:
    """Do ``work(position, item)`` for all items, ``workers`` at a time, started in order."""
    numbered: Iterator[tuple[int, _Item]] = iter(enumerate(items))

    async def worker() -> None:
        for position, item in numbered:
            await work(position, item)

    await together(worker() for _ in range(workers))


async def together(work: Iterable[Coroutine[Any, Any, _Result]]) -> list[_Result]:
    """Results in order. The first error cancels the rest, and is raised when all of it has ended."""
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def run_to_end(work: Coroutine[Any, Any, _Result]) -> _Result:
    """Run to the end, also where the caller is inside an event loop already (a notebook)."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return _run_here(work)
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


def _run_here(work: Coroutine[Any, Any, _Result]) -> _Result:
    handler = signal.getsignal(signal.SIGTERM)
    ours = callable(handler) and threading.current_thread() is threading.main_thread()
    terminated = False

    async def watched() -> _Result:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()

        def stop() -> None:
            nonlocal terminated
            terminated = True
            if task is not None:
                task.cancel()

        if ours:
            # An exception out of a signal handler would leave tasks behind that nobody awaits.
            loop.add_signal_handler(signal.SIGTERM, stop)
        return await work

    try:
        return asyncio.run(watched())
    except asyncio.CancelledError:
        if terminated:
            raise SystemExit(128 + signal.SIGTERM) from None
        raise
    finally:
        if ours:
            signal.signal(signal.SIGTERM, handler)


def settings_of(config: ModelConfig, **others: Any) -> Mapping[str, Any]:
    """What a file of answers is written with: a run with other settings may not add to it."""
    return {
        **others,
        "model": config.model,
        "chat": config.chat,
        "temperature": config.temperature,
        "top_p": config.top_p,
        "max_tokens": config.max_tokens,
        **({"logprobs": True} if config.logprobs else {}),
    }
