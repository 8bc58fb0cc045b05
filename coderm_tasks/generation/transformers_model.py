"""A transformers model in this process: for small models, and machines without a server."""

from __future__ import annotations

import asyncio
import importlib.util
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from coderm_tasks.errors import ConfigError, GenerationError
from coderm_tasks.generation.base import Completions, Request
from coderm_tasks.generation.local import LocalModel, load_arguments, one_line, read_local
from coderm_tasks.model_config import ModelConfig

__all__ = ["TransformersModel"]

_Result = TypeVar("_Result")


class TransformersModel:
    """A :class:`~coderm_tasks.generation.base.Backend` over ``AutoModelForCausalLM``: one request after the other.

    The answers of a request are one batch. ``config.engine_args`` go to ``from_pretrained``, less ``device``
    (default: CUDA where there is one).

    Raises:
        ConfigError: torch or transformers is not installed.
    """

    def __init__(self, config: ModelConfig) -> None:
        missing = [name for name in ("torch", "transformers") if importlib.util.find_spec(name) is None]
        if missing:
            raise ConfigError(f"engine 'hf' needs {' and '.join(missing)}: pip install 'coderm-tasks[hf]'")
        self.config = config
        self._local: LocalModel | None = None
        self._model: Any = None
        self._stop = threading.Event()
        # torch's seed and the model's cache of keys and values have one user at a time.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="transformers")

    async def open(self) -> None:
        """Load the model."""
        self._local = read_local(self.config)
        await self._in_thread(self._load)

    async def check(self, longest: Sequence[str]) -> None:
        """Raise ConfigError where there is no chat template, or no room for a prompt and its answer."""
        self._opened().check(self.config, longest)

    async def complete(self, request: Request) -> Completions:
        """Answers to one prompt."""
        answers = await self._in_thread(self._generate, request)
        if self._stop.is_set():  # they may have been cut by it, and must not pass for whole
            raise GenerationError(f"{self.config.model}: was closed while it answered; what was generated is kept")
        return answers

    async def close(self) -> None:
        """End what is being generated and forget the model. Idempotent."""
        self._stop.set()
        self._thread.shutdown(cancel_futures=True)
        self._model = None

    async def _in_thread(self, work: Callable[..., _Result], *arguments: Any) -> _Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)

    def _load(self) -> None:
        import torch
        from transformers import AutoModelForCausalLM

        arguments = dict(self.config.engine_args)
        device = arguments.pop("device", "cuda" if torch.cuda.is_available() else "cpu")
        arguments.setdefault("dtype", "float32" if device == "cpu" else "auto")  # half precision crawls on most CPUs
        arguments.pop("max_model_len", None)
        place, files = load_arguments(self.config.model)
        try:
            model = AutoModelForCausalLM.from_pretrained(place, **files, **arguments)
            self._model = model.to(device).eval()
        except (OSError, ValueError, TypeError, RuntimeError, ImportError) as error:
            raise ConfigError(
                f"model {self.config.model!r} cannot be loaded ({one_line(error)}): expected a causal language model "
                "that fits into memory; set model, or engine_args such as dtype and device"
            ) from error

    def _generate(self, request: Request) -> Completions:
        import torch
        from transformers import StoppingCriteria, StoppingCriteriaList

        halted = self._stop

        class Halt(StoppingCriteria):  # type: ignore[misc]
            def __call__(self, input_ids: Any, scores: Any, **kwargs: Any) -> Any:
                return torch.full((input_ids.shape[0],), halted.is_set(), device=input_ids.device, dtype=torch.bool)

        tokenizer = self._opened().tokenizer
        prompt = torch.tensor([self._opened().tokens(request.text, chat=self.config.chat)], device=self._model.device)
        torch.manual_seed(request.seed)
        greedy = request.temperature == 0
        sampling = {} if greedy else {"temperature": request.temperature, "top_p": request.top_p, "top_k": 0}
        try:
            with torch.inference_mode():
                output = self._model.generate(
                    prompt,
                    attention_mask=torch.ones_like(prompt),
                    do_sample=not greedy,
                    num_return_sequences=request.n,
                    max_new_tokens=request.max_tokens,
                    pad_token_id=_pad(tokenizer, self._model),
                    stop_strings=list(request.stop) or None,
                    tokenizer=tokenizer,
                    stopping_criteria=StoppingCriteriaList([Halt()]),
                    **sampling,
                )
        except (RuntimeError, ValueError) as error:
            raise GenerationError(
                f"{self.config.model}: cannot generate ({one_line(error)}): lower max_tokens, or set engine_args such "
                "as dtype and device; what was generated is kept"
            ) from error
        return self._read(output[:, prompt.shape[1] :].tolist(), request)

    def _read(self, answers: list[list[int]], request: Request) -> Completions:
        ends = _ends(self._model)
        texts, reasons, tokens = [], [], 0
        for answer in answers:
            end = next((number for number, token in enumerate(answer) if token in ends), len(answer))
            text = self._opened().tokenizer.decode(answer[:end], skip_special_tokens=True)
            stop = min((at for word in request.stop if (at := text.find(word)) >= 0), default=-1)
            texts.append(text[:stop] if stop >= 0 else text)
            reasons.append("stop" if end < len(answer) or stop >= 0 else "length")
            tokens += end
        return Completions(tuple(texts), tuple(reasons), tokens)

    def _opened(self) -> LocalModel:
        if self._local is None:
            raise AssertionError("open() comes first")
        return self._local


def _ends(model: Any) -> frozenset[int]:
    ids = model.generation_config.eos_token_id
    return frozenset(ids if isinstance(ids, list) else [] if ids is None else [ids])


def _pad(tokenizer: Any, model: Any) -> int | None:
    if tokenizer.pad_token_id is not None:
        return int(tokenizer.pad_token_id)
    return next(iter(sorted(_ends(model))), None)
