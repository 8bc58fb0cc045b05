"""Unit tests as classifiers of solutions: do they tell correct from wrong (CodeRM, section 4.4, Table 2)."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

__all__ = ["Confusion", "Quality", "cells_confusion", "quality", "selected_confusion"]


class Confusion(Struct, frozen=True):
    """Counts of (solution, prediction) pairs; positive is "this solution is correct"."""

    tp: int = 0
    fp: int = 0
    tn: int = 0
    fn: int = 0

    def __add__(self, other: Confusion) -> Confusion:
        return Confusion(self.tp + other.tp, self.fp + other.fp, self.tn + other.tn, self.fn + other.fn)


class Quality(Struct, frozen=True, kw_only=True):
    """Rates of a confusion, each in [0, 1]; None where its denominator is 0."""

    acc: float | None
    """(TP + TN) / all."""
    f1: float | None
    """2 TP / (2 TP + FP + FN)."""
    paper_far: float | None
    """FP / (FP + TP): CodeRM prints this as FAR. The textbook calls it the false discovery rate."""
    paper_frr: float | None
    """FN / (FN + TN): CodeRM prints this as FRR. The textbook calls it the false omission rate."""
    far: float | None
    """FP / (FP + TN): the textbook's false acceptance rate, the share of wrong solutions that pass."""
    frr: float | None
    """FN / (FN + TP): the textbook's false rejection rate, the share of correct solutions that fail."""
    pairs: int
    """Predictions counted."""


def cells_confusion(passed: NDArray[np.bool_], executed: NDArray[np.bool_], correct: NDArray[np.bool_]) -> Confusion:
    """Individual tests: each executed cell is a prediction about its solution, pass means correct.

    Shapes (N, M), (N, M), (N,).
    """
    return _count(passed[executed], np.broadcast_to(correct[:, None], passed.shape)[executed])


def selected_confusion(selected: Iterable[int], correct: NDArray[np.bool_]) -> Confusion:
    """Tests in combination: the solutions that the strategy put first, its ties, are predicted to be correct.

    ``correct``: shape (N,).
    """
    positive = np.zeros(len(correct), dtype=np.bool_)
    positive[list(selected)] = True
    return _count(positive, correct)


def _count(positive: NDArray[np.bool_], correct: NDArray[np.bool_]) -> Confusion:
    tp, fp = int((positive & correct).sum()), int((positive & ~correct).sum())
    return Confusion(tp, fp, int((~positive & ~correct).sum()), int((~positive & correct).sum()))


def quality(counts: Confusion) -> Quality:
    """Turn pooled counts into rates."""
    tp, fp, tn, fn = counts.tp, counts.fp, counts.tn, counts.fn
    pairs = tp + fp + tn + fn
    return Quality(
        acc=_ratio(tp + tn, pairs),
        f1=_ratio(2 * tp, 2 * tp + fp + fn),
        paper_far=_ratio(fp, fp + tp),
        paper_frr=_ratio(fn, fn + tn),
        far=_ratio(fp, fp + tn),
        frr=_ratio(fn, fn + tp),
        pairs=pairs,
    )


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None
