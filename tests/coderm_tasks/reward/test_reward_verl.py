"""The reward as verl calls it; verl itself needs a GPU's software, so its calls are made as its managers make them."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from coderm_tasks.errors import RewardError
from coderm_tasks.reward.verl import compute_score, compute_score_async, compute_score_batched

TRUTH = {"entry_point": "f", "tests": ["assert f(1) == 2", "assert f(2) == 3"]}
RIGHT = "```python\ndef f(x):\n    return x + 1\n```"
HALF = "```python\ndef f(x):\n    return 2\n```"


@pytest.mark.parametrize(
    "truth", [TRUTH, json.dumps(TRUTH), {**TRUTH, "tests": np.array(TRUTH["tests"], dtype=object)}]
)
def test_one_completion_is_scored_by_its_ground_truth(truth):
    got = compute_score(data_source="kod", solution_str=HALF, ground_truth=truth, extra_info={})
    assert got == {"score": 0.5, "judged": 1.0, "passed": 1.0, "counted": 2.0, "shared": 0.0, "evaded": 0.0}


def test_what_the_ground_truth_lacks_is_taken_from_the_extra_info():
    got = compute_score("kod", RIGHT, TRUTH["tests"], {"entry_point": "f", "index": 3})
    assert got["score"] == 1.0


def test_a_batch_is_scored_in_its_order():
    got = compute_score_batched(["kod"] * 3, [RIGHT, HALF, "no"], [TRUTH] * 3, [{}, None, {}], scheme="all")
    assert [record["score"] for record in got] == [1.0, 0.0, 0.0]


def test_completions_scored_from_many_threads_do_not_mix():
    texts = [f"```python\ndef f(x):\n    return {n}\n```" for n in range(16)]
    truths = [{"entry_point": "f", "tests": [f"assert f(0) == {n}", f"assert f(0) == {n % 4}"]} for n in range(16)]
    with ThreadPoolExecutor(16) as pool:
        got = list(pool.map(lambda pair: compute_score("kod", *pair, {})["passed"], zip(texts, truths)))
    assert got == [1.0 + (n < 4) for n in range(16)]


def test_completions_scored_on_an_event_loop_are_judged_together():
    async def run() -> list[dict[str, float]]:
        return await asyncio.gather(*(compute_score_async("kod", text, TRUTH, {}) for text in (RIGHT, HALF)))

    assert [record["score"] for record in asyncio.run(run())] == [1.0, 0.5]


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ((["kod"] * 3, [RIGHT] * 3, [TRUTH] * 2, [None] * 3), "got 3 solutions, 2 ground truths and 3 extra infos"),
        ((["kod"], [None], [TRUTH], [None]), "a solution is None: expected the text"),
    ],
)
def test_a_batch_that_does_not_fit_together_is_refused(given, complaint):
    with pytest.raises(RewardError, match=complaint):
        compute_score_batched(*given)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"unjugded": 0.0}, r"'unjugded' \(did you mean 'unjudged'\?\)"),
        ({"limits": {"cpu": 1}}, "limits is .*such as"),
        ({"limits": {"cpu_s": -1}}, "limits is .*such as"),
        ({"limits": {"cpu_s": "long"}}, "limits is .*such as"),
        ({"limits": 3}, "limits is 3 .*such as"),
    ],
)
def test_options_that_are_none_are_refused(options, complaint):
    with pytest.raises(RewardError, match=complaint):
        compute_score("kod", RIGHT, TRUTH, {}, **options)


def test_limits_are_an_option_and_other_names_are_verls_own():
    slow = "```python\ndef f(x):\n    while True:\n        pass\n```"
    got = compute_score("kod", slow, TRUTH, {}, limits={"cpu_s": 0.2}, reward_router_address=None)
    assert (got["score"], got["judged"]) == (0.0, 1.0)


def test_without_a_reward_it_raises_unless_told_what_to_give():
    vacuous = {"entry_point": "f", "tests": ["assert True"]}
    with pytest.raises(RewardError, match=r"no test says anything.*reward_kwargs\.unjudged"):
        compute_score("kod", RIGHT, vacuous, {})
    got = compute_score("kod", RIGHT, vacuous, {}, unjudged=0.0)
    assert (got["score"], got["judged"]) == (0.0, 0.0)


@pytest.mark.parametrize(
    "truth", [None, "not JSON", {}, {"tests": ["assert f(1)"]}, 42, {"entry_point": "f", "tests": 1}]
)
def test_a_ground_truth_that_is_none_is_refused(truth):
    with pytest.raises(RewardError, match="ground_truth is"):
        compute_score("kod", RIGHT, truth, {})
