"""Settings: merged, checked, and refused with the nearest known name."""

from __future__ import annotations

import pytest

from coderm_tasks.config import Config, GeneratorConfig, load_config
from coderm_tasks.errors import ConfigError

GENERATOR = {"base_url": "http://127.0.0.1:8001/v1", "model": "KAKA22/CodeRM-8B"}


def test_without_settings_the_papers_numbers_hold():
    config = load_config({}, {})
    assert (config.n_samples, config.budget, config.temperature, config.top_p) == (100, 100, 0.8, 0.95)


def test_settings_win_over_the_file(tmp_path):
    path = tmp_path / "coderm.toml"
    path.write_text('budget = 5\nstrategy = "codet"\n', encoding="utf-8")
    config = load_config({"budget": 7}, {"CODERM_CONFIG": str(path)})
    assert (config.budget, config.strategy) == (7, "codet")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"buget": 3}, "unknown coderm setting 'buget' \\(did you mean 'budget'"),
        ({"generator": {**GENERATOR, "modle": "x"}}, "'generator.modle' \\(did you mean 'model'"),
        ({"limits": {"cpu": 3}}, "unknown coderm setting 'limits.cpu'"),
        ({"budget": 0}, "budget is 0: expected at least 1"),
        ({"budget": "many"}, "Expected `int`"),
        ({"temperature": -1}, "temperature is -1"),
        ({"top_p": 0}, "top_p is 0"),
        ({"workers": -1}, "workers is -1"),
        ({"tests": "bank.jsonl", "generator": GENERATOR}, "both tests and generator are set"),
        ({"generator": {"model": "x"}}, "base_url"),
        ({"generator": {**GENERATOR, "concurrency": 0}}, "generator.concurrency is 0: expected at least 1"),
        ({"generator": {**GENERATOR, "max_tokens": 0}}, "generator.max_tokens is 0"),
        ({"generator": {**GENERATOR, "temperature": 11}}, "generator.temperature is 11"),
        ({"generator": {**GENERATOR, "top_p": 2}}, "generator.top_p is 2"),
        (
            {"generator": {**GENERATOR, "condition": "rotated"}},
            "generator.condition is 'rotated' \\(did you mean 'rotate'",
        ),
        ("budget=3", "expected a mapping"),
    ],
)
def test_a_wrong_setting_is_refused_in_one_line(settings, said):
    with pytest.raises(ConfigError, match=said) as caught:
        load_config(settings, {})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("content", "said"), [(None, "No such file"), ("budget =", "not TOML"), ("x = 1", "unknown")])
def test_a_wrong_file_is_refused(tmp_path, content, said):
    path = tmp_path / "coderm.toml"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError, match=said):
        load_config({}, {"CODERM_CONFIG": str(path)})


def test_a_generator_asks_a_chat_model_with_the_first_candidate_unless_told_otherwise():
    generator = load_config({"generator": GENERATOR}, {}).generator
    assert isinstance(generator, GeneratorConfig)
    assert (generator.prompt, generator.condition, generator.chat) == ("coderm", "first", True)


def test_a_config_cannot_be_changed():
    with pytest.raises(AttributeError):
        Config().budget = 3  # type: ignore[misc]


def test_an_engine_that_there_is_not_is_refused_with_a_hint() -> None:
    with pytest.raises(ConfigError, match=r"engine is 'rai' \(did you mean 'ray'\?\): expected local or ray"):
        load_config({"engine": "rai"}, {})


def test_an_address_goes_with_the_ray_engine_alone() -> None:
    assert load_config({"engine": "ray", "ray_address": "host:1"}, {}).ray_address == "host:1"
    with pytest.raises(ConfigError, match="ray_address is 'host:1' with engine 'local'"):
        load_config({"ray_address": "host:1"}, {})
