"""What goes over one HTTP connection: a body in, JSON or server-sent events out, and the client leaving in between."""

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from typing import TypeVar

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Send

from .openai_schema import ApiError

CLIENT_GONE = 499
"""Stands in metrics for the status of a request whose client left; never sent."""

STATUS = "srx.status"
"""Where an ASGI scope says what became of a request, if that is not the status that was sent."""

_EVENTS = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache", "x-accel-buffering": "no"}

T = TypeVar("T")


class ClientGoneError(Exception):
    """The client closed its connection before the answer was complete."""


class Wire:
    """One response, in one piece or as server-sent events. `started` once a status was sent."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.started = False

    async def respond(self, status: int, value: object, headers: Mapping[str, str] | None = None) -> None:
        """Send a whole JSON response."""
        await self._start(status, {"content-type": "application/json", **(headers or {})})
        await self._body(msgspec.json.encode(value), more=False)

    async def start_events(self) -> None:
        await self._start(200, _EVENTS)

    async def events(self, values: Sequence[object]) -> None:
        """Send each value as one event."""
        if values:
            await self._body(b"".join(b"data: " + msgspec.json.encode(value) + b"\n\n" for value in values), more=True)

    async def end_events(self, last: str = "") -> None:
        await self._body(f"data: {last}\n\n".encode() if last else b"", more=False)

    async def fail(self, error: ApiError) -> None:
        """Send an error: as the response, or as the last event of one that has begun."""
        if not self.started:
            return await self.respond(error.status, error.to_dict(), error_headers(error))
        await self.events([error.to_dict()])
        return await self.end_events()

    async def _start(self, status: int, headers: Mapping[str, str]) -> None:
        self.started = True
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        await self._send({"type": "http.response.start", "status": status, "headers": raw})

    async def _body(self, data: bytes, *, more: bool) -> None:
        await self._send({"type": "http.response.body", "body": data, "more_body": more})


def error_headers(error: ApiError) -> dict[str, str]:
    return {} if error.retry_after_seconds is None else {"retry-after": str(error.retry_after_seconds)}


def error_response(error: ApiError, headers: Mapping[str, str] | None = None) -> Response:
    """The error as a response of Starlette's."""
    content = msgspec.json.encode(error.to_dict())
    both = {**error_headers(error), **(headers or {})}
    return Response(content, error.status, both, media_type="application/json")


async def read_body(request: Request, max_bytes: int) -> bytes:
    """The whole body. Raises ApiError as soon as it is too long, ClientGoneError if it does not arrive."""
    too_long = ApiError(413, f"the body is longer than this server's limit of {max_bytes} bytes")
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > max_bytes:
        raise too_long
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > max_bytes:
                raise too_long
    except ClientDisconnect:
        raise ClientGoneError from None
    return bytes(body)


async def unless_gone(receive: Receive, work: Coroutine[object, None, T]) -> T:
    """Do `work`, whose request body was read. When the client leaves, cancel it and raise ClientGoneError."""
    task, watch = asyncio.create_task(work), asyncio.create_task(_disconnected(receive))
    try:
        await asyncio.wait({task, watch}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientGoneError
        return task.result()
    finally:
        task.cancel()
        watch.cancel()
        await asyncio.gather(task, watch, return_exceptions=True)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
