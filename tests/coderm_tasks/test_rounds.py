"""Sequential allocation at work, on the fake executor: tests not asked for, cells not run, budgets kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import pytest
from msgspec.structs import replace

from coderm_tasks.belief_strategy import BELIEF
from coderm_tasks.errors import ConfigError, GenerationError, InputError
from coderm_tasks.generation.base import Generated
from coderm_tasks.generation.sources import BankSource
from coderm_tasks.model import GroundTruth, Problem
from coderm_tasks.pipeline import Work, run_and_select
from coderm_tasks.rerank import StrategyInput, get_selector, select
from coderm_tasks.rounds import GeneratedTests, RoundsPlan, SequentialRun, Supply, run_in_rounds
from difficulty import BeliefModel, SequentialOptions
from executor import CellJob, PassMatrix
from executor.fake import FakeExecutor

RIGHT = "def f(x):\n    return x + 1\n"
ALIKE = "def f(x):\n    y = x + 1\n    return y\n"
WRONG = "def f(x):\n    return x + 2\n"
TESTS = tuple(f"assert f({number}) == {number + 1}" for number in range(40))


def problem(number: int) -> Problem:
    return Problem(
        task_id=f"Toy/{number}",
        dataset="humaneval",
        prompt="def f(x):\n",
        entry_point="f",
        truth=GroundTruth(check="def check(f): pass"),
    )


class Counting(FakeExecutor):
    """The fake executor, which counts what it is asked to run."""

    def __init__(self) -> None:
        super().__init__()
        self.jobs: list[CellJob] = []

    def run(self, jobs: Iterable[CellJob]) -> Iterator[PassMatrix]:
        jobs = list(jobs)
        self.jobs += jobs
        return super().run(jobs)

    @property
    def cells(self) -> int:
        return sum(len(job.solutions) * len(job.tests) for job in self.jobs)


def run(
    work: Sequence[Work],
    supply: Supply,
    *,
    total: int = 80,
    cap: int = 40,
    delta: float = 0.05,
    executor: FakeExecutor | None = None,
    strategy: str = "coderm",
) -> SequentialRun:
    plan = RoundsPlan(
        total=total,
        cap=cap,
        rates={item.problem.task_id: 0.5 for item in work},
        belief=BeliefModel(),
        options=SequentialOptions(delta=delta),
    )
    return run_in_rounds(executor or FakeExecutor(), work, supply, plan, strategy=strategy)


def ready(*numbers: int) -> GeneratedTests:
    return stock({f"Toy/{number}": TESTS for number in numbers})


def stock(tests: dict[str, tuple[str, ...]]) -> GeneratedTests:
    """Tests that are written already."""
    return GeneratedTests(BankSource(tests), [problem(number) for number in range(3)], {})


def test_a_clear_choice_takes_few_tests_and_few_cells() -> None:
    executor = Counting()
    done = run([Work(problem(0), (RIGHT, WRONG), ())], ready(0), executor=executor)
    assert done.runs[0].selection.index == 0
    assert len(done.runs[0].tests) < 12
    assert executor.cells == 2 * len(done.runs[0].tests)
    assert done.settled == 1


def test_samples_that_are_one_program_take_no_test() -> None:
    executor = Counting()
    done = run(
        [Work(problem(0), (RIGHT, RIGHT, "def f(x):\n    return x + 1  # again\n"), ())], ready(0), executor=executor
    )
    assert (done.runs[0].tests, executor.jobs, done.rounds) == ((), [], 0)
    assert done.runs[0].selection.index == 0


def test_what_one_problem_saves_goes_to_another() -> None:
    # Toy/0 is one program; Toy/1 gets more than the average of 5, which is its share of the budget.
    work = [Work(problem(0), (RIGHT, RIGHT), ()), Work(problem(1), (RIGHT, ALIKE, WRONG), ())]
    done = run(work, ready(0, 1), total=10, delta=0.0)
    assert [len(one.tests) for one in done.runs] == [0, 10]


def test_the_matrix_is_the_one_of_a_run_on_the_same_tests() -> None:
    work = Work(problem(0), (WRONG, RIGHT, ALIKE), ())
    one = run([work], ready(0)).runs[0]
    (whole,) = run_and_select(FakeExecutor(), [Work(problem(0), work.solutions, one.tests)], strategy="coderm")
    assert one.matrix.rows() == whole.matrix.rows()
    assert one.matrix.stats.cells == whole.matrix.stats.cells
    assert one.matrix.stats.unique_solutions == whole.matrix.stats.unique_solutions == 3
    assert one.selection == whole.selection


def test_no_test_is_run_twice() -> None:
    executor = Counting()
    run([Work(problem(0), (RIGHT, ALIKE, WRONG), ())], ready(0), executor=executor, delta=0.0)
    asked = [test for job in executor.jobs for test in job.tests]
    assert len(asked) == len(set(asked)) == 40


@pytest.mark.parametrize("total", [1, 3, 7])
def test_the_budget_is_never_overrun(total: int) -> None:
    work = [Work(problem(number), (RIGHT, ALIKE, WRONG), ()) for number in range(3)]
    done = run(work, ready(0, 1, 2), total=total, delta=0.0)
    assert sum(len(one.tests) for one in done.runs) == total


def test_a_problem_whose_tests_run_out_is_left_with_what_it_has() -> None:
    done = run([Work(problem(0), (RIGHT, ALIKE, WRONG), ())], stock({"Toy/0": TESTS[:3]}), delta=0.0)
    assert done.runs[0].tests == TESTS[:3]


def test_problems_without_solutions_or_tests_fall_back() -> None:
    done = run([Work(problem(0), (), ()), Work(problem(1), (RIGHT, WRONG), ())], ready())
    assert [one.selection.note for one in done.runs] == ["no samples", "no tests"]


def test_tests_that_test_nothing_do_not_count_as_evidence() -> None:
    tests = ("x = 1", "y = 2", *TESTS)
    done = run([Work(problem(0), (RIGHT, WRONG), ())], stock({"Toy/0": tests}))
    assert done.runs[0].selection.index == 0
    assert len(done.runs[0].tests) > 2


def test_results_stand_in_the_order_of_the_work() -> None:
    work = [Work(problem(number), (RIGHT, WRONG), ()) for number in (2, 0, 1)]
    seen: list[str] = []
    plan = RoundsPlan(total=30, cap=40, rates=dict.fromkeys(("Toy/0", "Toy/1", "Toy/2"), 0.5), belief=BeliefModel())
    done = run_in_rounds(
        FakeExecutor(),
        work,
        ready(0, 1, 2),
        plan,
        strategy="coderm",
        progress=lambda matrix: seen.append(matrix.job_id),
    )
    assert [one.problem.task_id for one in done.runs] == seen == ["Toy/2", "Toy/0", "Toy/1"]


def test_an_unknown_strategy_is_found_before_anything_runs() -> None:
    executor = Counting()
    with pytest.raises(ConfigError, match="unknown strategy"):
        run([Work(problem(0), (RIGHT, WRONG), ())], ready(0), executor=executor, strategy="coedrm")
    assert executor.jobs == []


def test_a_problem_twice_is_refused() -> None:
    with pytest.raises(InputError, match="2 problems with 1 task ids"):
        run([Work(problem(0), (RIGHT,), ()), Work(problem(0), (WRONG,), ())], ready(0))


class Writer:
    """A test generator that notes what it is asked for."""

    def __init__(self) -> None:
        self.asked: list[dict[str, int]] = []

    def check(self) -> None:
        """Always there."""

    def generate(
        self,
        problems: Sequence[Problem],
        candidates: Mapping[str, Sequence[str]],
        budget: Mapping[str, int],
        **_: object,
    ) -> Generated:
        self.asked.append(dict(budget))
        tests = {task_id: tuple(reversed(TESTS[:count])) for task_id, count in budget.items()}
        return Generated(tests=tests, dropped={"junk": 1}, finish_reasons={}, failed={}, short={}, requests=1)


def test_a_generator_is_asked_for_no_more_than_the_rounds_want() -> None:
    writer = Writer()
    work = [Work(problem(0), (RIGHT, WRONG), ()), Work(problem(1), (RIGHT, RIGHT), ())]
    supply = GeneratedTests(writer, [item.problem for item in work], {})
    done = run(work, supply)
    wanted = [counts["Toy/0"] for counts in writer.asked]
    assert wanted == sorted(wanted)
    assert wanted[-1] == len(done.runs[0].tests) < 12
    assert all("Toy/1" not in counts for counts in writer.asked)
    assert len(writer.asked) == done.rounds
    assert supply.summary().requests == done.rounds + 1
    assert writer.asked[-1] == {"Toy/0": wanted[-1]}


class Choosy(Writer):
    """Refuses one problem, and gives up where it refuses all that it is asked for, as the model source does."""

    def generate(
        self,
        problems: Sequence[Problem],
        candidates: Mapping[str, Sequence[str]],
        budget: Mapping[str, int],
        **_: object,
    ) -> Generated:
        if set(budget) == {"Toy/1"}:
            raise GenerationError("the model refused every problem")
        given = super().generate(problems, candidates, budget)
        return replace(given, tests={**given.tests, "Toy/1": ()})


def test_a_problem_that_is_refused_in_a_late_round_does_not_end_the_run() -> None:
    writer = Choosy()
    supply = GeneratedTests(writer, [problem(number) for number in range(2)], {})
    assert supply.first({"Toy/0": 2})
    assert supply.first({"Toy/1": 1}) == {"Toy/1": ()}
    assert writer.asked[-1] == {"Toy/0": 2, "Toy/1": 1}


def test_tests_that_were_given_keep_their_place_whatever_order_a_generator_answers_in() -> None:
    supply = GeneratedTests(Writer(), [problem(0)], {})
    first = supply.first({"Toy/0": 3})["Toy/0"]
    assert supply.first({"Toy/0": 6})["Toy/0"][:3] == first
    assert len(set(supply.first({"Toy/0": 6})["Toy/0"])) == 6


def test_the_belief_is_a_strategy_by_name() -> None:
    assert get_selector("belief").name == BELIEF.name


def test_the_strategy_lets_a_large_class_stand_against_a_single_test() -> None:
    matrix = PassMatrix.from_rows("Toy/0", ["PF"] * 9 + ["PP"])
    given = StrategyInput(task_id="Toy/0", solutions=("",) * 10, matrix=matrix)
    assert select("coderm", given).ties == (9,)
    assert select("belief", given).ties == tuple(range(9))
