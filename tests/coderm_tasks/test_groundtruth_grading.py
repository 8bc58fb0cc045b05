from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec
import pytest

from coderm_tasks.datasets import load_problems
from coderm_tasks.errors import DatasetError
from coderm_tasks.groundtruth import GROUND_TRUTH_LIMITS, Grade, grade
from coderm_tasks.model import GroundTruth, Problem
from executor import CallJob, Executor, Outputs, Verdict, open_executor
from executor.fake import FakeExecutor

RIGHT, WRONG = (True, True), (False, False)


class CountingExecutor(FakeExecutor):
    """The shipped double, remembering what it was asked to run."""

    def __init__(self) -> None:
        super().__init__()
        self.called: list[CallJob] = []
        self.returned: list[Outputs] = []

    def call(self, jobs: Iterable[CallJob]) -> Iterator[Outputs]:
        for job in jobs:
            self.called.append(job)
            for outputs in super().call([job]):
                self.returned.append(outputs)
                yield outputs


@pytest.fixture
def executor() -> CountingExecutor:
    return CountingExecutor()


def problem(reference: str, base: Sequence[object], plus: Sequence[object] = (), **fields: object) -> Problem:
    """A problem of one function ``f`` with one argument."""
    truth = GroundTruth(
        reference=reference, base_inputs=tuple((x,) for x in base), plus_inputs=tuple((x,) for x in plus)
    )
    made = Problem(task_id="Tiny/0", dataset="humaneval", prompt="", entry_point="f", truth=truth)
    return msgspec.structs.replace(made, **fields)


def one(executor: Executor, problem: Problem, code: str) -> Grade:
    return grade(executor, [problem], [[code]])[0][0]


DOUBLE = problem("def f(x):\n    return 2 * x\n", [1, 2], [3, "ab"])


def test_a_solution_right_on_all_inputs_is_correct(executor: CountingExecutor) -> None:
    verdict = one(executor, DOUBLE, "def f(x):\n    return x + x\n")
    assert verdict == Grade(True, True, "")
    assert verdict.correct


def test_a_solution_wrong_on_an_extra_input_passes_base_only(executor: CountingExecutor) -> None:
    verdict = one(executor, DOUBLE, "def f(x):\n    return x + x if isinstance(x, int) else x\n")
    assert verdict == Grade(True, False, "plus input 1: returned 'ab', expected 'abab'")
    assert not verdict.correct


def test_a_solution_wrong_on_a_base_input_is_not_run_on_extra_inputs(executor: CountingExecutor) -> None:
    verdict = one(executor, DOUBLE, "def f(x):\n    return 2\n")
    assert verdict == Grade(False, False, "base input 1: returned 2, expected 4")
    assert [one.verdict for one in executor.returned[-1].outcomes[0][2:]] == [Verdict.NOT_RUN] * 2


def test_an_output_that_is_right_without_being_the_references_is_looked_at_to_the_end(
    executor: CountingExecutor,
) -> None:
    near = problem("def f(x):\n    return x / 3\n", [1, 2], [5, 7])
    other_way = "def f(x):\n    return (1 / 3) * x{}\n"
    codes = [other_way.format(""), other_way.format(" + (x == 7)"), other_way.format(" + (x == 2)")]
    assert [x / 3 == (1 / 3) * x for x in (1, 2, 5, 7)] == [True, True, False, False]
    (grades,) = grade(executor, [near], [codes])
    assert [(one.base, one.plus) for one in grades] == [(True, True), (True, False), (False, False)]
    assert [len(job.solutions) for job in executor.called] == [1, 3, 2]


def test_an_exception_is_named_in_one_line(executor: CountingExecutor) -> None:
    verdict = one(executor, DOUBLE, "def f(x):\n    raise KeyError('one\\ntwo' + 'x' * 500)\n")
    assert verdict.reason.startswith("base input 0: raised KeyError: ")
    assert "\n" not in verdict.reason
    assert len(verdict.reason) < 150


@pytest.mark.parametrize(
    "code", ["", " \n", "def f(x) return", "def g(x):\n    return 2 * x\n", "import sys; sys.exit(0)"]
)
def test_what_defines_no_function_is_wrong(code: str, executor: CountingExecutor) -> None:
    verdict = one(executor, DOUBLE, code)
    assert (verdict.base, verdict.plus) == WRONG
    assert verdict.reason


def test_identical_sources_are_run_once_and_graded_each(executor: CountingExecutor) -> None:
    right, wrong = "def f(x):\n    return 2 * x\n", "def f(x):\n    return 3 * x\n"
    (grades,) = grade(executor, [DOUBLE], [[right, wrong, right, "", wrong]])
    assert [each.correct for each in grades] == [True, False, True, False, False]
    assert [len(job.solutions) for job in executor.called] == [1, 2]


def test_inputs_are_fresh_for_every_solution(executor: CountingExecutor) -> None:
    sorting = problem("def f(x):\n    return sorted(x)\n", [[3, 1, 2]], [[2, 1]])
    greedy = "def f(x):\n    out = sorted(x)\n    x.clear()\n    return out\n"
    (grades,) = grade(executor, [sorting], [[greedy, "def f(x):\n    x.sort()\n    return x\n"]])
    assert [each.correct for each in grades] == [True, True]
    assert sorting.truth.base_inputs == (([3, 1, 2],),)


def test_progress_adds_up_to_the_number_of_solutions(executor: CountingExecutor) -> None:
    steps: list[int] = []
    codes = ["", "def f(x):\n    return 2 * x\n", "def f(x):\n    return 2 * x\n", "def f(x):\n    return x\n", "bad("]
    grade(executor, [DOUBLE], [codes], progress=steps.append)
    assert sum(steps) == len(codes)


def test_a_problem_without_solutions_costs_nothing(executor: CountingExecutor) -> None:
    assert grade(executor, [DOUBLE], [[]]) == [[]]
    assert executor.called == []


def test_a_problem_without_extra_inputs_is_decided_by_base(executor: CountingExecutor) -> None:
    bare = problem("def f(x):\n    return x\n", [1])
    assert one(executor, bare, "def f(x):\n    return x\n") == Grade(True, True, "")


def test_a_reference_that_raises_is_an_error_of_the_data_set(executor: CountingExecutor) -> None:
    broken = problem("def f(x):\n    return 1 / x\n", [1], [0])
    with pytest.raises(
        DatasetError, match=r"Tiny/0: the reference solution raised ZeroDivisionError.* on plus input 0"
    ):
        one(executor, broken, "def f(x):\n    return 1\n")


def test_a_reference_that_returns_objects_is_an_error_of_the_data_set(executor: CountingExecutor) -> None:
    strange = problem("def f(x):\n    return [object()]\n", [1])
    with pytest.raises(DatasetError, match="no plain data"):
        one(executor, strange, "def f(x):\n    return 1\n")


def test_a_problem_with_nothing_to_grade_by_is_an_error_of_the_data_set(executor: CountingExecutor) -> None:
    with pytest.raises(DatasetError, match="neither a check nor inputs"):
        one(executor, problem("def f(x):\n    return 1\n", []), "def f(x):\n    return 1\n")


def test_repeated_task_ids_are_refused(executor: CountingExecutor) -> None:
    with pytest.raises(ValueError, match="repeated task ids"):
        grade(executor, [DOUBLE, DOUBLE], [[], []])


def test_solutions_for_another_number_of_problems_are_refused(executor: CountingExecutor) -> None:
    with pytest.raises(ValueError, match="solutions for 2 problems, expected 1"):
        grade(executor, [DOUBLE], [[], []])


def test_outputs_too_large_to_carry_are_compared_by_fingerprint(executor: CountingExecutor) -> None:
    large = problem("def f(x):\n    return list(range(x))\n", [3], [300_000])
    right = "def f(x):\n    out = []\n    for i in range(x):\n        out.append(float(i))\n    return out\n"
    wrong = "def f(x):\n    return [*range(x - 1), x if x > 3 else x - 1]\n"
    forged = "def f(x):\n    return ('coderm:fingerprint', '0' * 64) if x > 3 else [0, 1, 2]\n"
    (grades,) = grade(executor, [large], [[right, wrong, forged]])
    assert [(each.base, each.plus) for each in grades] == [RIGHT, (True, False), (True, False)]


CHECKED = problem("", [], truth=GroundTruth(check="def check(candidate):\n    assert candidate(helper(1)) == 3\n"))
CHECKED = msgspec.structs.replace(CHECKED, context="def helper(x):\n    return x + 1\n")


def test_a_check_decides_base_and_plus_alike(executor: CountingExecutor) -> None:
    (grades,) = grade(
        executor, [CHECKED], [["def f(x):\n    return x + 1\n", "def f(x):\n    return x\n", "f = 1 / 0\n"]]
    )
    assert [(each.base, each.plus) for each in grades] == [RIGHT, WRONG, WRONG]
    assert [each.reason for each in grades] == ["", "check: an assertion failed", "check: raised, exited or crashed"]


@pytest.mark.usefixtures("tiny_datasets")
@pytest.mark.parametrize("name", ["humaneval_plus", "mbpp_plus"])
def test_the_references_of_the_tiny_sets_are_correct(name: str, executor: CountingExecutor) -> None:
    problems = load_problems(name)
    grades = grade(executor, problems, [[each.truth.reference] for each in problems])
    assert [each[0] for each in grades] == [Grade(True, True, "")] * len(problems)


@pytest.mark.usefixtures("tiny_datasets")
def test_bug_compatibility_fails_everyone_on_humaneval_32_and_nobody_else(executor: CountingExecutor) -> None:
    problems = load_problems("humaneval_plus")
    grades = grade(executor, problems, [[each.truth.reference] for each in problems], evalplus_bug_compat=True)
    wrong = [each.task_id for each, (verdict,) in zip(problems, grades, strict=True) if not verdict.correct]
    assert wrong == ["HumanEval/32"]


DOCTESTED = "def f(x):\n    return 2 * x\n\nimport doctest\ndoctest.testmod()\n"
GUARDED = "def f(x):\n    return 2 * x\n\nif __name__ == '__main__':\n    import doctest\n    doctest.testmod()\n"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Executor]:
    with open_executor(workers=2, limits=GROUND_TRUTH_LIMITS) as opened:
        yield opened


@pytest.mark.usefixtures("tiny_datasets")
def test_references_are_correct_in_the_sandbox(sandbox: Executor) -> None:
    problems = load_problems("mbpp_plus")
    grades = grade(sandbox, problems, [[each.truth.reference] for each in problems])
    assert [each[0].reason for each in grades] == [""] * len(problems)


def test_bug_compatibility_fails_programs_that_run_doctest(sandbox: Executor) -> None:
    def correct(compat: bool) -> list[bool]:
        (grades,) = grade(sandbox, [DOUBLE], [[DOCTESTED, GUARDED]], evalplus_bug_compat=compat)
        return [each.correct for each in grades]

    assert correct(False) == [True, True]
    assert correct(True) == [False, True]


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("def f(x):\n    while True: pass\n", "timed out"),
        ("import os\ndef f(x):\n    os._exit(0)\n", "exited or crashed"),
        ("class Liar:\n    def __eq__(self, other): return True\ndef f(x):\n    return Liar()\n", "opaque Liar"),
        ("def f(x):\n    return 'x' * 10 ** 11\n", "memory"),
    ],
    ids=["loop", "exit", "liar", "memory"],
)
def test_hostile_solutions_are_wrong_in_the_sandbox(code: str, reason: str, sandbox: Executor) -> None:
    limits = msgspec.structs.replace(GROUND_TRUTH_LIMITS, cpu_s=0.5)
    bad, good = grade(sandbox, [DOUBLE], [[code, "def f(x):\n    return 2 * x\n"]], limits=limits)[0]
    assert (bad.base, bad.plus) == WRONG
    assert reason.lower() in bad.reason.lower()
    assert good.correct


@pytest.mark.slow
def test_labels_of_evalplus_are_reproduced(
    shared_data: Path, sandbox: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    from coderm_tasks.files import read_jsonl, read_samples
    from coderm_tasks.groundtruth import label_samples

    monkeypatch.setenv("HUMANEVAL_OVERRIDE_PATH", str(shared_data / "evalplus" / "HumanEvalPlus.jsonl.gz"))
    every_eighth = {each.task_id: each for each in load_problems("humaneval_plus")[::8]}
    folder, name = shared_data / "humaneval", "gpt-3.5-turbo-1106.jsonl.gz"
    wanted = [record for _, record in read_jsonl(folder / "labels" / name) if record["task_id"] in every_eighth]
    everything = {each.task_id: each for each in load_problems("humaneval_plus")}
    samples = read_samples(folder / "solutions" / name, everything)
    kept = msgspec.structs.replace(samples, order=tuple(ref for ref in samples.order if ref.task_id in every_eighth))
    labels = label_samples(sandbox, list(every_eighth.values()), kept, evalplus_bug_compat=True)
    assert [(each.task_id, each.base, each.plus) for each in labels.records] == [
        (each["task_id"], each["base"], each["plus"]) for each in wanted
    ]
