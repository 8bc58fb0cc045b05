"""What ``coderm synth`` is asked for, and what it says it did."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from coderm_tasks.errors import ConfigError
from coderm_tasks.export.card import UNKNOWN_LICENCE
from coderm_tasks.groundtruth import GROUND_TRUTH_LIMITS
from coderm_tasks.model_config import GeneratorConfig
from coderm_tasks.synth.model import Yield
from coderm_tasks.synth.weaker_source import WeakerPlan
from executor import Limits

__all__ = ["SynthReport", "SynthRequest"]


class SynthRequest(Struct, frozen=True, kw_only=True):
    """What to make, with which model, and where it goes."""

    config: GeneratorConfig
    output: Path
    """A folder."""
    dataset: str | None = None
    problems: Path | None = None
    limit: int | None = None
    n: int = 10
    """Unit tests per question that are sampled."""
    rounds: int = 2
    """Repairs that a test may take, at most."""
    most: float = 0.0
    """Share of the weaker model's wrong solutions that a test may accept."""
    weaker: WeakerPlan = WeakerPlan()
    seed: int = 0
    licence: str = UNKNOWN_LICENCE
    workers: int = 0
    cache: Path | None = None

    @property
    def limits(self) -> Limits:
        """What a cell may use. Grading by a data set's ground truth takes more memory than a unit test does.

        Tests on which the reference hangs take nothing from the others: each is labelled and reported by its own run.
        """
        memory_mb = (GROUND_TRUTH_LIMITS if self.dataset is not None else Limits()).memory_mb
        return Limits(memory_mb=memory_mb, max_timeouts=None, patience=1.0)

    def __post_init__(self) -> None:
        for name, value, low in (("--n", self.n, 1), ("--repair-rounds", self.rounds, 0)):
            if value < low:
                raise ConfigError(f"{name} is {value}: expected at least {low}")
        if self.limit is not None and self.limit < 1:
            raise ConfigError(f"--limit is {self.limit}: expected at least 1; leave it out for all questions")
        if not 0 <= self.most <= 1:
            raise ConfigError(f"--max-far is {self.most}: expected a share from 0 to 1")


class SynthReport(Struct, frozen=True, kw_only=True):
    """What was done and where it lies."""

    model: str
    output: str
    yields: tuple[Yield, ...]
    problems: int
    """With at least one test."""
    tests: int
    resumed: int
    """Questions that an earlier run had finished."""
    requests: int
    """Made now, of all models."""
    tokens: int
    """Of the sampled tests' answers, stored ones included."""
    seconds: float
