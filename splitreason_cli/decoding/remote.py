"""A big model behind servers for a driver that is not asynchronous: the streams of many rows at once, token by token.

An event loop in a thread of its own reads the streams. The driver takes what has arrived, and waits only if it has
nothing else to do.
"""

import asyncio
import random
import threading
from collections import deque
from collections.abc import Coroutine, Sequence
from concurrent.futures import Future
from contextlib import aclosing
from dataclasses import dataclass
from types import TracebackType
from typing import Any, TypeVar

from ..errors import EndpointError, ModelError
from ..models.backend import BackendError, Session, StreamRequest, nonempty
from ..models.connections import Timeouts
from ..models.sampling import GREEDY, Sampling
from ..models.sides import Running, Side, connect
from ..split.events import Decode
from ..store.keys import read_key

T = TypeVar("T")

CHECK_TOKENS = 8
"""What a model is asked for to see that it writes: a host of text may show nothing for a tag that it begins with."""


@dataclass(frozen=True)
class RemoteConfig:
    """How hard a server is asked.

    Args:
        concurrency: streams at once.
        stream_tokens: limit of one stream, so that it cannot run far ahead of the small model.
        retries: further tries of a stream that fails, each from where the last one broke off, until a token comes.
        retry_seconds: before the first further try; doubled before each next one.
        first_token_seconds, token_seconds: how long the model may take to begin and to go on.
    """

    concurrency: int = 64
    stream_tokens: int = 64
    retries: int = 4
    retry_seconds: float = 1.0
    first_token_seconds: float = 120.0
    token_seconds: float = 60.0


class RemoteModel:
    """A model behind servers. Use it as a context manager.

    Attributes:
        name: under which it is served, wherever that is.
        loaded: its tokenizer.
        arrived: set whenever a token came, or a stream ended.
    """

    def __init__(self, running: Running, name: str, config: RemoteConfig = RemoteConfig()) -> None:
        self.name, self.loaded, self.config = name, running.tokenizer, config
        self.backend, self.context_tokens = running.backend, running.context_tokens
        self.arrived = threading.Event()
        # A model may have rows for more tokens than its tokenizer, which no other model could read.
        self.token_limit = max(self.loaded.tokenizer.get_vocab().values()) + 1
        self.slots = asyncio.Semaphore(config.concurrency)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="big-model", daemon=True)

    def __enter__(self) -> "RemoteModel":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.submit(self._end()).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def digest(self) -> str:
        """What stands for its weights in an artifact's address."""
        return f"served as {self.name}"

    def submit(self, work: Coroutine[Any, Any, T]) -> "Future[T]":
        """Run something in the thread of the streams."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def row(self, temperature: float, seed: int) -> "RemoteRow":
        """A new conversation; equal seeds ask alike after equal contexts."""
        return RemoteRow(self, temperature, seed)

    def checked(self) -> "RemoteModel":
        """This model, after it wrote a token. Raises EndpointError if it cannot."""
        try:
            self.submit(self._check()).result()
        except BackendError as error:
            hint = "Check that it is up; token ids need vLLM 0.31 or newer, a host of text only --big-text"
            raise EndpointError(str(error), hint) from None
        return self

    async def _check(self) -> None:
        session = self.backend.session()
        ids = self.loaded.prompt_ids("1", hint=False)
        stop = self.loaded.token_ids.end_of_text
        try:
            stream = session.stream(ids, StreamRequest(CHECK_TOKENS, GREEDY, stop))
            async with aclosing(nonempty(stream)) as chunks:
                await anext(chunks)
        finally:
            await session.aclose()

    async def _end(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.backend.aclose()


@dataclass
class _Stream:
    tokens: deque[int]
    reading: "Future[None]"


class RemoteRow:
    """One conversation with a remote model. Its methods belong to the driver's thread."""

    def __init__(self, model: RemoteModel, temperature: float, seed: int) -> None:
        self._model, self._temperature, self._seed = model, temperature, seed
        self._stream: _Stream | None = None
        self._session: Session | None = None
        self._failures = 0

    def next_token(self, context: Sequence[int], floor: Decode) -> int | None:
        """The token after `context`, or None: it has not arrived yet, and is on its way.

        Raises BackendError when no further try is left.
        """
        if stream := self._stream:
            # Asked before looking at the tokens, so that none comes between.
            is_over = stream.reading.done()
            if stream.tokens:
                self._failures = 0
                return stream.tokens.popleft()
            if is_over:
                self._stream = None
                if error := stream.reading.exception():
                    self._count(error)
        if self._stream is None:
            self._open(context, floor)
        return None

    def stop(self) -> None:
        """The span is over: end the stream, forget what it wrote beyond."""
        if self._stream:
            self._stream.reading.cancel()
            self._stream = None
        self._failures = 0

    def close(self) -> None:
        """End the conversation."""
        self.stop()
        if self._session:
            self._model.submit(self._session.aclose())

    def _count(self, error: BaseException) -> None:
        self._failures += 1
        if not isinstance(error, BackendError) or self._failures > self._model.config.retries:
            raise error

    def _open(self, context: Sequence[int], floor: Decode) -> None:
        model, config = self._model, self._model.config
        limit = min(floor.max_tokens, config.stream_tokens)
        if model.context_tokens is not None:
            limit = min(limit, model.context_tokens - len(context))
            if limit <= 0:
                raise BackendError(f"{model.name} reads {model.context_tokens:,} tokens, not more")
        delay = config.retry_seconds * 2 ** (self._failures - 1) if self._failures else 0.0
        # Another seed after each failure: a token that broke the stream must not come again and again.
        seed = random.Random(f"{self._seed}/{len(context)}/{self._failures}").getrandbits(31)
        tokens: deque[int] = deque()
        reading = model.submit(self._read(list(context), limit, floor.forbid, seed, delay, tokens))
        self._stream = _Stream(tokens, reading)
        reading.add_done_callback(lambda _: model.arrived.set())

    async def _read(
        self, ids: list[int], limit: int, forbid: frozenset[int], seed: int, delay: float, tokens: deque[int]
    ) -> None:
        """Fill `tokens` from one stream. Raises BackendError."""
        model = self._model
        sampling, stop = Sampling(self._temperature), model.loaded.token_ids.end_of_text
        await asyncio.sleep(delay)
        request = StreamRequest(limit, sampling, stop, forbid, seed)
        async with model.slots:
            # The same server as before, which has the conversation's beginning in its cache.
            session = self._session = self._session or model.backend.session()
            try:
                async with aclosing(nonempty(session.stream(ids, request))) as chunks:
                    async for chunk in chunks:
                        if unknown := [token for token in chunk.ids if not 0 <= token < model.token_limit]:
                            raise BackendError(f"the server wrote token {unknown[0]}, which the tokenizer has not")
                        tokens.extend(chunk.ids)
                        model.arrived.set()
            except BackendError:
                self._session = None
                await session.aclose()
                raise


def connect_remote(side: Side, config: RemoteConfig) -> RemoteModel:
    """The model at the URLs of `side`.

    Raises ModelError if its tokenizer is not found, EndpointError if no server answers.
    """
    timeouts = Timeouts(first_token_seconds=config.first_token_seconds, between_tokens_seconds=config.token_seconds)
    try:
        running = connect(side, side.urls, read_key(side.api_key_env, "--big-key-env"), timeouts)
    except ModelError as error:
        raise ModelError(error.message, "Name a tokenizer of the big model with --big-tokenizer") from None
    return RemoteModel(running, running.backend.model, config)
