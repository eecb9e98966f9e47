"""A model of this process behind `/v1/completions`, for tests: token ids as vLLM, or text only; faulty on request."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from splitreason_cli.models.backend import StreamRequest
from splitreason_cli.models.in_process import InProcessBackend
from splitreason_cli.models.loading import LoadedModel
from splitreason_cli.models.sampling import Sampling
from tests.scripted_vllm import event

FAULTS = ("refused", "reset", "broken off", "garbage", "silent", "unknown token", "empty")


@dataclass
class ServedModel:
    """Args:
    fault: called with the body of each request; returns one of FAULTS, or "" to answer it.
    at_once: answer only when so many streams are open at the same time.
    """

    loaded: LoadedModel
    fault: Callable[[dict[str, Any]], str] = lambda body: ""
    at_once: int = 1
    bodies: list[dict[str, Any]] = field(default_factory=list)
    open_streams: int = 0
    most_open_streams: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _enough: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self._backend = InProcessBackend(self.loaded, ThreadPoolExecutor(1))

    async def models(self, request: Request) -> Response:
        return JSONResponse({"object": "list", "data": [{"id": self.loaded.name, "root": self.loaded.name}]})

    async def complete(self, request: Request) -> Response:
        body = json.loads(await request.body())
        self.bodies.append(body)
        fault = self.fault(body)
        if fault == "refused":
            return JSONResponse({"error": {"message": "out of order"}}, status_code=500)
        if fault == "reset":
            request.scope["extensions"]["srx.transport"]().abort()
            return Response()
        return StreamingResponse(self._events(request, body, fault), media_type="text/event-stream")

    async def _events(self, request: Request, body: dict[str, Any], fault: str) -> AsyncIterator[bytes]:
        self.open_streams += 1
        self.most_open_streams = max(self.open_streams, self.most_open_streams)
        if self.open_streams >= self.at_once:
            self._enough.set()
        try:
            await self._enough.wait()
            async for data in self._answer(body, fault):
                yield data
            if fault == "broken off":
                request.scope["extensions"]["srx.transport"]().abort()
                return
            yield b"data: [DONE]\n\n"
        finally:
            self.open_streams -= 1

    async def _answer(self, body: dict[str, Any], fault: str) -> AsyncIterator[bytes]:
        if fault == "silent":
            await asyncio.sleep(3600)
        if fault == "garbage":
            yield b"data: {not json\n\n"
        if fault == "empty":
            yield event((), "length")
        if fault == "unknown token":
            yield event((10**6,), "length")
        if fault in ("silent", "garbage", "empty", "unknown token"):
            return
        sampling = Sampling(body["temperature"], body["top_p"])
        tokenizer, prompt, is_text = self.loaded.tokenizer, body["prompt"], isinstance(body["prompt"], str)
        ids = tokenizer.encode(prompt, add_special_tokens=False) if is_text else prompt
        stop = frozenset(body.get("stop_token_ids", self.loaded.token_ids.end_of_text))
        forbid = frozenset(map(int, body.get("logit_bias", {})))
        wanted = StreamRequest(body["max_tokens"], sampling, stop, forbid, body.get("seed"))
        async with aclosing(self._backend.session().stream(ids, wanted)) as chunks:
            async for chunk in chunks:
                text = tokenizer.decode(chunk.ids, skip_special_tokens=True)
                only = {"text": text, "token_ids": None} if is_text else {}
                yield event(chunk.ids, chunk.finish_reason, **only)
                if fault == "broken off":
                    return
