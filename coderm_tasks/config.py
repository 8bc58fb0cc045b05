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

from coderm_tasks.errors import ConfigError, did_you_mean
from executor import Limits

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["CONFIG_VARIABLE", "Config", "GeneratorConfig", "load_config"]

CONFIG_VARIABLE = "CODERM_CONFIG"
_CONDITIONS = ("none", "first", "rotate")


class GeneratorConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An external test generator behind an OpenAI-compatible endpoint (``vllm serve``, SGLang, a hosted model)."""

    base_url: str
    model: str
    prompt: str = "coderm"
    """Name of the prompt (``coderm prompts list``)."""
    condition: str = "first"
    """Candidate code that the prompt shows: ``none``, ``first`` or ``rotate`` (over distinct candidates)."""
    chat: bool = True
    """Ask through the chat API; False lets a base model continue the prompt."""
    temperature: float = 0.8
    top_p: float = 0.95
    max_tokens: int = 2048
    concurrency: int = 64
    """Requests in flight."""
    api_key_env: str = "OPENAI_API_KEY"
    """Name of the environment variable that holds the key. The key itself is never configured, logged or stored."""

    def __post_init__(self) -> None:
        _at_least("generator.max_tokens", self.max_tokens, 1)
        _at_least("generator.concurrency", self.concurrency, 1)
        _check_sampling(self.temperature, self.top_p, "generator.")
        if self.condition not in _CONDITIONS:
            hint = did_you_mean(self.condition, _CONDITIONS)
            raise ConfigError(
                f"generator.condition is {self.condition!r}{hint}: expected one of {', '.join(_CONDITIONS)}"
            )


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
    seed: int = 0
    cache: bool = True
    """Keep verdicts on disk and reuse them."""
    records: str | None = None
    """Folder for matrices, samples and tests of an lm-eval run; None: beside lm-eval's own output."""
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        _at_least("n_samples", self.n_samples, 1)
        _at_least("budget", self.budget, 1)
        _at_least("max_gen_toks", self.max_gen_toks, 1)
        _at_least("test_max_gen_toks", self.test_max_gen_toks, 1)
        _at_least("workers", self.workers, 0)
        _check_sampling(self.temperature, self.top_p, "")
        if not 0 <= self.delta < 1:
            raise ConfigError(f"delta is {self.delta}: expected a probability from 0 to below 1, such as 0.01")
        if self.tests is not None and self.generator is not None:
            raise ConfigError("both tests and generator are set: give a bank of tests or a generator, not both")


def _at_least(name: str, value: int, low: int) -> None:
    if value < low:
        raise ConfigError(f"{name} is {value}: expected at least {low}")


def _check_sampling(temperature: float, top_p: float, prefix: str) -> None:
    if not 0 <= temperature <= 10:
        raise ConfigError(f"{prefix}temperature is {temperature}: expected a value from 0 to 10")
    if not 0 < top_p <= 1:
        raise ConfigError(f"{prefix}top_p is {top_p}: expected a value above 0, at most 1")


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
