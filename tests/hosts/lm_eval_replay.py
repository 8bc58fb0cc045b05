"""Help for the lm-eval tests: a real lm-eval model whose answers are written down, and a real run with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import lm_eval
from lm_eval.api.instance import Instance
from lm_eval.api.model import LM
from lm_eval.tasks import TaskManager

from coderm_tasks.datasets import load_problems
from coderm_tasks.tasks import task_path

ORIGINAL = {problem.task_id: problem for problem in load_problems("humaneval")}

WRONG = "    return None\n"
RIGHT_0 = ORIGINAL["HumanEval/0"].truth.reference.removeprefix(ORIGINAL["HumanEval/0"].prompt)
TESTS_0 = (
    "[1.0, 2.0, 3.0], 0.5) == False\n",
    "[1.0, 2.8, 3.0, 4.0, 5.0, 2.0], 0.3) == True\n",
)

Answer = Callable[[Instance, int], str]
"""Request and how often it was asked before -> text."""


def cycle(solutions: Sequence[str], tests: Sequence[str]) -> Answer:
    """Answer requests for solutions with ``solutions`` in turn, those for tests with ``tests``."""

    def answer(request: Instance, times: int) -> str:
        texts = solutions if request.idx == 0 else tests
        return texts[times % len(texts)]

    return answer


class ReplayLM(LM):  # type: ignore[misc]
    """Answers what it is told to, and keeps the requests."""

    tokenizer_name = "replay"

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self.answer = answer
        self.requests: list[Instance] = []

    def generate_until(self, requests: list[Instance]) -> list[str]:
        times: Counter[int] = Counter()
        texts = []
        for request in requests:
            texts.append(self.answer(request, times[id(request)]))
            times[id(request)] += 1
        self.requests += requests
        return texts

    def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        turns = "".join(f"<{turn['role']}>{turn['content']}" for turn in chat_history)
        return turns + ("<assistant>" if add_generation_prompt else "")

    def loglikelihood(self, requests: list[Instance]) -> list[tuple[float, bool]]:
        raise NotImplementedError

    def loglikelihood_rolling(self, requests: list[Instance]) -> list[float]:
        raise NotImplementedError


def manager(settings: dict[str, Any] | None = None, **metadata: Any) -> TaskManager:
    """A task manager that knows our tasks only."""
    return TaskManager(
        include_path=str(task_path()), include_defaults=False, metadata={"coderm": settings or {}, **metadata}
    )


def run(model: LM, settings: dict[str, Any], task: str = "humaneval_coderm", **options: Any) -> Any:
    """Run a task as lm-eval's command line does."""
    given = {"limit": 1, "bootstrap_iters": 0, **options}
    return lm_eval.simple_evaluate(model=model, tasks=[task], task_manager=manager(settings), **given)


def values(results: Any, task: str = "humaneval_coderm") -> dict[str, float]:
    """Pipeline -> pass@1."""
    found = results["results"][task]
    return {key.split(",")[1]: value for key, value in found.items() if key.startswith("pass@1,")}
