"""Problems -> lm-eval's documents and requests. Pure functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any

from lm_eval.api.instance import Instance

from coderm_tasks.generation.prompts import Prompt, render_solution
from coderm_tasks.hosts.lm_eval.settings import unit_test_kwargs
from coderm_tasks.model import Problem

__all__ = ["CHAT_STOPS", "Turn", "document", "solution_request", "tests_request"]

CHAT_STOPS = ("<|im_end|>", "<|eot_id|>", "<|endoftext|>")
"""Stops for chat answers. A chat model ends its turn itself; these help where that token is not known to end it."""

Turn = Callable[[str], str]
"""Turns a prompt into the context that the model is given: chat template and system message applied."""


def document(problem: Problem) -> dict[str, str]:
    """lm-eval's document of a problem. Ground truth stays out: documents are logged with every record."""
    return {
        "task_id": problem.task_id,
        "entry_point": problem.entry_point,
        "prompt": render_solution(problem, chat=False).text,
        "instruction": render_solution(problem, chat=True).text,
    }


def solution_request(
    doc: Mapping[str, Any], context: str, kwargs: Mapping[str, Any], place: tuple[str, int], repeats: int
) -> Instance:
    """The request that samples ``repeats`` solutions. ``place`` is the task's name and the document's number."""
    # A copy each: backends append their end-of-text to the stops they are handed.
    return Instance("generate_until", doc, (context, deepcopy(dict(kwargs))), 0, (*place, repeats))


def tests_request(solutions: Instance, prompt: Prompt, turn: Turn, *, max_gen_toks: int, budget: int) -> Instance:
    """The request that asks the same model, in the same way of sampling, for ``budget`` answers with unit tests."""
    kwargs = unit_test_kwargs(solutions.arguments[1], prompt.stop, max_gen_toks)
    place = (solutions.task_name, solutions.doc_id, budget)
    return Instance("generate_until", solutions.doc, (turn(prompt.text), kwargs), 1, place)
