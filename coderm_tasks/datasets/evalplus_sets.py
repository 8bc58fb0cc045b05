"""HumanEval+ and MBPP+ (Liu et al. 2023, arXiv 2305.01210), read through EvalPlus's own loader."""

from __future__ import annotations

from coderm_tasks.datasets.context import prompt_context
from coderm_tasks.hosts.evalplus import EvalPlusName, EvalPlusRecord, read_evalplus
from coderm_tasks.model import GroundTruth, Problem

__all__ = ["load_evalplus"]


def load_evalplus(dataset: EvalPlusName) -> tuple[Problem, ...]:
    """Return the problems of HumanEval+ (``humaneval``) or MBPP+ (``mbpp``) in the order of the data set.

    ``HUMANEVAL_OVERRIDE_PATH`` and ``MBPP_OVERRIDE_PATH`` are honoured as they are set now; without them EvalPlus
    downloads the file once and keeps it.

    Raises:
        DatasetError: the file cannot be had or read; the message names the override variable.
    """
    return tuple(_problem(dataset, record) for record in read_evalplus(dataset))


def _problem(dataset: EvalPlusName, record: EvalPlusRecord) -> Problem:
    truth = GroundTruth(
        # EvalPlus runs the concatenation, prompt first (evaluate.get_groundtruth).
        reference=record.prompt + record.canonical_solution,
        base_inputs=tuple(tuple(args) for args in record.base_input),
        plus_inputs=tuple(tuple(args) for args in record.plus_input),
        atol=record.atol,
    )
    return Problem(
        task_id=record.task_id,
        dataset=dataset,
        prompt=record.prompt,
        entry_point=record.entry_point,
        truth=truth,
        context=prompt_context(record.prompt, record.entry_point),
    )
