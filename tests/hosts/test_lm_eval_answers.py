"""Answers of the model -> code and unit tests."""

from __future__ import annotations

from coderm_tasks.hosts.lm_eval.answers import Answers, by_problem, harvest_tests, uniform_problems


def collected(*texts: str, budget: int = 10) -> list[str]:
    return [test.strip() for test in harvest_tests(Answers("T/0", (), texts), "f", budget).tests]


def test_the_second_request_of_a_problem_asked_for_tests() -> None:
    grouped = by_problem([("T/0", ["s0", "s1"]), ("T/0", ["t0"]), ("T/1", ["s2"]), ("T/1", [])])
    assert grouped == [Answers("T/0", ("s0", "s1"), ("t0",)), Answers("T/1", ("s2",), ())]


def test_a_problem_with_one_request_has_no_answers_for_tests() -> None:
    assert by_problem([("T/0", ["s0"])]) == [Answers("T/0", ("s0",), ())]


def test_text_that_no_file_can_hold_is_made_storable() -> None:
    (answers,) = by_problem([("T/0", ["a\ud83db"])])
    assert answers.solutions == ("a?b",)


def test_tests_are_taken_in_turn_from_the_answers() -> None:
    found = collected("assert f(1) == 1\nassert f(2) == 2", "assert f(3) == 3\nassert f(4) == 4")
    assert found == ["assert f(1) == 1", "assert f(3) == 3", "assert f(2) == 2", "assert f(4) == 4"]


def test_no_more_tests_than_the_budget_are_kept() -> None:
    harvest = harvest_tests(Answers("T/0", (), ("assert f(1) == 1\nassert f(2) == 2\nassert f(3) == 3",)), "f", 2)
    assert len(harvest.tests) == 2
    assert harvest.dropped["beyond the budget"] == 1


def test_a_test_that_another_answer_has_too_is_kept_once() -> None:
    harvest = harvest_tests(Answers("T/0", (), ("assert f(1) == 1", "assert f( 1 )==1", "assert f(2) == 2")), "f", 9)
    assert len(harvest.tests) == 2
    assert harvest.dropped["repeated by another answer"] == 1


def test_an_answer_without_a_test_is_counted() -> None:
    harvest = harvest_tests(Answers("T/0", (), ("lol",)), "f", 9)
    assert harvest.tests == ()
    assert sum(harvest.dropped.values()) == 1


def test_problems_whose_samples_are_all_the_same_are_counted() -> None:
    same, varied, single = Answers("a", ("x", "x"), ()), Answers("b", ("x", "y"), ()), Answers("c", ("x",), ())
    assert uniform_problems([same, varied, single]) == 1


def test_the_end_of_the_prompt_belongs_to_each_answer() -> None:
    harvest = harvest_tests(Answers("T/0", (), ("1) == 1\n", "2) == 2\n")), "f", 9, prefix="assert f(")
    assert [test.strip() for test in harvest.tests] == ["assert f(1) == 1", "assert f(2) == 2"]
