"""Settings of a reward, and the scheduler that all rewards with the same sandbox share."""

from __future__ import annotations

import atexit
import os
import threading
from pathlib import Path

from msgspec import Struct, field

from coderm_tasks.config import MOST_WORKERS
from coderm_tasks.errors import RewardError, did_you_mean
from coderm_tasks.places import cache_folder
from coderm_tasks.reward.batch import Reading
from coderm_tasks.reward.lane import process_lanes
from coderm_tasks.reward.scheduler import Scheduler
from coderm_tasks.reward.scoring import SCHEMES
from executor import Limits

__all__ = ["RewardOptions", "default_workers", "shared_scheduler"]


class RewardOptions(Struct, frozen=True, kw_only=True):
    """Settings of a reward."""

    reading: Reading = field(default_factory=Reading)
    deadline_s: float = 120.0
    """Seconds that one batch may take, reading included; what is not judged by then has no reward."""
    workers: int = 0
    """Solutions judged at the same time; 0: one per core, divided by the training processes on this machine."""
    limits: Limits = field(default_factory=Limits)
    """Limits of one unit test."""
    cache: bool = True
    """Keep verdicts on disk, where ``coderm`` keeps its own, and reuse them."""

    def __post_init__(self) -> None:
        if self.reading.scheme not in SCHEMES:
            hint = did_you_mean(self.reading.scheme, SCHEMES)
            raise RewardError(f"scheme is {self.reading.scheme!r}{hint}: expected {' or '.join(map(repr, SCHEMES))}")
        if not 0 < self.deadline_s <= 86_400:
            raise RewardError(f"deadline_s is {self.deadline_s}: expected seconds above 0, at most a day")
        if not 0 <= self.workers <= MOST_WORKERS:
            raise RewardError(f"workers is {self.workers}: expected 0 (one per core) to {MOST_WORKERS}")


def default_workers() -> int:
    """One per core this process may use, divided by the processes that torchrun or accelerate started here."""
    here = os.environ.get("LOCAL_WORLD_SIZE", "1")
    sharing = int(here) if here.isdigit() and int(here) else 1
    return max(1, len(os.sched_getaffinity(0)) // sharing)


_lock = threading.Lock()
_schedulers: dict[tuple[int, int, Limits, Path | None], Scheduler] = {}
"""By process (a forked child has none of its parent's threads), workers, limits and cache."""


def shared_scheduler(options: RewardOptions) -> Scheduler:
    """Return this process's scheduler for these settings; it stays open until the process ends."""
    workers = options.workers or default_workers()
    folder = cache_folder() if options.cache else None
    key = (os.getpid(), workers, options.limits, folder)
    with _lock:
        if key not in _schedulers:
            if not any(pid == os.getpid() for pid, *_ in _schedulers):
                atexit.register(_close_all)
            _schedulers[key] = Scheduler(process_lanes(options.limits, folder), workers=workers)
        return _schedulers[key]


def _close_all() -> None:
    for (pid, *_), scheduler in _schedulers.items():
        if pid == os.getpid():
            scheduler.close()
