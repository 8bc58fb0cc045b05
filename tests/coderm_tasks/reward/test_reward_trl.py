"""The reward in TRL's hands: its columns, its None, and GRPO on a tiny model made here."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path
from typing import Any

import pytest

from coderm_tasks.errors import RewardError
from coderm_tasks.reward import Status, UnitTestReward, unit_test_reward
from executor import Limits, SandboxError

RIGHT = "```python\ndef add(a, b):\n    return a + b\n```"
WRONG = "```python\ndef add(a, b):\n    return a - b\n```"
TESTS = ["assert add(1, 2) == 3", "assert add(0, 0) == 0"]
PROMPT = [{"role": "user", "content": "Write add."}]


def said(text: str) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": text}]


def reward(*completions: Any, **columns: Any) -> list[float | None]:
    count = len(completions)
    columns = {"tests": [TESTS] * count, "entry_point": ["add"] * count, **columns}
    return unit_test_reward(prompts=[PROMPT] * count, completions=list(completions), **columns)


def test_messages_are_rewarded_by_the_share_of_tests_they_pass():
    assert reward(said(RIGHT), said(WRONG), said("I cannot.")) == [1.0, 0.5, 0.0]


def test_plain_text_continues_its_prompt():
    prompt = "from math import floor\n\n\ndef f(x):\n"
    got = unit_test_reward([prompt] * 2, ["    return floor(x)\n", "    return x\n"], tests=[["assert f(1.5) == 1"]] * 2,
                           entry_point=["f"] * 2)  # fmt: skip
    assert got == [1.0, 0.0]


def test_each_completion_is_judged_by_its_own_tests_and_entry_point():
    got = unit_test_reward(
        prompts=[""] * 3,
        completions=["def f(x):\n    return 1", "def g(x):\n    return 1", "def f(x):\n    return 1"],
        tests=[["assert f(0) == 1"], "assert g(0) == 1", ["assert f(0) == 2"]],
        entry_point=["f", "g", "f"],
    )
    assert got == [1.0, 1.0, 0.0]


def test_without_a_test_that_tests_anything_there_is_no_reward():
    assert reward(said(RIGHT), tests=[["assert True"]]) == [None]
    assert UnitTestReward(on_invalid=-1.0)([PROMPT], [said(RIGHT)], tests=[[]], entry_point=["add"]) == [-1.0]


@pytest.mark.parametrize(
    "test",
    [
        "assert callable(add)",
        "assert add.__name__ == 'add'",
        "for x in []: assert add(x, 1) == 1",
        "import unittest\nclass T(unittest.TestCase):\n    @unittest.skip('x')\n    def test_a(self):\n"
        "        self.assertEqual(add(1, 2), 3)\n",
        "import unittest\nclass T(unittest.TestCase):\n    def test_a(self):\n        self.skipTest('x')\n"
        "        self.assertEqual(add(1, 2), 3)\n",
    ],
)
def test_a_test_that_turns_out_to_test_nothing_counts_for_nobody(test):
    assert reward(said(RIGHT), said(WRONG), tests=[[test]] * 2) == [None, None]
    assert reward(said(RIGHT), said(WRONG), tests=[[test, TESTS[0]]] * 2) == [1.0, 0.0]


def test_who_keeps_a_test_from_asserting_is_still_not_rewarded():
    evader = "```python\nclass Odd:\n    pass\ndef add(a, b, kind=Odd):\n    import unittest\n    raise unittest.SkipTest\n```"
    # The test uses a class of the solution: they share a process, in which SkipTest ends the test for good.
    test = ("import unittest\nclass T(unittest.TestCase):\n    def test_a(self):\n        Odd()\n"
            "        self.assertEqual(add(1, 2), 3)\n")  # fmt: skip
    honest = "```python\nclass Odd:\n    pass\ndef add(a, b, kind=Odd):\n    return a + b\n```"
    assert reward(said(evader), said(honest), tests=[[test]] * 2) == [0.0, 1.0]


def test_a_test_that_skips_what_returns_nothing_is_not_taken_for_one_that_tests_nothing():
    test = ("import unittest\n@unittest.skipIf(add(1, 2) is None, 'not written yet')\nclass T(unittest.TestCase):\n"
            "    def test_a(self):\n        self.assertEqual(add(1, 2), 3)\n")  # fmt: skip
    empty = "```python\ndef add(a, b):\n    return None\n```"
    assert reward(said(RIGHT), said(empty), tests=[[test]] * 2) == [1.0, 0.0]


@pytest.mark.parametrize("context", ["def helper(x: return x", "raise ValueError", "import no_such_module"])
def test_a_context_that_does_not_run_is_told_from_wrong_solutions(context):
    tests = [["assert add(1, 2) == helper(3)"]] * 2
    again = UnitTestReward()
    columns = {"tests": tests, "entry_point": ["add"] * 2}
    scores = again.scores([PROMPT] * 2, [said(RIGHT), said(WRONG)], context=[context] * 2, **columns)
    assert [(score.reward, score.status) for score in scores] == [(None, Status.NO_CONTEXT)] * 2
    sound = ["def helper(x):\n    return x\n"] * 2
    assert again([PROMPT] * 2, [said(RIGHT), said(WRONG)], context=sound, **columns) == [1.0, 0.0]


def test_what_tests_use_of_pytest_is_there():
    tests = [
        "import pytest\ndef test_a():\n    with pytest.raises(TypeError, match='missing'):\n        add(1)",
        "from pytest import approx\ndef test_b():\n    assert add(0.1, 0.2) == approx(0.3)",
    ]
    assert reward(said(RIGHT), said(WRONG), tests=[tests] * 2) == [1.0, 0.5]


@pytest.mark.parametrize("prompt", ["add", "add(1, 2)", "Write", "math.add", "import math", "x = 1\n"])
def test_a_prompt_in_words_that_parses_does_not_spoil_the_answer(prompt):
    answer = "def add(a, b):\n    return a + b\n"
    assert unit_test_reward([prompt], [answer], tests=[TESTS], entry_point=["add"]) == [1.0]


@pytest.mark.parametrize("odd", [5, b"x", [["x"]], None])
def test_a_turn_that_is_no_text_is_named(odd):
    with pytest.raises(RewardError, match=r"completion 1 is .*expected a text, or messages"):
        reward(said(RIGHT), odd)
    with pytest.raises(RewardError, match=r"prompt 0 is .*expected a text, or messages"):
        unit_test_reward([odd], [RIGHT], tests=[TESTS], entry_point=["add"])


def test_columns_may_be_arrays():
    numpy = pytest.importorskip("numpy")
    assert reward(said(RIGHT), tests=numpy.array([TESTS])) == [1.0]


def test_what_is_not_judged_by_the_deadline_has_no_reward_and_costs_nobody_elses():
    sleeper = "```python\nimport time\ndef add(a, b):\n    time.sleep(600)\n```"
    reward = UnitTestReward(deadline_s=6, cache=False, limits=Limits(wall_s=600))
    scores = reward.scores([PROMPT] * 2, [said(sleeper), said(RIGHT)], tests=[TESTS] * 2, entry_point=["add"] * 2)
    assert [score.status for score in scores] == [Status.UNJUDGED, Status.JUDGED]
    assert [score.reward for score in scores] == [None, 1.0]


def test_a_sandbox_that_fails_raises_instead_of_rewarding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name, body in {"bwrap": "#!/bin/sh\nexit 1\n"}.items():
        (tmp_path / name).write_text(body)
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(SandboxError):
        UnitTestReward(cache=False, workers=1)([PROMPT], [said(RIGHT)], tests=[TESTS], entry_point=["add"])


def test_a_solution_cannot_equal_its_way_to_a_reward():
    everything = "```python\nclass Any:\n    __eq__ = lambda self, other: True\ndef add(a, b):\n    return Any()\n```"
    assert reward(said(everything)) == [0.0]


def test_a_token_that_is_no_text_breaks_nothing():
    assert reward(said("\0\ud800"), said(RIGHT + "\0")) == [0.0, 1.0]


def test_weights_are_a_column():
    assert reward(said(WRONG), test_weights=[[3, 1]]) == [0.25]


def test_what_the_rewards_stand_on_is_logged():
    metrics, extra = {}, {}
    reward(said(RIGHT), said("no"), log_metric=metrics.__setitem__, log_extra=extra.__setitem__)
    assert metrics["unit_test_reward/judged"] == metrics["unit_test_reward/no_code"] == 0.5
    assert extra["unit_test_reward/status"] == ["judged", "no_code"]
    assert extra["unit_test_reward/verdicts"] == ["PP", ""]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"tests": None}, "no column 'tests'"),
        ({"tests": [[1]]}, "expected a list of sources"),
        ({"tests": "assert add(1, 2)"}, "an entry for each of 1 completions"),
        ({"entry_point": ["no name"]}, "expected the name of the function"),
        ({"entry_point": [None]}, "expected the name of the function"),
        ({"test_weights": [[1]]}, "expected 2 numbers"),
        ({"context": [5]}, "context of sample 0 is 5: expected Python source"),
        ({"test_weights": [[1, float("nan")]]}, "expected 2 numbers"),
    ],
)
def test_columns_that_do_not_fit_are_named(columns, message):
    with pytest.raises(RewardError, match=message):
        reward(said(RIGHT), **columns)


def test_a_column_under_another_name_is_suggested():
    with pytest.raises(RewardError, match="did you mean 'test'"):
        UnitTestReward()([PROMPT], [said(RIGHT)], test=[TESTS], entry_point=["add"])


@pytest.mark.parametrize("wrong", [{"scheme": "shares"}, {"deadline_s": 0}, {"workers": -1}])
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(RewardError, match="expected"):
        UnitTestReward(**wrong)


def test_the_reward_can_be_pickled_and_keeps_its_name():
    again = pickle.loads(pickle.dumps(UnitTestReward(scheme="all", name="strict")))
    assert again.__name__ == "strict"
    assert again([PROMPT], [said(WRONG)], tests=[TESTS], entry_point=["add"]) == [0.0]


LINES = ["    return x + 1\n", "    return x - 1\n", "    return x * 2\n", "    return (x\n"]
"""What the tiny model can say: one line, one token."""


def tiny_policy() -> tuple[Any, Any]:
    """A Llama of one layer that continues a function with one of four lines, at random."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    vocabulary = {text: number for number, text in enumerate(["<end>", "def f(x):\n", *LINES])}
    tokenizer = Tokenizer(models.WordLevel(vocab=vocabulary, unk_token="<end>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("\n", behavior="merged_with_previous")
    tokenizer.decoder = decoders.Fuse()
    wrapped = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<end>", pad_token="<end>")
    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(vocabulary), hidden_size=16, intermediate_size=16, num_hidden_layers=1,
            num_attention_heads=2, max_position_embeddings=16, eos_token_id=0, bos_token_id=None, pad_token_id=0,
        )
    )  # fmt: skip
    return model, wrapped


@pytest.fixture
def trl(monkeypatch: pytest.MonkeyPatch) -> None:
    """TRL, which takes a folder ``vllm`` on the path, such as that of our tests, for the package of that name."""
    monkeypatch.setattr(sys, "path", [path for path in sys.path if not (Path(path) / "vllm" / "conftest.py").exists()])
    pytest.importorskip("trl", reason="the trainer is needed: pip install 'coderm-tasks[trl]'")


def train(folder: Path, tests: list[str], steps: int) -> list[dict[str, Any]]:
    """A few steps of GRPO with the real TRL; returns its log."""
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer

    model, tokenizer = tiny_policy()
    rows = [{"prompt": "def f(x):\n", "tests": tests, "entry_point": "f"}] * 8
    settings = GRPOConfig(
        output_dir=str(folder), use_cpu=True, bf16=False, max_steps=steps, num_generations=8,
        per_device_train_batch_size=8, max_completion_length=1, learning_rate=0.05, lr_scheduler_type="constant",
        logging_steps=1, report_to="none", save_strategy="no", seed=0, disable_tqdm=True,
        dataloader_pin_memory=False,
    )  # fmt: skip
    trainer = GRPOTrainer(
        model=model,
        reward_funcs=unit_test_reward,
        args=settings,
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
    )
    trainer.train()
    return [entry for entry in trainer.state.log_history if "reward" in entry]


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_a_tiny_model_learns_by_grpo_to_pass_the_tests(trl, tmp_path):
    log = train(tmp_path, ["assert f(1) == 2", "assert f(5) == 6", "assert f(0) == 1"], steps=12)
    means = [entry["rewards/unit_test_reward/mean"] for entry in log]
    assert len(means) == 12
    assert means[0] < 0.9
    assert means[-1] == 1.0
    assert all(entry["unit_test_reward/unjudged"] == 0.0 for entry in log)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_tests_that_test_nothing_teach_nothing(trl, tmp_path):
    log = train(tmp_path, ["assert True"], steps=2)
    assert [entry["unit_test_reward/no_tests"] for entry in log] == [1.0, 1.0]
    assert [entry["grad_norm"] for entry in log] == [0.0, 0.0]
