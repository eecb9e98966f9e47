"""A client of OpenAI-compatible servers, hosted or vLLM's. The `openai` package retries, backs off and times out.

Of failures that are left after its retries, those that would meet every call (a wrong key, a server that does not
answer, one that refuses the first calls and answers none) raise EndpointError, the others CallError. Neither ever holds
the key.
"""

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec
import orjson

from ..errors import EndpointError, UsageError
from ..records.record import JsonObject
from ..store.keys import read_key
from .answers import Answer, read_answer, text_of
from .refusals import FATAL, REMEDIES, is_of_input, is_refusal
from .wire import Models

if TYPE_CHECKING:
    from openai import APIStatusError, AsyncOpenAI

MANY_FAILURES = 16
"""Calls that fail in a row, each after its retries, before the endpoint counts as down."""

FIRST_REFUSALS = 8
"""Refused calls, none being answered, before the endpoint counts as one that refuses every call."""


class CallError(Exception):
    """One call failed for good, after its retries; `status` is the HTTP status that said so, if one did."""

    def __init__(self, reason: str, status: int | None = None) -> None:
        super().__init__(reason)
        self.status = status


class RefusedError(CallError):
    """The server did not accept the request: some option of it, its input, or any request."""


class InputRefusedError(RefusedError):
    """The server does not take this input, such as one that is too long or flagged, however it is asked."""


class UnreadableError(CallError):
    """The server answered with something that is no completion."""


class SaidError(UnreadableError):
    """The server said, with the status of a success, that it failed; maybe with another status in a field."""


class LostError(CallError):
    """The connection broke before an answer came."""


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
    """An open connection pool to one server. Use it within one event loop. Raises UsageError if the key is not set.

    Args:
        has_answered: whether it is known, from now or from before, to answer some of these calls.
    """

    config: EndpointConfig
    has_answered: bool = False
    _client: "AsyncOpenAI" = field(init=False, repr=False)
    _key: str | None = field(init=False, repr=False)
    _connected: bool = field(init=False, default=False)
    _failures: int = field(init=False, default=0)
    _refusals: list[CallError] = field(init=False, default_factory=list)
    _down: EndpointError | None = field(init=False, default=None)

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
        """`POST /chat/completions`; a failure of it is not counted. Raises CallError, EndpointError."""
        return await self._post("/chat/completions", body)

    async def complete(self, body: JsonObject) -> Answer:
        """`POST /completions`. Raises CallError, EndpointError."""
        try:
            return await self._post("/completions", body)
        except CallError as error:
            raise self.failed(error) from None

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
        if self._down:
            raise self._down
        with self._explained():
            value = await self._client.post(path, cast_to=object, body={"model": self.config.model, **body})
            # Some servers send JSON as plain text.
            value = _parsed(value) if isinstance(value, str) else value
            if isinstance(value, dict) and not value.get("choices"):
                error = value.get("error") or (value if value.get("object") == "error" else None)
                if error:
                    raise self._error_in_answer(error)
            answer = read_answer(value)
        self._failures, self.has_answered = 0, True
        self._refusals.clear()
        return answer

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn the client's exceptions into ours."""
        import openai
        from aiohttp import ClientConnectorError

        try:
            yield
        except openai.APIStatusError as error:
            self._connected = True
            raise self._explain(error) from None
        except openai.APIConnectionError as error:
            # The transport reports some refused connections as time-outs; its causes are certain.
            causes = list(_causes(error))
            if any(isinstance(cause, (TimeoutError, asyncio.CancelledError)) for cause in causes):
                raise CallError(f"no answer within {self.config.timeout_seconds:g} s") from None
            met = self._redact(" ".join(str(causes[-1]).split())) or type(causes[-1]).__name__
            if not self._connected and any(isinstance(cause, ClientConnectorError) for cause in causes):
                what = f"{self.config.base_url}: cannot connect ({met})"
                raise EndpointError(what, "Check the URL and the network") from None
            raise LostError(f"the connection failed ({met})") from None
        except (openai.APIError, ValueError) as error:
            raise UnreadableError(self._redact(f"unreadable answer ({error})")) from None
        self._connected = True

    def _explain(self, error: "APIStatusError") -> CallError | EndpointError:
        """What a status means for the call, or for all of them."""
        status, reason = error.status_code, self._redact(f"HTTP {error.status_code}: {_message(error)}")
        if status in FATAL:
            self._down = EndpointError(f"{self.config.base_url}: {reason}", f"Check {REMEDIES[status]}")
            return self._down
        if status == 413 or (status != 429 and is_of_input(_words(error))):
            return InputRefusedError(reason, status)
        return RefusedError(reason, status) if is_refusal(status) else CallError(reason, status)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    def _error_in_answer(self, error: object) -> CallError:
        """What an error means that came with the status of a success, and maybe with its own in a field."""
        fields = error if isinstance(error, dict) else {}
        words = self._redact(" ".join(str(fields.get("message") or error).split())[:300])
        code = fields.get("code")
        status = int(str(code)) if str(code).isdecimal() else None
        if is_of_input(f"{words} {code}"):
            return InputRefusedError(words, status)
        if is_refusal(status or 0):
            return RefusedError(words, status)
        return SaidError(f"unreadable answer ({words})", status)

    def failed(self, error: CallError) -> CallError | EndpointError:
        """Count a failure; returns what to raise: fatal after too many in a row, or if the first calls are refused."""
        if isinstance(error, InputRefusedError):
            return error
        if isinstance(error, RefusedError | LostError) and not self.has_answered:
            self._refusals.append(error)
            if len(self._refusals) >= FIRST_REFUSALS:
                self._down = self._refuses_all()
        self._failures += 1
        if not self._down and self._failures >= max(MANY_FAILURES, self.config.concurrency):
            what = f"{self.config.base_url}: {self._failures} calls in a row failed, the last with: {error}"
            self._down = EndpointError(what, "Run the command again when that is mended; what is done is kept")
        return self._down or error

    def check_at_end(self) -> None:
        """Raises EndpointError if calls were refused and none was answered."""
        if self._refusals and not self.has_answered:
            raise self._refuses_all()

    def _refuses_all(self) -> EndpointError:
        first = self._refusals[0]
        failed = "lost" if isinstance(first, LostError) else "refused"
        what = f"no call was answered, {len(self._refusals)} were {failed}, the first with: {first}"
        other = "the URL and the network" if isinstance(first, LostError) else "what the message names, and --model"
        remedy = REMEDIES.get(first.status or 0, other)
        return EndpointError(f"{self.config.base_url}: {what}", f"Check {remedy}")

    def _redact(self, text: str) -> str:
        return text_of(text.replace(self._key, "[key]") if self._key else text)


def _causes(error: BaseException) -> Iterator[BaseException]:
    while cause := error.__cause__ or error.__context__:
        yield cause
        error = cause


def _parsed(text: str) -> object:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text


def _message(error: "APIStatusError") -> str:
    body = error.body
    text = body.get("message") if isinstance(body, dict) else None
    return " ".join(str(text or error.message).split())[:300]


def _words(error: "APIStatusError") -> str:
    """What tells the kind of an error, without fields in which a server may repeat the input."""
    body = error.body if isinstance(error.body, dict) else {}
    return " ".join(str(part) for part in (_message(error), body.get("code"), body.get("type"), body.get("innererror")))
