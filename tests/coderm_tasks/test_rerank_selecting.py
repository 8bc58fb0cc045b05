"""What every strategy shares: fallbacks, ties, the seeded pick, names, plugins."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from coderm_tasks.errors import ConfigError, InputError
from coderm_tasks.rerank import Strategy, StrategyInput, get_strategy, select, strategies, strategy_names
from executor import PassMatrix

ROOT = Path(__file__).parents[2]
NEED_TESTS = [strategy.name for strategy in strategies() if strategy.needs_tests]


def problem_of(rows: list[str], task_id: str = "HumanEval/0", tests: int | None = None) -> StrategyInput:
    matrix = PassMatrix.from_rows(task_id, rows, tests)
    return StrategyInput(task_id=task_id, solutions=tuple(f"s{i}" for i in range(len(rows))), matrix=matrix)


def test_the_documented_strategies_exist() -> None:
    built_in = ("first", "random", "coderm", "codet", "b4", "majority", "weighted", "dawid-skene")
    assert strategy_names() == (*built_in, "belief")


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
