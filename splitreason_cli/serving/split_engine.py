"""The served pair: from a client's request to a stream of text, through the controller and the pipelined driver."""

import contextlib
import logging
import time
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from ..decoding.boundaries import boundaries
from ..decoding.pipelined import PipelineConfig, PipelinedDecoder, SmallModelError
from ..models.backend import BackendError, BackendPair
from ..models.pair import Pair
from ..models.sampling import Sampling
from ..records import markup
from ..records.data import Author
from ..records.prompts import user_message
from ..split.budget import FIRST_SPAN_TOKENS, MeanLength, OffloadBudget, PlannedBudget
from ..split.controller import SplitController
from ..split.events import Failed
from ..split.limits import LEAST_ROOM_TOKENS, Limits
from ..split.policies import POLICIES, BrokenPolicyError, Factory, Policy, PolicyContext, make_policy
from .breaker import Breaker
from .engine import EngineUnavailable
from .requests import Delta, Finished, GenerationRequest, RequestError, Usage, describe
from .text_stream import TextStream

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class EngineConfig:
    """What a server does unless a request says otherwise.

    Args:
        model: the name under which the pair is served.
        max_tokens: of a completion, tags not counted.
        context_tokens: what the models read at most; None if that is not known.
        offload_budget: cap on big tokens / all tokens over the server's traffic, 0..1; None for no cap.
        plan: `expected` grants against the length that requests are expected to reach, `causal` only against tokens
            that were generated already.
        reasoning: split the thinking off into its own channel.
    """

    model: str
    policy: str = "learned"
    max_tokens: int = 4096
    max_span_tokens: int | None = None
    context_tokens: int | None = None
    offload_budget: float | None = None
    plan: Literal["expected", "causal"] = "expected"
    reasoning: bool = True


class SplitEngine:
    """Serves requests with two backends.

    Args:
        pair: of the backends' models, whose weights are not needed.
        policies: by name.
    """

    def __init__(
        self,
        backends: BackendPair,
        pair: Pair,
        config: EngineConfig,
        pipeline: PipelineConfig | None = None,
        *,
        policies: Mapping[str, Factory] = POLICIES,
        breaker: Breaker | None = None,
    ) -> None:
        self.models: tuple[str, ...] = (config.model,)
        self.backends, self.pair, self.config = backends, pair, config
        self.pipeline = replace(pipeline or PipelineConfig(), is_boundary=boundaries(pair))
        self.policies, self.breaker = policies, breaker or Breaker()
        self.ledger = OffloadBudget(config.offload_budget)
        self.lengths, self.span_lengths = MeanLength(first=config.max_tokens), MeanLength(first=FIRST_SPAN_TOKENS)

    async def check(self) -> None:
        """Raises EngineUnavailable unless the small model answers."""
        try:
            await self.backends.small.check()
        except BackendError as error:
            raise EngineUnavailable(str(error)) from error

    async def aclose(self) -> None:
        await self.backends.aclose()

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Delta | Finished, None]:
        """One completion: text as soon as it is final, then what it took. Closing the generator frees both models.

        Raises RequestError, and EngineUnavailable if the small model fails, also in the middle.
        """
        if request.logprobs and not (self.backends.small.has_logprobs and self.backends.big.has_logprobs):
            raise RequestError("one of the two models tells no log-probabilities", "logprobs")
        started = time.monotonic()
        async with contextlib.AsyncExitStack() as stack:
            controller = self._controller(request, stack)
            text = self._text_stream(request, controller)
            resting = controller.may_hand_over and not self.breaker.allows()
            if resting:
                controller.receive(Failed("big"))
            decoder = PipelinedDecoder(
                controller,
                await stack.enter_async_context(self.backends.sessions()),
                Sampling(request.temperature, request.top_p),
                self.pipeline,
                logprobs=request.logprobs,
                on_big_failure=lambda reason: self.breaker.failed(),
            )
            try:
                async with contextlib.aclosing(self._deltas(decoder, text, request)) as deltas:
                    async for delta in deltas:
                        yield delta
            except SmallModelError as error:
                raise EngineUnavailable(f"the small model failed: {error}") from error
            for delta in text.flush():
                yield delta
            end = self._finished(decoder, text, resting)
            log.info(describe(end, time.monotonic() - started))
            yield end

    async def _deltas(
        self, decoder: PipelinedDecoder, text: TextStream, request: GenerationRequest
    ) -> AsyncGenerator[Delta, None]:
        author: Author = "small"
        async with contextlib.aclosing(decoder.run(request.seed)) as steps:
            async for emitted in steps:
                if request.show_tags and emitted.emit.author != author:
                    author = emitted.emit.author
                    for delta in text.insert("small", markup.OPEN if author == "big" else markup.CLOSE):
                        yield delta
                for delta in text.feed(emitted.emit.author, emitted.emit.ids, emitted.logprobs):
                    yield delta
                if text.stopped:
                    break
        if request.show_tags and author == "big":
            for delta in text.insert("small", markup.CLOSE):
                yield delta

    def _finished(self, decoder: PipelinedDecoder, text: TextStream, resting: bool) -> Finished:
        controller, stats = decoder.controller, decoder.stats
        self.lengths.observe(len(controller.completion))
        if controller.hand_overs and not controller.cut_spans:
            self.span_lengths.observe(controller.big_tokens / controller.hand_overs)
        if stats.hand_over_seconds and not stats.degraded:
            self.breaker.succeeded()
        usage = Usage(
            prompt_tokens=len(controller.small_prompt),
            completion_tokens=len(controller.completion),
            big_tokens=controller.big_tokens,
            spans=controller.hand_overs,
            refused=controller.refused,
            overrun_tokens=controller.discarded_tokens,
            control_tokens=stats.control_tokens,
            hand_over_seconds=tuple(stats.hand_over_seconds),
        )
        reason: Literal["stop", "length"] = "length" if decoder.finish_reason == "length" else "stop"
        degraded = "the big model has failed before and is left alone for a while" if resting else stats.degraded
        return Finished("stop" if text.stopped else reason, usage, degraded)

    # What a request asks for

    def _controller(self, request: GenerationRequest, stack: contextlib.AsyncExitStack) -> SplitController:
        """What it holds of the budget is released at the end of `stack`."""
        prompts: dict[Author, list[int]] = {author: self._prompt(author, request) for author in self.pair.models}
        max_tokens = self.config.max_tokens if request.max_tokens is None else request.max_tokens
        context_tokens: dict[Author, int] = {}
        if (most := self.config.context_tokens) is not None:
            longest = max(map(len, prompts.values()))
            if longest + LEAST_ROOM_TOKENS > most:
                message = f"the prompt has {longest:,} tokens, the models read {most:,}"
                raise RequestError(message, "messages", "context_length_exceeded")
            context_tokens = dict.fromkeys(prompts, most)
            max_tokens = min(max_tokens, most - longest)
        policy = self._policy(request)
        ledger = self.ledger if request.offload_budget is None else self._own_ledger(request.offload_budget)
        expected = self.lengths.forecast(max_tokens) if self.config.plan == "expected" else 0
        budget = stack.enter_context(contextlib.closing(PlannedBudget(ledger, expected)))
        limits = Limits(max_tokens, self.config.max_span_tokens, context_tokens)
        return stack.enter_context(self.pair.controller(prompts, policy, limits, budget))

    def _own_ledger(self, share: float) -> OffloadBudget:
        """Of one request: how long spans are is known from those of others."""
        return OffloadBudget(share, first_span_tokens=self.span_lengths.mean or FIRST_SPAN_TOKENS)

    def _policy(self, request: GenerationRequest) -> Policy:
        text = self.config.policy if request.policy is None else request.policy
        try:
            return make_policy(text, self.policies, PolicyContext(request.seed))
        except BrokenPolicyError as error:
            log.warning(str(error))
            raise RequestError(f"policy {text!r} is broken on this server", "policy") from None
        except ValueError as error:
            raise RequestError(str(error), "policy") from None

    def _prompt(self, author: Author, request: GenerationRequest) -> list[int]:
        tokenizer = self.pair.models[author].tokenizer
        if request.prompt is not None:
            return list(tokenizer(request.prompt)["input_ids"])
        messages = [{"role": message.role, "content": message.content} for message in request.messages]
        last = next((turn for turn in reversed(messages) if turn["role"] == "user"), None)
        if last and author == "small":
            last["content"] = user_message(last["content"], hint=self.pair.hint)
        return list(tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False))

    def _text_stream(self, request: GenerationRequest, controller: SplitController) -> TextStream:
        thinking = (markup.THINK_OPEN, markup.THINK_CLOSE)
        splits = self.config.reasoning and request.prompt is None
        return TextStream(
            self.pair.decode, stop=request.stop, thinking=thinking if splits else None, context=controller.context
        )
