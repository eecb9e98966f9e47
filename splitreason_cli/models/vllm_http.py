"""A model behind one or more vLLM servers: token ids in, token ids out, over `/v1/completions`.

A request is sent again once if its connection breaks before any of the answer has come, as happens under load. A stream
that has begun is not.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, TypeVar

from ..errors import UsageError
from ..records.record import JsonObject
from .backend import BackendError, Chunk, NextToken, Served, StreamRequest, nonempty
from .connections import Connections, EventStream, LostConnectionError, NotConnectedError, Timeouts
from .sampling import GREEDY, TOP_LOGPROBS
from .wire import ChunkReader, StreamReader, parse_choices, parse_models, parse_next_tokens

DOWN_SECONDS = 10.0
"""How long new sessions avoid a server whose connection broke."""

FORBIDDEN_BIAS = -100
"""The lowest `logit_bias` there is."""

T = TypeVar("T")


@dataclass
class ServerAddress:
    """One address of a model. `url` ends in `/v1`, `down_until` is a time of the event loop."""

    url: str
    sessions: int = 0
    down_until: float = 0.0

    @property
    def is_down(self) -> bool:
        return asyncio.get_running_loop().time() < self.down_until


@dataclass
class CompletionsBackend:
    """One model behind one or more servers with vLLM's protocol. Use it within one event loop.

    Args:
        urls: such as `http://127.0.0.1:8000`, with or without `/v1`.
        model: the name it is served under.
        api_key: sent to every server; None for servers without keys.
        down_seconds: how long new sessions avoid a server whose connection broke.

    Raises UsageError for an address that is none or holds a password.
    """

    has_logprobs: ClassVar[bool] = True

    urls: Sequence[str]
    model: str
    api_key: str | None = field(default=None, repr=False)
    timeouts: Timeouts = field(default_factory=Timeouts)
    down_seconds: float = DOWN_SECONDS
    servers: list[ServerAddress] = field(init=False)
    connections: Connections = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not self.urls:
            raise UsageError("no address of a model server", "Give one such as http://127.0.0.1:8000")
        self.servers = [ServerAddress(base_url(url)) for url in self.urls]
        # A server near by is reached by plain HTTP, and never through the environment's proxy.
        proxies = all(url.startswith("https:") for url in self.urls)
        self.connections = Connections(self.api_key, self.timeouts, proxies=proxies)

    @classmethod
    def of(cls, served: Served) -> "CompletionsBackend":
        """The backend of a model at URLs. Raises UsageError."""
        return cls(served.urls, served.model, served.api_key, served.timeouts)

    def session(self) -> "CompletionsSession":
        """A new session, on the server that has the fewest of those that are not down."""
        return CompletionsSession(self, self.pick())

    def pick(self) -> ServerAddress:
        """The server with the fewest sessions; one that is down only if all are."""
        return min(self.servers, key=lambda server: (server.is_down, server.sessions))

    def mark_down(self, server: ServerAddress) -> None:
        """Keep new sessions away from a server for a while."""
        server.down_until = asyncio.get_running_loop().time() + self.down_seconds

    async def check(self) -> None:
        """Raises BackendError unless a server answers and serves the model. Those that do count as up again."""
        await self._on_any(self._check)

    async def warm_up(self) -> None:
        """Let every server compile what the first requests would wait for. Raises BackendError if none can."""
        await self._on_any(self._warm_up)

    async def aclose(self) -> None:
        """Close all connections, which ends what is still decoded."""
        await self.connections.aclose()

    async def _on_any(self, action: Callable[[ServerAddress], Awaitable[None]]) -> None:
        """Do something on all servers at once. Raises the first one's BackendError if it succeeds on none."""

        async def error_of(server: ServerAddress) -> BackendError | None:
            try:
                await action(server)
            except BackendError as error:
                return error
            return None

        errors = [error for error in await asyncio.gather(*map(error_of, self.servers)) if error]
        if len(errors) == len(self.servers):
            raise errors[0]

    async def _check(self, server: ServerAddress) -> None:
        with _located(server):
            try:
                names = [card.id for card in parse_models(await self.connections.get(f"{server.url}/models"))]
            except LostConnectionError:
                self.mark_down(server)
                raise
            if self.model not in names:
                raise BackendError(f"serves {', '.join(names) or 'nothing'}, not {self.model}")
        server.down_until = 0.0

    async def _warm_up(self, server: ServerAddress) -> None:
        session = CompletionsSession(self, server)
        try:
            await session.next_token([[0]], 0)
            request = StreamRequest(1, GREEDY, stop=frozenset(), logprobs=True)
            async with contextlib.aclosing(nonempty(session.stream([0], request))) as chunks:
                async for _ in chunks:
                    pass
        finally:
            await session.aclose()


class CompletionsSession:
    """One request's hold on a server. It moves to another one only if it cannot connect."""

    def __init__(self, backend: CompletionsBackend, server: ServerAddress) -> None:
        self._backend, self._server = backend, server
        self._is_open = True
        server.sessions += 1

    @property
    def url(self) -> str:
        """The server it is on."""
        return self._server.url

    async def stream(self, ids: Sequence[int], request: StreamRequest) -> AsyncGenerator[Chunk, None]:
        """See `Session.stream`. Log-probabilities are those before temperature and `forbid`.

        Predictions tell the 20 likeliest tokens; their entropies are lower bounds, with all other tokens as one.
        """
        now, timeouts = asyncio.get_running_loop().time, self._backend.timeouts
        limit = timeouts.first_token_seconds
        until = now() + limit
        reader = self._reader(request)
        body = self._body(ids, request)
        events: EventStream | None = None
        with _located(self):
            try:
                async with asyncio.timeout_at(until):
                    events = await self._sent(lambda url: self._backend.connections.stream(url, body))
                chunk = Chunk(())
                while chunk.finish_reason is None:
                    async with asyncio.timeout_at(until):
                        chunk = await self._next_chunk(events, reader)
                    if chunk.ids or chunk.finish_reason:
                        yield chunk
                        limit = timeouts.between_tokens_seconds
                        until = now() + limit
                await events.drain()
            except TimeoutError:
                raise BackendError(f"no token within {limit:g} s") from None
            finally:
                if events is not None:
                    events.close()

    async def prefill(self, ids: Sequence[int]) -> None:
        """See `Session.prefill`. One token is decoded and thrown away."""
        with _located(self):
            parse_choices(await self._post({"prompt": list(ids), "max_tokens": 1, "temperature": 0.0}))

    async def next_token(self, contexts: Sequence[Sequence[int]], token: int) -> list[NextToken]:
        """See `Session.next_token`. One request for all contexts; what they share is read once."""
        if not contexts:
            return []
        body = {
            "prompt": [list(ids) for ids in contexts],
            "max_tokens": 1,
            "temperature": 0.0,
            "repetition_penalty": 1.0,
            "ignore_eos": True,
            "logprobs": 1,
            "logprob_token_ids": [token],
            # Unlike return_token_ids, this does not send the contexts back.
            "return_tokens_as_token_ids": True,
        }
        with _located(self):
            return parse_next_tokens(await self._post(body), token, len(contexts))

    async def aclose(self) -> None:
        """Make room for another session. Streams are closed by whoever opened them."""
        if self._is_open:
            self._is_open = False
            self._server.sessions -= 1

    def _reader(self, request: StreamRequest) -> ChunkReader:
        return StreamReader(request)

    def _body(self, ids: Sequence[int], request: StreamRequest) -> JsonObject:
        sampling = request.sampling
        body: JsonObject = {
            "model": self._backend.model,
            "prompt": list(ids),
            "max_tokens": request.max_tokens,
            "stream": True,
            "return_token_ids": True,
            "skip_special_tokens": False,
            "stop_token_ids": sorted(request.stop),
            "include_stop_str_in_output": True,
            "ignore_eos": True,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            # Else a model's own generation_config decides, and `temperature` 0 is not greedy.
            "top_k": 0,
            "min_p": 0.0,
            "repetition_penalty": 1.0,
        }
        if request.seed is not None:
            body["seed"] = request.seed
        if request.forbid:
            body["logit_bias"] = {str(token): FORBIDDEN_BIAS for token in request.forbid}
        if request.predictions:
            # Tokens of the same spelling would else be one entry.
            body |= {"logprobs": TOP_LOGPROBS, "return_tokens_as_token_ids": True}
        elif request.logprobs:
            body["logprobs"] = 0
        return body

    async def _next_chunk(self, events: EventStream, reader: ChunkReader) -> Chunk:
        try:
            data = await events.read()
            if not data:
                raise LostConnectionError("the stream ended without a finish_reason")
        except LostConnectionError:
            self._backend.mark_down(self._server)
            raise
        return reader.read(data)

    async def _post(self, body: JsonObject) -> bytes:
        body = {"model": self._backend.model, **body}
        return await self._sent(lambda url: self._backend.connections.post(url, body))

    async def _sent(self, send: Callable[[str], Awaitable[T]]) -> T:
        """Send a request, again if its connection breaks, and to another server if it cannot connect to this one."""
        unreachable: list[ServerAddress] = []
        while True:
            try:
                return await _repeated(lambda: send(f"{self._server.url}/completions"))
            except LostConnectionError as error:
                self._backend.mark_down(self._server)
                unreachable.append(self._server)
                other = self._backend.pick()
                if not isinstance(error, NotConnectedError) or other in unreachable:
                    raise
                self._move(other)

    def _move(self, other: ServerAddress) -> None:
        if self._is_open:
            self._server.sessions -= 1
            other.sessions += 1
        self._server = other


def base_url(url: str) -> str:
    """An address with `/v1` at its end. Raises UsageError if it is none, or holds a password."""
    scheme, separator, rest = url.rstrip("/").partition("://")
    if not separator or scheme not in ("http", "https") or not rest:
        raise UsageError(f"{url}: is no address of a model server", "Give one such as http://127.0.0.1:8000")
    if "@" in rest:
        raise UsageError("the address of a model server holds a password", "Take it out, and name a key instead")
    return url.rstrip("/") if rest.endswith("/v1") else url.rstrip("/") + "/v1"


async def _repeated(send: Callable[[], Awaitable[T]]) -> T:
    """A second try after a connection that broke."""
    try:
        return await send()
    except NotConnectedError:
        raise
    except LostConnectionError:
        return await send()


@contextlib.contextmanager
def _located(place: "ServerAddress | CompletionsSession") -> Iterator[None]:
    """Name the server in what is raised."""
    try:
        yield
    except BackendError as error:
        raise BackendError(f"{place.url}: {error}") from None
