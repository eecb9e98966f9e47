import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitreason_cli.split.latency import (
    PAPER_BIG,
    PAPER_SMALL,
    Rates,
    Setup,
    Timing,
    alone_timing,
    evenly,
    merged,
    pipelined_timing,
    serial_timing,
)

RATES = st.builds(Rates, st.floats(1, 1e6), st.floats(1, 1e6))
STRIDES = st.integers(1, 300)
SETUPS = st.builds(
    Setup,
    small=RATES,
    big=RATES,
    stride_tokens=STRIDES,
    probe_stride_tokens=STRIDES,
    bucket_tokens=st.integers(1, 20),
    probe_tokens=st.integers(0, 10),
    hand_over_seconds=st.floats(0, 1),
    overrun_tokens=st.floats(0, 50),
)
SEGMENTS = st.lists(st.tuples(st.sampled_from(["small", "big"]), st.integers(0, 500)), max_size=12)
PROMPTS = st.integers(0, 1000)
PAPER = Setup()

# Small reads 100 and writes 10 tokens a second, big reads 20 and writes 2: what follows can be computed by hand.
PLAIN = Setup(
    Rates(100, 10),
    Rates(20, 2),
    stride_tokens=8,
    probe_stride_tokens=4,
    bucket_tokens=8,
    probe_tokens=5,
    hand_over_seconds=0.25,
)


def exactly(timing):
    return pytest.approx(dataclasses.asdict(timing))


def test_in_turns_each_model_waits_while_the_other_reads():
    timing = serial_timing([("small", 20), ("big", 10), ("small", 5), ("big", 8), ("small", 7)], PLAIN, 40)
    assert dataclasses.asdict(timing) == exactly(
        Timing(
            small_decode_seconds=32 / 10,
            big_decode_seconds=18 / 2,
            # Small reads the prompt; big reads prompt and first text, later the five tokens that are new to it.
            prefill_seconds=40 / 100 + 60 / 20 + 5 / 20,
            hand_over_seconds=4 * 0.25,
            # Two buckets and one, five decoded tokens each; the 18 big tokens are read once.
            control_seconds=3 * 5 / 10 + 18 / 100,
        )
    )


def test_without_a_cache_every_turn_reads_the_whole_prefix():
    timing = serial_timing([("small", 20), ("big", 10), ("small", 5)], PLAIN, 40, cold=True)
    assert timing.prefill_seconds == pytest.approx(40 / 100 + 60 / 20 + 70 / 100)
    # The buckets start after 60 and 68 tokens and hold 8 and 2.
    assert timing.control_seconds == pytest.approx((60 + 8 + 68 + 2) / 100 + 2 * 5 / 10)


def test_pipelined_only_the_last_chunk_is_waited_for():
    timing = pipelined_timing([("small", 20), ("big", 10), ("small", 5)], PLAIN, 2)
    assert dataclasses.asdict(timing) == exactly(
        Timing(
            small_decode_seconds=25 / 10,
            big_decode_seconds=10 / 2,
            # The prompt; then 20 = 8 + 8 + 4 tokens, the last 4 unread; then 10 = 4 + 4 + 2.
            prefill_seconds=2 / 100 + 4 / 20 + 2 / 100,
            hand_over_seconds=2 * 0.25,
        )
    )


def test_a_chunk_that_is_just_complete_is_still_unread():
    timing = pipelined_timing([("small", 16), ("big", 1)], PLAIN)
    assert timing.prefill_seconds == pytest.approx(8 / 20)


def test_a_reader_that_falls_behind_is_waited_for():
    slow = dataclasses.replace(PLAIN, big=Rates(5, 2), stride_tokens=10)
    timing = pipelined_timing([("small", 30), ("big", 1)], slow)
    # Small writes 10 tokens in 1 s, big reads them in 2: complete at 1, 2 and 3 s, read at 3, 5 and 7 s.
    assert timing.prefill_seconds == pytest.approx(7 - 3)


def test_the_big_model_writing_first_waits_until_small_has_handed_over():
    timing = pipelined_timing([("big", 4), ("small", 1)], PLAIN, 40)
    assert timing.prefill_seconds == pytest.approx(40 / 20 + 4 / 100)
    assert timing.hand_over_seconds == 2 * 0.25


def test_what_is_written_in_vain_takes_time_where_small_takes_back():
    setup = dataclasses.replace(PLAIN, overrun_tokens=3, probe_tokens=0)
    taken_back, unclosed = [("small", 8), ("big", 8), ("small", 8)], [("small", 8), ("big", 8)]
    assert pipelined_timing(taken_back, setup).control_seconds == 3 / 2
    assert pipelined_timing(unclosed, setup).control_seconds == 0


@given(SEGMENTS, SETUPS, PROMPTS)
def test_pipelined_is_never_slower_than_serial_and_a_cache_never_hurts(segments, setup, prompt):
    pipelined, warm, cold = (
        pipelined_timing(segments, setup, prompt).seconds,
        serial_timing(segments, setup, prompt).seconds,
        serial_timing(segments, setup, prompt, cold=True).seconds,
    )
    assert pipelined <= warm * (1 + 1e-9)
    assert warm <= cold * (1 + 1e-9)


@given(SEGMENTS, SETUPS, PROMPTS)
def test_nothing_is_faster_than_writing(segments, setup, prompt):
    timing = pipelined_timing(segments, setup, prompt)
    small = sum(tokens for author, tokens in segments if author == "small")
    big = sum(tokens for author, tokens in segments if author == "big")
    assert timing.small_decode_seconds == pytest.approx(setup.small.decode_seconds(small))
    assert timing.big_decode_seconds == pytest.approx(setup.big.decode_seconds(big))
    assert min(dataclasses.astuple(timing)) >= 0


@given(SEGMENTS, SETUPS, PROMPTS)
def test_how_a_text_is_cut_into_segments_of_one_author_makes_no_difference(segments, setup, prompt):
    assert pipelined_timing(segments, setup, prompt) == pipelined_timing(merged(segments), setup, prompt)
    assert serial_timing(segments, setup, prompt) == serial_timing(merged(segments), setup, prompt)


@given(st.integers(1, 5000), st.integers(0, 20), SETUPS, PROMPTS, st.sampled_from(["small", "big"]))
def test_a_text_by_one_model_takes_what_that_model_takes_alone(tokens, spans, setup, prompt, author):
    segments = evenly(tokens, 0.0 if author == "small" else 1.0, min(max(spans, 1), tokens))
    alone = alone_timing(author, segments, setup, prompt)
    assert alone.seconds == pytest.approx(
        (prompt / getattr(setup, author).prefill_tokens_per_second)
        + tokens / getattr(setup, author).decode_tokens_per_second
    )
    assert pipelined_timing(segments, setup, prompt) == alone
    assert serial_timing(segments, setup, prompt) == alone


@given(st.integers(1000, 20_000), st.integers(1, 20), st.floats(0.02, 0.8), st.floats(0.02, 0.8))
def test_a_larger_share_takes_longer_where_the_big_model_is_slower(tokens, spans, one, other):
    fewer, more = sorted((one, other))
    # Chunks of one token, as the part of a chunk that is left over does not grow with the share.
    setup = dataclasses.replace(PAPER, stride_tokens=1, probe_stride_tokens=1)
    for timing in (pipelined_timing, serial_timing):
        before, after = (timing(evenly(tokens, share, spans), setup).seconds for share in (fewer, more))
        assert before <= after + 1e-9


@given(st.integers(0, 10_000), st.floats(0, 1), st.integers(1, 50))
def test_an_even_text_has_the_tokens_the_share_and_the_spans_it_was_asked_for(tokens, share, spans):
    big = round(share * tokens)
    if 0 < big < spans:
        with pytest.raises(ValueError, match="do not make"):
            evenly(tokens, share, spans)
        return
    segments = evenly(tokens, share, spans)
    lengths = [length for author, length in segments if author == "big"]
    assert sum(length for _, length in segments) == tokens
    assert sum(lengths) == big
    if big and tokens - big > spans:
        assert len(lengths) == spans
        assert max(lengths) - min(lengths) <= 1
        assert (segments[0][0], segments[-1][0]) == ("small", "small")


@pytest.mark.parametrize("rates", [(0, 1), (1, 0), (-1, 1), (float("inf"), 1), (1, float("nan"))])
def test_rates_are_positive_numbers(rates):
    with pytest.raises(ValueError, match="positive number"):
        Rates(*rates)


# What Akhauri et al. publish and what follows from it


def speed_up(share, timing=pipelined_timing, **setup):
    """Over the big model alone, with the paper's rates."""
    segments = evenly(8000, share, 20)
    setup = dataclasses.replace(PAPER, **setup)
    return alone_timing("big", segments, setup).seconds / timing(segments, setup).seconds


def test_the_papers_rates_make_one_big_token_as_dear_as_ten_small_ones():
    assert PAPER_SMALL.decode_tokens_per_second / PAPER_BIG.decode_tokens_per_second == 10
    # Reading is so cheap that the big model keeps up with the small one's writing many times over.
    assert PAPER_BIG.prefill_tokens_per_second > 16 * PAPER_SMALL.decode_tokens_per_second


def test_the_papers_speed_up_of_8_to_9_at_1_35_percent_follows_from_its_rates():
    assert 8 < speed_up(0.0135) < 9
    assert 8 < speed_up(0.0135, serial_timing) < 9


def test_the_papers_speed_up_of_4_to_6_at_5_percent_does_not_follow_from_its_rates_alone():
    assert 6.5 < speed_up(0.05) < 7
    # It takes costs that the paper does not state, such as no cache between turns, or slow hand-overs.
    assert 4 < speed_up(0.05, lambda *given: serial_timing(*given, cold=True)) < 6
    assert 4 < speed_up(0.05, hand_over_seconds=1.3) < speed_up(0.05, hand_over_seconds=0.3) < 6


def test_the_papers_rates_give_4_to_6_at_8_to_16_percent():
    assert 4 < speed_up(0.16) < speed_up(0.08) < 6
