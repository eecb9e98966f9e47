"""The serving driver: one request on two backends that work at the same time.

While the small model decodes, the big one reads along every `prefill_stride_tokens` (streaming prefill). While the big
one decodes, the small one reads along and says where it would close the span (controlling prefill). What the big model
wrote beyond that place is thrown away. All decisions are the controller's; this only keeps both models busy.
"""

import asyncio
import contextlib
import math
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..models.backend import BackendError, Chunk, SessionPair, StreamRequest, nonempty
from ..models.sampling import Sampling
from ..records.data import Author
from ..split.controller import SplitController
from ..split.events import Action, Decode, Emit, Event, Failed, Finish, FinishReason, Probed, Produced
from ..split.signals import PREDICTIONS, CloseSignal, Signal


@dataclass(frozen=True)
class PipelineConfig:
    """How the models keep up with each other.

    Args:
        prefill_stride_tokens: the big model reads along every so many tokens.
        stream_tokens: limit of one request to the big model, so that it cannot run far ahead.
        probe_stride_tokens: the small model is asked at least every so many big tokens where it would close. 1 asks
            after every token, which is exact.
        near_logprob: natural-log probability of the closing tag from which the tokens before are asked about too.
        first_token_seconds, token_seconds: how long the big model may take to begin and to go on.
        is_boundary: whether a span may well end after its first so many tokens, such as at a line's end. The small
            model is asked there, and at every stride.
    """

    prefill_stride_tokens: int = 128
    stream_tokens: int = 64
    probe_stride_tokens: int = 16
    near_logprob: float = -3.0
    first_token_seconds: float = 30.0
    token_seconds: float = 10.0
    is_boundary: Callable[[Sequence[int], int], bool] = lambda span, offset: False


@dataclass
class PipelineStats:
    """What a request took, besides what the controller counts."""

    hand_over_seconds: list[float] = field(default_factory=list)
    control_tokens: int = 0
    degraded: str = ""


@dataclass(frozen=True)
class Emitted:
    """Final tokens, with their natural-log probabilities where they were asked for."""

    emit: Emit
    logprobs: tuple[float, ...] | None = None


class SmallModelError(Exception):
    """The small model failed, and with it the request."""


class PipelinedDecoder:
    """Runs one controller to its end.

    Args:
        logprobs: whether what is emitted has them.
        on_big_failure: told why the big model failed.
    """

    def __init__(
        self,
        controller: SplitController,
        sessions: SessionPair,
        sampling: Sampling,
        config: PipelineConfig = PipelineConfig(),
        *,
        logprobs: bool = False,
        on_big_failure: Callable[[str], None] = lambda reason: None,
    ) -> None:
        self.controller, self.sessions, self.sampling = controller, sessions, sampling
        self.config, self.logprobs, self.on_big_failure = config, logprobs, on_big_failure
        self.stats = PipelineStats()
        self.seed: int | None = None
        self.finish_reason: FinishReason | None = None
        self.floor: Decode | None = None
        self._emitted: list[Emitted] = []
        self._warmed = 0
        self._warming: asyncio.Task[None] | None = None

    async def run(self, seed: int | None = None) -> AsyncGenerator[Emitted, None]:
        """Decode; yields final tokens as soon as they are. Raises SmallModelError. Closing it frees both models.

        Args:
            seed: of the completion's draws.
        """
        self.seed = seed
        self.take(self.controller.start())
        try:
            while self.floor:
                turn = self._small_turn if self.floor.author == "small" else self._big_turn
                async with contextlib.aclosing(turn(self.floor)) as steps:
                    async for _ in steps:
                        for emitted in self._drain():
                            yield emitted
            for emitted in self._drain():
                yield emitted
        finally:
            if self._warming:
                self._warming.cancel()
                await asyncio.gather(self._warming, return_exceptions=True)

    def seed_of(self, author: Author) -> int | None:
        """Each stream of a completion has a seed of its own; with one seed all would begin with the same draws."""
        if self.seed is None:
            return None
        place = 2 * len(self.controller.context[author]) + (author == "big")
        return (self.seed + place) % 2**63

    def _drain(self) -> list[Emitted]:
        emitted, self._emitted = self._emitted, []
        return emitted

    def take(self, actions: Sequence[Action], logprobs: tuple[float, ...] | None = None) -> None:
        for action in actions:
            match action:
                case Decode():
                    self.floor = action
                case Finish():
                    self.finish_reason = action.reason
                    self.floor = None
                case Emit():
                    self._emitted.append(Emitted(action, logprobs[: len(action.ids)] if logprobs else None))

    # The small model has the floor

    async def _small_turn(self, floor: Decode) -> AsyncGenerator[None, None]:
        """Let the small model write until it hands over, ends, or its stream must be opened anew."""
        tokens = self.controller.tokens_of("small")
        request = StreamRequest(
            floor.max_tokens,
            self.sampling,
            stop=tokens.end_of_text | (tokens.tags - floor.forbid),
            forbid=floor.forbid,
            seed=self.seed_of("small"),
            logprobs=self.logprobs,
            predictions=bool(self.controller.policy.needs & PREDICTIONS),
        )
        stream = self.sessions.small.stream(list(self.controller.context["small"]), request)
        try:
            async with contextlib.aclosing(nonempty(stream)) as chunks:
                async for chunk in chunks:
                    self.take(self.controller.receive(Produced("small", chunk.ids, chunk.predictions)), chunk.logprobs)
                    self._warm_big()
                    yield
                    if self.floor is None or self.floor.author != "small" or self.floor.forbid != floor.forbid:
                        return
        except BackendError as error:
            self.controller.receive(Failed("small"))
            raise SmallModelError(str(error)) from error

    def _warm_big(self) -> None:
        """Let the big model read along: whole strides, one request at a time."""
        context = self.controller.context["big"]
        is_due = len(context) - self._warmed >= self.config.prefill_stride_tokens
        if is_due and self.controller.may_hand_over and (self._warming is None or self._warming.done()):
            self._warmed = len(context)
            self._warming = asyncio.create_task(self._prefill_big(list(context)))

    async def _prefill_big(self, ids: list[int]) -> None:
        # A failure shows again when the big model is needed, and may be over by then.
        with contextlib.suppress(BackendError):
            await self.sessions.big.prefill(ids)

    # The big model has the floor

    async def _big_turn(self, _floor: Decode) -> AsyncGenerator[None, None]:
        """Let the big model write, and the small one watch, until the span ends."""
        turn = _BigTurn(self)
        try:
            async for _ in turn.run():
                yield
        finally:
            await turn.close()


class _BigTurn:
    """One span: the big model's streams, and the small model's answers about them, both in flight at once."""

    def __init__(self, decoder: PipelinedDecoder) -> None:
        self.decoder, self.controller, self.config = decoder, decoder.controller, decoder.config
        self.number = decoder.controller.hand_overs
        self.span: list[int] = []
        self.logprobs: list[float] = []
        self.asked = self.emitted = 0
        self.ended = False
        self.started = self.last_token = time.perf_counter()
        self.stream: AsyncGenerator[Chunk, None] | None = None
        self.reading: asyncio.Task[Chunk | None] | None = None
        self.probing: asyncio.Task[list[CloseSignal]] | None = None

    @property
    def floor(self) -> Decode | None:
        """The big model's permission to write; None once the span is over."""
        floor, is_same_span = self.decoder.floor, self.controller.hand_overs == self.number
        return floor if floor and floor.author == "big" and is_same_span else None

    async def run(self) -> AsyncGenerator[None, None]:
        while self.floor:
            await self._read_on(self.floor)
            self._ask_if_due()
            tasks: set[asyncio.Task[Any]] = {task for task in (self.reading, self.probing) if task}
            done, _ = await asyncio.wait(tasks, timeout=self._patience(), return_when=asyncio.FIRST_COMPLETED)
            if not done:
                self._fail("no token in time")
            if self.probing in done:
                self._take_signals()
            if self.floor and self.reading in done:
                self._take_chunk()
            yield

    async def close(self) -> None:
        """Stop whatever is in flight."""
        for task in (self.reading, self.probing):
            if task:
                task.cancel()
        await asyncio.gather(*(task for task in (self.reading, self.probing) if task), return_exceptions=True)
        if self.stream:
            await self.stream.aclose()

    # The big model's side

    async def _read_on(self, floor: Decode) -> None:
        """Wait for the stream's next chunk; where it has ended, open the next one as far as it may run ahead."""
        if self.reading or self.ended:
            return
        if self.stream is None:
            left = min(self.config.stream_tokens, floor.max_tokens - (len(self.span) - self.emitted))
            if left <= 0:
                return
            request = StreamRequest(
                left,
                self.decoder.sampling,
                stop=self.controller.tokens_of("big").end_of_text,
                forbid=floor.forbid,
                seed=self.decoder.seed_of("big"),
                logprobs=self.decoder.logprobs,
            )
            self.stream = nonempty(self.decoder.sessions.big.stream(list(self.controller.context["big"]), request))
        self.reading = asyncio.create_task(_next(self.stream))

    def _take_chunk(self) -> None:
        task, self.reading = self.reading, None
        assert task is not None
        try:
            chunk = task.result()
        except BackendError as error:
            return self._fail(str(error))
        if chunk is None:
            self.stream = None
            return None
        self.last_token = time.perf_counter()
        if not self.span:
            self.decoder.stats.hand_over_seconds.append(self.last_token - self.started)
        end = self.controller.tokens_of("big").end_of_text
        self.ended = self.ended or any(token in end for token in chunk.ids)
        self.span += [token for token in chunk.ids if token not in end]
        self.logprobs += chunk.logprobs or ()
        return self._take(Produced("big", chunk.ids))

    def _patience(self) -> float | None:
        if self.reading is None:
            return None
        limit = self.config.token_seconds if self.span else self.config.first_token_seconds
        return max(0.0, self.last_token + limit - time.perf_counter())

    def _fail(self, reason: str) -> None:
        self.decoder.stats.degraded = reason
        self.decoder.on_big_failure(reason)
        self._take(Failed("big"))

    # The small model's side

    def _ask_if_due(self) -> None:
        """Ask where the small model would close: at boundaries, at every stride, and at the end of what there is."""
        if self.probing or Signal.CLOSE not in self.controller.policy.needs:
            return
        places = [offset for offset in range(self.asked + 1, len(self.span) + 1) if self._is_place(offset)]
        waiting = self.reading is None
        if waiting and len(self.span) > self.asked and (not places or places[-1] != len(self.span)):
            places.append(len(self.span))
        if places:
            self.probing = asyncio.create_task(self._ask(places))

    def _is_place(self, offset: int) -> bool:
        is_stride = offset - self.asked >= self.config.probe_stride_tokens
        return (
            (is_stride and offset == len(self.span))
            or self.config.probe_stride_tokens == 1
            or self.config.is_boundary(self.span, offset)
        )

    async def _ask(self, places: list[int]) -> list[CloseSignal]:
        first = self.asked + 1
        self.asked = places[-1]
        signals = await self._signals(places)
        if signals[-1].logprob >= self.config.near_logprob and not signals[-1].is_argmax:
            signals += await self._signals([offset for offset in range(first, places[-1]) if offset not in places])
        return signals

    async def _signals(self, places: list[int]) -> list[CloseSignal]:
        close = self.controller.tokens_of("small").close
        if close is None or not places:
            return [CloseSignal(offset, -math.inf, False) for offset in places]
        contexts = [self.controller.small_context_at(offset) for offset in places]
        answers = await self.decoder.sessions.small.next_token(contexts, close)
        self.decoder.stats.control_tokens += len(places)
        return [CloseSignal(offset, one.logprob, one.is_argmax) for offset, one in zip(places, answers, strict=True)]

    def _take_signals(self) -> None:
        task, self.probing = self.probing, None
        assert task is not None
        try:
            signals = task.result()
        except BackendError as error:
            self.controller.receive(Failed("small"))
            raise SmallModelError(str(error)) from error
        self._take(Probed(max(signal.offset for signal in signals), tuple(signals)))

    def _take(self, event: Event) -> None:
        actions = self.controller.receive(event)
        fresh = sum(len(action.ids) for action in actions if isinstance(action, Emit))
        logprobs = tuple(self.logprobs[self.emitted : self.emitted + fresh])
        self.emitted += fresh
        self.decoder.take(actions, logprobs or None)


async def _next(stream: AsyncGenerator[Chunk, None]) -> Chunk | None:
    return await anext(stream, None)
