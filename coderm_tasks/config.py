"""One frozen configuration for the tasks and the command line.

lm-eval: ``--metadata '{"coderm": {"tests": "bank.jsonl", "budget": 20}}'``; or ``CODERM_CONFIG=coderm.toml``, whose
keys the metadata overrides. The command line takes the same keys as flags. Unknown keys are refused.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct, field

from coderm_tasks.datasets.livecodebench.slice import Slice
from coderm_tasks.errors import ConfigError, did_you_mean
from coderm_tasks.model_config import GeneratorConfig, check_sampling
from executor import ENGINES, Limits

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["CONFIG_VARIABLE", "Config", "GeneratorConfig", "check_engine", "load_config"]

CONFIG_VARIABLE = "CODERM_CONFIG"
MOST_WORKERS = 1024
PRUNABLE = ("coderm",)
"""Strategies whose selection does not depend on the cells of solutions that cannot win."""


class Config(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of one run."""

    n_samples: int = 100
    """N: solutions sampled per problem (CodeRM, section 4.1: 100)."""
    temperature: float = 0.8
    top_p: float = 0.95
    max_gen_toks: int = 1024
    """Token limit of one sampled solution."""
    budget: int = 100
    """M: unit tests per problem, on average (CodeRM, section 4.1: 100)."""
    allocation: str = "equal"
    """How the budget is spread over problems: ``equal``, ``coderm`` (greedy on predicted pass rates), ``gain`` (greedy
    on learned gain curves) or ``sequential`` (in rounds, until no choice is likely to change)."""
    classifier: str | None = None
    """A difficulty classifier saved by ``coderm difficulty train``; None: the one that ships for the data set."""
    delta: float = 0.01
    """``sequential`` stops a problem when more tests change its choice with a probability below this."""
    tests: str | None = None
    """A bank of unit tests (JSONL, gzip allowed). None: the model under evaluation writes its own."""
    generator: GeneratorConfig | None = None
    """An external test generator; excludes ``tests``."""
    test_prompt: str = "asserts"
    """Name of the prompt with which the model under evaluation writes its own tests."""
    test_max_gen_toks: int = 1024
    """Token limit of one self-written unit test."""
    strategy: str = "coderm"
    workers: int = 0
    """Sandbox workers; 0 means one per core."""
    engine: str = "local"
    """Where the sandbox runs: ``local``, or ``ray`` for the nodes of a Ray cluster."""
    ray_address: str | None = None
    """HOST:PORT of the cluster's head; None, or ``auto``: the one that RAY_ADDRESS names or that runs here."""
    seed: int = 0
    cache: bool = True
    """Keep verdicts on disk and reuse them."""
    prune: bool = False
    """Do not run cells that cannot change the vote (strategy ``coderm`` only); the selection stays the same."""
    audit: float = 0.0
    """Share of the cells judged from call tables, 0 to 1, that are run the slow way too and compared."""
    records: str | None = None
    """Folder for matrices, samples and tests of an lm-eval run; None: beside lm-eval's own output."""
    limits: Limits = field(default_factory=Limits)
    livecodebench_path: str | None = None
    """Copy of LiveCodeBench: JSONL file, folder, or several with ``:`` between. None: ``LIVECODEBENCH_PATH``, or the
    hub."""
    livecodebench_release: str | None = None
    """``release_v6``, ``v5_v6``, ...; None: all that is there."""
    livecodebench_from: str | None = None
    """First contest date, ``YYYY-MM-DD``."""
    livecodebench_to: str | None = None
    """Last contest date, as in the official runner."""

    @property
    def livecodebench(self) -> Slice:
        """Which of LiveCodeBench's problems are asked for."""
        return Slice(
            path=self.livecodebench_path,
            release=self.livecodebench_release,
            start=self.livecodebench_from,
            end=self.livecodebench_to,
        )

    def __post_init__(self) -> None:
        _ = self.livecodebench  # checks it
        _at_least("n_samples", self.n_samples, 1)
        _at_least("budget", self.budget, 1)
        _at_least("max_gen_toks", self.max_gen_toks, 1)
        _at_least("test_max_gen_toks", self.test_max_gen_toks, 1)
        _at_least("workers", self.workers, 0)
        if self.workers > MOST_WORKERS:
            raise ConfigError(f"workers is {self.workers}: expected at most {MOST_WORKERS}; 0 is one per core")
        check_engine(self.engine, self.ray_address)
        check_sampling(self.temperature, self.top_p, "")
        if not 0 <= self.delta < 1:
            raise ConfigError(f"delta is {self.delta}: expected a probability from 0 to below 1, such as 0.01")
        if not 0 <= self.audit <= 1:
            raise ConfigError(f"audit is {self.audit}: expected a share from 0 to 1, such as 0.01")
        if self.prune and self.strategy not in PRUNABLE:
            raise ConfigError(
                f"prune is set with strategy {self.strategy!r}: expected {' or '.join(PRUNABLE)}, the only rule that "
                "looks at nothing but the winners' tests; leave prune out"
            )
        if self.prune and self.allocation == "sequential":
            raise ConfigError(
                "prune is set with allocation 'sequential': expected one of them, as the belief that stops a problem "
                "needs whole rows; leave prune out"
            )
        if self.tests is not None and self.generator is not None:
            raise ConfigError("both tests and generator are set: give a bank of tests or a generator, not both")


def check_engine(engine: str, ray_address: str | None) -> None:
    """Refuse an engine that there is not, and an address for an engine that takes none. Raises ConfigError."""
    if engine not in ENGINES:
        raise ConfigError(
            f"engine is {engine!r}{did_you_mean(engine, ENGINES)}: expected {' or '.join(ENGINES)}; name one of them"
        )
    if ray_address is not None and engine != "ray":
        raise ConfigError(
            f"ray_address is {ray_address!r} with engine {engine!r}: expected engine 'ray'; set it, or leave the "
            "address out"
        )


def _at_least(name: str, value: int, low: int) -> None:
    if value < low:
        raise ConfigError(f"{name} is {value}: expected at least {low}")


def load_config(settings: Mapping[str, Any] | None = None, environ: Mapping[str, str] | None = None) -> Config:
    """Merge the file named by ``CODERM_CONFIG`` with ``settings`` (which win) into a checked :class:`Config`.

    Raises:
        ConfigError: unknown key, value of the wrong type or out of range, or an unreadable file.
    """
    environ = os.environ if environ is None else environ
    merged: dict[str, Any] = {}
    if path := environ.get(CONFIG_VARIABLE):
        merged.update(_read_toml(Path(path)))
    if settings is not None and not isinstance(settings, Mapping):
        raise ConfigError(f"coderm settings are {settings!r}: expected a mapping such as {{'budget': 20}}")
    merged.update(settings or {})
    _refuse_unknown(merged, Config, "")
    for name, kind in (("generator", GeneratorConfig), ("limits", Limits)):
        if isinstance(merged.get(name), Mapping):
            _refuse_unknown(merged[name], kind, f"{name}.")
    try:
        return msgspec.convert(merged, Config)
    except msgspec.ValidationError as error:
        raise ConfigError(f"coderm settings: {error}") from error


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        settings: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"{CONFIG_VARIABLE}={path}: {error.strerror}; name a readable TOML file or unset it"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{CONFIG_VARIABLE}={path}: not TOML: {error}") from error
    return settings


def _refuse_unknown(given: Mapping[str, Any], kind: type[Struct], prefix: str) -> None:
    known = kind.__struct_fields__
    for key in given:
        if key not in known:
            hint = did_you_mean(str(key), known) or f"; known keys: {', '.join(known)}"
            raise ConfigError(f"unknown coderm setting {prefix + str(key)!r}{hint}")
