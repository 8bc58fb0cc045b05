"""One OpenAI-compatible endpoint: requests, retries, and errors that say what to do."""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from msgspec import Struct

from coderm_tasks.config import GeneratorConfig
from coderm_tasks.errors import CoderMError, ConfigError, GenerationError, did_you_mean

if TYPE_CHECKING:
    import openai

__all__ = ["Completions", "Endpoint", "PromptRefusedError"]

log = logging.getLogger(__name__)

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_TIMEOUT_S = 600.0
_CHECK_TIMEOUT_S = 15.0
_RETRIES = 6  # of the client: connection errors, timeouts, 408, 409, 429 and 5xx, with backoff
_MALFORMED_ATTEMPTS = 3  # answers that arrive and cannot be used: cut, HTML from a proxy, without choices


class PromptRefusedError(GenerationError):
    """The endpoint refused one prompt (400, 413 or 422): the others may still work."""


class Completions(Struct, frozen=True):
    """What came back for one request."""

    texts: tuple[str, ...]
    finish_reasons: tuple[str, ...]
    tokens: int


class Endpoint:
    """Asks for completions. Use as an async context manager.

    Raises:
        ConfigError: the URL cannot be used, a key is missing or wrong, or the ``api`` extra is not installed.
    """

    def __init__(
        self, config: GeneratorConfig, *, environ: Mapping[str, str] | None = None, retries: int = _RETRIES
    ) -> None:
        self.config = config
        self._openai = _library()
        self._key = _key(config, os.environ if environ is None else environ)
        host = _host(config.base_url)
        self._client = self._openai.AsyncOpenAI(
            api_key=self._key or "none",
            base_url=config.base_url,
            timeout=_TIMEOUT_S,
            max_retries=retries,
            # A proxy meant for the internet would swallow requests to a server on this machine.
            http_client=self._openai.DefaultAsyncHttpxClient(trust_env=host not in _LOOPBACK),
        )

    async def __aenter__(self) -> Endpoint:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.close()

    async def check(self) -> None:
        """Make sure that the endpoint answers and has the model; nothing is generated if it lists its models.

        Raises:
            ConfigError: no such model, or no valid key.
            GenerationError: nothing, or no model server, answers at the URL.
        """
        client = self._client.with_options(timeout=_CHECK_TIMEOUT_S, max_retries=1)
        try:
            page = await client.models.list()
            models = [model.id for model in page.data]
        except self._openai.NotFoundError:  # some servers have no list: one token tells
            await self.complete("Say yes.", {"n": 1, "max_tokens": 1}, client=client)
            return
        except self._openai.OpenAIError as error:
            raise self._explain(error) from error
        except (AttributeError, TypeError, json.JSONDecodeError) as error:
            raise self._not_a_server("a list of models") from error
        if models and self.config.model not in models:
            hint = did_you_mean(self.config.model, models) or f"; it serves {', '.join(sorted(models)[:5])}"
            raise ConfigError(f"{self.config.base_url} does not serve the model {self.config.model!r}{hint}; set model")

    async def complete(
        self, text: str, options: Mapping[str, Any], *, client: openai.AsyncOpenAI | None = None
    ) -> Completions:
        """Completions of one prompt. An answer that cannot be used is asked for again, three times in all.

        Raises:
            PromptRefusedError: the endpoint refuses this prompt or these options.
            ConfigError: no such model, or no valid key.
            GenerationError: the endpoint fails after all retries.
        """
        client = client or self._client
        problem = ""
        for attempt in range(_MALFORMED_ATTEMPTS):
            if attempt:
                log.warning("%s: %s; asking again", self.config.base_url, problem)
                await asyncio.sleep(0.25 * 2**attempt)
            try:
                return _read(await self._ask(client, text, options))
            except self._openai.APIResponseValidationError as error:
                problem = f"an answer that does not fit the API ({type(error).__name__})"
            except self._openai.OpenAIError as error:
                raise self._explain(error) from error
            except (_MalformedError, json.JSONDecodeError, UnicodeDecodeError) as error:
                problem = str(error) if isinstance(error, _MalformedError) else "an answer that is not JSON"
        raise self._not_a_server("completions", problem)

    async def _ask(self, client: openai.AsyncOpenAI, text: str, options: Mapping[str, Any]) -> object:
        request: dict[str, Any] = {"model": self.config.model, **options}
        if self.config.chat:
            answer: object = await client.chat.completions.create(
                messages=[{"role": "user", "content": text}], **request
            )
        else:
            answer = await client.completions.create(prompt=text, **request)
        return answer

    def _explain(self, error: openai.OpenAIError) -> CoderMError:
        """The library's error as ours, in one line and without the key."""
        api, url = self._openai, self.config.base_url
        if isinstance(error, (api.AuthenticationError, api.PermissionDeniedError)):
            state = "is refused" if self._key else "is not set"
            return ConfigError(f"{url} wants an API key: ${self.config.api_key_env} {state}; set it, or api_key_env")
        if isinstance(error, api.NotFoundError):
            return ConfigError(
                f"{url} answers 404 for the model {self.config.model!r} ({self._words(error)}): "
                "check model, and that base_url ends in /v1"
            )
        if isinstance(error, api.APIStatusError) and error.status_code in (400, 413, 422):
            return PromptRefusedError(f"{url} refuses the prompt with {error.status_code}: {self._words(error)}")
        if isinstance(error, api.APIStatusError):
            return GenerationError(
                f"{url} answers {error.status_code} after all retries ({self._words(error)}): "
                "lower concurrency, or run again later; what was generated is kept"
            )
        cause = "no answer in time" if isinstance(error, api.APITimeoutError) else self._words(error.__cause__ or error)
        return GenerationError(
            f"{url} cannot be reached ({cause}): start the server there, or set base_url; what was generated is kept"
        )

    def _not_a_server(self, expected: str, found: str = "something else") -> GenerationError:
        return GenerationError(
            f"{self.config.base_url} answered {found} where {expected} was expected: "
            "check base_url (it usually ends in /v1) and that a model server answers there"
        )

    def _words(self, error: BaseException) -> str:
        body = getattr(error, "body", None)
        text = str(body.get("message") or body) if isinstance(body, dict) else str(error) or type(error).__name__
        text = " ".join(text.split())
        text = text.replace(self._key, "***") if self._key else text
        return text if len(text) <= 200 else text[:197] + "..."


class _MalformedError(Exception):
    """An answer without usable completions."""


def _read(answer: Any) -> Completions:
    if isinstance(answer, str):
        what = "HTML" if "<html" in answer[:2000].lower() or "<!doctype" in answer[:200].lower() else "text"
        raise _MalformedError(f"{what} instead of JSON")
    choices = getattr(answer, "choices", None)
    if not choices:
        raise _MalformedError("no choices")
    usage = getattr(answer, "usage", None)
    return Completions(
        texts=tuple(_text(choice) for choice in choices),
        finish_reasons=tuple(str(choice.finish_reason or "unknown") for choice in choices),
        tokens=int(getattr(usage, "completion_tokens", 0) or 0),
    )


def _text(choice: Any) -> str:
    message = getattr(choice, "message", None)
    text = message.content if message is not None else getattr(choice, "text", None)
    return text if isinstance(text, str) else ""  # a reasoning model that ran out of tokens has no content


def _library() -> Any:
    try:
        import openai
    except ImportError as error:
        raise ConfigError("a generator needs the openai package: pip install 'coderm-tasks[api]'") from error
    return openai


def _host(url: str) -> str:
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        parts.port  # noqa: B018 - raises on a bad port
    except ValueError as error:
        raise ConfigError(f"generator base_url cannot be read ({error}): expected http://HOST:PORT/v1") from error
    if parts.scheme not in ("http", "https") or not host:
        raise ConfigError(f"generator base_url is {url!r}: expected http://HOST:PORT/v1 or https://HOST/v1")
    if parts.username or parts.password:
        raise ConfigError("generator base_url holds a user name or password: keys come from the environment only")
    return host


def _key(config: GeneratorConfig, environ: Mapping[str, str]) -> str:
    key = environ.get(config.api_key_env, "").strip()
    if not key.isascii() or not key.isprintable():
        raise ConfigError(f"${config.api_key_env} holds characters that no API key has: set it again")
    return key
