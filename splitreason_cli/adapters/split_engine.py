"""The served pair: from a client's request to a stream of text, through the controller and the pipelined driver."""

import contextlib
import functools
import logging
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ..core import markup
from ..core.breaker import Breaker
from ..core.budget import FIRST_SPAN_TOKENS, MeanLength, OffloadBudget, PlannedBudget
from ..core.controller import LEAST_ROOM_TOKENS, Limits, SplitController
from ..core.events import Failed
from ..core.policies import POLICIES, Factory, Policy, PolicyContext, make_policy
from ..core.prompts import user_message
from ..core.records import Author
from ..core.serving import Delta, Finished, GenerationRequest, RequestError, Usage, describe
from ..core.text_stream import TextStream
from .backends import Backend, BackendError, SamplingParams
from .engine import EngineUnavailable
from .models import LoadedModel, tokens_and_vocabularies
from .pipeline import PipelineConfig, PipelinedDecoder, SmallModelError
from .transformers import text_of

log = logging.getLogger(__name__)

_SENTENCE_ENDS = (".", "!", "?", ":", ";", "]", "\n")


@dataclass(frozen=True)
class EngineConfig:
    """What a server does unless a request says otherwise.

    Args:
        model: the name under which the pair is served.
        hint: tell the small model about the tags; it must have been trained so.
        max_tokens: of a completion, tags not counted.
        context_tokens: what the models read at most; None if that is not known.
        offload_budget: cap on big tokens / all tokens over the server's traffic, 0..1; None for no cap.
        plan: `expected` grants against the length that requests are expected to reach, `causal` only against tokens
            that were generated already.
        reasoning: split the thinking off into its own channel.
    """

    model: str
    policy: str = "learned"
    hint: bool = True
    max_tokens: int = 4096
    max_span_tokens: int | None = None
    context_tokens: int | None = None
    offload_budget: float | None = None
    plan: Literal["expected", "causal"] = "expected"
    reasoning: bool = True


class SplitEngine:
    """Serves requests with two backends.

    Args:
        tokenizers: of each author; their weights are not needed.
        policies: by name.
    """

    def __init__(
        self,
        small: Backend,
        big: Backend,
        tokenizers: Mapping[Author, LoadedModel],
        config: EngineConfig,
        pipeline: PipelineConfig | None = None,
        *,
        policies: Mapping[str, Factory] = POLICIES,
        breaker: Breaker | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.models: tuple[str, ...] = (config.model,)
        self.small, self.big, self.tokenizers = small, big, tokenizers
        self.config, self.pipeline, self.policies = config, pipeline or PipelineConfig(), policies
        self.breaker, self.clock = breaker or Breaker(), clock
        self.ledger = OffloadBudget(config.offload_budget)
        self.lengths, self.span_lengths = MeanLength(first=config.max_tokens), MeanLength(first=FIRST_SPAN_TOKENS)
        self._decoders: dict[Author, Callable[[Sequence[int]], str]] = {
            author: functools.partial(text_of, loaded) for author, loaded in tokenizers.items()
        }
        self._tokens, self._vocabularies = tokens_and_vocabularies(tokenizers["small"], tokenizers["big"])
        if self._vocabularies is None:
            self._decoders["big"] = self._decoders["small"]
        self._is_boundary = boundaries(functools.cache(lambda token: self._decoders["big"]([token])))

    async def check(self) -> None:
        """Raises EngineUnavailable unless the small model answers."""
        try:
            await self.small.check()
        except BackendError as error:
            raise EngineUnavailable(str(error)) from error

    async def aclose(self) -> None:
        await self.small.aclose()
        await self.big.aclose()

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Delta | Finished, None]:
        """One completion: text as soon as it is final, then what it took. Closing the generator frees both models.

        Raises RequestError, and EngineUnavailable if the small model fails, also in the middle.
        """
        if request.logprobs and not (self.small.has_logprobs and self.big.has_logprobs):
            raise RequestError("one of the two models tells no log-probabilities", "logprobs")
        started = self.clock()
        async with contextlib.AsyncExitStack() as stack:
            controller = self._controller(request, stack)
            text = self._text_stream(request, controller)
            resting = controller.may_hand_over and not self.breaker.allows(self.clock())
            if resting:
                controller.receive(Failed("big"))
            small, big = [
                await stack.enter_async_context(contextlib.aclosing(backend.session()))
                for backend in (self.small, self.big)
            ]
            decoder = PipelinedDecoder(
                controller, small, big, SamplingParams(request.temperature, request.top_p, request.seed), self.pipeline,
                logprobs=request.logprobs, is_boundary=self._is_boundary,
                on_big_failure=lambda reason: self.breaker.failed(self.clock()),
            )  # fmt: skip
            try:
                async with contextlib.aclosing(self._deltas(decoder, text, request)) as deltas:
                    async for delta in deltas:
                        yield delta
            except SmallModelError as error:
                raise EngineUnavailable(f"the small model failed: {error}") from error
            for delta in text.flush():
                yield delta
            end = self._finished(decoder, text, resting)
            log.info(describe(end, self.clock() - started))
            yield end

    async def _deltas(
        self, decoder: PipelinedDecoder, text: TextStream, request: GenerationRequest
    ) -> AsyncGenerator[Delta, None]:
        author: Author = "small"
        async with contextlib.aclosing(decoder.run()) as steps:
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
        prompts: dict[Author, list[int]] = {author: self._prompt(author, request) for author in ("small", "big")}
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
        controller = SplitController(
            small_prompt=prompts["small"], big_prompt=prompts["big"],
            tokens=self._tokens, policy=policy,
            limits=Limits(max_tokens, self.config.max_span_tokens, context_tokens), budget=budget,
            vocabularies=self._vocabularies,
        )  # fmt: skip
        return stack.enter_context(controller)

    def _own_ledger(self, share: float) -> OffloadBudget:
        """Of one request: how long spans are is known from those of others."""
        return OffloadBudget(share, first_span_tokens=self.span_lengths.mean or FIRST_SPAN_TOKENS)

    def _policy(self, request: GenerationRequest) -> Policy:
        text = self.config.policy if request.policy is None else request.policy
        try:
            return make_policy(text, self.policies, PolicyContext(self._decoders["small"], request.seed))
        except ValueError as error:
            raise RequestError(str(error), "policy") from None

    def _prompt(self, author: Author, request: GenerationRequest) -> list[int]:
        tokenizer = self.tokenizers[author].tokenizer
        if request.prompt is not None:
            return list(tokenizer(request.prompt)["input_ids"])
        messages = [{"role": message.role, "content": message.content} for message in request.messages]
        last = next((turn for turn in reversed(messages) if turn["role"] == "user"), None)
        if last and author == "small":
            last["content"] = user_message(last["content"], hint=self.config.hint)
        return list(tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False))

    def _text_stream(self, request: GenerationRequest, controller: SplitController) -> TextStream:
        thinking = (markup.THINK_OPEN, markup.THINK_CLOSE)
        splits = self.config.reasoning and request.prompt is None
        return TextStream(
            self._decoders, stop=request.stop, thinking=thinking if splits else None, context=controller.context
        )


def boundaries(token_text: Callable[[int], str]) -> Callable[[Sequence[int], int], bool]:
    """Tells whether a line or a sentence ends with the first so many tokens of a span, from the texts of its tokens."""

    def is_boundary(span: Sequence[int], offset: int) -> bool:
        if offset < len(span) and token_text(span[offset]).startswith("\n"):
            return True
        return token_text(span[offset - 1]).rstrip(" ").endswith(_SENTENCE_ENDS)

    return is_boundary
