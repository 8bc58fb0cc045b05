"""Settings of a model that is asked for unit tests or solutions: where it is, how it samples."""

from __future__ import annotations

from typing import Any

from msgspec import Struct, field

from coderm_tasks.errors import ConfigError, did_you_mean

__all__ = ["CONDITIONS", "ENGINES", "GeneratorConfig", "ModelConfig", "check_sampling"]

ENGINES = ("openai", "vllm", "hf")
CONDITIONS = ("none", "first", "rotate")


class ModelConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One model and how it is sampled."""

    model: str
    """Name at the endpoint; for the engines a folder, a GGUF file, or a name on the hub."""
    engine: str = "openai"
    """``openai``: an OpenAI-compatible endpoint (``vllm serve``, SGLang, llama-server, hosted); ``vllm``: vLLM in this
    process; ``hf``: transformers in this process, for small models and machines without a server."""
    base_url: str = ""
    """Of the endpoint, for ``openai`` only: ``http://HOST:PORT/v1``."""
    chat: bool = True
    """Ask through the chat template; False lets a base model continue the prompt."""
    temperature: float = 0.8
    top_p: float = 0.95
    max_tokens: int = 2048
    """Per answer."""
    logprobs: bool = False
    """Keep the mean log-probability of each answer's tokens (``openai``, where the endpoint gives it, and ``vllm``)."""
    concurrency: int = 64
    """Requests in flight; each asks for up to ten answers to one prompt."""
    timeout_s: float = 600.0
    """Seconds after which a request without an answer is made again."""
    patience_s: float = 600.0
    """Seconds for which one request is repeated while the endpoint fails (429, 5xx, no connection), before the run
    ends: long enough for a server to be restarted."""
    api_key_env: str = "OPENAI_API_KEY"
    """Name of the environment variable that holds the key. The key itself is never configured, logged or stored."""
    engine_args: dict[str, Any] = field(default_factory=dict)
    """Arguments of the engine: of ``vllm.AsyncEngineArgs``, or of ``AutoModelForCausalLM.from_pretrained`` (and
    ``device``)."""

    _prefix = "generator."

    def __post_init__(self) -> None:
        prefix = self._prefix
        if self.engine not in ENGINES:
            hint = did_you_mean(self.engine, ENGINES)
            raise ConfigError(f"{prefix}engine is {self.engine!r}{hint}: expected one of {', '.join(ENGINES)}")
        self._check_place(prefix)
        for name, low in (("max_tokens", 1), ("concurrency", 1), ("timeout_s", 0.001), ("patience_s", 0.0)):
            value = getattr(self, name)
            if value < low:
                raise ConfigError(f"{prefix}{name} is {value}: expected at least {low}")
        check_sampling(self.temperature, self.top_p, prefix)
        if self.logprobs and self.engine == "hf":
            raise ConfigError(
                f"{prefix}logprobs is set with engine 'hf', which gives none: expected 'openai' or 'vllm'; leave it out"
            )

    def _check_place(self, prefix: str) -> None:
        if not self.model.strip():
            raise ConfigError(f"{prefix}model is empty: expected the name of a model; set it")
        if self.engine == "openai" and not self.base_url:
            raise ConfigError(
                f"{prefix}base_url is not set: expected http://HOST:PORT/v1 of a running server; set it, or let "
                "engine be 'vllm' or 'hf' to run the model in this process"
            )
        if self.engine != "openai" and self.base_url:
            raise ConfigError(
                f"{prefix}base_url and engine {self.engine!r} are both set: give the endpoint or the engine, not both"
            )
        if self.engine == "openai" and self.engine_args:
            raise ConfigError(f"{prefix}engine_args are set for an endpoint: give them to the server instead")


class GeneratorConfig(ModelConfig, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A model that writes unit tests."""

    prompt: str = "coderm"
    """Name of the prompt (``coderm prompts list``)."""
    condition: str = "first"
    """Candidate code that the prompt shows, where it shows one: ``none``, ``first`` or ``rotate`` (over distinct
    candidates)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.condition not in CONDITIONS:
            hint = did_you_mean(self.condition, CONDITIONS)
            raise ConfigError(
                f"{self._prefix}condition is {self.condition!r}{hint}: expected one of {', '.join(CONDITIONS)}"
            )


def check_sampling(temperature: float, top_p: float, prefix: str) -> None:
    """Raise ConfigError where a value cannot be used; ``prefix`` comes before the setting's name."""
    if not 0 <= temperature <= 10:
        raise ConfigError(f"{prefix}temperature is {temperature}: expected a value from 0 to 10")
    if not 0 < top_p <= 1:
        raise ConfigError(f"{prefix}top_p is {top_p}: expected a value above 0, at most 1")
