"""Whether a prompt and its answer fit into a model's context. Pure."""

from __future__ import annotations

from coderm_tasks.errors import ConfigError
from coderm_tasks.model_config import ModelConfig

__all__ = ["room_error"]


def room_error(config: ModelConfig, prompt_tokens: int, room: int, remedy: str) -> ConfigError | None:
    """The error where a prompt of so many tokens leaves too little of a context of ``room`` tokens; else None."""
    left = room - prompt_tokens
    if left >= config.max_tokens:
        return None
    need = f"the longest prompt has {prompt_tokens} tokens and max_tokens is {config.max_tokens}"
    lower = f"lower max_tokens to {left}, or {remedy}" if left > 0 else remedy
    return ConfigError(f"{config.model}: {need}, and the context holds {room}: {lower}")
