"""What a task is told: YAML, --metadata and --gen_kwargs."""

from __future__ import annotations

from typing import Any

import pytest

from coderm_tasks.config import Config
from coderm_tasks.errors import ConfigError
from coderm_tasks.hosts.lm_eval.settings import read_settings, sampling_kwargs, settle_sampling, unit_test_kwargs

OWN = {"dataset": "humaneval", "chat": False}


@pytest.fixture(autouse=True)
def _no_config_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CODERM_CONFIG", raising=False)


def task(metadata: dict[str, Any] | None = None, **others: Any) -> dict[str, Any]:
    return {"task": "t", "metadata": {"coderm_task": OWN, **(metadata or {})}, **others}


def test_without_settings_a_task_samples_as_the_paper_does() -> None:
    config = read_settings(task()).config
    assert (config.n_samples, config.temperature, config.top_p, config.budget) == (100, 0.8, 0.95, 100)


def test_metadata_sets_what_it_names() -> None:
    config = read_settings(task({"coderm": {"n_samples": 8, "strategy": "codet"}})).config
    assert (config.n_samples, config.strategy, config.budget) == (8, "codet", 100)


def test_metadata_wins_over_the_configuration_file(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "coderm.toml"
    file.write_text("n_samples = 7\nbudget = 5\n")
    monkeypatch.setenv("CODERM_CONFIG", str(file))
    config = read_settings(task({"coderm": {"n_samples": 8}})).config
    assert (config.n_samples, config.budget) == (8, 5)


def test_an_unknown_setting_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ConfigError, match=r"'bugdet'.*did you mean 'budget'"):
        read_settings(task({"coderm": {"bugdet": 3}}))


def test_a_setting_outside_its_key_is_refused_with_where_it_belongs() -> None:
    with pytest.raises(ConfigError, match=r"'n_samples' belongs under 'coderm'"):
        read_settings(task({"n_samples": 8}))


def test_a_misspelt_key_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"'codrem'.*did you mean 'coderm'"):
        read_settings(task({"codrem": {"n_samples": 8}}))


def test_model_arguments_in_the_metadata_are_let_through() -> None:
    arguments = {"pretrained": "x", "seed": 3, "max_gen_toks": 64, "mode": "fast", "code": "x"}
    assert read_settings(task(arguments)).config == Config()


def test_settings_that_are_no_mapping_are_refused() -> None:
    with pytest.raises(ConfigError, match="expected a mapping"):
        read_settings(task({"coderm": "n_samples=8"}))


def test_a_yaml_that_does_not_say_which_data_set_is_refused() -> None:
    with pytest.raises(ConfigError, match="coderm_task"):
        read_settings({"task": "mine", "metadata": {}})


def test_a_yaml_may_sample_in_the_usual_way_of_lm_eval() -> None:
    config = read_settings(task(repeats=4, generation_kwargs={"temperature": 0.2, "until": ["x"]})).config
    assert (config.n_samples, config.temperature) == (4, 0.2)


def test_metadata_wins_over_the_yaml() -> None:
    given = task({"coderm": {"n_samples": 2}}, repeats=4)
    assert read_settings(given).config.n_samples == 2


def test_sampling_names_both_do_sample_and_temperature() -> None:
    # Without a temperature lm-eval passes 0.0 to transformers, which refuses it.
    kwargs = sampling_kwargs(Config(), {"until": ["x"]})
    assert kwargs == {"until": ["x"], "do_sample": True, "temperature": 0.8, "top_p": 0.95, "max_gen_toks": 1024}


def test_temperature_zero_is_greedy() -> None:
    assert sampling_kwargs(Config(temperature=0), {"do_sample": True})["do_sample"] is False


def test_gen_kwargs_win_and_are_recorded_as_used() -> None:
    config, kwargs = settle_sampling(Config(), {**sampling_kwargs(Config(), {}), "temperature": 0.2, "top_k": 5})
    assert config.temperature == 0.2
    assert (kwargs["temperature"], kwargs["top_k"]) == (0.2, 5)


def test_gen_kwargs_without_sampling_mean_temperature_zero() -> None:
    config, kwargs = settle_sampling(Config(), {**sampling_kwargs(Config(), {}), "do_sample": False})
    assert config.temperature == 0
    assert kwargs["do_sample"] is False


def test_a_token_limit_by_another_name_replaces_ours() -> None:
    config, kwargs = settle_sampling(Config(), {**sampling_kwargs(Config(), {}), "max_new_tokens": 64})
    assert config.max_gen_toks == 64
    assert "max_new_tokens" not in kwargs


def test_several_choices_per_request_are_refused() -> None:
    with pytest.raises(ConfigError, match="n_samples"):
        settle_sampling(Config(), {"n": 8})


@pytest.mark.parametrize("wrong", [{"temperature": "hot"}, {"top_p": 2.0}])
def test_gen_kwargs_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        settle_sampling(Config(), wrong)


def test_a_seed_of_none_is_passed_on() -> None:
    assert settle_sampling(Config(), {"seed": None})[1]["seed"] is None


def test_unit_tests_are_sampled_like_solutions_but_end_elsewhere() -> None:
    kwargs = unit_test_kwargs({"temperature": 0.8, "until": ["a"], "max_gen_toks": 9}, ("b",), 77)
    assert kwargs == {"temperature": 0.8, "until": ["b"], "max_gen_toks": 77}


def test_requests_share_no_list_of_stops() -> None:
    # Backends append their end-of-text to the list they are handed.
    solving: dict[str, Any] = {"until": ["a"]}
    unit_test_kwargs(solving, (), 5)["until"].append("b")
    assert solving == {"until": ["a"]}
