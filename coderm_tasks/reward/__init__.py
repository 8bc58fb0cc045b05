"""Unit tests as a reward for reinforcement learning: for TRL, for verl, and for whoever calls the functions."""

from coderm_tasks.reward.batch import Batch, Reading, Sample, read_batch
from coderm_tasks.reward.options import RewardOptions, shared_scheduler
from coderm_tasks.reward.scheduler import Load, Scheduler
from coderm_tasks.reward.scoring import Score, Status
from coderm_tasks.reward.trl import UnitTestReward, unit_test_reward

__all__ = [
    "Batch",
    "Load",
    "Reading",
    "RewardOptions",
    "Sample",
    "Scheduler",
    "Score",
    "Status",
    "UnitTestReward",
    "read_batch",
    "shared_scheduler",
    "unit_test_reward",
]
