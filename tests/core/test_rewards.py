import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitreason_cli.core.rewards import Price, collapse, priced


def test_an_unreadable_gold_answer_is_no_wrong_answer():
    assert (priced(None, 0.5, 1), priced(True, 0.5, 1), priced(False, 0.5, 1)) == (None, 0.5, -0.5)


def test_a_share_above_the_target_makes_it_dearer_and_one_below_cheaper():
    price = Price(1.0, target=0.05, rate=0.1)
    assert price.update(0.10) == pytest.approx(1.1)
    assert price.update(0.05) == pytest.approx(1.1)
    assert price.update(0.0) == pytest.approx(1.0)
    assert Price(1.0).update(0.9) == 1.0


@given(st.lists(st.floats(0, 1), max_size=50))
def test_the_price_stays_within_its_bounds(shares):
    price = Price(1.0, target=0.05, rate=3.0)
    for share in shares:
        assert 0 <= price.update(share) <= price.highest


@pytest.mark.parametrize(
    ("shares", "closes", "opens", "word"),
    [([0.0] * 8, 0, 0, "never hands over"), ([0.95] * 8, 8, 8, "everything"), ([0.6] * 8, 0, 8, "never takes back")],
)
def test_known_collapses_are_named(shares, closes, opens, word):
    assert word in collapse(shares, closes, opens)


def test_a_healthy_batch_is_not_warned_of():
    assert collapse([0.05] * 8, 9, 10) == ""
    assert collapse([], 0, 0) == ""
