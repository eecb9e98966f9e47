"""A backend that decodes by a script, groups tokens as it likes, and fails on request."""

import asyncio
import random
from collections.abc import AsyncGenerator, Callable, Sequence

from splitreason_cli.models.backend import BackendError, Chunk, NextToken, StreamRequest
from splitreason_cli.split.signals import Prediction
from tests.scripted import CLOSE, END, OPEN, Model, choose, closes, entropy_at

Fault = Callable[[str, int], str]
"""From the name of a call ("stream", "prefill", "next_token") and its number to "" or what goes wrong.

That is "refuse", "reset", "hang" or "empty".
"""


class ScriptedBackend:
    """One scripted model. Its one session counts what was asked of it; `open_streams` must end at 0."""

    has_logprobs = True

    def __init__(
        self,
        model: Model,
        seed: object,
        chunk: Callable[[], int] = lambda: 1,
        fault: Fault = lambda call, number: "",
        stops: frozenset[int] = frozenset((OPEN, CLOSE, END)),
    ) -> None:
        self.model = "scripted"
        self._model, self._seed, self._chunk, self._fault, self._stops = model, seed, chunk, fault, stops
        self.calls = {"stream": 0, "prefill": 0, "next_token": 0}
        self.prefilled: list[list[int]] = []
        self.contexts: list[list[int]] = []
        self.asked = self.open_streams = self.streamed = 0

    def session(self) -> "ScriptedBackend":
        return self

    async def check(self) -> None:
        pass

    async def warm_up(self) -> None:
        pass

    async def aclose(self) -> None:
        pass

    async def stream(self, ids: Sequence[int], request: StreamRequest) -> AsyncGenerator[Chunk, None]:
        context, self.open_streams = list(ids), self.open_streams + 1
        self.contexts.append(list(ids))
        try:
            fault = await self._begin("stream")
            if fault == "empty":
                yield Chunk((), finish_reason="length")
                return
            reason = None
            while reason is None:
                chunk: list[int] = []
                told: list[Prediction] = []
                for _ in range(self._chunk()):
                    token = choose(self._model, context, request.forbid)
                    chunk.append(token)
                    told.append(Prediction(entropy_at(context)))
                    context.append(token)
                    left = request.max_tokens - (len(context) - len(ids))
                    reason = "stop" if token in request.stop else "length" if left == 0 else None
                    if reason:
                        break
                await asyncio.sleep(0)
                self.streamed += len(chunk)
                yield Chunk(
                    tuple(chunk),
                    tuple(-0.5 for _ in chunk) if request.logprobs else None,
                    reason,  # type: ignore[arg-type]
                    tuple(told) if request.predictions else (),
                )
                if fault == "reset":
                    raise BackendError("the connection broke")
        finally:
            self.open_streams -= 1

    async def prefill(self, ids: Sequence[int]) -> None:
        await self._begin("prefill")
        self.prefilled.append(list(ids))

    async def next_token(self, contexts: Sequence[Sequence[int]], token: int) -> list[NextToken]:
        await self._begin("next_token")
        await asyncio.sleep(0)
        self.asked += len(contexts)
        likeliest = [closes(self._seed, list(context)) for context in contexts]
        return [NextToken(-0.1 if closing else -9.0, closing) for closing in likeliest]

    async def _begin(self, call: str) -> str:
        self.calls[call] += 1
        fault = self._fault(call, self.calls[call])
        await asyncio.sleep(0)
        if fault == "refuse":
            raise BackendError("refused")
        if fault == "hang":
            await asyncio.Event().wait()
        return fault


def in_chunks(seed: object, most: int) -> Callable[[], int]:
    rng = random.Random(f"{seed}")
    return lambda: rng.randint(1, most)
