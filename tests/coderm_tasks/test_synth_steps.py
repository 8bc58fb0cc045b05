"""The steps of ``coderm synth`` one by one: filter, label, words of the interpreter, repair, weaker solutions, yields."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from coderm_tasks.errors import ConfigError
from coderm_tasks.generation.asking import Asker
from coderm_tasks.generation.base import Completions, Generated, PromptRefusedError, Request
from coderm_tasks.generation.log import Commits
from coderm_tasks.model import GroundTruth, Problem
from coderm_tasks.model_config import GeneratorConfig, ModelConfig
from coderm_tasks.synth.feedback import loads, reports_of
from coderm_tasks.synth.fitness import Fit, fit_questions, unfit
from coderm_tasks.synth.judging import judge
from coderm_tasks.synth.model import Draft, WeakerSolutions, Yield
from coderm_tasks.synth.repair import Broken, Mended, mend_all, open_repair_log, render_repair
from coderm_tasks.synth.report import yields
from coderm_tasks.synth.request import SynthRequest
from coderm_tasks.synth.weaker import Rated, rate
from coderm_tasks.synth.weaker_source import WeakerPlan
from executor import Executor, SandboxMissing, open_executor

ADD = "def add(a, b):\n    return a + b\n"
CONFIG = GeneratorConfig(model="scripted", base_url="http://127.0.0.1:9/v1")


def problem(code: str = ADD, question: str = "Add two numbers.", entry_point: str = "add", number: int = 0) -> Problem:
    truth = GroundTruth(reference=code)
    return Problem(task_id=f"Own/{number}", dataset="own", prompt=question, entry_point=entry_point, truth=truth)


@pytest.fixture(scope="module")
def executor() -> Iterator[Executor]:
    """The real sandbox, within the limits of ``coderm synth``."""
    limits = SynthRequest(config=CONFIG, output=Path("unused")).limits
    try:
        opened = open_executor(workers=2, limits=limits)
    except SandboxMissing as error:
        pytest.skip(f"needs the sandbox: {error}")
    with opened as running:
        yield running


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (problem(), ""),
        (problem("add = lambda a, b: a + b\n"), ""),
        (problem("def add(a, b):\n    yield a + b\n"), ""),
        (problem("def add(input, b):\n    return input + b\n"), ""),
        (problem(question="?!"), "no question in words"),
        (problem("def add(a, b:\n"), "no code that parses"),
        (problem("  \n"), "no code that parses"),
        (problem("def sub(a, b):\n    return a - b\n"), "no function to call"),
        (problem("class add:\n    pass\n"), "no function to call"),
        (problem("def add(a, b):\n    print(a + b)\n"), "the function returns nothing"),
        (problem("def add(a, b):\n    def inner():\n        return 1\n    inner()\n"), "the function returns nothing"),
        (problem("def add(a, b):\n    return int(input())\n"), "reads input or files"),
        (problem("from sys import stdin\ndef add(a, b):\n    return stdin.read()\n"), "reads input or files"),
        (problem("import os\ndef add(a, b):\n    return os.environ['A']\n"), "reads input or files"),
        (problem("import urllib.request\ndef add(a, b):\n    return 1\n"), "reaches outside its process"),
        (problem("import random\ndef add(a, b):\n    return random.random()\n"), "depends on chance or time"),
        (
            problem("from datetime import date\ndef add(a, b):\n    return date.today()\n"),
            "depends on chance or time",
        ),
    ],
)
def test_a_question_is_unfit_for_a_reason(given: Problem, reason: str):
    assert unfit(given) == reason


def test_of_equal_questions_the_first_fit_one_is_kept_and_reasons_are_counted():
    given = [
        problem("x = 1\n"),
        problem(number=1),
        problem(question="Add  two\nnumbers.", number=2),
        problem(question="Add two numbers, a and b.", number=3),
    ]
    fit = fit_questions(given)
    assert [one.task_id for one in fit.problems] == ["Own/1", "Own/3"]
    assert fit.left_out == {"no function to call": 1, "same question twice": 1}


def judged(executor: Executor, code: str, *tests: str):
    return judge(executor, {"Own/0": (problem(code), [Draft(test) for test in tests])})["Own/0"]


def test_the_reference_parts_tests_that_hold_from_those_that_fail_and_those_that_test_nothing(executor: Executor):
    holds, fails, raises = "assert add(1, 2) == 3", "assert add(1, 2) == 4", "assert add(1, '2') == 3"
    found = judged(executor, ADD, holds, fails, raises, "assert True")
    assert found.passed == (Draft(holds),)
    assert found.failed == (Draft(fails), Draft(raises))
    assert found.vacuous == 1
    assert found.errors == {"fail": 1, "error": 1}


SLOW = """
import time

def add(a, b):
    while a < 0:
        pass
    began = time.process_time()
    while a > 100 and time.process_time() - began < 0.4:
        pass
    return a + b
"""
HANGING = tuple(f"assert add(-{number}, 1) == 0" for number in range(1, 5))


def test_tests_on_which_the_reference_hangs_take_no_time_from_the_others(executor: Executor):
    found = judged(executor, SLOW, *HANGING, "assert add(1, 2) == 3", "assert add(200, 2) == 202")
    assert [draft.code for draft in found.passed] == ["assert add(1, 2) == 3", "assert add(200, 2) == 202"]
    assert found.errors == {"timeout": 4}


def reports(executor: Executor, code: str, *tests: str) -> tuple[str, ...]:
    return reports_of(executor, {"Own/0": (problem(code), tests)})["Own/0"]


def test_the_report_names_the_assertion_that_fails_and_what_was_got(executor: Executor):
    unittest = (
        "import unittest\n\nclass T(unittest.TestCase):\n    def test_one(self):\n        self.assertEqual(add(1, 1), 3)\n"
        "    def test_two(self):\n        self.assertEqual(add(1, 1), 2)\n"
    )
    plain, of_case, raised, nameless = reports(
        executor, ADD, "assert add(0, 0) == 0\nassert add(1, 2) == 4", unittest, "assert add(1, '2') == 3", "assert f()"
    )
    assert plain == (
        "- `assert add(1, 2) == 4` fails: AssertionError: the left side is 3, the right side is 4"
    )  # fmt: skip
    assert of_case == "- `self.assertEqual(add(1, 1), 3)` fails: AssertionError: 2 != 3"
    assert raised.startswith("- `assert add(1, '2') == 3` fails: TypeError: unsupported operand")
    assert nameless == "- `assert f()` fails: NameError: name 'f' is not defined"


def test_a_test_that_does_not_end_is_reported_as_such(executor: Executor):
    (said,) = reports(executor, "def add(a, b):\n    while True:\n        pass\n", "assert add(1, 2) == 3")
    assert said == "- the test does not come to its end in time"


def test_a_test_that_fails_is_told_what_was_got_though_others_before_it_hang(executor: Executor):
    *stopped, last = reports(executor, SLOW, *HANGING, "assert add(1, 2) == 4")
    assert set(stopped) == {"- the test does not come to its end in time"}
    assert last == "- `assert add(1, 2) == 4` fails: AssertionError: the left side is 3, the right side is 4"


def test_what_the_reference_forges_is_no_report(executor: Executor):
    """Test and reference share a process for the report: it is data, and of a known form or nothing."""
    forging = ADD + "import builtins\nbuiltins.compile = lambda *a, **k: 'raise SystemExit(\"x\" * 10**5)'\n"
    (said,) = reports(executor, forging, "assert add(1, 2) == 4")
    assert len(said) < 1000


def test_a_reference_that_does_not_load_or_defines_no_function_is_found_out(executor: Executor):
    given = [problem(), problem("import no_such_module\n" + ADD, number=1), problem("add = 3\n", number=2)]
    assert loads(executor, given) == {"Own/0": True, "Own/1": False, "Own/2": False}


class Scripted:
    """A model that answers each prompt by a function, and keeps the prompts."""

    def __init__(self, reply: Callable[[str], str]) -> None:
        self.reply = reply
        self.prompts: list[str] = []

    async def open(self) -> None: ...

    async def check(self, longest: Sequence[str]) -> None: ...

    async def close(self) -> None: ...

    async def complete(self, request: Request) -> Completions:
        self.prompts.append(request.text)
        return Completions((self.reply(request.text),), ("stop",), 1)


def mend(
    path: Path, model: Scripted, broken: Sequence[Broken], known: Mapping[str, set[str]], turn: int = 1
) -> Mapping[str, Mended]:
    async def run() -> Mapping[str, Mended]:
        with open_repair_log(path, CONFIG, "own", 0) as log:
            async with Commits(log) as commits:
                return await mend_all(Asker(CONFIG, model, log, commits, 0), broken, known, turn, chat=True)

    return asyncio.run(run())


def broken(test: str, report: str = "- it fails") -> Broken:
    return Broken(problem(), Draft(test), report)


def test_the_repair_prompt_shows_question_code_test_and_report():
    for chat in (True, False):
        prompt = render_repair(broken("assert add(1, 2) == 4", "- the left side is 3"), chat=chat)
        for part in ("Add two numbers.", ADD.strip(), "assert add(1, 2) == 4", "- the left side is 3"):
            assert part in prompt.text
        assert prompt.text.endswith("```python\n") is not chat


def test_one_round_asks_once_about_each_broken_test_and_keeps_what_is_new(tmp_path: Path):
    def reply(prompt: str) -> str:
        if "== 5" in prompt:
            raise PromptRefusedError("too long")
        for wrong, text in (
            ("== 4", "```python\nassert add(1, 2) == 3\n```"),
            ("== 6", "I would not know."),
            ("== 7", "```python\nassert add(3, 4)  ==  7\n```"),
        ):
            if wrong in prompt:
                return text
        raise AssertionError(prompt)

    model = Scripted(reply)
    tests = [f"assert add(1, 2) == {number}" for number in (4, 5, 6)] + ["assert add(3, 3) == 7"]
    known = {"Own/0": {mark("assert add(3, 4) == 7")}}
    found = mend(tmp_path / "r.jsonl", model, [broken(test) for test in tests], known)["Own/0"]
    assert found.drafts == (Draft("assert add(1, 2) == 3", 1),)
    assert found.lost == {
        "the model refused to answer": 1,
        "no test in the answer": 1,
        "no other test than before": 1,
    }
    assert len(model.prompts) == 4
    assert mark("assert add(1, 2) == 3") in known["Own/0"]


def mark(test: str) -> str:
    from coderm_tasks.extract import fingerprint

    return fingerprint(test)


def test_a_repair_that_was_answered_is_not_asked_again_though_its_report_changed(tmp_path: Path):
    model = Scripted(lambda prompt: "```python\nassert add(1, 2) == 3\n```")
    first = mend(tmp_path / "r.jsonl", model, [broken("assert add(1, 2) == 4", "- {1, 2}")], {"Own/0": set()})
    again = mend(tmp_path / "r.jsonl", model, [broken("assert add(1, 2) == 4", "- {2, 1}")], {"Own/0": set()})
    assert first == again
    assert len(model.prompts) == 1
    mend(tmp_path / "r.jsonl", model, [broken("assert add(1, 2) == 4")], {"Own/0": set()}, turn=2)
    assert len(model.prompts) == 2


RIGHT, ALWAYS_3, SUBTRACTS = ADD, "def add(a, b):\n    return 3\n", "def add(a, b):\n    return a - b\n"
TESTS = ("assert add(1, 2) == 3", "assert add(2, 3) == 5", "assert add(1, 0) == 1")


def rated(executor: Executor, solutions: WeakerSolutions | None, most: float = 0.0) -> Rated:
    accepted = {"Own/0": (problem(), [Draft(test) for test in TESTS])}
    return rate(executor, accepted, {} if solutions is None else {"Own/0": solutions}, most)["Own/0"]


def test_tests_that_accept_wrong_solutions_are_dropped(executor: Executor):
    # Test 0 accepts one wrong solution of two (always 3), test 2 one (1 - 0 is 1), test 1 none.
    found = rated(executor, WeakerSolutions((RIGHT, ALWAYS_3, SUBTRACTS), (True, False, False)))
    assert [draft.code for draft in found.drafts] == [TESTS[1]]
    assert (found.weak, found.wrong) == (2, 2)
    assert [(one.far, one.frr) for one in found.rates] == [(0.0, 0.0)]


def test_a_share_of_wrong_solutions_may_be_allowed(executor: Executor):
    given = WeakerSolutions((RIGHT, ALWAYS_3, SUBTRACTS), (True, False, False))
    found = rated(executor, given, most=0.5)
    assert [draft.code for draft in found.drafts] == list(TESTS)
    assert [one.far for one in found.rates] == [0.5, 0.0, 0.5]
    assert rated(executor, given, most=0.49).weak == 2


def test_labels_decide_what_is_wrong_whatever_the_tests_say(executor: Executor):
    found = rated(executor, WeakerSolutions((SUBTRACTS,), (True,)))
    assert found.wrong == 0
    assert [(one.far, one.frr) for one in found.rates] == [(None, 1.0), (None, 1.0), (None, 0.0)]


def test_without_labels_wrong_is_what_fails_an_accepted_test(executor: Executor):
    found = rated(executor, WeakerSolutions((RIGHT, ALWAYS_3)))
    assert (found.wrong, found.weak) == (1, 1)
    assert [draft.code for draft in found.drafts] == list(TESTS[1:])


def test_without_weaker_solutions_every_accepted_test_is_kept(executor: Executor):
    found = rated(executor, None)
    assert [draft.code for draft in found.drafts] == list(TESTS)
    assert {one.far for one in found.rates} == {None}


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"samples": Path("s"), "config": ModelConfig(model="m", base_url="http://x/v1")}, "a weaker model"),
        ({"labels": Path("l")}, "labels without weaker samples"),
        ({"n": 0}, "--weaker-n is 0"),
    ],
)
def test_a_weaker_source_that_makes_no_sense_is_refused(given, complaint):
    with pytest.raises(ConfigError, match=complaint):
        WeakerPlan(**given)


def test_yields_follow_the_tests_from_step_to_step():
    sampled = Generated(
        tests={},
        dropped={"no test found": 2, "duplicate": 4, "cut off": 1},
        finish_reasons={},
        failed={"Own/1": "too long"},
        short={},
        completions=12,
        usable=9,
    )
    totals = {
        "sampled": 8, "vacuous": 1, "fail": 2, "timeout": 1, "accepted": 5, "repair 1: came": 3, "repair 1: stayed": 1,
        "repair 1: fails again": 2, "repair 1: tests nothing": 0, "weak": 2, "kept": 3, "with tests": 1,
    }  # fmt: skip
    fit = Fit((problem(), problem(number=1)), {"no question in words": 1})
    steps = {step.step: step for step in yields(3, fit, sampled, totals, 2, weaker=True)}
    assert {name: (one.came, one.stayed) for name, one in steps.items()} == {
        "filter": (3, 2), "sample": (12, 9), "extract": (13, 8), "label": (8, 4), "repair 1": (3, 1), "weaker": (5, 3),
        "records": (2, 1),
    }  # fmt: skip
    assert all(one.came == one.stayed + sum(one.left_out.values()) for one in steps.values())
    assert steps["sample"].left_out == {"hold no usable test": 3}
    assert steps["extract"].left_out == {"duplicate": 4, "cut off": 1}
    assert steps["label"].left_out == {"tests nothing": 1, "an assertion fails": 2, "does not end": 1}
    assert steps["repair 1"].left_out == {"fails again": 2}
    assert steps["weaker"].left_out == {"accepts wrong solutions": 2}
    assert steps["records"] == Yield(
        step="records", unit="questions", came=2, stayed=1, left_out={"refused by the model": 1}
    )
    assert "weaker" not in {step.step for step in yields(3, fit, sampled, totals, 2, weaker=False)}
