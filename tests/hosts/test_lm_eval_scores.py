"""The four numbers of a problem."""

from __future__ import annotations

from coderm_tasks.hosts.lm_eval.scores import PIPELINES, Score, process_results, score_problem
from coderm_tasks.model import Selection


def selection(index: int, *ties: int, n: int = 4) -> Selection:
    return Selection(task_id="T/0", index=index, ties=ties, scores=(0.0,) * n, strategy="coderm")


def test_each_pipeline_has_a_score() -> None:
    assert tuple(score_problem(selection(2, 2), [False, True, True, False])) == PIPELINES


def test_first_is_the_first_sample() -> None:
    assert score_problem(selection(2, 2), [False, True, True, False])["first"] == Score(0.0, 0)


def test_mean_is_the_share_of_correct_samples() -> None:
    assert score_problem(selection(2, 2), [False, True, True, True])["mean"] == Score(0.75, -1)


def test_reranked_is_worth_a_uniform_pick_among_the_ties() -> None:
    assert score_problem(selection(1, 0, 1), [False, True, True, False])["reranked"] == Score(0.5, 1)


def test_oracle_is_any_sample() -> None:
    assert score_problem(selection(0, 0), [False, False, True, False])["oracle"] == Score(1.0, 2)


def test_oracle_stands_for_no_sample_where_none_is_correct() -> None:
    assert score_problem(selection(0, 0), [False] * 4)["oracle"] == Score(0.0, -1)


def test_the_metric_is_read_from_the_solutions_request() -> None:
    answer = {"pass@1": 0.5, "sample": 1, "code": "x"}
    assert process_results({}, [answer, answer]) == {"pass@1": 0.5}
