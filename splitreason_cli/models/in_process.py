"""A model in this process as a serving backend: for a laptop, without any server.

One thread runs all forward passes, so requests take turns token by token. Nothing is batched: for throughput, use vLLM.
"""

import asyncio
import random
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, ClassVar, TypeVar

from ..split.signals import PREDICTIONS, Prediction
from .backend import BackendError, Chunk, FinishReason, NextToken, StreamRequest
from .cached import CachedModel
from .loading import LoadedModel
from .sampling import forbid, predictions_of, sample

if TYPE_CHECKING:
    from torch import Tensor

T = TypeVar("T")


class InProcessBackend:
    """A loaded model. Backends that share a thread never compete for the processor.

    Args:
        thread: where the forward passes run; the caller shuts it down.
    """

    has_logprobs: ClassVar[bool] = True

    def __init__(self, loaded: LoadedModel, thread: ThreadPoolExecutor) -> None:
        self.model = loaded.name
        self._loaded, self._thread = loaded, thread

    def session(self) -> "InProcessSession":
        return InProcessSession(self._loaded, self._thread)

    async def check(self) -> None:
        pass

    async def warm_up(self) -> None:
        pass

    async def aclose(self) -> None:
        pass


class InProcessSession:
    """One conversation's key-value cache. What a new context shares with the last one is not read again."""

    def __init__(self, loaded: LoadedModel, thread: ThreadPoolExecutor) -> None:
        self._cached = CachedModel(loaded, rows=1)
        self._growing: Sequence[int] | None = None
        self._max_tokens = loaded.model.config.max_position_embeddings
        self._thread = thread
        self._lock = asyncio.Lock()

    async def stream(self, ids: Sequence[int], request: StreamRequest) -> AsyncGenerator[Chunk, None]:
        context, seed = list(ids), request.seed
        rng = random.Random(None if seed is None else f"{seed}/{len(context)}")
        for left in range(request.max_tokens, 0, -1):
            token, logprob, told = await self._run(lambda: self._choose(context, request, rng))
            context.append(token)
            reason: FinishReason | None = "stop" if token in request.stop else "length" if left == 1 else None
            yield Chunk((token,), (logprob,) if request.logprobs else None, reason, tuple(told))
            if reason:
                return

    async def prefill(self, ids: Sequence[int]) -> None:
        await self._run(lambda: self._logits(ids))

    async def next_token(self, contexts: Sequence[Sequence[int]], token: int) -> list[NextToken]:
        return [await self._run(partial(self._next_token, context, token)) for context in contexts]

    async def aclose(self) -> None:
        pass

    async def _run(self, work: Callable[[], T]) -> T:
        async with self._lock:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _next_token(self, context: Sequence[int], token: int) -> NextToken:
        logits = self._logits(context)
        return NextToken(float(logits.log_softmax(-1)[token]), int(logits.argmax()) == token)

    def _choose(
        self, context: list[int], request: StreamRequest, rng: random.Random
    ) -> tuple[int, float, list[Prediction]]:
        """A token, its natural-log probability among those that are allowed, and if wanted the prediction among all."""
        logits = self._logits(context, grows=True)[None]
        predictions = predictions_of(logits, PREDICTIONS) if request.predictions else []
        possible = forbid(logits, [request.forbid])
        (token,) = sample(possible, request.sampling, [rng])
        return token, float(possible[0].log_softmax(-1)[token]), predictions

    def _logits(self, context: Sequence[int], *, grows: bool = False) -> "Tensor":
        """Float32 logits [vocabulary] after `context`, a list to which its owner only adds if it `grows`."""
        if len(context) > self._max_tokens:
            raise BackendError(f"the context has {len(context):,} tokens, the model reads {self._max_tokens:,}")
        # If that was what was read last, all of it is still there.
        after = len(self._cached.read[0]) if context is self._growing else 0
        self._growing = context if grows else None
        return self._cached.next_logits([0], [list(context[after:])], [after])[0]
