"""A finished problem to rows, and all of them to a card (pure)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from coderm_tasks.export.card import Card
from coderm_tasks.export.model import Message, UnitTestRow
from coderm_tasks.export.rows import rated_tests
from coderm_tasks.export.wording import BENCHMARK, UNIT_TEST_COLUMNS
from coderm_tasks.generation.prompts import render
from coderm_tasks.generation.questions import question
from coderm_tasks.model_config import GeneratorConfig
from coderm_tasks.synth.model import SftRow, Yield
from coderm_tasks.synth.pipeline import Finished

__all__ = ["KIND", "SFT", "UNIT_TESTS", "make_card", "sft_rows", "unit_test_row"]

KIND, SFT, UNIT_TESTS = "synth", "sft", "unittest-sft"


def sft_rows(finished: Finished, config: GeneratorConfig) -> list[SftRow]:
    """One row per test: the prompt that asks for a test, and the test."""
    problem = finished.problem
    prompt = render(config.prompt, problem, candidate=problem.truth.reference, chat=config.chat)
    rows = []
    for number, (draft, rates) in enumerate(zip(finished.rated.drafts, finished.rated.rates, strict=True)):
        fenced = f"```python\n{draft.code.strip()}\n```"
        asked: tuple[str | Sequence[Message], str | Sequence[Message]] = (
            [Message("user", prompt.text)],
            [Message("assistant", fenced)],
        )
        if not config.chat:
            asked = (prompt.text.removesuffix(prompt.prefix), f"{draft.code.strip()}\n")
        rows.append(SftRow.of(asked, problem.task_id, number, draft, rates))
    return rows


def unit_test_row(finished: Finished) -> UnitTestRow:
    """The problem in the columns of CodeRM-UnitTest; ``code_generate`` are the weaker model's solutions."""
    problem = finished.problem
    solutions = [{"sol_id": number, "code": code} for number, code in enumerate(finished.weaker.codes)]
    tests = [(draft.code, rates) for draft, rates in zip(finished.rated.drafts, finished.rated.rates, strict=True)]
    return UnitTestRow(
        task_id=problem.task_id,
        question=question(problem),
        code_ground_truth=problem.truth.reference,
        code_generate=msgspec.json.encode(solutions).decode("utf-8"),
        unit_tests=msgspec.json.encode(rated_tests(tests)).decode("utf-8"),
    )


def make_card(
    steps: Sequence[Yield],
    tests: int,
    settings: Mapping[str, object],
    sources: Mapping[str, str],
    licence: str,
    *,
    benchmark: bool,
) -> Card:
    """The card of both files."""
    counts: dict[str, int | float | str] = {"unit tests": tests}
    for step in steps:
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in step.left_out.items())
        left = f" ({reasons})" if reasons else ""
        counts[f"step {step.step}: {step.unit}"] = f"{step.stayed:,} of {step.came:,}{left}"
    return Card(
        kind=KIND,
        title="Unit tests for supervised fine-tuning of a test generator",
        summary=(
            "Model-written unit tests that the reference solution passes: sampled, labelled by running the reference, "
            "repaired with the interpreter's words, and held against a weaker model's solutions. Made by `coderm "
            "synth`, after CodeRM (arXiv 2501.01054, section 3.2). `sft.jsonl` has a row per test, "
            "`unittest-sft.jsonl` one per problem."
        ),
        files={"sft": f"{SFT}.jsonl", "unittest-sft": f"{UNIT_TESTS}.jsonl"},
        rows=tests,
        tags=("code", "unit-tests", "sft", "trl", "coderm"),
        licence=licence,
        counts=counts,
        settings=settings,
        sources=sources,
        columns={
            "prompt, completion": "of `sft`: what TRL's SFT learns from; the test in one Markdown code block",
            "ut_id": "number of the test among those of the problem; the same in `unittest-sft`",
            "rounds": "repairs that the test took",
            "far, frr": "error rates on the weaker model's solutions, as false_acceptance_rate and "
            "false_rejection_rate below",
            **{
                f"{name} (unittest-sft)" if name != "task_id" else name: text
                for name, text in UNIT_TEST_COLUMNS.items()
            },
        },
        caveats=(
            "A test that the reference passes may still check little: far says how much wrong code it lets through.",
            "A wrong reference makes right tests fail and wrong ones pass.",
            "Nobody has read the tests. They are code: run them only in a sandbox.",
            *([BENCHMARK] if benchmark else []),
        ),
    )
