"""A client of OpenAI-compatible servers, hosted or vLLM's. The `openai` package retries, backs off and times out.

Of failures that are left after its retries, those that would meet every call (a wrong key, an unknown model, a server
that does not answer) raise EndpointError, the others CallError. Neither ever holds the key.
"""

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

import msgspec

from ..errors import EndpointError, UsageError
from ..records.record import JsonObject
from ..store.keys import read_key
from .wire import Models

if TYPE_CHECKING:
    from openai import APIStatusError, AsyncOpenAI

FATAL = {401: "the key", 402: "the account's balance", 403: "the key's rights", 404: "--model and --base-url"}
"""HTTP statuses that every further call would meet too, and what to check."""

MANY_FAILURES = 16
"""Calls that fail in a row, each after its retries, before the endpoint counts as down."""


class CallError(Exception):
    """One call failed for good, after its retries."""


class RefusedError(CallError):
    """The server did not accept the request itself (HTTP 400 or 422)."""


class UnreadableError(CallError):
    """The server answered with something that is no completion."""


class AnswerMessage(msgspec.Struct):
    content: str | None = None


class PromptLogprob(msgspec.Struct):
    logprob: float


class AnswerChoice(msgspec.Struct):
    """`prompt_logprobs`, which only vLLM has, are null at the first token and else keyed by token ids."""

    message: AnswerMessage | None = None
    finish_reason: str | None = None
    prompt_logprobs: list[dict[str, PromptLogprob] | None] | None = None


class AnswerUsage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class Answer(msgspec.Struct):
    """What is read of a completion, of a chat or not: one choice or more."""

    choices: Annotated[list[AnswerChoice], msgspec.Meta(min_length=1)]
    usage: AnswerUsage | None = None


@dataclass(frozen=True)
class EndpointConfig:
    """Where a model is served and how it is called; nothing here changes what it answers.

    Args:
        api_key_env: name of the environment variable that holds the key; None for a server without keys.
        timeout_seconds: for one attempt of a call.
        max_retries: further attempts after HTTP 408, 409, 429, 5xx, time-outs and lost connections.
    """

    base_url: str
    model: str
    api_key_env: str | None = None
    concurrency: int = 64
    timeout_seconds: float = 600.0
    max_retries: int = 6


@dataclass
class Endpoint:
    """An open connection pool to one server. Use it within one event loop. Raises UsageError if the key is not set."""

    config: EndpointConfig
    _client: "AsyncOpenAI" = field(init=False, repr=False)
    _key: str | None = field(init=False, repr=False)
    _answered: bool = field(init=False, default=False)
    _failures: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        from openai import AsyncOpenAI, DefaultAioHttpClient

        if not self.config.base_url.startswith(("http://", "https://")):
            raise UsageError(f"the endpoint's address {self.config.base_url!r} does not begin with http:// or https://")
        if "@" in self.config.base_url:
            raise UsageError("the endpoint's address holds a password", "Name its variable with --api-key-env instead")
        self._key = read_key(self.config.api_key_env, "--api-key-env")
        self._client = AsyncOpenAI(
            # vLLM's documentation uses this word where a server asks for no key.
            api_key=self._key or "EMPTY",
            base_url=self.config.base_url,
            timeout=self.config.timeout_seconds,
            max_retries=self.config.max_retries,
            # Half the processor time of the default transport.
            http_client=DefaultAioHttpClient(),
        )

    async def chat(self, body: JsonObject) -> Answer:
        """`POST /chat/completions`. Raises CallError, EndpointError."""
        return await self._post("/chat/completions", body)

    async def complete(self, body: JsonObject) -> Answer:
        """`POST /completions`. Raises CallError, EndpointError."""
        return await self._post("/completions", body)

    async def models(self) -> list[str]:
        """`GET /models`; returns the names of what is served. Raises CallError, EndpointError."""
        with self._explained():
            answer = await self._client.get("/models", cast_to=object)
            try:
                models = msgspec.convert(answer, Models)
            except msgspec.ValidationError:
                raise ValueError(f"no list of models in {str(answer)[:200]!r}") from None
        return [model.id for model in models.data]

    async def _post(self, path: str, body: JsonObject) -> Answer:
        with self._explained():
            answer = await self._client.post(path, cast_to=object, body={"model": self.config.model, **body})
            try:
                return msgspec.convert(answer, Answer)
            except msgspec.ValidationError as error:
                raise ValueError(f"{error}, in {str(answer)[:200]!r}") from None

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn the client's exceptions into ours, and notice when every call fails."""
        import openai

        try:
            yield
        except openai.APIStatusError as error:
            self._answered = True
            reason = self._redact(f"HTTP {error.status_code}: {_message(error)}")
            if error.status_code in FATAL:
                raise EndpointError(f"{self.config.base_url}: {reason}", f"Check {FATAL[error.status_code]}") from None
            if error.status_code in (400, 422):
                raise RefusedError(reason) from None
            raise self.failed(CallError(reason)) from None
        except openai.APIConnectionError as error:
            # The transport reports some refused connections as time-outs; its causes are certain.
            causes = list(_causes(error))
            if any(isinstance(cause, (TimeoutError, asyncio.CancelledError)) for cause in causes):
                raise self.failed(CallError(f"no answer within {self.config.timeout_seconds:g} s")) from None
            met = self._redact(str(causes[-1])) or type(causes[-1]).__name__
            if not self._answered:
                what = f"{self.config.base_url}: cannot connect ({met})"
                raise EndpointError(what, "Check the URL and the network") from None
            raise self.failed(CallError(f"the connection failed ({met})")) from None
        except (openai.APIError, ValueError) as error:
            raise self.failed(UnreadableError(self._redact(f"unreadable answer ({error})"))) from None
        self._answered = True
        self._failures = 0

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    def failed(self, error: CallError) -> CallError | EndpointError:
        """Count a failure; returns what to raise, which is fatal after too many of them in a row."""
        self._failures += 1
        if self._failures < max(MANY_FAILURES, self.config.concurrency):
            return error
        what = f"{self.config.base_url}: {self._failures} calls in a row failed, the last with: {error}"
        return EndpointError(what, "Run the command again when that is mended; what is done is kept")

    def _redact(self, text: str) -> str:
        return text.replace(self._key, "[key]") if self._key else text


def _causes(error: BaseException) -> Iterator[BaseException]:
    while cause := error.__cause__ or error.__context__:
        yield cause
        error = cause


def _message(error: "APIStatusError") -> str:
    body = error.body
    text = body.get("message") if isinstance(body, dict) else None
    return " ".join(str(text or error.message).split())[:300]
