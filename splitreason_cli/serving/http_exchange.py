"""One request for completions and its answer: admission, generation, the wire, and whatever goes wrong in between."""

import asyncio
import logging
import time
import uuid
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass

from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from .engine import Engine, EngineUnavailable
from .http_wire import CLIENT_GONE, STATUS, ClientGoneError, Wire, read_body, unless_gone
from .interleave import interleave
from .metrics import ServerMetrics
from .openai_responses import Reply
from .openai_schema import ApiError, ApiRequest, RequestLimits, refused
from .requests import Delta, Finished, RequestError

log = logging.getLogger(__name__)

ENDING = ApiError(503, "the server is ending", kind="server_error", code="engine_unavailable", retry_after_seconds=5)

Items = AsyncGenerator[tuple[int, Delta | Finished], None]
Parse = Callable[[bytes, RequestLimits], ApiRequest]


@dataclass(frozen=True)
class ServerContext:
    """What all endpoints of a server share. `slots` bounds the completions in flight."""

    engine: Engine
    limits: RequestLimits
    slots: "Slots"
    max_body_bytes: int
    metrics: ServerMetrics


class GenerationEndpoint:
    """The ASGI application of one path. The ids of its responses start with `id_prefix`."""

    def __init__(self, server: ServerContext, parse: Parse, reply: type[Reply], id_prefix: str) -> None:
        self._server = server
        self._parse = parse
        self._reply = reply
        self._id_prefix = id_prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        wire, server = Wire(send), self._server
        try:
            body = await read_body(Request(scope, receive), server.max_body_bytes)
            asked = self._parse(body, server.limits)
            n = len(asked.generations)
            with server.slots.take(n), server.metrics.running(n):
                await unless_gone(receive, self._answer(asked, wire))
        except ClientGoneError:
            scope[STATUS] = CLIENT_GONE
        except asyncio.CancelledError:
            # Nobody but a server that ends cancels requests.
            await wire.fail(ENDING)
            raise
        except Exception as failure:  # noqa: BLE001 - nothing that happens to one request ends the server
            error = as_api_error(failure)
            scope[STATUS] = error.status
            await wire.fail(error)

    async def _answer(self, asked: ApiRequest, wire: Wire) -> None:
        header = (f"{self._id_prefix}-{uuid.uuid4().hex}", int(time.time()), asked.model, asked.include_usage)
        reply = self._reply(*header)
        generators = [self._server.engine.generate(request) for request in asked.generations]
        async with aclosing(interleave(generators)) as items:
            if asked.stream:
                await self._stream(reply, items, len(generators), wire)
            else:
                await self._collect(reply, items, len(generators), wire)

    async def _collect(self, reply: Reply, items: Items, n: int, wire: Wire) -> None:
        choices: dict[int, list[Delta]] = {index: [] for index in range(n)}
        ends: dict[int, Finished] = {}
        async for index, item in items:
            if isinstance(item, Delta):
                choices[index].append(item)
            else:
                self._end(ends, index, item)
        _require_all(ends, n)
        await wire.respond(200, reply.whole(choices, ends))

    async def _stream(self, reply: Reply, items: Items, n: int, wire: Wire) -> None:
        ends: dict[int, Finished] = {}
        async for index, item in items:
            # The status waits for the first item, so that what fails before it is still a proper error.
            if not wire.started:
                await wire.start_events()
                await wire.events([chunk for i in range(n) for chunk in reply.opening(i)])
            if isinstance(item, Delta):
                await wire.events([reply.delta(index, item)] if item.text or item.logprobs else [])
            else:
                self._end(ends, index, item)
                await wire.events([reply.closing(index, item)])
        _require_all(ends, n)
        await wire.events(reply.usage(ends.values()))
        await wire.end_events("[DONE]")

    def _end(self, ends: dict[int, Finished], index: int, end: Finished) -> None:
        ends[index] = end
        self._server.metrics.finished(end)


@dataclass
class Slots:
    """How many completions may be in flight, and how many are."""

    total: int
    taken: int = 0

    @contextmanager
    def take(self, wanted: int) -> Iterator[None]:
        """Hold so many slots. Raises ApiError if they are not free."""
        if self.taken + wanted > self.total:
            raise ApiError(
                429,
                f"{self.taken} of at most {self.total} completions are in flight, {wanted} more do not fit. Try later",
                kind="rate_limit_error",
                code="too_many_requests",
                retry_after_seconds=1,
            )
        self.taken += wanted
        try:
            yield
        finally:
            self.taken -= wanted


def as_api_error(failure: Exception) -> ApiError:
    """What the client is told. Of a bug it is told nothing; the log has its traceback."""
    match failure:
        case ApiError():
            return failure
        case RequestError():
            return refused(failure)
        case EngineUnavailable():
            return ApiError(503, str(failure), kind="server_error", code="engine_unavailable", retry_after_seconds=1)
        case _:
            log.error("a request failed", exc_info=failure)
            return ApiError(500, "the server failed at this request; its log says why", kind="server_error")


def _require_all(ends: dict[int, Finished], n: int) -> None:
    if len(ends) < n:
        raise RuntimeError("the engine ended a completion without Finished")
