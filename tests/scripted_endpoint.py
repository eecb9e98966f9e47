"""An annotating model for tests and benchmarks: an OpenAI-compatible server that answers by a script.

It serves over real HTTP in a thread of its own, counts the calls for each trace, and misbehaves on request.
"""

import asyncio
import contextlib
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

FAULTS = ("429", "500", "reset", "time-out", "truncated", "empty", "invented", "translated")

Script = Callable[[str, int], str | Response]
"""From a trace's reasoning and the number of the call about it (from 1) to "good", one of FAULTS, or what is sent."""


def good(reasoning: str, call: int) -> str:
    return "good"


def faulty(share: float, seed: int = 0) -> Script:
    """Faults in a share of the calls, the same ones for the same calls."""

    def script(reasoning: str, call: int) -> str:
        rng = random.Random(f"{seed} {call} {reasoning}")
        return rng.choice(FAULTS) if rng.random() < share else "good"

    return script


def hardest_lines(reasoning: str) -> list[str]:
    """Verbatim snippets: the longest lines, up to a sixth of the text."""
    room, chosen = len(reasoning) / 6, []
    for line in sorted({line.strip() for line in reasoning.split("\n") if line.strip()}, key=lambda x: (-len(x), x)):
        if len(line) <= room:
            chosen.append(line)
            room -= len(line)
    return chosen


@dataclass
class ScriptedEndpoint:
    """What the server does, and what it has seen. `calls` counts by reasoning text those that are not refused.

    `refuses` says what is refused, by its body, and with what; `asked` holds all bodies.
    Unless None, calls beyond the first `hold_after` are not answered before `released` is set.
    """

    script: Script = good
    latency_seconds: float = 0.0
    hold_after: int | None = None
    released: bool = False
    supports_json: bool = True
    refuses: Callable[[dict[str, Any]], Response | None] = lambda body: None
    key: str | None = None
    asked: list[dict[str, Any]] = field(default_factory=list)
    calls: Counter[str] = field(default_factory=Counter)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    keep_bodies: bool = True
    in_flight: int = 0
    peak_in_flight: int = 0

    async def chat(self, request: Request) -> Response:
        body = json.loads(await request.body())
        if self.key and request.headers.get("authorization") != f"Bearer {self.key}":
            sent = request.headers.get("authorization")
            return refusal(401, f"Incorrect API key provided: {sent}")
        if self.keep_bodies:
            self.asked.append(body)
        if refused := self.refuses(body):
            return refused
        if "response_format" in body and not self.supports_json:
            return refusal(400, "This response_format type is unavailable now")
        reasoning = body["messages"][1]["content"].partition("# Reasoning\n\n")[2]
        self.calls[reasoning] += 1
        if self.keep_bodies:
            self.bodies.append(body)
        self.in_flight += 1
        self.peak_in_flight = max(self.peak_in_flight, self.in_flight)
        try:
            is_held = self.hold_after is not None and sum(self.calls.values()) > self.hold_after
            while is_held and not self.released:
                await asyncio.sleep(0.01)
            await asyncio.sleep(self.latency_seconds)
            return await self._answer(request, body, reasoning)
        finally:
            self.in_flight -= 1

    async def _answer(self, request: Request, body: dict[str, Any], reasoning: str) -> Response:
        fault = self.script(reasoning, self.calls[reasoning])
        if isinstance(fault, Response):
            return fault
        if fault == "429":
            return refusal(429, "slow down")
        if fault == "500":
            return refusal(500, "out of order")
        if fault == "reset":
            request.scope["extensions"]["srx.transport"]().abort()
            return Response()
        if fault == "time-out":
            await asyncio.sleep(3600)
        snippets = hardest_lines(reasoning)
        if fault == "empty":
            snippets = []
        elif fault == "invented":
            snippets = ["The moon is made of green cheese, as everybody in the village knows well."]
        elif fault == "huge":
            snippets = [reasoning]
        elif fault == "translated":
            snippets = ["Нам нужно найти остаток от деления суммы на семь, поэтому сложим числа."]
        if "response_format" in body:
            text = json.dumps({"snippets": snippets})
        else:
            text = "\n".join(f"<snippet>{snippet}</snippet>" for snippet in snippets)
        if fault == "truncated":
            text = text[: len(text) // 2]
        usage = {"prompt_tokens": len(reasoning) // 4 + 200, "completion_tokens": len(text) // 4}
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
        return JSONResponse({"id": "x", "object": "chat.completion", "choices": [choice], "usage": usage})


def refusal(status: int, message: str, **more: Any) -> Response:
    """An error as OpenAI's servers send it, which asks for no long wait where the client tries again."""
    return JSONResponse({"error": {"message": message, **more}}, status_code=status, headers={"Retry-After": "0.01"})


def completion(message: Any, finish_reason: Any = "stop", **more: Any) -> Response:
    """An answer with this message, whatever it is."""
    usage = {"prompt_tokens": 100, "completion_tokens": 10}
    choice = {"index": 0, "finish_reason": finish_reason, "message": message}
    return JSONResponse({"id": "x", "object": "chat.completion", "choices": [choice], "usage": usage, **more})


@contextlib.contextmanager
def serving(endpoint: Any) -> Iterator[str]:
    """Serve an endpoint's `chat`, `complete` and `models` on a free port of this machine; yields the base URL."""
    paths = {"chat": "/v1/chat/completions", "complete": "/v1/completions", "models": "/v1/models"}
    routes = [
        Route(path, getattr(endpoint, name), methods=["GET" if name == "models" else "POST"])
        for name, path in paths.items()
        if hasattr(endpoint, name)
    ]
    with running(_with_transport(Starlette(routes=routes))) as url:
        yield f"{url}/v1"


@contextlib.contextmanager
def running(app: Any) -> Iterator[str]:
    """Serve an ASGI application on a free port of this machine, in a thread; yields its URL."""
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="critical", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.force_exit = server.should_exit = True
        thread.join()


def _with_transport(app: Starlette) -> Any:
    """Let a handler reach its connection, to break it."""

    async def wrapped(scope: Any, receive: Any, send: Any) -> None:
        transport = getattr(getattr(receive, "__self__", None), "transport", None)
        scope.setdefault("extensions", {})["srx.transport"] = lambda: transport
        await app(scope, receive, send)

    return wrapped
