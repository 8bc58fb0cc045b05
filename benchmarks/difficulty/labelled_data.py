"""The labelled data that the shipped classifiers and the figures in docs/difficulty.md come from.

It is not part of the project: ``--data`` names the folder (see docs/difficulty.md for its layout).
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from coderm_tasks.difficulty_job import CurveOptions, Sources, read_training_set
from difficulty import TrainingSet

POLICIES = {
    "humaneval": ("codex-davinci", "codegen-16b", "gpt-3.5-turbo-1106"),
    "mbpp": ("gpt-mixed",),
}
ORIGINS = {
    "codex-davinci": "neulab/code-bert-score (MultiPL-E), MIT, 100 samples a problem",
    "codegen-16b": "microsoft/CodeT, MIT, 100 samples a problem",
    "gpt-3.5-turbo-1106": "huangd1999/AgentCoder, MIT, 5 samples a problem",
    "gpt-mixed": "Md-Ashraful-Pramanik/MapCoder and noahshinn/reflexion, MIT, 12-13 samples a problem",
}
PROMPTS = {
    "humaneval": "HumanEval+ v0.1.10, EvalPlus, Apache-2.0: problems with even numbers",
    "mbpp": "MBPP+ v0.2.0, EvalPlus, Apache-2.0: problems with even numbers",
}
# EvalPlus 0.3.1 fails every solution of this problem by its own bug, so its label says nothing of its difficulty.
MISLABELLED = {"humaneval": ("HumanEval/32",), "mbpp": ()}


def use_prompts(data: Path) -> None:
    """Point EvalPlus at the data sets in ``data``."""
    os.environ["HUMANEVAL_OVERRIDE_PATH"] = str(data / "evalplus" / "HumanEvalPlus.jsonl.gz")
    os.environ["MBPP_OVERRIDE_PATH"] = str(data / "evalplus" / "MbppPlus.jsonl.gz")


def sources(data: Path, dataset: str, policies: tuple[str, ...], matrices: Path | None = None) -> Sources:
    """Files of some policies on one data set; ``matrices``: folder with POLICY.jsonl from coderm rerank --matrix."""
    folder = data / dataset
    return Sources(
        dataset=dataset,
        samples=tuple(folder / "solutions" / f"{name}.jsonl.gz" for name in policies),
        labels=tuple(folder / "labels" / f"{name}.jsonl.gz" for name in policies),
        matrices=tuple(matrices / f"{name}.jsonl" for name in policies) if matrices else (),
        exclude=MISLABELLED[dataset],
    )


def labelled(data: Path, dataset: str, policies: tuple[str, ...] | None = None) -> TrainingSet:
    """Labelled problems of some policies (all, by default) on one data set."""
    return read_training_set(sources(data, dataset, policies or POLICIES[dataset]))


def with_curves(data: Path, dataset: str, policies: tuple[str, ...], matrices: Path, draws: int = 20) -> TrainingSet:
    """The same with the accuracy of the selection against the number of tests."""
    return read_training_set(sources(data, dataset, policies, matrices), CurveOptions(draws=draws))


def joined(parts: list[TrainingSet]) -> TrainingSet:
    """Rows of several sets, one after the other; gain curves where all have them, states of all."""
    curves = [part.accuracy for part in parts if part.accuracy is not None]
    return TrainingSet(
        problems=tuple(problem for part in parts for problem in part.problems),
        rates=np.concatenate([part.rates for part in parts]),
        accuracy=np.concatenate(curves) if len(curves) == len(parts) else None,
        states=tuple(state for part in parts for state in part.states),
    )
