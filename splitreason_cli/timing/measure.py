"""bench latency: how long the pipelined pair takes, beside each model alone and the serial way of the public code.

Every mode writes the same number of tokens: a scripted policy hands over at the same places for as long. Rounds of all
modes alternate, so that a slow minute of the machine hits all of them.

small        the small model alone
big          the big model alone
pipelined    the driver of `srx serve`
serial       the public code's way: the big model reads everything at every hand-over; after each bucket of 8 big tokens
             the small one decodes 6 tokens after each of them to look for the closing tag
cold, warm   the time to the big model's first token after a long prefix that it has never read, or read along
"""

import asyncio
import random
import statistics
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import ExitStack, aclosing
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..decoding.pipelined import PipelineConfig, PipelinedDecoder, SmallModelError
from ..errors import EndpointError
from ..models.backend import Backend, BackendError, BackendPair, Session, SessionPair, StreamRequest, nonempty
from ..models.pair import Pair
from ..models.sampling import GREEDY
from ..models.sides import Running, Runtime, Side, start_pair
from ..records.data import Author, LatencyResult
from ..split.latency import Rates, Setup, evenly, pipelined_timing
from ..split.limits import Limits
from ..split.vocabulary import TokenIds
from .workload import Scripted, Workload

MODES = ("small", "big", "pipelined", "serial", "cold", "warm")
BUCKET_TOKENS, LOOKAHEAD_TOKENS = 8, 6
"""Of the public code: big tokens between two looks, and small tokens decoded after each of them."""


@dataclass(frozen=True)
class LatencyConfig:
    """`rounds` of every mode; `prefix_tokens` before the hand-overs `cold` and `warm`."""

    small: Side
    big: Side
    workload: Workload = field(default_factory=Workload)
    pipeline: PipelineConfig = field(default_factory=PipelineConfig)
    rounds: int = 5
    prefix_tokens: int = 3000
    runtime: Runtime = "vllm"
    log_folder: Path = Path("srx-bench-logs")


@dataclass(frozen=True)
class ModeRun:
    """One run of one mode."""

    seconds: float
    hand_over_seconds: tuple[float, ...] = ()
    control_tokens: int = 0
    overrun_tokens: int = 0


def bench_latency(
    config: LatencyConfig,
    on_status: Callable[[str], None] = lambda status: None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[LatencyResult]:
    """Measure all modes on a pair of servers. Raises EndpointError if one fails, and what `start_pair` raises."""
    with ExitStack() as stack:
        small, big = start_pair(
            config.small, config.big, stack, runtime=config.runtime, log_folder=config.log_folder, on_status=on_status
        )
        try:
            return asyncio.run(_Runs(config, small, big).measure(on_progress))
        except (BackendError, SmallModelError) as error:
            raise EndpointError(str(error), "Check that both servers are up, and their logs") from None


class _Runs:
    def __init__(self, config: LatencyConfig, small: Running, big: Running) -> None:
        self.config, self.small, self.big = config, small.backend, big.backend
        self.backends = BackendPair(self.small, self.big)
        ids = small.tokenizer.token_ids
        # Without end-of-text no mode ends early.
        endless = TokenIds(open=ids.open, close=ids.close, end_of_text=frozenset())
        pair = Pair.of(small.tokenizer, big.tokenizer, hint=False)
        self.pair = replace(pair, tokens={"small": endless, "big": endless}, vocabularies=None)
        ordinary = set(range(len(small.tokenizer.tokenizer))) - ids.tags - ids.end_of_text
        self.ordinary = sorted(ordinary - set(small.tokenizer.tokenizer.all_special_ids))
        self.rng = random.Random(0)

    async def measure(self, on_progress: Callable[[int, int], None]) -> list[LatencyResult]:
        """Rounds of all modes, after one that does not count."""
        modes: dict[str, Callable[[], Awaitable[ModeRun]]] = {
            "small": lambda: self._alone(self.small),
            "big": lambda: self._alone(self.big),
            "pipelined": self._pipelined,
            "serial": self._serial,
            "cold": lambda: self._hand_over(warm=False),
            "warm": lambda: self._hand_over(warm=True),
        }
        rounds: list[dict[str, ModeRun]] = []
        total = (self.config.rounds + 1) * len(modes)
        try:
            for backend in (self.small, self.big):
                await backend.warm_up()
            for _ in range(self.config.rounds + 1):
                rounds.append({})
                # A machine that has rested may be faster for a while: no mode is always the first one.
                for mode in self.rng.sample(MODES, len(MODES)):
                    rounds[-1][mode] = await modes[mode]()
                    on_progress(sum(map(len, rounds)), total)
        finally:
            await self.backends.aclose()
        return [summarize(mode, rounds[1:], self.config) for mode in modes]

    def _prompt(self, tokens: int = 32) -> list[int]:
        """Random ids, which no cache has seen."""
        return self.rng.choices(self.ordinary, k=tokens)

    async def _alone(self, backend: Backend) -> ModeRun:
        async with aclosing(backend.session()) as session:
            prompt, started = self._prompt(), time.perf_counter()
            await _decode(session, prompt, self.config.workload.tokens)
            return ModeRun(time.perf_counter() - started)

    async def _pipelined(self) -> ModeRun:
        workload, prompt = self.config.workload, self._prompt()
        prompts: dict[Author, list[int]] = {"small": prompt, "big": prompt}
        controller = self.pair.controller(prompts, Scripted(workload), Limits(workload.tokens))
        pipeline = replace(self.config.pipeline, is_boundary=lambda _, offset: workload.ends_sentence(offset))
        async with self.backends.sessions() as sessions:
            decoder = PipelinedDecoder(controller, sessions, GREEDY, pipeline)
            started = time.perf_counter()
            with controller:
                async with aclosing(decoder.run()) as steps:
                    async for _ in steps:
                        pass
            seconds = time.perf_counter() - started
        if decoder.stats.degraded:
            raise BackendError(decoder.stats.degraded)
        return ModeRun(
            seconds, tuple(decoder.stats.hand_over_seconds), decoder.stats.control_tokens, controller.discarded_tokens
        )

    async def _serial(self) -> ModeRun:
        async with self.backends.sessions() as sessions:
            return await self._serial_on(sessions)

    async def _serial_on(self, sessions: SessionPair) -> ModeRun:
        workload, context, small, big = self.config.workload, self._prompt(), sessions.small, sessions.big
        written, control = 0, 0
        hand_overs = []
        started = time.perf_counter()
        for place in workload.places:
            context += await _decode(small, context, place - written)
            # Another first token makes the big model read everything anew, as one without streaming prefill has to.
            cold = self.rng.choices(self.ordinary, k=1)
            left, begun = workload.span_tokens, time.perf_counter()
            while left:
                bucket = await _decode(big, [*cold, *context], min(BUCKET_TOKENS, left))
                if left == workload.span_tokens:
                    hand_overs.append(time.perf_counter() - begun)
                ends = range(len(context) + 1, len(context) + len(bucket) + 1)
                context += bucket
                left -= len(bucket)
                await asyncio.gather(*(_decode(small, context[:end], LOOKAHEAD_TOKENS) for end in ends))
                control += len(bucket) * LOOKAHEAD_TOKENS
            written = place + workload.span_tokens
        await _decode(small, context, workload.tokens - written)
        return ModeRun(time.perf_counter() - started, tuple(hand_overs), control)

    async def _hand_over(self, *, warm: bool) -> ModeRun:
        prefix, stride = self._prompt(self.config.prefix_tokens), self.config.pipeline.prefill_stride_tokens
        async with aclosing(self.big.session()) as session:
            for end in range(stride, len(prefix), stride) if warm else ():
                await session.prefill(prefix[:end])
            started = time.perf_counter()
            await _decode(session, prefix, 1)
            return ModeRun(time.perf_counter() - started)


async def _decode(session: Session, context: Sequence[int], tokens: int) -> list[int]:
    ids: list[int] = []
    request = StreamRequest(tokens, GREEDY, stop=frozenset())
    async with aclosing(nonempty(session.stream(list(context), request))) as chunks:
        async for chunk in chunks:
            ids += chunk.ids
    return ids


def summarize(mode: str, rounds: Sequence[Mapping[str, ModeRun]], config: LatencyConfig) -> LatencyResult:
    """Medians and ranges of a mode over rounds of samples by mode.

    Ratios and differences are taken within a round, so that a machine that is slower for a while changes them little.
    """
    workload = config.workload
    samples = [one[mode] for one in rounds]
    hand_overs = [seconds for sample in samples for seconds in sample.hand_over_seconds]
    is_split, is_hand_over = mode in ("pipelined", "serial"), mode in ("cold", "warm")
    tokens = 1 if is_hand_over else workload.tokens
    big_tokens = workload.big_tokens if is_split else 0 if mode == "small" else tokens
    seconds = [sample.seconds for sample in samples]
    ratios = [] if is_hand_over else [one[mode].seconds / one["small"].seconds for one in rounds]
    overheads = [one[mode].seconds - _decode_seconds(one, workload) for one in rounds] if is_split else []
    return LatencyResult(
        mode=mode,
        tokens=tokens,
        big_tokens=big_tokens,
        spans=workload.spans if is_split else 0,
        prefix_tokens=config.prefix_tokens if is_hand_over else 0,
        rounds=len(samples),
        seconds=statistics.median(seconds),
        seconds_range=(min(seconds), max(seconds)),
        times_small=statistics.median(ratios) if ratios else None,
        times_small_range=(min(ratios), max(ratios)) if ratios else None,
        overhead_seconds=statistics.median(overheads) if overheads else None,
        overhead_seconds_range=(min(overheads), max(overheads)) if overheads else None,
        predicted_seconds=predicted_seconds(rounds, config) if mode == "pipelined" else None,
        hand_over_seconds=statistics.median(hand_overs) if hand_overs else None,
        control_tokens=statistics.median(sample.control_tokens for sample in samples),
        overrun_tokens=statistics.median(sample.overrun_tokens / max(1, workload.spans) for sample in samples),
    )


def predicted_seconds(rounds: Sequence[Mapping[str, ModeRun]], config: LatencyConfig) -> float:
    """What `split.latency` predicts of the pipelined mode.

    The decode rates are those of each model alone; the small model is taken to read as fast as the big one does in the
    mode `cold`.
    """
    workload, pipeline = config.workload, config.pipeline

    def tokens_per_second(mode: str, tokens: int) -> float:
        return tokens / statistics.median(one[mode].seconds for one in rounds)

    prefill = tokens_per_second("cold", config.prefix_tokens)
    small, big = (Rates(prefill, tokens_per_second(mode, workload.tokens)) for mode in ("small", "big"))
    setup = Setup(small, big, pipeline.prefill_stride_tokens, pipeline.probe_stride_tokens)
    return pipelined_timing(evenly(workload.tokens, workload.share, workload.spans), setup).seconds


def _decode_seconds(samples: Mapping[str, ModeRun], workload: Workload) -> float:
    """What both models' tokens would take at the rates that each had alone."""
    big_share = workload.big_tokens / workload.tokens
    return samples["small"].seconds * (1 - big_share) + samples["big"].seconds * big_share
