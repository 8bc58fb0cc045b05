"""Feature blocks of what sampled solutions do and how sure the model was: outputs on inputs, log-probabilities."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from difficulty.blocks_samples import clusters
from difficulty.errors import FeatureError
from difficulty.model import Evidence

__all__ = ["LOGPROB_NAMES", "OUTPUT_NAMES", "logprob_values", "output_values"]

OUTPUT_NAMES = (
    *(
        f"{kind}_{name}"
        for kind in ("example", "test")
        for name in ("inputs", "agreement", "distinct", "largest_cluster", "entropy", "failed")
    ),
)
LOGPROB_NAMES = ("mean", "best", "spread")
FAILED = "!"
"""First character of an output that is none: an exception, a timeout, a crash."""


def output_values(evidence: Evidence) -> NDArray[np.float64]:
    """Shape (len(OUTPUT_NAMES),): the same six numbers for the inputs of the prompt's examples and for those of tests.

    ``agreement`` is the chance that two solutions return the same on the same input; clusters are of solutions that
    return the same on all inputs; ``failed`` is the share of calls that returned nothing.
    """
    rows = evidence.outputs
    if len(rows) != len(evidence.samples) or len({len(row) for row in rows}) > 1:
        raise FeatureError(
            f"{evidence.task_id}: block 'outputs' got {len(rows)} rows of outputs for {len(evidence.samples)} samples, "
            f"of {len({len(row) for row in rows})} lengths; pass one row of one length per sample"
        )
    examples = evidence.example_inputs
    return np.array(
        [*_of_inputs([row[:examples] for row in rows]), *_of_inputs([row[examples:] for row in rows])], dtype=np.float64
    )


def _of_inputs(rows: Sequence[tuple[str, ...]]) -> list[float]:
    """Without an input all solutions are one cluster, and nothing is known to differ or to fail."""
    inputs = len(rows[0])
    same, failed = 1.0, 0.0
    if inputs:
        shares = [
            (np.unique(np.array(column), return_counts=True)[1] / len(rows)) ** 2 for column in zip(*rows, strict=True)
        ]
        same = float(np.mean([share.sum() for share in shares]))
        failed = sum(output.startswith(FAILED) for row in rows for output in row) / (inputs * len(rows))
    return [float(np.log1p(inputs)), same, *clusters(rows), failed]


def logprob_values(evidence: Evidence) -> NDArray[np.float64]:
    """Shape (len(LOGPROB_NAMES),): mean, best and standard deviation over the samples, in nats per token."""
    values = np.array(evidence.logprobs, dtype=np.float64)
    return np.array([values.mean(), values.max(), values.std()], dtype=np.float64)
