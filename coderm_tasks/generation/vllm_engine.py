"""vLLM's engine in this process: batches as a server does, without the server."""

from __future__ import annotations

import importlib.util
import itertools
import logging
import os
from collections.abc import Sequence
from typing import Any

from coderm_tasks.errors import ConfigError, GenerationError
from coderm_tasks.generation.base import Completions, PromptRefusedError, Request
from coderm_tasks.generation.local import LocalModel, one_line, read_local
from coderm_tasks.model_config import ModelConfig

__all__ = ["VllmEngine"]

log = logging.getLogger(__name__)


class VllmEngine:
    """A :class:`~coderm_tasks.generation.base.Backend` over ``vllm.AsyncLLMEngine``: each answer comes when it is done.

    ``config.engine_args`` go to ``vllm.AsyncEngineArgs``; prefix caching is on unless they say otherwise.

    Raises:
        ConfigError: vLLM is not installed.
    """

    def __init__(self, config: ModelConfig) -> None:
        if importlib.util.find_spec("vllm") is None:
            raise ConfigError(
                "engine 'vllm' needs vLLM: pip install 'coderm-tasks[vllm]', or ask a running server with base_url"
            )
        self.config = config
        self._engine: Any = None
        self._local: LocalModel | None = None
        self._numbers = itertools.count()

    async def open(self) -> None:
        """Load the model."""
        os.environ.setdefault("VLLM_LOGGING_STREAM", "ext://sys.stderr")  # standard output is for results
        from vllm import AsyncEngineArgs, AsyncLLMEngine

        defaults = {"enable_prefix_caching": True, "disable_log_stats": True, "max_num_seqs": None}
        given = {**defaults, **self.config.engine_args}
        read_local(self.config, room=1)  # a wrong name is found before the engine starts its processes
        try:
            arguments = AsyncEngineArgs(
                model=self.config.model, **{name: value for name, value in given.items() if value is not None}
            )
            self._engine = AsyncLLMEngine.from_engine_args(arguments)
        except TypeError as error:
            raise ConfigError(f"engine_args: {one_line(error)}: expected arguments of vllm.AsyncEngineArgs") from error
        except (ValueError, RuntimeError, OSError) as error:
            raise GenerationError(
                f"vLLM cannot start {self.config.model!r} ({one_line(error)}): see its log above; engine_args such as "
                "max_model_len or gpu_memory_utilization often help"
            ) from error
        self._local = read_local(self.config, room=int(self._engine.model_config.max_model_len))

    async def check(self, longest: Sequence[str]) -> None:
        """Raise ConfigError where there is no chat template, or no room for a prompt and its answer."""
        self._opened().check(self.config, longest)

    async def complete(self, request: Request) -> Completions:
        """Answers to one prompt."""
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        sampling = SamplingParams(
            n=request.n,
            temperature=request.temperature,
            top_p=request.top_p,
            max_tokens=request.max_tokens,
            seed=request.seed,
            stop=list(request.stop) or None,
            logprobs=0 if request.logprobs else None,
            output_kind=RequestOutputKind.FINAL_ONLY,
        )
        tokens = self._opened().tokens(request.text, chat=self.config.chat)
        name = f"coderm-{next(self._numbers)}"
        output: Any = None
        try:
            async for finished in self._engine.generate({"prompt_token_ids": tokens}, sampling, name):
                output = finished
        except ValueError as error:
            raise PromptRefusedError(f"vLLM refuses the prompt: {one_line(error)}") from error
        except RuntimeError as error:  # EngineDeadError and its kin
            raise GenerationError(
                f"vLLM stopped ({one_line(error)}): see its log above; what was generated is kept, run again to go on"
            ) from error
        if output is None or not output.outputs:
            raise GenerationError("vLLM gave no answer: see its log above; what was generated is kept")
        return Completions(
            texts=tuple(answer.text for answer in output.outputs),
            finish_reasons=tuple(answer.finish_reason or "unknown" for answer in output.outputs),
            tokens=sum(len(answer.token_ids) for answer in output.outputs),
            mean_logprobs=tuple(_mean(answer) for answer in output.outputs) if request.logprobs else (),
        )

    async def close(self) -> None:
        """End the engine's processes. Idempotent."""
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.shutdown()

    def _opened(self) -> LocalModel:
        if self._local is None:
            raise AssertionError("open() comes first")
        return self._local


def _mean(answer: Any) -> float:
    """Mean log-probability of an answer's tokens, of which vLLM gives the sum; 0 for an answer of none."""
    return min(0.0, float(answer.cumulative_logprob or 0.0) / max(1, len(answer.token_ids)))
