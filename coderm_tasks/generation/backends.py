"""Which backend a configuration means; each is imported only when it is the one that runs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from coderm_tasks.generation.base import Backend, Completions, PromptRefusedError, Request
from coderm_tasks.model_config import ModelConfig

__all__ = ["StoredOnly", "make_backend", "opened", "survey"]


def make_backend(config: ModelConfig) -> Backend:
    """The backend, not opened. Raises ConfigError where its library is missing or a setting cannot be used."""
    if config.engine == "vllm":
        from coderm_tasks.generation.vllm_engine import VllmEngine

        return VllmEngine(config)
    if config.engine == "hf":
        from coderm_tasks.generation.transformers_model import TransformersModel

        return TransformersModel(config)
    from coderm_tasks.generation.client import Endpoint

    return Endpoint(config)


@asynccontextmanager
async def opened(backend: Backend) -> AsyncIterator[Backend]:
    """The backend, open while the block runs. Raises ConfigError or GenerationError."""
    try:
        await backend.open()
        yield backend
    finally:
        await backend.close()


class StoredOnly:
    """A backend that asks nothing: what is not stored is refused."""

    async def open(self) -> None:
        """Nothing to open."""

    async def check(self, longest: Sequence[str]) -> None:
        """Nothing can fail."""

    async def complete(self, request: Request) -> Completions:
        """Refuse."""
        raise PromptRefusedError("the stored answers are used up, and nothing was to be asked")

    async def close(self) -> None:
        """Nothing to close."""


async def survey(config: ModelConfig, longest: Sequence[str]) -> None:
    """Check a backend long before it is used: an endpoint is asked; of a model in this process only the files that tell
    its name, tokenizer and context are read, not the weights.

    Raises:
        ConfigError, GenerationError: what is wrong.
    """
    if config.engine != "openai":
        from coderm_tasks.generation.local import read_local

        make_backend(config)
        read_local(config).check(config, longest)
        return
    async with opened(make_backend(config)) as backend:
        await backend.check(longest)
