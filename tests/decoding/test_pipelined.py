"""The pipelined driver on scripted backends: the same text as one token at a time, whatever comes when."""

import asyncio
import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from splitreason_cli.decoding.pipelined import PipelineConfig, PipelinedDecoder, SmallModelError
from splitreason_cli.models.backend import SessionPair
from splitreason_cli.models.sampling import GREEDY
from splitreason_cli.split.budget import OffloadBudget
from splitreason_cli.split.controller import SplitController
from splitreason_cli.split.limits import Limits
from splitreason_cli.split.policies import Always, Entropy, Learned, Never, Random, Relay
from tests.scripted import OPEN, TOKENS, drive, scripted
from tests.scripted_backend import ScriptedBackend, in_chunks

EXACT = PipelineConfig(probe_stride_tokens=1, prefill_stride_tokens=4, stream_tokens=7)
POLICIES = {
    "learned": Learned,
    "random": lambda: Random(0.3, 3, random.Random(7)),
    "relay": lambda: Relay(3, 4),
    "entropy": lambda: Entropy(0.7, 4),
    "never": Never,
    "always": Always,
}


def controller(policy, *, max_tokens=60, share=None, max_span_tokens=None):
    limits = Limits(max_tokens, max_span_tokens)
    return SplitController([1, 2], [3], TOKENS, policy(), limits, OffloadBudget(share))


def pair(seed, small_chunk=3, big_chunk=5, **faults):
    small = ScriptedBackend(scripted(f"{seed}/small", tags=0.3, end=0.02), seed, in_chunks(seed, small_chunk))
    big = ScriptedBackend(scripted(f"{seed}/big", tags=0, end=0.02), seed, in_chunks(f"b{seed}", big_chunk), **faults)
    return small, big


def run(decoder, stop_after=None):
    async def collect():
        emitted = []
        stream = decoder.run()
        try:
            async for one in stream:
                emitted += [(one.emit.author, token) for token in one.emit.ids]
                if stop_after is not None and len(emitted) >= stop_after:
                    break
        finally:
            await stream.aclose()
        return emitted

    return asyncio.run(asyncio.wait_for(collect(), 30))


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 10**6),
    policy=st.sampled_from(sorted(POLICIES)),
    share=st.sampled_from([None, 0.0, 0.2, 0.5]),
    chunks=st.tuples(st.integers(1, 6), st.integers(1, 9)),
    span=st.sampled_from([None, 1, 6]),
)
def test_the_pipeline_writes_what_one_token_at_a_time_writes(seed, policy, share, chunks, span):
    make = lambda: controller(POLICIES[policy], share=share, max_span_tokens=span)  # noqa: E731
    alone, piped = make(), make()
    expected = drive(
        alone, scripted(f"{seed}/small", tags=0.3, end=0.02), scripted(f"{seed}/big", tags=0, end=0.02), seed, lambda: 1
    )
    small, big = pair(seed, *chunks)
    decoder = PipelinedDecoder(piped, SessionPair(small, big), GREEDY, EXACT)
    assert run(decoder) == expected
    assert decoder.finish_reason == alone.finish_reason
    assert (piped.hand_overs, piped.refused, piped.big_tokens) == (alone.hand_overs, alone.refused, alone.big_tokens)
    assert small.open_streams == big.open_streams == 0
    assert len(decoder.stats.hand_over_seconds) <= piped.hand_overs


def test_the_big_model_reads_along_in_strides_and_only_what_it_will_need():
    seed = next(s for s in range(100) if len(_text(s)) == 60)
    small, big = pair(seed)
    piped = controller(Learned)
    run(PipelinedDecoder(piped, SessionPair(small, big), GREEDY, EXACT))
    assert big.prefilled
    lengths = [len(ids) for ids in big.prefilled]
    assert all(later - earlier >= EXACT.prefill_stride_tokens for earlier, later in itertools.pairwise(lengths))
    assert not any(OPEN in ids for ids in [*big.prefilled, *big.contexts])
    alone = ScriptedBackend(scripted("alone", tags=0, end=0), seed)
    idle = pair(seed)[1]
    run(PipelinedDecoder(controller(Never), SessionPair(alone, idle), GREEDY, EXACT))
    assert idle.calls == {"stream": 0, "prefill": 0, "next_token": 0}


def test_a_wide_stride_asks_the_small_model_seldom_and_throws_away_little():
    config = PipelineConfig(probe_stride_tokens=8, stream_tokens=16)
    asked = written = thrown = spans = 0
    for seed in range(30):
        small, big = pair(seed, big_chunk=2)
        piped = controller(Learned, max_tokens=200)
        decoder = PipelinedDecoder(piped, SessionPair(small, big), GREEDY, config)
        run(decoder)
        assert decoder.stats.control_tokens == small.asked
        asked, written = asked + small.asked, written + piped.big_tokens
        thrown, spans = thrown + piped.discarded_tokens, spans + piped.hand_overs
    assert spans > 20
    assert asked < written / 4
    assert thrown / spans < 24


@pytest.mark.parametrize("fault", ["refuse", "reset", "hang", "empty"])
@pytest.mark.parametrize("number", [1, 2])
def test_a_big_model_that_fails_leaves_the_rest_to_the_small_one(fault, number):
    reasons = []
    seed = next(s for s in range(1000) if _spans(s) >= 2)
    small, big = pair(seed, fault=lambda call, n: fault if call == "stream" and n == number else "")
    piped = controller(Learned)
    limit = 1.0 if fault == "hang" else 60.0
    config = PipelineConfig(probe_stride_tokens=1, stream_tokens=7, first_token_seconds=limit, token_seconds=limit)
    decoder = PipelinedDecoder(piped, SessionPair(small, big), GREEDY, config, on_big_failure=reasons.append)
    emitted = run(decoder)
    assert decoder.stats.degraded
    assert reasons == [decoder.stats.degraded]
    assert decoder.finish_reason in ("stop", "length")
    assert big.calls["stream"] == number
    last = max((place for place, (author, _) in enumerate(emitted) if author == "big"), default=-1)
    assert all(author == "small" for author, _ in emitted[last + 1 :])
    assert emitted[last + 1 :]
    assert small.open_streams == big.open_streams == 0


@pytest.mark.parametrize("call", ["stream", "next_token"])
def test_a_small_model_that_fails_ends_the_request(call):
    seed = next(s for s in range(1000) if _spans(s) >= 1)
    small, big = pair(seed)
    small._fault = lambda name, n: "refuse" if name == call else ""
    with pytest.raises(SmallModelError, match="refused"):
        run(PipelinedDecoder(controller(Learned), SessionPair(small, big), GREEDY, EXACT))
    assert small.open_streams == big.open_streams == 0


def test_a_small_model_that_writes_nothing_is_asked_once():
    small, big = pair(0)
    small._fault = lambda name, n: "empty" if name == "stream" else ""
    with pytest.raises(SmallModelError, match="without a token"):
        run(PipelinedDecoder(controller(Learned), SessionPair(small, big), GREEDY, EXACT))
    assert (small.calls["stream"], small.open_streams) == (1, 0)


class Silent(ScriptedBackend):
    """Ends its streams without a word."""

    async def stream(self, ids, request):
        self.calls["stream"] += 1
        for chunk in ():
            yield chunk


def test_a_big_model_that_says_nothing_is_asked_once():
    small, big = pair(0)[0], Silent(None, 0)
    decoder = PipelinedDecoder(controller(lambda: Relay(3, 4)), SessionPair(small, big), GREEDY, EXACT)
    run(decoder)
    assert (big.calls["stream"], decoder.stats.degraded) == (1, "the stream ended without a token")
    assert (decoder.controller.hand_overs, decoder.controller.refused) == (1, 0)
    assert decoder.finish_reason in ("stop", "length")


@pytest.mark.parametrize("stop_after", [1, 5, 20])
def test_a_reader_who_leaves_frees_both_models(stop_after):
    for seed in range(20):
        small, big = pair(seed)
        run(PipelinedDecoder(controller(Learned), SessionPair(small, big), GREEDY, EXACT), stop_after)
        assert small.open_streams == big.open_streams == 0


def test_logprobs_go_with_the_tokens_they_belong_to():
    seed = next(s for s in range(1000) if _spans(s) >= 1)
    small, big = pair(seed)

    async def collect():
        decoder = PipelinedDecoder(controller(Learned), SessionPair(small, big), GREEDY, EXACT, logprobs=True)
        return [one async for one in decoder.run()]

    for one in asyncio.run(collect()):
        assert len(one.logprobs) == len(one.emit.ids)


def _text(seed):
    alone = controller(Learned)
    models = scripted(f"{seed}/small", tags=0.3, end=0.02), scripted(f"{seed}/big", tags=0, end=0.02)
    return drive(alone, *models, seed, lambda: 1)


def _spans(seed):
    authors = [author for author, _ in itertools.groupby(_text(seed), key=lambda pair: pair[0])]
    return authors.count("big") if authors and authors[-1] == "small" else 0
