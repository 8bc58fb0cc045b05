"""One OpenAI-compatible endpoint (``vllm serve``, SGLang, llama-server, hosted), and errors that say what to do."""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from coderm_tasks.errors import CoderMError, ConfigError, GenerationError, did_you_mean
from coderm_tasks.generation.base import Completions, PromptRefusedError, Request
from coderm_tasks.generation.context import room_error
from coderm_tasks.generation.http import FailedError, RefusedError, Transport, UnreachableError
from coderm_tasks.model_config import ModelConfig

__all__ = ["Endpoint"]

log = logging.getLogger(__name__)

_CHECK_TIMEOUT_S = 15.0
_CHECK_PATIENCE_S = 2.0
_MALFORMED_ATTEMPTS = 3  # answers that arrive and cannot be used: HTML from a proxy, without choices
_LONGEST_WORDS = 200
_KEPT = "; what was generated is kept"


class Endpoint:
    """A :class:`~coderm_tasks.generation.base.Backend` that asks a server.

    Raises:
        ConfigError: the URL cannot be used, the key cannot be sent, or the ``api`` extra is not installed.
    """

    def __init__(self, config: ModelConfig, *, environ: Mapping[str, str] | None = None) -> None:
        self.config = config
        self._key = _key(config, os.environ if environ is None else environ)
        self._path = "/chat/completions" if config.chat else "/completions"
        self._http = Transport(
            config.base_url,
            self._key,
            connections=config.concurrency,
            timeout_s=config.timeout_s,
            patience_s=config.patience_s,
        )

    async def open(self) -> None:
        """Make the pool of connections; nothing is sent."""
        await self._http.open()

    async def close(self) -> None:
        """Close all connections. Idempotent."""
        await self._http.close()

    async def check(self, longest: Sequence[str]) -> None:
        """Make sure that the endpoint answers, has the model and room for the longest prompts.

        Nothing is generated if it lists its models; else one token is.
        """
        try:
            await self._check(longest)
        except GenerationError as error:  # nothing was generated yet
            raise type(error)(str(error).replace(_KEPT, "")) from error.__cause__

    async def _check(self, longest: Sequence[str]) -> None:
        try:
            listed = await self._models()
        except RefusedError as error:
            if error.status not in (404, 405, 501):
                raise self._refusal(error) from error
            await self._one_token()
            return
        except (FailedError, UnreachableError) as error:
            raise self._failure(error) from error
        names = [model.id for model in listed]
        if names and self.config.model not in names:
            hint = did_you_mean(self.config.model, names) or f"; it serves {', '.join(sorted(names)[:5])}"
            raise ConfigError(f"{self.config.base_url} does not serve the model {self.config.model!r}{hint}; set model")
        room = next((model.max_model_len for model in listed if model.id == self.config.model), None)
        if room is not None:
            await self._check_room(longest, room)

    async def complete(self, request: Request) -> Completions:
        """Answers to one prompt. An answer that cannot be used is asked for again, three times in all."""
        body = self._body(request)
        problem = ""
        for attempt in range(_MALFORMED_ATTEMPTS):
            if attempt:
                log.warning("%s: %s; asking again", self.config.base_url, problem)
                await asyncio.sleep(0.25 * 2**attempt)
            try:
                return _read(await self._http.post(self._path, body), request.n)
            except RefusedError as error:
                raise self._refusal(error) from error
            except (FailedError, UnreachableError) as error:
                raise self._failure(error) from error
            except _MalformedError as error:
                problem = str(error)
        raise self._not_a_server("completions", problem)

    def _body(self, request: Request) -> bytes:
        turn: dict[str, Any] = (
            {"messages": [{"role": "user", "content": request.text}]} if self.config.chat else {"prompt": request.text}
        )
        options: dict[str, Any] = {
            "n": request.n,
            "temperature": request.temperature,
            "top_p": request.top_p,
            "max_tokens": request.max_tokens,
            "seed": request.seed,
        }
        if request.stop:
            options["stop"] = list(request.stop)
        if request.logprobs:  # a switch for chats, a number of alternatives for plain completions
            options["logprobs"] = True if self.config.chat else 1
        return msgspec.json.encode({"model": self.config.model, **turn, **options})

    async def _models(self) -> list[_Model]:
        raw = await self._http.get("/models", patience_s=_CHECK_PATIENCE_S, timeout_s=_CHECK_TIMEOUT_S)
        try:
            return msgspec.json.decode(raw, type=_Models).data
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise self._not_a_server("a list of models", _looks_like(raw)) from error

    async def _one_token(self) -> None:
        request = Request(text="Say yes.", n=1, seed=0, stop=(), temperature=0.0, top_p=1.0, max_tokens=1)
        try:
            raw = await self._http.post(self._path, self._body(request), patience_s=_CHECK_PATIENCE_S)
            _read(raw, 1)
        except RefusedError as error:
            raise self._refusal(error) from error
        except (FailedError, UnreachableError) as error:
            raise self._failure(error) from error
        except _MalformedError as error:
            raise self._not_a_server("completions", str(error)) from error

    async def _check_room(self, longest: Sequence[str], room: int) -> None:
        """Ask vLLM to count the tokens of the longest prompts, where it can."""
        root = self.config.base_url.rstrip("/").removesuffix("/v1")
        for text in longest:
            turn = {"messages": [{"role": "user", "content": text}]} if self.config.chat else {"prompt": text}
            try:
                tokens = await self._count(root, {"model": self.config.model, **turn})
            except (RefusedError, FailedError, UnreachableError, msgspec.DecodeError):
                log.info("%s does not count tokens: prompts that are too long are found when they are asked", root)
                return
            if error := room_error(self.config, tokens, room, "serve with a larger --max-model-len"):
                raise error

    async def _count(self, root: str, question: dict[str, Any]) -> int:
        counting = Transport(root, self._key, connections=1, timeout_s=_CHECK_TIMEOUT_S, patience_s=0)
        await counting.open()
        try:
            return msgspec.json.decode(
                await counting.post("/tokenize", msgspec.json.encode(question)), type=_Count
            ).count
        finally:
            await counting.close()

    def _refusal(self, error: RefusedError) -> CoderMError:
        """A 4xx as ours, in one line and without the key."""
        url, words = self.config.base_url, self._words(error.body)
        if error.status in (401, 403):
            state = "is refused" if self._key else "is not set"
            return ConfigError(f"{url} wants an API key: ${self.config.api_key_env} {state}; set it, or api_key_env")
        if error.status == 404:
            return ConfigError(
                f"{url} answers 404 for the model {self.config.model!r} ({words}): "
                "check model, and that base_url ends in /v1"
            )
        if error.status in (400, 413, 422):
            return PromptRefusedError(f"{url} refuses the prompt with {error.status}: {words}")
        return GenerationError(f"{url} answers {error.status} ({words}): check base_url{_KEPT}")

    def _failure(self, error: FailedError | UnreachableError) -> CoderMError:
        url = self.config.base_url
        if error.others_answered:
            what = f"{error.status}" if isinstance(error, FailedError) else str(error)
            return PromptRefusedError(f"{url} fails at this prompt ({what}) and answers others: run again later")
        if isinstance(error, FailedError):
            return GenerationError(
                f"{url} answers {error.status} after all retries ({self._words(error.body)}): "
                f"lower concurrency, or run again later{_KEPT}"
            )
        return GenerationError(f"{url} cannot be reached ({error}): start the server there, or set base_url{_KEPT}")

    def _not_a_server(self, expected: str, found: str) -> GenerationError:
        return GenerationError(
            f"{self.config.base_url} answered {found} where {expected} was expected: "
            f"check base_url (it usually ends in /v1) and that a model server answers there{_KEPT}"
        )

    def _words(self, body: bytes) -> str:
        """What the server says, on one line and without the key."""
        try:
            said = msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            said = body[:2000].decode("utf-8", "replace")
        while isinstance(said, dict) and any(name in said for name in ("error", "message", "detail")):
            said = next(said[name] for name in ("error", "message", "detail") if name in said)
        text = " ".join(str(said).split()) or "no words"
        text = text.replace(self._key, "***") if self._key else text
        return text if len(text) <= _LONGEST_WORDS else text[: _LONGEST_WORDS - 3] + "..."


class _MalformedError(Exception):
    """An answer without usable completions."""


class _Model(Struct):
    id: str
    max_model_len: int | None = None
    """Only vLLM tells."""


class _Models(Struct):
    data: list[_Model]


class _Count(Struct):
    count: int


class _Message(Struct):
    content: str | list[Any] | None = None


class _Token(Struct):
    logprob: float = 0.0


class _Logprobs(Struct):
    content: list[_Token] | None = None
    """Of a chat."""
    token_logprobs: list[float | None] | None = None
    """Of a plain completion."""


class _Choice(Struct):
    finish_reason: str | None = None
    logprobs: _Logprobs | None = None
    message: _Message | None = None
    text: str | None = None


class _Usage(Struct):
    completion_tokens: int | None = None


class _Answer(Struct):
    choices: list[_Choice] | None = None
    usage: _Usage | None = None


_DECODER = msgspec.json.Decoder(_Answer)


def _read(raw: bytes, most: int) -> Completions:
    try:
        answer = _DECODER.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        answer = _with_half_characters(raw, error)
    if not answer.choices:
        raise _MalformedError("no choices")
    choices = answer.choices[:most]
    return Completions(
        texts=tuple(_text(choice) for choice in choices),
        finish_reasons=tuple(choice.finish_reason or "unknown" for choice in choices),
        tokens=(answer.usage.completion_tokens or 0) if answer.usage is not None else 0,
        mean_logprobs=_mean_logprobs(choices),
    )


def _mean_logprobs(choices: Sequence[_Choice]) -> tuple[float, ...]:
    """One per choice, or none at all where a choice came without."""
    means = []
    for choice in choices:
        given = choice.logprobs
        if given is None or (given.content is None and given.token_logprobs is None):
            return ()
        values = [token.logprob for token in given.content or ()] or given.token_logprobs or ()
        known = [value for value in values if value is not None]
        means.append(min(0.0, sum(known) / max(1, len(known))))
    return tuple(means)


def _with_half_characters(raw: bytes, error: Exception) -> _Answer:
    """The answer where a model broke off in a surrogate pair, which is no text but no reason to ask again either."""
    try:
        whole = json.dumps(json.loads(raw), ensure_ascii=False).encode("utf-8", "replace")
        return _DECODER.decode(whole)
    except (ValueError, RecursionError):
        raise _MalformedError(_looks_like(raw)) from error


def _text(choice: _Choice) -> str:
    text = choice.message.content if choice.message is not None else choice.text
    return text if isinstance(text, str) else ""  # a reasoning model that ran out of tokens has no content


def _looks_like(raw: bytes) -> str:
    start = raw[:2000].lower()
    if b"<html" in start or b"<!doctype" in start:
        return "HTML instead of JSON"
    try:
        msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return "text instead of JSON"
    return "JSON of another kind"


def _key(config: ModelConfig, environ: Mapping[str, str]) -> str:
    key = environ.get(config.api_key_env, "").strip()
    if not key.isascii() or not (key.isprintable() and " " not in key):
        raise ConfigError(f"${config.api_key_env} holds characters that no API key has: set it again")
    return key
