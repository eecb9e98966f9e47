import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitreason_cli.split.latency import Rates
from splitreason_cli.timing.profiling import ProfilePlan, rates_from

PLAN = ProfilePlan(short_tokens=100, long_tokens=1100, decode_tokens=50)


def seconds_of(rates, request_seconds):
    return [
        request_seconds + rates.prefill_seconds(prompt) + rates.decode_seconds(tokens - 1)
        for prompt, tokens in PLAN.requests
    ]


@given(st.floats(100, 1e5), st.floats(1, 1e3), st.floats(0, 0.1))
def test_the_rates_of_a_steady_server_are_found(prefill, decode, request_seconds):
    measured = rates_from([seconds_of(Rates(prefill, decode), request_seconds)] * 3, PLAN)
    assert measured.rates.prefill_tokens_per_second == pytest.approx(prefill, rel=1e-6)
    assert measured.rates.decode_tokens_per_second == pytest.approx(decode, rel=1e-6)
    assert measured.request_seconds == pytest.approx(request_seconds, abs=1e-6)
    assert measured.prefill_spread == pytest.approx(0, abs=1e-6)


def test_one_slow_request_moves_the_spread_and_not_the_rate():
    steady = seconds_of(Rates(1000, 10), 0.5)
    slow = [steady[0], steady[1] + 3, steady[2]]
    measured = rates_from([steady, slow, steady], PLAN)
    assert measured.rates.prefill_tokens_per_second == pytest.approx(1000)
    assert measured.prefill_spread == pytest.approx(3.0)
    assert measured.decode_spread == pytest.approx(3 / 5)


@pytest.mark.parametrize(
    ("seconds", "reason"), [((1, 1, 2), "a longer prompt took no longer"), ((1, 2, 2), "a longer completion took no")]
)
def test_times_that_show_no_rate_are_refused(seconds, reason):
    with pytest.raises(ValueError, match=reason):
        rates_from([seconds], PLAN)


def test_a_plan_needs_two_prompt_lengths():
    with pytest.raises(ValueError, match="more than 256 tokens"):
        ProfilePlan(long_tokens=256)
