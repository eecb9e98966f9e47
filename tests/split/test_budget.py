import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitreason_cli.split.budget import FIRST_SPAN_TOKENS, MeanLength, OffloadBudget, PlannedBudget, parse_share


@given(
    share=st.floats(0, 1),
    steps=st.lists(st.tuples(st.integers(0, 50), st.integers(1, 10)), max_size=50),
)
def test_the_share_never_exceeds_the_cap(share, steps):
    budget = OffloadBudget(share)
    for small, wanted in steps:
        budget.record(small=small)
        if budget.reserve(wanted):
            budget.release(wanted)
            budget.record(big=wanted)
        assert budget.offload_share <= share + 1e-9


@given(small=st.integers(0, 1000), big=st.integers(0, 40), share=st.floats(0.001, 0.9))
def test_room_is_all_that_fits_and_no_more(small, big, share):
    budget = OffloadBudget(share, small_tokens=small, big_tokens=big)
    room = budget.room()
    total = small + big
    if room >= 0 and total:
        assert big + room <= share * (total + room) + 1e-6
        assert big + room + 1 > share * (total + room + 1) - 1e-6


def test_no_cap_grants_everything():
    assert OffloadBudget().reserve(10**9)
    assert OffloadBudget(1.0).reserve(10**9)


def test_a_zero_budget_grants_nothing():
    budget = OffloadBudget(0.0)
    budget.record(small=10**6)
    assert not budget.reserve(1)


def test_what_a_span_did_not_write_can_be_granted_again():
    budget = OffloadBudget(0.5, small_tokens=4)
    assert budget.reserve(4)
    assert not budget.reserve(1)
    budget.release(4)
    assert budget.reserve(1)


def test_the_reserve_follows_twice_the_mean_length_of_the_spans():
    budget = OffloadBudget()
    assert budget.span_reserve_tokens == 2 * FIRST_SPAN_TOKENS
    budget.record(big=3000, whole_spans=1000)
    assert budget.span_reserve_tokens == 7


def test_spans_that_were_cut_make_the_reserve_grow():
    budget = OffloadBudget()
    budget.record(big=400, whole_spans=1)
    assert budget.span_reserve_tokens == 400 + FIRST_SPAN_TOKENS


@pytest.mark.parametrize(("text", "share"), [("5%", 0.05), ("0.05", 0.05), (" 1.35% ", 0.0135), ("0", 0), ("100%", 1)])
def test_shares_are_read(text, share):
    assert parse_share(text) == pytest.approx(share)


@pytest.mark.parametrize("text", ["-3%", "five", "", "101%", "1.5", "nan", "inf", "%"])
def test_what_is_no_share_is_refused(text):
    with pytest.raises(ValueError, match="is no share"):
        parse_share(text)


def test_a_plan_grants_an_early_span_that_a_causal_budget_refuses():
    assert not OffloadBudget(0.05, small_tokens=50).reserve(64)
    plan = PlannedBudget(OffloadBudget(0.05), 2048)
    plan.record(small=50)
    assert plan.reserve(64)
    assert not plan.reserve(64)


@given(
    share=st.floats(0, 1),
    requests=st.lists(
        st.tuples(st.integers(0, 200), st.lists(st.tuples(st.integers(0, 30), st.integers(1, 20)), max_size=8)),
        max_size=6,
    ),
)
def test_the_plan_is_never_overdrawn_and_a_debt_is_paid_before_more_is_granted(share, requests):
    ledger = OffloadBudget(share)
    for expected, steps in requests:
        plan = PlannedBudget(ledger, expected)
        for small, wanted in steps:
            plan.record(small=small)
            in_debt = (
                ledger.big_tokens > share * (ledger.small_tokens + ledger.big_tokens + ledger.planned_tokens) + 1e-6
            )
            granted = plan.reserve(wanted)
            assert not (granted and in_debt and share < 1)
            if granted:
                plan.release(wanted)
                plan.record(big=wanted)
                total = ledger.small_tokens + ledger.big_tokens + ledger.planned_tokens
                assert ledger.big_tokens <= share * total + 1e-6
        plan.close()
    assert ledger.planned_tokens == ledger.reserved == 0


def test_requests_that_reach_their_plan_keep_the_cap_to_the_token():
    ledger = OffloadBudget(0.1)
    for _ in range(5):
        plan = PlannedBudget(ledger, 100)
        while plan.reserve(1):
            plan.release(1)
            plan.record(big=1)
        plan.record(small=90)
        plan.close()
        assert ledger.offload_share <= 0.1 + 1 / (ledger.small_tokens + ledger.big_tokens)


def test_lengths_are_forecast_from_what_was_seen():
    lengths = MeanLength(first=4096)
    assert lengths.forecast(1000) == 1000
    lengths.observe(200)
    assert lengths.forecast(1000) == 200
    lengths.observe(300)
    assert lengths.forecast(1000) == 210
