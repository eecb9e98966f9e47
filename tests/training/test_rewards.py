import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitreason_cli.records import markup
from splitreason_cli.records.data import GrpoStep
from splitreason_cli.split.latency import Rates, Setup, evenly
from splitreason_cli.training.collapse import collapse, first_warnings
from splitreason_cli.training.price import Price
from splitreason_cli.training.rewards.base import priced
from splitreason_cli.training.rewards.paper import coverage, paper_coverage, paper_format, paper_reward, paper_tag_count
from splitreason_cli.training.rewards.time import added_time

SPAN = f"{markup.OPEN}x{markup.CLOSE}"
SCAFFOLDED = f"{markup.THINK_OPEN}a{SPAN}b{markup.THINK_CLOSE}<answer>\\boxed{{1}}</answer>"


def test_a_reward_is_the_sum_of_its_parts():
    assert (priced(True, 0.5, 1).total, priced(False, 0.5, 1).total) == (0.5, -0.5)
    worth = paper_reward(True, SCAFFOLDED)
    assert (worth.accuracy, worth.price_paid, worth.format_bonus) == (1, 0, 2)
    assert worth.total == 3 + paper_tag_count(SCAFFOLDED)
    assert paper_reward(False, "plain").total == 0


@given(st.integers(1, 40), st.integers(1, 20))
def test_added_time_lies_between_the_small_model_and_the_pair_s_waiting(tokens, spans):
    setup = Setup(Rates(1e9, 100), Rates(1e9, 10))
    big = tokens * spans
    cost = added_time(evenly(10 * big, 0.1, spans), setup, 0)
    # Readers that need no time leave only the big model's slower decoding: the share.
    assert cost == pytest.approx(0.1, rel=0.01)


def test_short_spans_cost_more_time_than_their_share():
    setup = Setup(hand_over_seconds=0.5)
    many, one = (added_time(evenly(2000, 0.05, spans), setup, 100) for spans in (20, 1))
    assert many > 2 * one > 2 * 0.05
    assert added_time(evenly(2000, 0, 0), setup, 100) == 0
    assert added_time(evenly(2000, 0.05, 5), Setup(Rates(1, 1), Rates(9, 9)), 100) == 0


def test_the_format_pays_for_the_scaffold_and_for_tags_that_are_closed():
    assert paper_format(SCAFFOLDED) == 2
    assert paper_format(f"a{SPAN}") == 1
    assert paper_format(f"a{markup.OPEN}") == 0


def test_no_tag_earns_no_format_bonus():
    assert paper_format("plain") == 0
    assert paper_format(SCAFFOLDED.replace(SPAN, "")) == 1


def test_coverage_rises_to_its_target_and_falls_to_minus_one():
    assert [paper_coverage(share) for share in (0, 0.2, 0.4, 0.7, 1)] == pytest.approx([0, 0.5, 1, 0, -1])
    assert coverage(f"abc{markup.OPEN}d{markup.CLOSE}") == 0.25
    assert coverage(f"abc{markup.OPEN}d") == 0


def test_many_tags_and_unequal_ones_cost():
    assert paper_tag_count("plain") == 0
    long = "a" * 100
    eight, nine = (long + SPAN * count for count in (8, 9))
    assert paper_tag_count(nine) - paper_coverage(coverage(nine)) < paper_tag_count(eight) - paper_coverage(
        coverage(eight)
    )
    assert paper_tag_count(long + SPAN + markup.OPEN) < paper_tag_count(long + SPAN)


def test_a_batch_above_the_target_pays_more_and_one_below_less():
    price = Price(1.0, target=0.05, rate=0.05)
    assert price.of_batch(0.10) == pytest.approx(21)
    assert price.multiplier == pytest.approx(2)
    assert price.of_batch(0.05) == pytest.approx(2)
    assert price.of_batch(0.0) == pytest.approx(-18)
    assert price.multiplier == pytest.approx(1)
    assert Price(1.0).of_batch(0.9) == 1.0


@given(st.floats(0.01, 0.2), st.floats(0.05, 0.3), st.floats(0.5, 10), st.floats(0.2, 1.5))
def test_a_policy_that_asks_less_the_dearer_it_is_lands_on_the_target(target, natural, worth, start):
    """Asking moves towards where one more share is worth its price, `worth` falling to 0 at the `natural` share."""
    price, share = Price(target=target, rate=0.02), start * target
    for _ in range(2000):
        gain = worth * (1 - share / natural) - price.of_batch(share)
        share = min(1.0, max(0.0, share + 0.05 * target * target * gain))
    assert share == pytest.approx(target, rel=0.1)


@pytest.mark.parametrize(
    ("share", "opens", "closed", "word"),
    [(0.0, 0, 0.0, "never hands over"), (0.95, 8, 1.0, "everything"), (0.6, 8, 0.0, "never takes back")],
)
def test_known_collapses_are_named(share, opens, closed, word):
    assert word in collapse(share, opens, closed)


@pytest.mark.parametrize(("share", "opens", "closed"), [(0.05, 10, 0.9), (0.9, 8, 0.1), (0.6, 7, 0.0), (0.001, 1, 1.0)])
def test_what_may_yet_be_chance_or_learning_is_not_warned_of(share, opens, closed):
    assert collapse(share, opens, closed) == ""


def test_hand_overs_far_below_the_budget_are_named_though_a_few_are_left():
    assert "hardly ever" in collapse(0.012, 3, 1.0, target=0.05)
    assert collapse(0.013, 3, 1.0, target=0.05) == ""


def step(number, warning):
    return GrpoStep(
        step=number,
        loss=0.0,
        learning_rate=0.0,
        reward=0.0,
        accuracy=0.0,
        share=0.0,
        spans=0.0,
        span_tokens=0.0,
        closed=0.0,
        price=1.0,
        warning=warning,
    )


def test_a_warning_counts_from_where_it_first_came():
    warnings = ["", "a", "a", "", "b", "a"]
    assert first_warnings(step(n, warning) for n, warning in enumerate(warnings)) == {"a": 1, "b": 4}
