"""A vLLM server for tests: `/v1/completions` over token ids, answered by a script, and misbehaving on request."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

DIE, HANG = "die", "hang"
"""Steps of a stream: break the connection; say nothing until the client leaves."""

Step = tuple[int, ...] | bytes | str
"""One event with these token ids, some raw bytes, or DIE or HANG."""


def event(ids: tuple[int, ...], finish_reason: str | None = None, **fields: Any) -> bytes:
    """One event as vLLM writes it. `fields` overwrite those of the choice."""
    choice = {"index": 0, "text": "".join(f" {i}" for i in ids), "logprobs": None, "token_ids": list(ids)}
    body = {"id": "x", "choices": [{**choice, "finish_reason": finish_reason, "stop_reason": None, **fields}]}
    return b"data: " + json.dumps(body).encode() + b"\n\n"


@dataclass
class ScriptedVllm:
    """What the server does, and what it has seen.

    Args:
        steps: of every stream; the last event gets `finish_reason`.
        answers: called with the body of a request that is not a stream; returns the JSON to answer.
        resets: how many requests to break before anything is answered.
        status: of all answers but 200, with an error message.
    """

    steps: tuple[Step, ...] = ((1, 2), (3,))
    finish_reason: str | None = "length"
    answers: Callable[[dict[str, Any]], Any] = lambda body: {"choices": [{"index": 0, "text": "", "token_ids": None}]}
    resets: int = 0
    status: int = 200
    error: str = "out of order"
    served: tuple[str, ...] = ("mini",)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    clients: set[int] = field(default_factory=set)
    open_streams: int = 0
    streams: int = 0

    async def models(self, request: Request) -> Response:
        if self._resets(request):
            return Response()
        return JSONResponse({"object": "list", "data": [{"id": name, "object": "model"} for name in self.served]})

    async def complete(self, request: Request) -> Response:
        body = json.loads(await request.body())
        self.bodies.append(body)
        self.keys.append(request.headers.get("authorization"))
        assert request.client is not None
        self.clients.add(request.client.port)
        if self._resets(request):
            return Response()
        if self.status != 200:
            message = f"{self.error} ({self.keys[-1]})"
            return JSONResponse({"error": {"message": message, "code": self.status}}, status_code=self.status)
        if body.get("stream"):
            return StreamingResponse(self._events(request), media_type="text/event-stream")
        return JSONResponse(self.answers(body))

    async def _events(self, request: Request) -> AsyncIterator[bytes]:
        self.open_streams += 1
        self.streams += 1
        try:
            for number, step in enumerate(self.steps, 1):
                if step == DIE:
                    request.scope["extensions"]["srx.transport"]().abort()
                    return
                if step == HANG:
                    await asyncio.sleep(3600)
                elif isinstance(step, bytes):
                    yield step
                elif isinstance(step, tuple):
                    yield event(step, self.finish_reason if number == len(self.steps) else None)
                await asyncio.sleep(0)
            yield b"data: [DONE]\n\n"
        finally:
            self.open_streams -= 1

    def _resets(self, request: Request) -> bool:
        if self.resets <= 0:
            return False
        self.resets -= 1
        request.scope["extensions"]["srx.transport"]().abort()
        return True
