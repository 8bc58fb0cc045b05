"""What every strategy shares: fallbacks, ties, the seeded pick, names, plugins."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from coderm_tasks.errors import ConfigError, InputError
from coderm_tasks.rerank import (
    Behaviours,
    Need,
    Strategy,
    StrategyInput,
    get_selector,
    get_strategy,
    select,
    strategies,
    strategy_names,
)
from executor import PassMatrix

ROOT = Path(__file__).parents[2]
NEED_TESTS = [strategy.name for strategy in strategies() if strategy.needs_tests]
DOCUMENTED = (
    "first random examples coderm codet codet-0.05 b4 majority weighted dawid-skene mpsc mbr-exec mbr-exec-soft srank "
    "accord oracle"
)


def problem_of(rows: list[str], task_id: str = "HumanEval/0", tests: int | None = None) -> StrategyInput:
    """A problem with everything that a strategy may look at; each test makes one call, and its verdict is the output."""
    matrix = PassMatrix.from_rows(task_id, rows, tests)
    codes = np.where(matrix.executed, matrix.letters, 255).astype(np.int32)
    behaviours = Behaviours(codes, np.ones(codes.shape, dtype=np.bool_), np.eye(codes.shape[1], dtype=np.bool_))
    return StrategyInput(
        task_id=task_id,
        solutions=tuple(f"s{i}" for i in range(len(rows))),
        matrix=matrix,
        behaviours=behaviours,
        examples=matrix,
        labels=(False,) * len(rows),
    )


def test_the_documented_strategies_exist() -> None:
    assert strategy_names() == (*DOCUMENTED.split(), "belief")


def test_first_takes_the_first_sample_whatever_the_tests_say() -> None:
    assert select("first", problem_of(["FF", "PP"])).ties == (0,)


def test_random_ties_all_samples() -> None:
    assert select("random", problem_of(["FF", "PP", "FP"])).ties == (0, 1, 2)


@pytest.mark.parametrize("name", strategy_names())
def test_without_samples_nothing_is_selected_and_the_note_says_so(name: str) -> None:
    selection = select(name, problem_of([], tests=3))
    assert (selection.index, selection.ties, selection.scores, selection.note) == (-1, (), (), "no samples")


@pytest.mark.parametrize("name", NEED_TESTS)
def test_without_tests_the_first_sample_is_taken_and_the_note_says_so(name: str) -> None:
    selection = select(name, problem_of(["", "", ""], tests=0))
    assert (selection.index, selection.ties, selection.note) == (0, (0,), "no tests")


@pytest.mark.parametrize("name", NEED_TESTS)
@pytest.mark.parametrize("rows", [["II", "II"], ["--", "--"], ["I-", "I-"]])
def test_tests_that_test_nothing_count_as_no_tests(name: str, rows: list[str]) -> None:
    selection = select(name, problem_of(rows))
    assert (selection.index, selection.ties, selection.note) == (0, (0,), "no valid tests")
    assert selection.tests_used == 0


@pytest.mark.parametrize("name", NEED_TESTS)
@pytest.mark.parametrize("rows", [["PP", "PP", "PP"], ["FF", "FF", "FF"]])
def test_verdicts_that_tell_nothing_apart_tie_all(name: str, rows: list[str]) -> None:
    selection = select(name, problem_of(rows))
    assert selection.ties == (0, 1, 2)
    assert selection.note == ""


@pytest.mark.parametrize("name", NEED_TESTS)
def test_tests_used_counts_the_columns_in_which_something_was_executed(name: str) -> None:
    assert select(name, problem_of(["PI-F", "FI-F"])).tests_used == 2


def test_the_pick_is_one_of_the_ties_and_depends_on_the_seed() -> None:
    problem = problem_of(["P"] * 50)
    picks = {select("coderm", problem, seed=seed).index for seed in range(20)}
    assert picks <= set(range(50))
    assert len(picks) > 5


def test_the_pick_is_uniform_over_the_ties() -> None:
    picks = Counter(select("coderm", problem_of(["P", "F", "P", "P"], f"Mbpp/{i}")).index for i in range(3000))
    assert set(picks) == {0, 2, 3}
    assert min(picks.values()) > 900  # 1000 expected; 900 is four standard deviations below


def test_another_process_draws_the_same_pick() -> None:
    program = (
        "from coderm_tasks.rerank import StrategyInput, select\n"
        "from executor import PassMatrix\n"
        "matrix = PassMatrix.from_rows('Mbpp/3', ['P'] * 100)\n"
        "problem = StrategyInput(task_id='Mbpp/3', solutions=('s',) * 100, matrix=matrix)\n"
        "print(select('coderm', problem, seed=7).index)\n"
    )
    run = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert int(run.stdout) == select("coderm", problem_of(["P"] * 100, "Mbpp/3"), seed=7).index


def test_an_unknown_strategy_is_refused_with_the_closest_name() -> None:
    with pytest.raises(ConfigError, match=r"unknown strategy 'codrem' \(did you mean 'coderm'\?\)"):
        select("codrem", problem_of(["P"]))


def test_a_matrix_of_another_height_is_refused() -> None:
    problem = StrategyInput(task_id="Mbpp/3", solutions=("a",), matrix=PassMatrix.from_rows("Mbpp/3", ["P", "F"]))
    with pytest.raises(InputError, match="Mbpp/3: got a matrix of 2 rows for 1 solutions"):
        select("coderm", problem)


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed distribution that offers strategies, one of them under a name of ours."""
    info = tmp_path / "others-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: others\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[coderm_tasks.strategies]\nlast = others_strategies:last\nbroken = others_strategies:broken\n"
        "absent = others_absent:strategy\nbare = others_strategies:score\ncoderm = others_strategies:last\n"
        "short = others_strategies:short\n"
    )
    (tmp_path / "others_strategies.py").write_text(
        "import numpy as np\nfrom coderm_tasks.rerank import Strategy\n"
        "def score(problem):\n    return np.arange(len(problem.solutions), dtype=float)\n"
        "def fail(problem):\n    raise ZeroDivisionError('of its own')\n"
        "last = Strategy(name='last', score=score, summary='the last sample', needs_tests=False)\n"
        "broken = Strategy(name='broken', score=fail, summary='fails')\n"
        "short = Strategy(name='short', score=lambda problem: np.array([np.nan]), summary='NaN')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("plugin")
def test_a_strategy_of_another_package_is_found_by_its_entry_point() -> None:
    assert "last" in strategy_names()
    assert select("last", problem_of(["P", "F"])).index == 1


@pytest.mark.usefixtures("plugin")
def test_a_plugin_cannot_take_the_name_of_a_built_in_strategy(caplog: pytest.LogCaptureFixture) -> None:
    assert strategy_names().count("coderm") == 1
    assert get_strategy("coderm").score.__module__ == "coderm_tasks.rerank.votes"
    assert "belongs to a built-in strategy" in caplog.text


@pytest.mark.usefixtures("plugin")
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("broken", r"strategy 'broken' failed on HumanEval/0 \(ZeroDivisionError: of its own\)"),
        ("absent", r"strategy 'absent' \(others_absent:strategy\): cannot be loaded"),
        ("bare", r"strategy 'bare' .* is a function; expected a coderm_tasks.rerank.Strategy"),
        ("short", r"got scores of shape \(1,\), 1 not finite; expected 2 finite scores"),
    ],
)
def test_a_faulty_plugin_is_named_in_one_line(name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        select(name, problem_of(["P", "F"]))
    assert "\n" not in str(caught.value)


def test_an_error_of_a_built_in_strategy_is_not_blamed_on_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(problem: StrategyInput) -> NDArray[np.float64]:
        raise ZeroDivisionError

    monkeypatch.setitem(
        sys.modules["coderm_tasks.rerank.registry"]._BUILT_IN, "coderm", Strategy(name="coderm", score=fail, summary="")
    )
    with pytest.raises(ZeroDivisionError):
        select("coderm", problem_of(["P"]))


def bare(rows: list[str]) -> StrategyInput:
    matrix = PassMatrix.from_rows("HumanEval/0", rows)
    return StrategyInput(task_id="HumanEval/0", solutions=tuple(rows), matrix=matrix)


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("oracle", "ground truth, which selection does not have"),
        ("mbr-exec", "the outputs of the tests' calls, which were not recorded here"),
        ("srank", "the outputs of the tests' calls, which were not recorded here"),
        ("examples", "the verdicts on the problem's examples, which were not run here"),
    ],
)
def test_a_strategy_whose_evidence_is_not_there_is_refused_and_not_guessed(name: str, what: str) -> None:
    with pytest.raises(ConfigError, match=f"strategy {name!r} needs {what}"):
        select(name, bare(["P", "F"]))


@pytest.mark.parametrize("name", [one.name for one in strategies() if one.outputs is Need.REQUIRED])
def test_where_no_test_could_be_taken_apart_the_first_sample_is_taken_and_the_note_says_so(name: str) -> None:
    none = Behaviours(np.zeros((2, 0), np.int32), np.zeros((2, 0), np.bool_), np.zeros((1, 0), np.bool_))
    selection = select(name, msgspec.structs.replace(bare(["F", "P"]), behaviours=none))
    assert (selection.index, selection.note) == (0, "no comparable outputs")


def test_where_the_problem_states_no_example_the_first_sample_is_taken_and_the_note_says_so() -> None:
    none = PassMatrix.from_rows("HumanEval/0", ["", ""], 0)
    selection = select("examples", msgspec.structs.replace(bare(["F", "P"]), examples=none))
    assert (selection.index, selection.note) == (0, "no examples")


def test_examples_takes_the_solutions_that_pass_most_of_them() -> None:
    examples = PassMatrix.from_rows("HumanEval/0", ["PF", "PP", "PP", "EE"])
    assert select("examples", msgspec.structs.replace(bare(["P"] * 4), examples=examples)).ties == (1, 2)


def test_the_oracle_takes_the_correct_solutions() -> None:
    problem = msgspec.structs.replace(bare(["P", "F", "F"]), labels=(False, True, True))
    assert select("oracle", problem).ties == (1, 2)


def test_the_oracle_ties_all_where_none_is_correct() -> None:
    assert select("oracle", msgspec.structs.replace(bare(["P", "F"]), labels=(False, False))).ties == (0, 1)


def test_no_other_strategy_gets_to_see_the_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def spy(problem: StrategyInput) -> NDArray[np.float64]:
        seen.append(problem.labels)
        return np.zeros(len(problem.solutions))

    built_in = sys.modules["coderm_tasks.rerank.registry"]._BUILT_IN
    monkeypatch.setitem(built_in, "coderm", Strategy(name="coderm", score=spy, summary=""))
    select("coderm", problem_of(["P", "F"]))
    assert seen == [None]


def test_the_oracle_cannot_be_chosen_to_select() -> None:
    with pytest.raises(ConfigError, match="strategy 'oracle' looks at ground truth, so it cannot select"):
        get_selector("oracle")


@pytest.mark.parametrize("field", ["behaviours", "examples", "labels"])
def test_evidence_of_another_height_is_refused(field: str) -> None:
    problem = msgspec.structs.replace(problem_of(["P", "F"]), **{field: getattr(problem_of(["P"]), field)})
    with pytest.raises(InputError, match="of 1 rows for 2 solutions; expected one row per solution"):
        select("coderm", problem)
