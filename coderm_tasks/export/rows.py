"""One problem of a run to rows of training data (pure)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from coderm_tasks.export.model import Case, Message, PreferenceRow, RewardRow, Rewards, Rows, UnitTestRow
from coderm_tasks.export.pairs import PairRules, choose_pairs, distinct
from coderm_tasks.generation.prompts import render_solution
from coderm_tasks.generation.questions import question
from coderm_tasks.metrics import Quality, cells_confusion, quality
from coderm_tasks.rerank import evidence_of

__all__ = ["preference_rows", "rated_tests", "reward_rows", "test_rates", "unit_test_rows"]

_Text = str | Sequence[Message]


def preference_rows(case: Case, rewards: Rewards, rules: PairRules, *, chat: bool) -> Rows:
    """Pairs of distinct solutions whose rewards differ by the margin."""
    if rewards.note:
        return _skipped(rewards.note)
    kept = distinct(case.solutions)
    labels = [case.label(index) for index in kept]
    pairs = choose_pairs(case.problem.task_id, rewards.values[kept], rules, labels)
    rows = [_pair(case, rewards, kept[better], kept[worse], chat=chat) for better, worse in pairs]
    counts = {
        "samples": len(case.solutions),
        "samples left out as duplicates or empty": len(case.solutions) - len(kept),
        "problems without a pair": int(not rows),
        **_lengths(case, rows),
        **(_agreement(rows) if case.labels else {}),
    }
    return Rows(rows, counts)


def reward_rows(case: Case, rewards: Rewards, *, chat: bool) -> Rows:
    """Every sample with its reward, duplicates included: how often a policy writes something is part of the data."""
    if rewards.note:
        return _skipped(rewards.note)
    prompt = _prompt(case, chat=chat)
    evidence = evidence_of(case.matrix).passed
    passed = evidence.sum(axis=1)
    rows = [
        RewardRow(
            prompt=prompt,
            completion=_answer(code, chat=chat),
            reward=float(rewards.values[index]),
            task_id=case.problem.task_id,
            sample=index,
            tests_passed=int(passed[index]),
            tests_used=rewards.tests_used,
            correct=case.label(index),
        )
        for index, code in enumerate(case.solutions)
    ]
    return Rows(rows, {"samples": len(rows), "samples that pass every test": int(evidence.all(axis=1).sum())})


def unit_test_rows(case: Case) -> Rows:
    """The problem with its samples and its usable tests, each test with its rates on the labelled samples."""
    known = [index for index in range(len(case.solutions)) if case.label(index) is not None]
    passed, executed = case.matrix.passed[known], case.matrix.executed[known]
    correct = np.array([case.label(index) for index in known], dtype=np.bool_)
    usable = np.flatnonzero(executed.any(axis=0)).tolist()
    if not usable:
        return _skipped("no usable test")
    rates = test_rates(passed, executed, correct)
    tests = [(case.tests[test], rates[test]) for test in usable]
    problem = case.problem
    row = UnitTestRow(
        task_id=problem.task_id,
        question=question(problem),
        code_ground_truth=problem.truth.reference,
        code_generate=_json([{"sol_id": index, "code": case.solutions[index]} for index in known]),
        unit_tests=_json(rated_tests(tests)),
    )
    counts = {
        "unit tests": len(usable),
        "unit tests left out as unusable": len(case.tests) - len(usable),
        "labelled samples": len(known),
        "labelled samples that are correct": int(correct.sum()),
        "unit tests without FAR (no sample passes)": sum(rate.paper_far is None for _, rate in tests),
        "unit tests without FRR (no sample fails)": sum(rate.paper_frr is None for _, rate in tests),
    }
    return Rows([row], counts)


def test_rates(passed: NDArray[np.bool_], executed: NDArray[np.bool_], correct: NDArray[np.bool_]) -> list[Quality]:
    """Rates of each test as a classifier of solutions (CodeRM, section 4.4). Shapes (N, M), (N, M), (N,); M results."""
    return [
        quality(cells_confusion(passed[:, [test]], executed[:, [test]], correct)) for test in range(passed.shape[1])
    ]


test_rates.__test__ = False  # type: ignore[attr-defined]  # no test, whatever its name says to pytest


def rated_tests(tests: Sequence[tuple[str, Quality]]) -> list[dict[str, Any]]:
    """Tests as CodeRM-UnitTest lists them, with the textbook's rates under names of their own."""
    return [
        {
            "ut_id": number,
            "code": code,
            "FAR": rates.paper_far,
            "FRR": rates.paper_frr,
            "false_acceptance_rate": rates.far,
            "false_rejection_rate": rates.frr,
        }
        for number, (code, rates) in enumerate(tests)
    ]


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode("utf-8")


def _skipped(note: str) -> Rows:
    return Rows([], {f"problems left out: {note}": 1})


def _pair(case: Case, rewards: Rewards, better: int, worse: int, *, chat: bool) -> PreferenceRow:
    return PreferenceRow(
        prompt=_prompt(case, chat=chat),
        chosen=_answer(case.solutions[better], chat=chat),
        rejected=_answer(case.solutions[worse], chat=chat),
        task_id=case.problem.task_id,
        chosen_sample=better,
        rejected_sample=worse,
        chosen_reward=float(rewards.values[better]),
        rejected_reward=float(rewards.values[worse]),
        tests_used=rewards.tests_used,
        chosen_correct=case.label(better),
        rejected_correct=case.label(worse),
    )


def _prompt(case: Case, *, chat: bool) -> _Text:
    """What ``coderm sample`` asks a chat model."""
    text = render_solution(case.problem, chat=True).text
    return [Message("user", text)] if chat else text + "\n\n"


def _answer(code: str, *, chat: bool) -> _Text:
    """Code as the prompt wants it: in one Markdown block."""
    text = f"```python\n{code.strip()}\n```" if code.strip() else ""
    return [Message("assistant", text)] if chat else text


def _lengths(case: Case, rows: Sequence[PreferenceRow]) -> dict[str, int]:
    return {
        "characters of chosen code": sum(len(case.solutions[row.chosen_sample]) for row in rows),
        "characters of rejected code": sum(len(case.solutions[row.rejected_sample]) for row in rows),
    }


def _agreement(rows: Sequence[PreferenceRow]) -> dict[str, int]:
    return dict(_verdicts(rows))


def _verdicts(rows: Sequence[PreferenceRow]) -> Iterator[tuple[str, int]]:
    for name, wanted in (
        ("pairs that the labels confirm", (True, False)),
        ("pairs that the labels turn round", (False, True)),
        ("pairs of two correct solutions", (True, True)),
        ("pairs of two wrong solutions", (False, False)),
    ):
        yield name, sum((row.chosen_correct, row.rejected_correct) == wanted for row in rows)
