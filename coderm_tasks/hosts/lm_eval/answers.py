"""What the model answered -> the work to be done: code and unit tests per problem. Pure functions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import zip_longest

from msgspec import Struct

from coderm_tasks.extract import extract_solution, extract_tests, fingerprint
from coderm_tasks.model import Problem

__all__ = ["Answers", "Harvest", "by_problem", "harvest_tests", "solutions_of", "uniform_problems"]


class Answers(Struct, frozen=True):
    """The model's raw answers for one problem, in the order they were sampled."""

    task_id: str
    solutions: tuple[str, ...]
    """N answers to the solution request."""
    tests: tuple[str, ...]
    """Answers to the test request; empty where the model was not asked for tests."""


class Harvest(Struct, frozen=True):
    """Unit tests found in answers."""

    tests: tuple[str, ...]
    """At most the budget, distinct."""
    dropped: dict[str, int]
    """Why and how often something was left out."""


def by_problem(requests: Iterable[tuple[str, Sequence[str]]]) -> list[Answers]:
    """Group answers by problem: a problem's first request asked for solutions, its second, if there is one, for tests.

    ``requests`` holds task id and answers of each request, in the order in which the task built them.
    """
    grouped: dict[str, list[tuple[str, ...]]] = {}
    for task_id, texts in requests:
        grouped.setdefault(task_id, []).append(tuple(_storable(text) for text in texts))
    return [Answers(task_id, kinds[0], kinds[1] if len(kinds) > 1 else ()) for task_id, kinds in grouped.items()]


def _storable(text: str) -> str:
    # A server's JSON may hold half a surrogate pair, which no UTF-8 file can.
    return text.encode("utf-8", "replace").decode("utf-8")


def uniform_problems(answers: Iterable[Answers]) -> int:
    """Number of problems with two samples or more that are all the same text."""
    return sum(len(one.solutions) > 1 and len(set(one.solutions)) == 1 for one in answers)


def solutions_of(answers: Answers, problem: Problem, *, chat: bool) -> tuple[str, ...]:
    """Self-contained code of each sample, in sample order; "" where an answer holds none."""
    return tuple(extract_solution(text, problem, chat=chat) for text in answers.solutions)


def harvest_tests(answers: Answers, entry_point: str, budget: int, *, prefix: str = "") -> Harvest:
    """Collect unit tests from the answers, up to ``budget``. ``prefix`` is the end of the prompt that belongs to each.

    One answer may hold several tests. They are taken in turn, the first of every answer before the second of any, so
    that a cut spares variety. Tests with the same syntax tree are one test: a budget buys distinct ones.
    """
    dropped: Counter[str] = Counter()
    per_answer: list[tuple[str, ...]] = []
    for text in answers.tests:
        extraction = extract_tests(prefix + text, entry_point)
        per_answer.append(extraction.tests)
        dropped.update(extraction.dropped)
    in_turn = [test for row in zip_longest(*per_answer) for test in row if test is not None]
    distinct: dict[str, str] = {}
    for test in in_turn:
        distinct.setdefault(fingerprint(test), test)
    dropped["repeated by another answer"] += len(in_turn) - len(distinct)
    dropped["beyond the budget"] += max(0, len(distinct) - budget)
    return Harvest(tuple(distinct.values())[:budget], dict(+dropped))
