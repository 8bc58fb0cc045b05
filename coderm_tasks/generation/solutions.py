"""Solutions from a model, through the same backends and with the same care as unit tests."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

from msgspec import Struct

from coderm_tasks.errors import ConfigError
from coderm_tasks.extract import extract_solution
from coderm_tasks.generation.asking import (
    CHUNK,
    Asker,
    Book,
    Question,
    Tally,
    for_each,
    settings_of,
    together,
)
from coderm_tasks.generation.base import Backend, Generated, ProgressCallback, PromptRefusedError
from coderm_tasks.generation.log import AnswerLog, Commits
from coderm_tasks.generation.prompts import render_solution
from coderm_tasks.model import Problem
from coderm_tasks.model_config import ModelConfig

__all__ = ["SamplePlan", "check_samples", "open_sample_log", "write_solutions"]

NO_CODE = "no code found"
_LONGEST = 3


class SamplePlan(Struct, frozen=True, kw_only=True):
    """What is to be sampled."""

    config: ModelConfig
    problems: tuple[Problem, ...]
    n: int
    """Solutions per problem."""
    seed: int
    dataset: str

    def longest_prompts(self) -> list[str]:
        """The longest prompts of the plan, longest first."""
        texts = [render_solution(problem, chat=self.config.chat).text for problem in self.problems]
        return sorted(texts, key=len, reverse=True)[:_LONGEST]


def check_samples(plan: SamplePlan) -> None:
    """Raise ConfigError for what makes no sense to ask."""
    if plan.config.temperature == 0 and plan.n > 1:
        raise ConfigError(
            f"temperature is 0 and n is {plan.n}: greedy decoding gives copies of one solution; "
            "set n to 1, or a temperature"
        )


def open_sample_log(plan: SamplePlan, store: Path) -> AnswerLog:
    """The file of answers. Raises StoreError where it belongs to other settings, or cannot be used."""
    version = render_solution(plan.problems[0], chat=plan.config.chat).version
    settings = {"kind": "solutions", "dataset": plan.dataset, "prompt": f"solution/{version}", "seed": plan.seed}
    return AnswerLog(store, settings_of(plan.config, **settings))


async def write_solutions(
    plan: SamplePlan,
    backend: Backend,
    answers: AnswerLog,
    sink: Callable[[str, tuple[str, ...], tuple[float, ...]], None],
    progress: ProgressCallback | None = None,
) -> Generated:
    """Hand ``n`` solutions of each problem to ``sink(task_id, codes, mean_logprobs)``, in the order of the problems.

    ``mean_logprobs`` are those of the answers that the codes come from, nats per token; empty where the configuration
    does not ask for them.

    An answer without code is a sample too: an empty one, which fails. A problem that the model refuses gets what there
    is, possibly nothing.

    Raises:
        ConfigError: wrong key, model or URL.
        GenerationError: the backend failed for good, or refused every problem.
        StoreError: an answer cannot be stored.
    """
    async with Commits(answers) as commits:
        asker = Asker(plan.config, backend, answers, commits, plan.seed)
        means: dict[str, tuple[float, ...]] = {}

        def hand_over(task_id: str, codes: tuple[str, ...]) -> None:
            sink(task_id, codes, means.pop(task_id))

        book = Book([plan.n] * len(plan.problems), asker.tally, hand_over, progress)

        async def fill(position: int, problem: Problem) -> None:
            codes, means[problem.task_id] = await _sample(plan, asker, book, problem)
            book.finish(position, problem.task_id, codes, plan.n - len(codes))

        await for_each(plan.problems, fill, plan.config.concurrency)
    return asker.tally.generated(len(plan.problems))


async def _sample(
    plan: SamplePlan, asker: Asker, book: Book, problem: Problem
) -> tuple[tuple[str, ...], tuple[float, ...]]:
    """Solutions of one problem, and their mean log-probabilities where they are known."""
    task_id, tally = problem.task_id, asker.tally
    codes: list[str] = []
    means: list[float] = []
    asked = answered = 0
    refusal = ""
    while len(codes) < plan.n and asked < 2 * plan.n and not refusal:
        given = max(1.0, min(len(codes) / answered, CHUNK)) if answered else CHUNK
        sizes = _sizes(plan.n - len(codes), given)
        questions = [_question(plan, problem, asked + turn) for turn in range(len(sizes))]
        asked += len(sizes)
        for answer in await together(asker.ask_or_refuse(*pair) for pair in zip(questions, sizes)):
            if isinstance(answer, PromptRefusedError):
                refusal = str(answer)
                continue
            answered += 1
            new = [extract_solution(text, problem, chat=plan.config.chat) for text in answer.texts]
            codes += (kept := new[: plan.n - len(codes)])
            means += answer.mean_logprobs[: len(kept)]
            _count(tally, kept)
            book.advance(len(kept))
    if len(codes) < plan.n:
        tally.give_up(task_id, len(codes), plan.n, refusal)
    return tuple(codes), tuple(means)


def _count(tally: Tally, codes: Sequence[str]) -> None:
    tally.usable += sum(bool(code) for code in codes)
    if lost := sum(not code for code in codes):
        tally.dropped[NO_CODE] += lost


def _sizes(missing: int, given: float) -> list[int]:
    """How many answers each of the next requests asks for, where a request gives about ``given``."""
    number = math.ceil(missing / given)
    return [min(CHUNK, max(1, missing - CHUNK * turn)) for turn in range(number)]


def _question(plan: SamplePlan, problem: Problem, index: int) -> Question:
    prompt = render_solution(problem, chat=plan.config.chat)
    return Question(task_id=problem.task_id, index=index, prompt=prompt, identity=prompt.text)
