"""Which solutions of a problem become preference pairs (pure)."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from coderm_tasks.errors import ConfigError
from executor.purity import look_at

__all__ = ["PairRules", "choose_pairs", "distinct"]

_TOLERANCE = 1e-9


class PairRules(Struct, frozen=True, kw_only=True):
    """What makes a pair."""

    margin: float = 0.3
    """Least difference of the two rewards, above 0."""
    least_chosen: float = 0.5
    """Least reward of the better one."""
    most: int = 8
    """Pairs per problem."""
    seed: int = 0
    confirmed: bool = False
    """Only pairs of a correct and a wrong solution, by the labels."""

    def __post_init__(self) -> None:
        if not 0 < self.margin <= 1:
            raise ConfigError(f"margin is {self.margin}: expected a value above 0, at most 1")
        if not 0 <= self.least_chosen <= 1:
            raise ConfigError(f"least_chosen is {self.least_chosen}: expected a value from 0 to 1")
        if self.most < 1:
            raise ConfigError(f"max_pairs is {self.most}: expected at least 1")


def distinct(solutions: Sequence[str]) -> list[int]:
    """Indices of the first solution of each kind, in sample order; empty sources are no kind.

    Solutions with one syntax tree are one kind: comments, docstrings and formatting do not count, as for the executor.
    """
    kinds: dict[str, int] = {}
    for index, code in enumerate(solutions):
        if code.strip():
            kinds.setdefault(look_at(code).key, index)
    return sorted(kinds.values())


def choose_pairs(
    task_id: str, rewards: NDArray[np.float64], rules: PairRules, labels: Sequence[bool | None] = ()
) -> list[tuple[int, int]]:
    """Pick pairs (better, worse) of indices into ``rewards``, shape (U,); with labels, U of them.

    Balanced: the better one is always the least used so far of those that still have a partner, the worse one the least
    used of its partners; a hash of the seed decides among equals, so that every machine picks alike. O(most * U).
    """
    order = _shuffled(task_id, len(rewards), rules.seed)
    better, worse = _sides(rewards, rules, labels)
    used = np.zeros((2, len(rewards)), dtype=np.int64)
    taken: dict[int, list[int]] = {}
    open_ = better.copy()
    pairs: list[tuple[int, int]] = []
    while len(pairs) < rules.most and open_.any():
        first = _least(open_, used[0], order)
        partners = worse & (rewards <= rewards[first] - rules.margin + _TOLERANCE)
        partners[taken.get(first, [])] = False
        if not partners.any():
            open_[first] = False
            continue
        second = _least(partners, used[1], order)
        pairs.append((first, second))
        taken.setdefault(first, []).append(second)
        used[0, first] += 1
        used[1, second] += 1
    return pairs


def _sides(
    rewards: NDArray[np.float64], rules: PairRules, labels: Sequence[bool | None]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which solutions may be the better one, and which the worse one; shapes (U,)."""
    better = rewards >= rules.least_chosen - _TOLERANCE
    worse = np.ones(len(rewards), dtype=np.bool_)
    if rules.confirmed:
        better &= np.array([label is True for label in labels], dtype=np.bool_)
        worse &= np.array([label is False for label in labels], dtype=np.bool_)
    return better, worse


def _least(allowed: NDArray[np.bool_], used: NDArray[np.int64], order: NDArray[np.int64]) -> int:
    """The allowed index that was used least, the first of them in ``order``'s ranks."""
    keys = np.where(allowed, used * len(used) + order, np.iinfo(np.int64).max)
    return int(keys.argmin())


def _shuffled(task_id: str, count: int, seed: int) -> NDArray[np.int64]:
    """A rank for each index. Not numpy's generators: their streams may change with the version."""
    digests = [
        blake2b(f"{seed}\0{task_id}\0{index}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
        for index in range(count)
    ]
    ranks = np.empty(count, dtype=np.int64)
    ranks[sorted(range(count), key=digests.__getitem__)] = np.arange(count)
    return ranks
