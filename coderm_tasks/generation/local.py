"""What can be told of a model in this process from its small files: tokenizer, context, chat template."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from coderm_tasks.errors import ConfigError
from coderm_tasks.generation.context import room_error
from coderm_tasks.model_config import ModelConfig

__all__ = ["LocalModel", "load_arguments", "one_line", "read_local"]

log = logging.getLogger(__name__)

_LONGEST_WORDS = 200


class LocalModel(Struct, frozen=True):
    """A model's tokenizer and the length of its context."""

    tokenizer: Any
    room: int
    """Tokens that prompt and answer may take together."""

    def tokens(self, text: str, *, chat: bool) -> list[int]:
        """The prompt as token ids: through the chat template, or as it stands."""
        if not chat:
            return list(self.tokenizer(text)["input_ids"])
        turns = [{"role": "user", "content": text}]
        # The template writes the special tokens itself.
        rendered = self.tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
        return list(self.tokenizer(rendered, add_special_tokens=False)["input_ids"])

    def check(self, config: ModelConfig, longest: Sequence[str]) -> None:
        """Raise ConfigError where there is no chat template for a chat, or no room for a prompt and its answer."""
        if config.chat and not getattr(self.tokenizer, "chat_template", None):
            raise ConfigError(
                f"{config.model}: has no chat template, and chat is on: ask it as a base model (chat false; --base)"
            )
        for text in longest:
            remedy = "choose a model with a longer context"
            if error := room_error(config, len(self.tokens(text, chat=config.chat)), self.room, remedy):
                raise error


def load_arguments(model: str) -> tuple[str, dict[str, str]]:
    """Where ``from_pretrained`` finds a model: folder or name, and the file in it where that is a GGUF."""
    path = Path(model).expanduser()
    if path.suffix == ".gguf":
        return str(path.parent), {"gguf_file": path.name}
    return (str(path) if path.is_dir() else model), {}


def read_local(config: ModelConfig, room: int | None = None) -> LocalModel:
    """Tokenizer and context of ``config.model``; ``room`` where the engine says how long the context is.

    Raises:
        ConfigError: transformers is missing, or there is no such model.
    """
    try:
        from transformers import AutoConfig, AutoTokenizer
    except ImportError as error:
        raise ConfigError(
            f"engine {config.engine!r} needs the transformers package: pip install 'coderm-tasks[{config.engine}]'"
        ) from error
    place, files = load_arguments(config.model)
    try:
        tokenizer = AutoTokenizer.from_pretrained(place, **files)
        if room is None:
            limit = config.engine_args.get("max_model_len")
            room = int(limit or _positions(AutoConfig.from_pretrained(place, **files)))
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise ConfigError(
            f"model {config.model!r} cannot be read ({one_line(error)}): expected a folder with a checkpoint, a GGUF "
            "file, or a name that the hub knows; set model"
        ) from error
    return LocalModel(tokenizer, room)


def _positions(config: Any) -> int:
    found = getattr(config.get_text_config(), "max_position_embeddings", None)
    return int(found) if found else 1 << 30  # a model without a limit of its own


def one_line(error: BaseException) -> str:
    """An error of a library in at most 200 characters."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= _LONGEST_WORDS else text[: _LONGEST_WORDS - 3] + "..."
