"""Tokens, hours and money that generating tests takes, from stated assumptions. Prints a Markdown table.

    python benchmarks/generation_cost.py
    python benchmarks/generation_cost.py --n 20 --tokens-per-second 5000 --price-per-hour 3.5
    python benchmarks/generation_cost.py --other "my set:500:700"       name, problems, prompt tokens of one problem

Measured here: the number of problems and the length of each prompt (``coderm``, with the reference solution). Assumed,
and to be replaced by what your own first run prints: all the flags below.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence

from msgspec import Struct

from coderm_tasks.datasets import load_problems_to_rerank
from coderm_tasks.errors import CoderMError
from coderm_tasks.generation.asking import CHUNK
from coderm_tasks.generation.prompts import render

_SETS = (("HumanEval+", "humaneval_plus"), ("MBPP+", "mbpp_plus"))


class Assumptions(Struct, frozen=True):
    """What cannot be known before a run."""

    n: int
    answer_tokens: float
    usable: float
    characters_per_token: float
    tokens_per_second: float
    price_per_hour: float


class Cost(Struct, frozen=True):
    """What one data set takes."""

    name: str
    problems: int
    answers: int
    prompt_tokens: int
    """Read once per request; with prefix caching a request of ten answers reads its prompt once."""
    output_tokens: int
    hours: float
    price: float

    def row(self) -> str:
        """As a line of the table."""
        cells = (
            self.name, f"{self.problems:,}", f"{self.answers:,}", f"{self.prompt_tokens / 1e6:.2f} M",
            f"{self.output_tokens / 1e6:.1f} M", duration(self.hours), f"${self.price:.2f}",
        )  # fmt: skip
        return "| " + " | ".join(cells) + " |"


def duration(hours: float) -> str:
    """In minutes below two hours."""
    return f"{60 * hours:.0f} min" if hours < 2 else f"{hours:.1f} h"


def cost(name: str, prompt_tokens: Sequence[float], given: Assumptions) -> Cost:
    """What it takes to get ``n`` usable tests for problems whose prompts have so many tokens."""
    per_problem = math.ceil(given.n / given.usable)
    answers = per_problem * len(prompt_tokens)
    output = answers * given.answer_tokens
    hours = output / given.tokens_per_second / 3600
    reads = math.ceil(per_problem / CHUNK)
    return Cost(
        name, len(prompt_tokens), answers, round(reads * sum(prompt_tokens)), round(output), hours,
        hours * given.price_per_hour,
    )  # fmt: skip


def measured(dataset: str, given: Assumptions) -> list[float]:
    """Estimated tokens of each problem's prompt."""
    texts = [
        render("coderm", problem, candidate=problem.truth.reference, chat=True).text
        for problem in load_problems_to_rerank(dataset)
    ]
    return [len(text) / given.characters_per_token for text in texts]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--n", type=int, default=100, help="usable tests per problem")
    parser.add_argument("--answer-tokens", type=float, default=500, help="tokens of one answer, on average")
    parser.add_argument("--usable", type=float, default=0.9, help="share of answers with a usable, new test")
    parser.add_argument("--characters-per-token", type=float, default=3.5, help="of a prompt")
    parser.add_argument("--tokens-per-second", type=float, default=2500, help="of the server, all requests together")
    parser.add_argument("--price-per-hour", type=float, default=2.0, help="of the GPU, in dollars")
    parser.add_argument("--other", action="append", default=[], help="NAME:PROBLEMS:PROMPT_TOKENS of another data set")
    arguments = parser.parse_args()
    given = Assumptions(
        arguments.n, arguments.answer_tokens, arguments.usable, arguments.characters_per_token,
        arguments.tokens_per_second, arguments.price_per_hour,
    )  # fmt: skip
    print("| data set | problems | answers | prompt tokens | generated tokens | time | cost |")
    print("|---|---|---|---|---|---|---|")
    for name, dataset in _SETS:
        try:
            print(cost(name, measured(dataset, given), given).row())
        except CoderMError as error:
            print(f"{name}: {error}", file=sys.stderr)
            return 1
    for word in arguments.other:
        name, problems, tokens = word.rsplit(":", 2)
        print(cost(name, [float(tokens)] * int(problems), given).row())
    return 0


if __name__ == "__main__":
    sys.exit(main())
