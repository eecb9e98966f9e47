import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitreason_cli.core.records import GrpoStep
from splitreason_cli.core.rewards import Price, collapse, first_warnings, priced


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
    ("share", "opens", "closed", "word"),
    [(0.0, 0, 0.0, "never hands over"), (0.95, 8, 1.0, "everything"), (0.6, 8, 0.0, "never takes back")],
)
def test_known_collapses_are_named(share, opens, closed, word):
    assert word in collapse(share, opens, closed)


@pytest.mark.parametrize(("share", "opens", "closed"), [(0.05, 10, 0.9), (0.9, 8, 0.1), (0.6, 7, 0.0), (0.001, 1, 1.0)])
def test_what_may_yet_be_chance_or_learning_is_not_warned_of(share, opens, closed):
    assert collapse(share, opens, closed) == ""


def step(number, warning):
    return GrpoStep(
        step=number, loss=0.0, learning_rate=0.0, reward=0.0, accuracy=0.0, share=0.0, spans=0.0, span_tokens=0.0,
        closed=0.0, price=1.0, warning=warning,
    )  # fmt: skip


def test_a_warning_counts_from_where_it_first_came():
    warnings = ["", "a", "a", "", "b", "a"]
    assert first_warnings(step(n, warning) for n, warning in enumerate(warnings)) == {"a": 1, "b": 4}
